# SPDX-License-Identifier: Apache-2.0
"""Packets and the MTU of the path: routers between the hosts, and a link between these takes less.

Neither end sees that link: it can only be told, by a router that quotes its ESP.
"""

import json
import re
from dataclasses import replace

from lab import wait_for
from nets import INNER, Pair, Side, other, story
from pytap import Skip
from scenarios import both_up, named

NARROW = 1300
ROUTED4 = {"left": ("192.0.2.1", "192.0.2.254", 24), "right": ("198.51.100.2", "198.51.100.254", 24)}
ROUTED6 = {"left": ("2001:db8:1::1", "2001:db8:1::ff", 64),
           "right": ("2001:db8:2::2", "2001:db8:2::ff", 64)}


class Routed(Pair):
    """A pair with two routers between and a narrow link between these: only they know of it."""

    def _wire(self, outer, together):
        table = ROUTED6 if ":" in outer["left"] else ROUTED4
        routers = {side: self.lab.host(f"router-{side}") for side in ("left", "right")}
        v6 = ":" in outer["left"]
        middle = {side: f"2001:db8:3::{i}" if v6 else f"203.0.113.{i}"
                  for i, side in enumerate(("left", "right"), 1)}
        bits = 64 if v6 else 24
        self.lab.link(routers["left"], "narrow", routers["right"], "narrow",
                      [f"{middle['left']}/{bits}"], [f"{middle['right']}/{bits}"], mtu=NARROW,
                      together=together)
        for side, router in routers.items():
            host, (address, gateway, length) = self.host(side), table[side]
            self.lab.link(host, "wire", router, "wide", [f"{address}/{length}"],
                          [f"{gateway}/{length}"], together=together)
            host.run("ip", "route", "add", "default", "via", gateway)
            router.run("ip", "route", "add", "default", "via", middle[other(side)])
            router.sysctl("net.ipv4.ip_forward", 1)
            router.sysctl("net.ipv6.conf.all.forwarding", 1)
        return {"left": (table["left"][0], table["right"][0]),
                "right": (table["right"][0], table["left"][0])}


def forbidden(host, target, source, size, count=4):
    """Pings that must not be cut; (answered, MTUs that the host was told)."""
    done = host.run("ping", "-n", "-M", "do", "-c", count, "-i", "0.1", "-W", 2, "-s", size,
                    "-I", source, target, check=False)
    return len(re.findall(r"icmp_seq=\d+ ttl", done.stdout)), \
        [int(mtu) for mtu in re.findall(r"mtu ?= ?(\d+)", done.stdout + done.stderr)]


def pmtu(pair):
    shown = json.dumps(pair.peers["left"].cli_json("show"))
    return {int(mtu) for mtu in re.findall(r'"pmtu": "?(\d+)', shown)}


def largest(pair, version):
    """What the left host may send in one piece, as it is told; then that goes and no more does."""
    index = 0 if version == 4 else 1
    header = 28 if version == 4 else 48
    target, source = INNER["right"][index], INNER["left"][index]
    told = []

    def is_told():
        told.extend(forbidden(pair.left, target, source, 1320 - header)[1])
        return told
    wait_for(is_told, "an ICMP message with the MTU")
    mtu = told[-1]
    assert NARROW - 100 < mtu < NARROW or (version == 6 and mtu == 1280), told
    # The other side learns of its own way back by the answers that are lost.
    wait_for(lambda: forbidden(pair.left, target, source, mtu - header)[0] == 4,
             f"packets of {mtu} bytes to go by")
    answered, _ = forbidden(pair.left, target, source, mtu + 1 - header)
    assert answered == 0, f"{mtu + 1} bytes went by, {mtu} were told"
    return mtu


def is_learned(pair):
    """Packets as long as the interface takes are lost, and then the path is known."""
    both_up(pair)
    assert pmtu(pair) == {1500}, pmtu(pair)
    mtu = largest(pair, 4)
    wait_for(lambda: pmtu(pair) == {NARROW}, "the path's MTU to be known")
    story(f"IPv4 packets of {mtu} bytes, by a path of {NARROW}")
    largest(pair, 6)


def any_size(pair):
    """What may be cut gets there at every size, in both versions and directions."""
    both_up(pair)
    for version in (0, 1):
        for side in ("left", "right"):  # the first ones are lost, and tell
            for size in (1300, 1232, 1300):
                pair.host(side).ping(INNER[other(side)][version], INNER[side][version], size=size,
                                     check=False)
        for size in (1200, 1300, 1400, 2800, 8000, 60000):
            pair.left.ping(INNER["right"][version], INNER["left"][version], size=size, wait=5)
            pair.right.ping(INNER["left"][version], INNER["right"][version], size=size, wait=5)


def tcp(pair):
    """TCP: its segments are as long as the path takes, whatever the ends would like."""
    both_up(pair)
    server = pair.right.spawn("iperf3-server", "iperf3", "-s", "--forceflush", "-B", INNER["right"][0])
    wait_for(lambda: "listening" in server.log() or not server.running(), "iperf3 to listen")
    done = pair.left.run("iperf3", "-J", "-c", INNER["right"][0], "-B", INNER["left"][0], "-t", 2,
                         timeout=30)
    sent = json.loads(done.stdout)["end"]["sum_received"]["bytes"]
    story(f"{sent >> 10} KiB by TCP")
    assert sent > 1 << 20, f"{sent} bytes in 2 s"
    frames = pair.capture.stop(whole=False)
    assert any(f.kind == "esp" for f in frames)


