# SPDX-License-Identifier: Apache-2.0
"""Soft handovers between two paths of different length under load, and what is missing after them: to
the packet, with what the kernels dropped beside it."""

import os
import subprocess
import time

from capture import PROTECTED, Capture
from nets import Stream, story
from paths import Download, Paths
from peers import Latchkey
from scenarios import both_up
from several import all_alive, by_number, sides, unchanged

RATE = 1000
EXPEDITED = 0xB8  # the streams' type of service
NUMBER = 20
CALM = 0.5
NOT_OURS = "not (udp port 500 or udp port 4500 or proto 50 or arp or icmp6)"
# Of a datagram that is lost: of the protocol, and of devices (receive, transmit).
SNMP = ("RcvbufErrors", "SndbufErrors")
DEVICE_DROPS = (4, 12)


def dropped_by_kernel(host):
    """Packets that the host's kernel dropped at sockets and devices."""
    lines = [line.split() for line in host.run("cat", "/proc/net/snmp").stdout.splitlines()
             if line.startswith("Udp:")]
    udp = dict(zip(lines[0], lines[1]))
    devices = [line.split() for line in host.run("cat", "/proc/net/dev").stdout.splitlines()[2:]]
    return sum(int(udp[name]) for name in SNMP) + \
        sum(int(words[at]) for words in devices for at in DEVICE_DROPS)


class Watch:
    """Two streams, a download and captures over some seconds; what became of them."""

    def __init__(self, scene, rate):
        self.scene = scene
        self.stray = [Capture(path.wire.host, end, name=f"stray-{end}", only=NOT_OURS)
                      for path in scene.paths for end in ("left", "right")]
        self.marked = {(path.n, end): Capture(path.wire.host, end, name=f"marked-{end}", snap=60,
                                              only=f"src host {path.addresses(end)[0].split('/')[0]} "
                                                   f"and ip[1] == {EXPEDITED}")
                       for path in scene.paths for end in ("left", "right")}
        self.before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        self.kernel = self._kernel()
        self.streams = {side: Stream(scene, side, rate=RATE, port=9000 + i, tos=EXPEDITED).start()
                        for i, side in enumerate(("left", "right"))}
        self.download = Download(scene, rate=rate)

    def _kernel(self):
        return sum(dropped_by_kernel(self.scene.host(side)) for side in ("left", "right"))

    def stop(self):
        """{"left": of what it sent, "right", "download", "kernel": packets that kernels dropped}."""
        found = {side: stream.stop() for side, stream in self.streams.items()}
        found["download"] = self.download.stop()
        found["kernel"] = self._kernel() - self.kernel
        for path in self.scene.paths:
            path.wire.counts()  # nothing but what it was told to lose
        unchanged(self.scene, self.before)
        self._audit(found)
        return found

    def _audit(self, found):
        """Nothing in the clear on any path, and each packet of the streams has its mark there."""
        for capture in self.stray:
            clear = [str(frame) for frame in capture.stop() if frame.kind not in PROTECTED]
            assert not clear, f"{capture.path}: {clear[0]}"
        for side in ("left", "right"):
            marked = [len(capture.stop()) for (_, end), capture in self.marked.items() if end == side]
            assert sum(marked) == found[side]["sent"] and min(marked) > 0, (side, marked, found[side])


def lengths(scene, first, second):
    """Milliseconds each way."""
    for path, delay in zip(scene.paths, (first, second)):
        path.wire.order(f"delay {delay}ms")


def hand_over(scene, number, every):
    """So many, one to the other path each time; returns how many there were of it at either side."""
    decider, follower = scene.peers["left"], scene.peers["right"]
    begin = time.monotonic()
    for n in range(number):
        decider.vici("latchkey-path", {"act": "prefer", "name": "gw", "path": 2 - n % 2})
        ahead = begin + (n + 1) * every - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    return [peer.log().count("goes by path") for peer in (decider, follower)]


def complete(found):
    """Every datagram once and in order, but for what a kernel dropped."""
    for side in ("left", "right"):
        r = found[side]
        story(f"soft handover: from {side}: {r['sent'] - r['received']} of {r['sent']} lost "
              f"({found['kernel']} dropped by kernels), {r['repeated']} repeated, {r['reordered']} out "
              f"of order, longest gap {r['gap_ms']:.0f} ms (the sender's own: {r['pause_ms']:.0f} ms)")
    story(f"download: {found['download']['received']} bytes right, longest stall "
          f"{found['download']['stall_ms']:.0f} ms")
    for side in ("left", "right"):
        r = found[side]
        assert r["repeated"] == r["reordered"] == 0, f"{side}: {r}"
        assert r["sent"] - r["received"] <= found["kernel"], f"{side}: {r}, {found['kernel']}"


def soft(first, second, number=NUMBER, every=0.1, rate=2_000_000):
    """Between paths of so many milliseconds; returns what Watch.stop() does."""
    with Paths(f"soft-{first}-{second}", *sides("failover", priorities=(0, 1)), versions=(4,),
               captures=False) as scene:
        lengths(scene, first, second)
        both_up(scene)
        all_alive(scene, 2)
        watch = Watch(scene, rate)
        time.sleep(CALM)
        moves = hand_over(scene, number, every)
        time.sleep(CALM)
        found = watch.stop()
        assert min(moves) >= number - 1, f"there were only {moves} of {number} handovers"
        for path in by_number(scene.peers["left"]).values():
            assert path["tx-packets"] > 100 < path["rx-packets"], path
        return found


def shown():
    """tests/demo --handover, in a hurry and without a terminal."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo_handover.py")
    done = subprocess.run(["/usr/bin/python3", "-B", program, Latchkey.build, "2"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    last = " ".join(done.stdout.split("\n\n")[-1].split())
    story(last)
    assert done.returncode == 0 and "every byte right" in last, done.stdout


TESTS = [
    ("several paths: soft handovers, 5 and 20 ms", lambda: complete(soft(5, 20))),
    ("several paths: soft handovers, 20 and 20 ms", lambda: complete(soft(20, 20))),
    ("several paths: the demonstration", shown),
]
