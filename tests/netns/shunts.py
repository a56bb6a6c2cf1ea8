# SPDX-License-Identifier: Apache-2.0
"""Policies without SAs (mode = pass, mode = drop) and selectors finer than addresses, on real hosts.

Both hosts also have plain routes to each other's inner networks by the wire, so that what is not
protected really could leave there.
"""

import re

from capture import Capture
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, other, section
from scenarios import both_up
from transport import CLIENT, SERVER

TCP, UDP, ICMP = 6, 17, 1
SEND_UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3):
    try:
        s.sendto(b"dropped", (sys.argv[1], 9100))
    except OSError as refused:
        print(refused)
"""


class ShuntPair(Pair):
    """Children beside the tunnel, in a connection without a peer, on each side: {side: children}."""

    def __init__(self, name, left, right, shunts):
        super().__init__(name, left, right, start=False)
        for side, host in (("left", self.left), ("right", self.right)):
            network = INNER[other(side)][0].rsplit(".", 1)[0] + ".0/24"
            host.run("ip", "route", "add", network, "via", OUTER4[other(side)], "src",
                     INNER[side][0])
            with open(self.peers[side].conf, "a", encoding="utf-8") as file:
                file.write(section("connections", {"own": {"children": shunts[side]}}) + "\n")
        self.start()

    def serve(self, side):
        listener = self.host(side).spawn("server", "/usr/bin/python3", "-c", SERVER,
                                         INNER[side][0])
        wait_for(lambda: "ready" in listener.log(), "the server")

    def ask(self, side, text):
        """One TCP connection from this side to the other's server."""
        self.host(side).run("/usr/bin/python3", "-c", CLIENT, INNER[other(side)][0], text)

    def seen(self, what, name):
        """The frames on the wire while something is done."""
        capture = Capture(self.right, "wire", name=name)
        what()
        return capture.stop()


def shunt(mode, local_ts, remote_ts, **more):
    return {"mode": mode, "start_action": "trap", "local_ts": local_ts, "remote_ts": remote_ts,
            **more}


def protocols(frames, kind):
    return {f.protocol for f in frames if f.kind == kind}


def pass_and_drop():
    """A service passes in the clear, another is dropped, and all else goes by the tunnel."""
    left = {"web": shunt("pass", "dynamic[tcp]", "10.2.0.1[tcp/9200]"),
            "noise": shunt("drop", "0.0.0.0/0[udp]", "10.2.0.0/24[udp/9100]", priority=1)}
    right = {"web": shunt("pass", "10.2.0.1[tcp/9200]", "dynamic[tcp]")}
    trap = Side(start_action="trap")
    with ShuntPair("shunts", trap, trap, {"left": left, "right": right}) as pair:
        both_up(pair)
        pair.serve("right")
        frames = pair.seen(lambda: pair.ask("left", "in the clear"), "web")
        assert protocols(frames, "clear") == {TCP}, protocols(frames, "clear")
        assert [f for f in frames if b"in the clear" in f.payload]
        frames = pair.seen(lambda: pair.left.ping(INNER["right"][0], INNER["left"][0]), "ping")
        assert not protocols(frames, "clear") and protocols(frames, "esp"), "ping is not protected"
        frames = pair.seen(lambda: pair.left.run("/usr/bin/python3", "-c", SEND_UDP,
                                                 INNER["right"][0]), "noise")
        assert not [f for f in frames if f.kind in ("clear", "esp")], "it was not dropped"
        stats = pair.peers["left"].cli("stats").stdout
        assert re.search(r"POLICY_DISCARD:\s+count: [1-9]", stats), stats
        shown = pair.peers["left"].cli("policies").stdout
        assert "pass" in shown and "drop" in shown, shown
        # The holes are no wider with the daemon dead, and no narrower.
        pair.peers["left"].kill()
        frames = pair.seen(lambda: pair.ask("left", "still in the clear"), "killed-web")
        assert protocols(frames, "clear") == {TCP}
        frames = pair.seen(lambda: pair.left.ping(INNER["right"][0], INNER["left"][0], count=1,
                                                  wait=1, check=False), "killed-ping")
        assert not [f for f in frames if f.kind == "clear"], "a ping left in the clear"


def order():
    """Of a pass and a tunnel that cross, the one with the smaller priority decides."""
    left = {"all": shunt("pass", "dynamic[tcp]", "10.2.0.1[tcp]")}
    right = {"all": shunt("pass", "10.2.0.1[tcp]", "dynamic[tcp]")}
    sides = [Side(start_action="trap", child={"priority": "7"}) for _ in range(2)]
    with ShuntPair("shunts-order", *sides, {"left": left, "right": right}) as pair:
        both_up(pair)
        pair.serve("right")
        frames = pair.seen(lambda: pair.ask("left", "never in the clear"), "web")
        assert not protocols(frames, "clear") and protocols(frames, "esp"), "it is in the clear"


def one_icmp_type():
    """Echo requests and their answers are protected, by type; other ICMP and TCP are not."""
    sides = [Side(start_action="trap", local_ts=f"10.{one}.0.0/24[icmp/8],10.{one}.0.0/24[icmp/0]",
                  remote_ts=f"10.{two}.0.0/24[icmp]") for one, two in ((1, 2), (2, 1))]
    with ShuntPair("icmp", *sides, {"left": {}, "right": {}}) as pair:
        frames = pair.seen(lambda: pair.left.ping(INNER["right"][0], INNER["left"][0], wait=20),
                           "ping")
        assert not protocols(frames, "clear") and protocols(frames, "esp"), "ping is not protected"
        shown = pair.peers["left"].cli("show").stdout
        assert "[icmp/8]" in shown, shown
        pair.serve("right")
        frames = pair.seen(lambda: pair.ask("left", "as ever"), "web")
        assert protocols(frames, "clear") == {TCP}
        # A closed port is answered by an ICMP error, type 3, which no selector is for.
        frames = pair.seen(lambda: pair.left.run("/usr/bin/python3", "-c", SEND_UDP,
                                                 INNER["right"][0]), "unreachable")
        assert protocols(frames, "clear") == {UDP, ICMP}, protocols(frames, "clear")


TESTS = [
    ("S58 mode = pass and mode = drop beside a tunnel", pass_and_drop),
    ("S58 a policy with a smaller priority decides", order),
    ("selectors for ICMP types", one_icmp_type),
]