ODD = r"""
import socket, sys
from scapy.all import IP, UDP, Raw, raw
source, target = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
whole = raw(UDP(sport=7000, dport=7000, chksum=0, len=8 + 64) / Raw(b"x" * 64))
def part(ident, at, end, more):
    p = IP(src=source, dst=target, id=ident, proto=17, frag=at // 8, flags="MF" if more else 0)
    s.sendto(raw(p / Raw(whole[at:end])), (target, 0))
part(1, 0, 40, True), part(1, 32, 72, False)              # overlap
part(2, 0, 8, True), part(2, 8, 16, True)                 # tiny, and no end
part(3, 40, 72, False), part(3, 0, 40, True)              # the wrong way round: good
part(4, 0, 40, True), part(4, 40, 72, False)              # good
p = IP(src=source, dst=target, id=5, proto=17, frag=8189, flags=0) / Raw(b"z" * 64)
s.sendto(raw(p), (target, 0))                             # the ping of death
"""
LISTEN = r"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
print("ready", flush=True)
while True:
    print("got", len(s.recv(2000)), flush=True)
"""


def odd_fragments(pair):
    """Fragments as scapy makes them: what is sound arrives, what is not is counted by its reason."""
    if pair.left.run("/usr/bin/python3", "-c", "import scapy", check=False).returncode:
        raise Skip("scapy is not installed")
    both_up(pair)
    listener = pair.right.spawn("listen", "/usr/bin/python3", "-B", "-c", LISTEN, INNER["right"][0])
    wait_for(lambda: "ready" in listener.log(), "the listener")
    script = pair.left.write("odd.py", ODD)
    pair.left.run("/usr/bin/python3", "-B", script, INNER["left"][0], INNER["right"][0],
                  timeout=60)
    wait_for(lambda: listener.log().count("got 64") == 2, "two whole datagrams")
    if pair.sides["right"].kind == "latchkey":
        drops = drops_of(pair.peers["right"])
        assert drops.get("FRAGMENT_OVERLAP", 0) >= 2 and drops.get("FRAGMENT_MALFORMED"), drops


def drops_of(peer):
    answer, _ = peer.vici("latchkey-stats")
    return {name: int(drop["count"]) for name, drop in answer["data"]["drops"].items()}


def padded(pair):
    """Traffic flow padding: every packet is as long as the next."""
    both_up(pair)
    for size in (10, 100, 500):
        pair.left.ping(INNER["right"][0], INNER["left"][0], size=size)
    frames = pair.capture.stop()
    left = pair.outers["left"][0]
    lengths = {f.length for f in frames if f.kind == "esp" and f.source == left}
    assert len(lengths) == 1, lengths


def dummies(pair):
    """Nobody sends anything and the wire shows packets, of one length, as later with traffic."""
    both_up(pair)
    left = pair.outers["left"][0]

    def from_left(frames):
        return [f for f in frames if f.kind == "esp" and f.source == left]

    wait_for(lambda: len(from_left(pair.capture.so_far())) > 20, "packets that nobody sent")
    pair.left.ping(INNER["right"][0], INNER["left"][0], size=100)
    frames = from_left(pair.capture.stop())
    assert len({f.length for f in frames}) == 1, {f.length for f in frames}
    if pair.sides["right"].kind == "latchkey":
        wait_for(lambda: drops_of(pair.peers["right"]).get("DUMMY", 0) >= 20, "dummies to be dropped")
    story(f"{len(frames)} packets of {frames[0].length} bytes, of which 3 are a ping's")


L, C = Side(kind="latchkey"), Side(kind="charon")
TFC = {"child": {"tfc_padding": "1000"}}
DUMMIES = {"child": {"tfc_padding": "mtu", "tfc_dummies": "20"}}
NO_CLAMP = {"child": {"mss_clamp": "no"}}
TABLE = [
    ("the path's MTU is learned", Routed, is_learned, L, L, {}, {}),
    ("the path's MTU is learned", Routed, is_learned, L, C, {}, {}),
    ("the path's MTU is learned, outer IPv6", Routed, is_learned, L, L, {}, {"outer": "ip6"}),
    ("the path's MTU is learned, bare ESP", Routed, is_learned, L, L,
     {"connection": {"encap": "no"}}, {}),
    ("packets of any size by a narrow path", Routed, any_size, L, L, {}, {}),
    ("packets of any size by a narrow path", Routed, any_size, L, C, {}, {}),
    ("packets of any size by a narrow path, DF clear", Routed, any_size, L, L,
     {"child": {"copy_df": "no"}}, {}),
    ("TCP by a narrow path", Routed, tcp, L, L, {}, {}),
    ("TCP by a narrow path, MSS as it is", Routed, tcp, L, L, NO_CLAMP, {}),
    ("TCP by a narrow path", Routed, tcp, L, C, {}, {}),
    ("odd fragments", Pair, odd_fragments, L, L, {}, {}),
    ("traffic flow padding", Pair, padded, L, L, TFC, {}),
    ("traffic flow padding", Pair, padded, L, C, TFC, {}),
    ("dummies", Pair, dummies, L, L, DUMMIES, {}),
    ("dummies", Pair, dummies, L, C, DUMMIES, {}),
]


def test_of(what, kind, scenario, left, right, more, options):
    name = named(left, right, what)
    both = {"child": more.get("child", {}), "connection": more.get("connection", {})}

    def test():
        with kind(re.sub(r"[^a-z0-9]+", "-", name.lower()), replace(left, **both),
                  right if right.kind == "charon" else replace(right, **both), **options) as pair:
            scenario(pair)
    return name, test


TESTS = [test_of(*row) for row in TABLE]
