# SPDX-License-Identifier: Apache-2.0
"""S58: nothing that policy protects leaves or enters in the clear.

Each way round the tunnel is tried with the guard and, on the same host, once without it: the
attack must then succeed, or the test would prove nothing.
"""

import os
import time

from capture import PROTECTED, Capture, assert_protected
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, Stream

OUTER6_LINK = {"left": "2001:db8::1/64", "right": "2001:db8::2/64"}
SPOOF = """
import socket, sys
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
device, mac, source, target, text = sys.argv[1:]
layer = IPv6 if ":" in source else IP
frame = Ether(dst=mac) / layer(src=source, dst=target) / UDP(sport=9100, dport=9100) / text.encode()
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((device, 0))
s.send(bytes(frame))
"""
LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9100))
print("ready", flush=True)
while True:
    print(s.recv(2048).decode(), flush=True)
"""
SEND = """
import socket, sys
target, text, device = sys.argv[1:4]
s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
if device:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
s.bind((sys.argv[4], 0))
for _ in range(5):
    try:
        s.sendto(text.encode(), (target, 9100))
    except OSError as refused:
        print(refused)
"""


class GuardedPair(Pair):
    """A pair whose right host gives the left a way out for everything."""

    def __init__(self, name, **options):
        super().__init__(name, Side(), Side(), **options)
        for side in ("left", "right"):
            self.host(side).address("wire", OUTER6_LINK[side])
        self.left.run("ip", "route", "add", "default", "via", OUTER4["right"])
        self.left.run("ip", "-6", "route", "add", "default", "via", "2001:db8::2")

    def table_of_guard(self):
        tables = self.left.run("nft", "list", "tables").stdout.splitlines()
        names = [line.split()[1:] for line in tables if line.strip()]
        assert names, "there is no nft table: no guard"
        return names

    def remove_guard(self):
        for family, name in self.table_of_guard():
            self.left.run("nft", "delete", "table", family, name)


def clear_frames(frames):
    return [f for f in frames if f.kind not in PROTECTED]


def send(pair, target, source, text, device=""):
    pair.left.run("/usr/bin/python3", "-c", SEND, target, text, device, source)


def test_spoofed_clear_packets():
    """A neighbour sends packets in the clear that claim to come from inside the tunnel."""
    with GuardedPair("guard-spoof") as pair:
        pair.peers["left"].up("net")
        mac = pair.left.run("cat", "/sys/class/net/wire/address").stdout.strip()
        listeners = {}
        for index in (0, 1):
            listeners[index] = pair.left.spawn(f"listen{index}", "/usr/bin/python3", "-c", LISTEN,
                                               INNER["left"][index])
            wait_for(lambda index=index: "ready" in listeners[index].log(), "listener")

        def spoof(index, text):
            pair.right.run("/usr/bin/python3", "-c", SPOOF, "wire", mac, INNER["right"][index],
                           INNER["left"][index], text)

        def honest(index, text):
            pair.right.run("/usr/bin/python3", "-c", SEND, INNER["left"][index], text, "",
                           INNER["right"][index])
            wait_for(lambda: text in listeners[index].log(), f"{text} by the tunnel")

        for rp_filter in (0, 2):
            pair.left.sysctl("net.ipv4.conf.all.rp_filter", rp_filter)
            for index in (0, 1):
                spoof(index, f"spoofed-{rp_filter}")
                honest(index, f"honest-{rp_filter}")
        for index in (0, 1):
            assert "spoofed" not in listeners[index].log(), "a spoofed packet was believed"
        pair.left.sysctl("net.ipv4.conf.all.rp_filter", 0)
        pair.remove_guard()
        for index in (0, 1):
            spoof(index, "spoofed-without-guard")
            wait_for(lambda index=index: "spoofed-without-guard" in listeners[index].log(),
                     "the attack to succeed without the guard")


def test_sigkill_under_traffic():
    """The daemon is killed while a stream runs; nothing leaks until it is back."""
    with GuardedPair("guard-kill") as pair:
        pair.peers["left"].up("net")
        before = Stream(pair, "left").start()
        six = Stream(pair, "left", port=9001, version=6).start()
        for stream in (before, six):
            stream.wait(500)
        pair.peers["left"].kill()
        time.sleep(1.5)
        pair.peers["left"].start()
        pair.peers["left"].up("net")
        wait_for(lambda: pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, check=False),
                 "traffic after the restart")
        after = Stream(pair, "left", port=9002).start()
        after.wait(100)
        after.stop()
        assert before.stop()["sent"] > 1000 and six.stop()["sent"] > 1000
        assert_protected(pair.capture.stop(), "wire", at_least=500)


def leak_test(name, prepare, device):
    """What is sent with this preparation must not be seen on the wire, unless the guard is off."""
    def attempt(pair, text):
        capture = Capture(pair.right, "wire", name=text)
        for index in (0, 1):
            send(pair, INNER["right"][index], INNER["left"][index], text, device)
        time.sleep(0.3)
        return [f for f in clear_frames(capture.stop()) if text.encode() in f.payload]

    def test():
        with GuardedPair(name) as pair:
            pair.peers["left"].up("net")
            prepare(pair)
            leaked = attempt(pair, "must-not-leak")
            assert not leaked, f"{len(leaked)} leaked, first {leaked[0]}"
            pair.peers["left"].kill()
            leaked = attempt(pair, "nor-when-killed")
            assert not leaked, f"{len(leaked)} leaked from a killed daemon, first {leaked[0]}"
            pair.remove_guard()
            versions = {":" in f.destination for f in attempt(pair, "leaks-without-guard")}
            assert versions == {False, True}, f"the attack does not work without the guard: {versions}"
    return test


def inject_routes(pair):
    """More exact routes by the wire, in front of every table."""
    pair.left.run("ip", "route", "add", f"{INNER['right'][0]}/32", "via", OUTER4["right"])
    pair.left.run("ip", "-6", "route", "add", f"{INNER['right'][1]}/128", "via", "2001:db8::2")
    pair.left.run("ip", "rule", "add", "pref", "1", "lookup", "main")
    pair.left.run("ip", "-6", "rule", "add", "pref", "1", "lookup", "main")


def test_orderly_stop_removes_everything():
    """After an orderly stop the host is as it was: no table, rule, route or interface of ours."""
    with GuardedPair("guard-stop", start=False) as pair:
        looks = [["nft", "list", "ruleset"], ["ip", "rule"], ["ip", "-6", "rule"],
                 ["ip", "route", "show", "table", "all"],
                 ["ip", "-6", "route", "show", "table", "all"], ["ip", "-o", "link"]]

        def state():
            return {" ".join(look): sorted(line.split(" metric")[0].strip()
                                           for line in pair.left.run(*look).stdout.splitlines()
                                           if "ff00::" not in line) for look in looks}

        before = state()
        pair.start()
        pair.peers["left"].up("net")
        assert state() != before, "nothing was set up"
        pair.peers["left"].stop()
        wait_for(lambda: not pair.peers["right"].sas(), "the peer to be told")
        after = state()
        for look, lines in before.items():
            assert after[look] == lines, f"{look}: left behind\n{set(after[look]) ^ set(lines)}"
        assert os.path.exists(pair.peers["left"].run_dir)
        assert not os.path.exists(pair.peers["left"].socket), "the socket is still there"


TESTS = [
    ("S58 spoofed clear IPv4 and IPv6 from a neighbour", test_spoofed_clear_packets),
    ("S58 SIGKILL under traffic until restart", test_sigkill_under_traffic),
    ("S58 SO_BINDTODEVICE", leak_test("guard-bind", lambda pair: None, "wire")),
    ("S58 an injected /32 route", leak_test("guard-route", inject_routes, "")),
    ("S58 an orderly stop leaves nothing behind", test_orderly_stop_removes_everything),
]
