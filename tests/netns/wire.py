# SPDX-License-Identifier: Apache-2.0
"""A cable between two hosts that has a delay, a rate, losses and whatever else tests/relay/line.h
tells of, each way its own, and that can be changed while it is used."""

import json
import socket

from content import program
from nets import wait_until_ready

ANSWER_SECONDS = 10


class Wire:
    """The program of that name, in a host of its own that has no address. "left" is what the first
    host sends, "right" what the second one does."""

    def __init__(self, lab, name, one, two, orders="", seed=1):
        """one, two: (host, device, addresses) of each end."""
        self.host = lab.host(f"wire-{name}")
        for which in ("all", "default"):
            self.host.sysctl(f"net.ipv6.conf.{which}.disable_ipv6", 1)
        for (host, device, addresses), own in ((one, "left"), (two, "right")):
            lab.link(host, device, self.host, own, addresses, [])
        control = self.host.path("control")
        self.process = self.host.spawn("wire", program("wire"), "left", "right", control, seed)
        wait_until_ready(self.process)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.host.path("client"))
        self.socket.connect(control)
        self.socket.settimeout(ANSWER_SECONDS)
        if orders:
            self.order(orders)

    def ask(self, text):
        self.socket.send(text.encode())
        return self.socket.recv(4096).decode()

    def order(self, *orders):
        """All of them at once, or none: "delay 20ms", "left loss 1%", "right blackhole on"."""
        answer = self.ask("; ".join(orders))
        assert answer == "ok", f"{self.host.name}: {orders}: {answer}"

    def seed(self, number):
        """Chance begins again: what is lost of what comes now follows from the number."""
        assert self.ask(f"seed {number}") == "ok"

    def black_hole(self, on=True):
        """Nothing arrives, either way, and nobody is told."""
        self.order(f"blackhole {'on' if on else 'off'}")

    def plug(self, up=True):
        """The cable is pulled out of both hosts: they have no carrier."""
        for device in ("left", "right"):
            self.host.run("ip", "link", "set", device, "up" if up else "down")

    def counts(self):
        """What entered and what became of it, each way; that this program and the kernel kept up is
        part of it."""
        counts = json.loads(self.ask("counts"))
        for way in ("left", "right"):
            assert counts[way]["missed"] == counts[way]["uncut"] == 0, counts
        assert counts["dropped"] == 0, counts
        return counts

    def stop(self):
        """Ends it; returns its counts."""
        self.process.send(15)
        assert self.process.outer.wait(20) == 0, self.process.log()
        return json.loads(self.process.log().splitlines()[-1])


def mix(x):
    """content_mix() of tests/relay/content.h."""
    x &= (1 << 64) - 1
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & (1 << 64) - 1
    x = (x ^ x >> 27) * 0x94d049bb133111eb & (1 << 64) - 1
    return x ^ x >> 31


def will_be_lost(seed, way, percent, count):
    """Which of the first frames after seed() a wire loses that way (no bursts), by line.c's rule."""
    start = mix(2 * seed + (way == "right"))
    return {n for n in range(count) if mix(start + n * 8) % 1000000 < percent * 10000}
