#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the meson test programs and the namespaces scenarios, and counts their TAP test points.

usage: collect.py [--build DIR] [unit] [netns]      (no part named: all of them)
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
POINT = re.compile(r"^\s*(not )?ok\b\s*(\d+)?\s*(?:- )?(.*?)(?:\s*#\s*(SKIP|TODO)\b\s*(.*))?$",
                   re.IGNORECASE)
PLAN = re.compile(r"^1\.\.(\d+)")


class Tally:
    """Test points counted so far, over every program."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def closing_line(self):
        line = f"{self.passed} passed, {len(self.failed)} failed"
        return line + (f", {len(self.skipped)} skipped" if self.skipped else "")

    def exit_status(self):
        return 0 if self.passed > 0 and not self.failed else 1


class Stream:
    """One program's TAP output, fed line by line."""

    def __init__(self, program, tally):
        self.program = program
        self.tally = tally
        self.plan = None
        self.seen = 0
        self.failed = 0

    def feed(self, line):
        """Counts the line; returns True if it is a test point."""
        if plan := PLAN.match(line):
            self.plan = int(plan.group(1))
            return False
        point = POINT.match(line)
        if not point:
            if line.startswith("Bail out!"):
                self.fail(line.strip())
            return False
        self.seen += 1
        name = f"{self.program}: {point.group(3)}"
        if point.group(1):
            self.fail(name)
        elif (point.group(4) or "").upper() == "SKIP":
            self.tally.skipped.append((name, point.group(5) or "no reason given"))
        else:
            self.tally.passed += 1
        return True

    def fail(self, what):
        self.failed += 1
        self.tally.failed.append(what)

    def finish(self, exit_code):
        """A plan not kept, or a bad exit without a failed point, is one failure more."""
        if self.plan is None or self.plan == 0:
            self.fail(f"{self.program}: no plan or an empty one")
        elif self.seen != self.plan:
            self.fail(f"{self.program}: planned {self.plan} test points, ran {self.seen}")
        elif exit_code != 0 and self.failed == 0:
            self.fail(f"{self.program}: ended with status {exit_code}")


def run_unit(build, tally):
    """All of meson's tests: meson shows the progress, its log has the points."""
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"],
                   check=False)
    if not os.path.exists(log):
        tally.failed.append("unit: meson ran no test")
        return
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            result = json.loads(line)
            stream = Stream(result["name"].split(" / ")[-1], tally)
            for tap_line in (result.get("stdout") or "").splitlines():
                stream.feed(tap_line)
            if result["result"] == "TIMEOUT":
                stream.fail(f"{stream.program}: ran out of time")
            stream.finish(result.get("returncode") or 0)


def run_netns(build, tally):
    """The scenarios, their output shown as it comes."""
    command = [os.path.join(ROOT, "tests", "netns", "run"), "--build", build]
    stream = Stream("netns", tally)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as proc:
        for line in proc.stdout:
            print(line, end="", flush=True)
            stream.feed(line.rstrip("\n"))
    stream.finish(proc.returncode)


def give_back(build):
    """Under sudo the logs were written by root: the build stays the caller's."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if uid and gid:
        subprocess.run(["chown", "-R", f"{uid}:{gid}", build], check=False)


def main(args):
    build = os.path.join(ROOT, "build")
    if args[:1] == ["--build"]:
        build, args = os.path.realpath(args[1]), args[2:]
    parts = {"unit": run_unit, "netns": run_netns}
    if any(arg not in parts for arg in args):
        print(__doc__, file=sys.stderr)
        return 2
    tally = Tally()
    for name, part in parts.items():
        if not args or name in args:
            print(f"== {name}", flush=True)
            part(build, tally)
    give_back(build)
    for name, reason in tally.skipped:
        print(f"skipped: {name}: {reason}")
    for name in tally.failed:
        print(f"FAILED: {name}")
    print(tally.closing_line())
    return tally.exit_status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
