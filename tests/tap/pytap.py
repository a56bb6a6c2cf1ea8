# SPDX-License-Identifier: Apache-2.0
"""Runs a table of Python tests as TAP: the plan first, every failure with its reason.

A test is a (name, callable). It passes by returning, fails by raising, and is skipped by raising
Skip with a reason.
"""

import concurrent.futures.process
import contextlib
import io
import multiprocessing
import os
import sys
import time
import traceback


class Skip(Exception):
    """The test cannot be done here; the message says why."""


def diag(text):
    """Prints text as diagnostics, never read as a result."""
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def _one(number, name, test):
    begin = time.monotonic()
    try:
        test()
    except Skip as skip:
        print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        return True
    except AssertionError as failure:
        print(f"not ok {number} - {name}", flush=True)
        last = traceback.extract_tb(failure.__traceback__)[-1]
        diag(f"{last.filename}:{last.lineno}: {failure or last.line}")
        return False
    except Exception:  # a broken test is a failed test, and the rest still run
        print(f"not ok {number} - {name}", flush=True)
        diag(traceback.format_exc())
        return False
    print(f"ok {number} - {name} # {time.monotonic() - begin:.1f} s", flush=True)
    return True


_tests = []  # what a process of run() takes its tests from, by their place


def _captured(place):
    """Runs one test; returns what it printed and whether it is good."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        good = _one(place + 1, *_tests[place])
    return text.getvalue(), good


class Idle:
    """Called: how many processors had nothing to do since the call before."""

    def __init__(self):
        self.before = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as file:
            words = file.readline().split()  # "cpu", user, nice, system, idle
        return time.monotonic(), int(words[4]) / os.sysconf("SC_CLK_TCK")

    def __call__(self):
        before, self.before = self.before, self._read()
        return (self.before[1] - before[1]) / max(self.before[0] - before[0], 0.01)


MOST = 2  # times `jobs` may run where processors are idle
LOOK_SECONDS = 1.0  # how often that is looked at: by then the last one that was begun is at work
IDLE = 0.5  # of a processor, which one more may have


class _Room:
    """Whether one more test may begin: always while fewer than `jobs` are at work, and beyond these
    where a processor has nothing to do, one with each look."""

    def __init__(self, jobs, waits, idle):
        self.jobs, self.waits, self.idle = jobs, waits, idle
        self.running = {}  # future -> whether it is at work
        self.looked, self.more = time.monotonic(), False

    def look(self):
        if time.monotonic() >= self.looked + LOOK_SECONDS:
            self.looked, self.more = time.monotonic(), self.idle() >= IDLE

    def take(self, name):
        """Whether this one may begin; if so it must."""
        if len(self.running) >= MOST * self.jobs:
            return False
        if self.waits(name) or sum(self.running.values()) < self.jobs:
            return True
        more, self.more = self.more, False
        return more


def _side_by_side(tests, jobs, prepare, waits, idle):
    """Yields the results in order."""
    _tests[:] = tests
    room, futures, shown = _Room(jobs, waits, idle), [], 0
    with concurrent.futures.ProcessPoolExecutor(
            MOST * jobs, multiprocessing.get_context("fork"), prepare) as pool:
        while shown < len(tests):
            while len(futures) < len(tests) and room.take(tests[len(futures)][0]):
                futures.append(pool.submit(_captured, len(futures)))
                room.running[futures[-1]] = not waits(tests[len(futures) - 1][0])
            done, _ = concurrent.futures.wait(room.running, LOOK_SECONDS,
                                              concurrent.futures.FIRST_COMPLETED)
            for future in done:
                del room.running[future]
            room.look()
            while shown < len(futures) and futures[shown].done():
                text, good = futures[shown].result()
                shown += 1
                print(text, end="", flush=True)
                yield good


def run(tests, jobs=1, prepare=None, waits=lambda name: False, idle=None):
    """Runs (name, callable) pairs; returns the exit status. With the environment variable TAP_ONLY
    set, only those whose name contains its text. jobs: so many at a time, each in a process for
    which prepare() was called; beside them those of which waits(name) is true, and others while
    idle() says that processors have nothing to do (of this machine if None). What they print comes
    in order."""
    only = os.environ.get("TAP_ONLY", "")
    tests = [(name, test) for name, test in tests if only in name]
    print("TAP version 13")
    print(f"1..{len(tests)}", flush=True)
    if jobs > 1:
        try:
            results = list(_side_by_side(tests, jobs, prepare, waits, idle or Idle()))
        except concurrent.futures.process.BrokenProcessPool:
            print("Bail out! a process that ran tests died", flush=True)
            return 1
    else:
        results = [_one(i, name, test) for i, (name, test) in enumerate(tests, 1)]
    if not results:
        diag("no test to run")
    sys.stdout.flush()
    return 0 if results and all(results) else 1
