#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration of handovers: a download goes on while its interfaces are pulled one after the
other, drawn in the terminal. Run by tests/demo --handover.

usage: demo_handover.py [BUILD [SECONDS]]     (from one thing that happens to the next; 4)
"""

import os
import shutil
import sys
import textwrap
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tap")]

from capture import PROTECTED, Capture  # noqa: E402
from paths import PATHS4, Download, Paths  # noqa: E402
from peers import Latchkey  # noqa: E402
from scenarios import both_up  # noqa: E402
from several import all_alive, by_number, sides  # noqa: E402

DELAYS = (5, 20)  # milliseconds each way
RATE = 4_000_000  # bytes a second
TICK = 0.2
FULL = 8 * RATE * 1.1 / 1e6  # Mbit/s that fill a bar: with what ESP adds
BAR, HISTORY, WIDTH = 28, 66, 80
NOT_OURS = "not (udp port 500 or udp port 4500 or proto 50 or arp or icmp6)"
STATES = {"ACTIVE": "in use", "STANDBY": "ready", "VALIDATING": "asked", "FAILED": "silent"}


class Terminal:
    """Draws over what it drew before."""

    def __init__(self):
        text = (sys.stdout.encoding or "").lower().replace("-", "")
        self.full, self.steps = ("█", " ▁▂▃▄▅▆▇█") if text == "utf8" else ("#", " .:-=+*#%@")
        self.lines = 0

    def spark(self, values):
        top = len(self.steps) - 1
        return "".join(self.steps[max(0, min(top, round(v / FULL * top)))] for v in values)

    def bar(self, value):
        return (self.full * max(0, min(BAR, round(value / FULL * BAR)))).ljust(BAR)

    def draw(self, lines):
        width = min(WIDTH, shutil.get_terminal_size().columns) - 1
        back = f"\x1b[{self.lines}A" if self.lines else ""
        print(back + "".join(f"\r\x1b[2K{line[:width]}\n" for line in lines), end="", flush=True)
        self.lines = len(lines)


class Plain:
    """One line a second, and one for each thing that happens."""

    def __init__(self):
        self.next = 0

    def draw(self, show):
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 1
        paths = "; ".join(f"interface {n}: {show.words[n]}, {show.rates[n]:.1f} Mbit/s" for n in (1, 2))
        print(f"{show.seconds():5.1f} s  {paths}; {show.text()}", flush=True)


class Show:
    """What is seen of the hosts, and drawn."""

    def __init__(self, scene, download):
        self.scene, self.download, self.begin = scene, download, time.monotonic()
        self.terminal = Terminal() if sys.stdout.isatty() else None
        self.plain = Plain()
        self.rates, self.words, self.round_trips = {1: 0.0, 2: 0.0}, {1: "", 2: ""}, {1: "", 2: ""}
        self.sent, self.at = self._sent(), time.monotonic()
        self.history, self.events, self.handovers, self.used = [], [], 0, 1

    def seconds(self):
        return time.monotonic() - self.begin

    def text(self):
        received, stall = self.download.progress()
        return f"{received / 1e6:.1f} MB, {self.handovers} handovers, longest stall {stall:.0f} ms"

    def happen(self, text):
        self.events.append(f"{self.seconds():5.1f} s  {text}")
        if not self.terminal:
            print(self.events[-1], flush=True)

    def _sent(self):
        """Bytes that the right host sent by each interface."""
        return {path.n: path.wire.counts()["right"]["in_len"] for path in self.scene.paths}

    def look(self):
        now, sent = time.monotonic(), self._sent()
        for n in (1, 2):
            self.rates[n] = (sent[n] - self.sent[n]) * 8 / 1e6 / (now - self.at)
        self.sent, self.at = sent, now
        self.history = [*self.history, sum(self.rates.values())][-HISTORY:]
        self.words, self.round_trips = dict.fromkeys((1, 2), "gone"), dict.fromkeys((1, 2), "")
        for path in by_number(self.scene.peers["left"]).values():
            n = [ends[0] for ends in PATHS4].index(path["local"].split("[")[0]) + 1
            self.words[n] = STATES.get(path["state"], path["state"].lower())
            if path.get("rtt-us") and self.words[n] != "gone":
                self.round_trips[n] = f"{path['rtt-us'] / 1000:.1f} ms"
            if path["state"] == "ACTIVE" and n != self.used:
                self.used, self.handovers = n, self.handovers + 1

    def draw(self):
        if not self.terminal:
            self.plain.draw(self)
            return
        lines = [f" One download by one SA, and its interfaces are pulled{self.seconds():22.1f} s", ""]
        for n, delay in enumerate(DELAYS, 1):
            lines.append(f" interface {n} ({2 * delay:2d} ms) {self.words[n]:7}{self.round_trips[n]:>8} "
                         f"{self.terminal.bar(self.rates[n])}{self.rates[n]:5.1f} Mbit/s")
        lines += ["", f" download {self.terminal.spark(self.history)}", f" {self.text()}", ""]
        shown = self.events[-8:]
        self.terminal.draw(lines + shown + [""] * (8 - len(shown)))

    def go_on(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(TICK)
            self.look()
            self.draw()


def pull(show, n):
    show.happen(f"interface {n} is pulled out: down, and without its address")
    show.scene.path(n).leave()


def plug(show, n):
    show.happen(f"interface {n} is there again, and waits")
    show.scene.path(n).join()


def swallow(show, n):
    show.happen(f"interface {n} swallows everything, and nobody is told")
    show.scene.path(n).wire.black_hole()


def spit(show, n):
    show.happen(f"interface {n} carries again, and has back what it was asked to carry")
    show.scene.path(n).wire.black_hole(False)


def ask(show, n):
    show.happen(f"latchkey path prefer gw {PATHS4[n - 1][0]}: to interface {n}, without need")
    show.scene.peers["left"].cli("path", "prefer", "gw", PATHS4[n - 1][0])


# What happens, and to which interface.
STORY = [(pull, 1), (plug, 1), (pull, 2), (plug, 2), (ask, 2), (swallow, 2), (spit, 2), (ask, 1)]
HANDOVERS = 6


def tell(scene, seconds):
    """The story; returns its last sentence."""
    stray = [Capture(path.wire.host, end, name=f"stray-{end}", only=NOT_OURS)
             for path in scene.paths for end in ("left", "right")]
    before = {side: (peer.ike_spis(), peer.spis()) for side, peer in scene.peers.items()}
    # BBR takes the shortest round trip of ten seconds for the path's, and is slow for so long where it
    # has become longer: that is not what is to be seen here.
    download = Download(scene, rate=RATE, control="cubic")
    show = Show(scene, download)
    show.go_on(seconds)
    for what, n in STORY:
        what(show, n)
        show.go_on(seconds)
    found = download.stop()
    after = {side: (peer.ike_spis(), peer.spis()) for side, peer in scene.peers.items()}
    assert after == before, "there are other SAs now"
    clear = [str(frame) for capture in stray for frame in capture.stop()
             if frame.kind not in PROTECTED]
    assert not clear, f"in the clear: {clear[0]}"
    assert show.handovers >= HANDOVERS, f"only {show.handovers} handovers"
    return f"{found['received'] / 1e6:.1f} MB arrived in {found['seconds']:.0f} s, every byte right, " \
        f"by one SA through {show.handovers} handovers; the longest stall was " \
        f"{found['stall_ms']:.0f} ms, and nothing was in the clear on either wire."


def main():
    if os.geteuid() != 0:
        print("this needs root: use tests/demo --handover", file=sys.stderr)
        return 1
    build, seconds = [*sys.argv[1:], *(os.path.join(HERE, "..", "..", "build"), 4)[len(sys.argv) - 1:]]
    Latchkey.build = os.path.realpath(build)
    left, right = sides("failover")
    print("Two hosts out of namespaces, two wires between them, and one tunnel by both ...", flush=True)
    try:
        with Paths("demo-handover", left, right, orders=[f"delay {d}ms" for d in DELAYS],
                   versions=(4,), captures=False) as scene:
            both_up(scene)
            all_alive(scene, 2)
            sentence = tell(scene, float(seconds))
    except AssertionError as wrong:
        print(f"\nThat did not go as it should: {wrong}", file=sys.stderr)
        return 1
    print("\n" + textwrap.fill(f"{sentence} All is cleaned up.", WIDTH - 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
