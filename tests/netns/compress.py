# SPDX-License-Identifier: Apache-2.0
"""Payload compression (IPComp, RFC 3173): what goes by the wire, what both sides count, who takes it
and who does not, and tshark's word for it."""

import os
import re

from capture import assert_protected
from judges import tshark
from lab import wait_for
from nets import INNER, Pair, Side, other, story
from pytap import Skip
from scenarios import agree, both_down, both_up

# Sends so many bytes, of words or of a generator, and hears what they sum up to; the server says it.
TALK = r"""
import hashlib, random, socket, sys
kind, local, remote, what, size = sys.argv[1:6]
family = socket.AF_INET6 if ":" in local else socket.AF_INET
words = b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nAccept: text/html\r\n"
data = (words * (int(size) // len(words) + 1))[:int(size)] if what == "words" \
    else random.Random(1).randbytes(int(size))
if kind == "server":
    server = socket.create_server((local, 9300), family=family)
    print("ready", flush=True)
    while True:
        peer, _ = server.accept()
        peer.settimeout(60)
        digest = hashlib.sha256()
        while part := peer.recv(65536):
            digest.update(part)
        peer.sendall(digest.digest())
        peer.close()
else:
    peer = socket.create_connection((remote, 9300), timeout=60, source_address=(local, 0))
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == hashlib.sha256(data).digest(), "other bytes came"
"""
SIZE = 2_000_000
# What an application is told of its socket.
TOKEN = """
import socket, sys
import latchkey_ipsec as ipsec
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
ipsec.connect(s, (sys.argv[2], 9), profile="secure", peer=sys.argv[3], timeout=20)
print("compression", ipsec.of_socket(s).compression)
"""
PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "api", "python")


def ends(pair, side, index):
    """(own, other) addresses of a side: the inner ones, or in transport mode the hosts' own."""
    if pair.sides["left"].child.get("mode") == "transport":
        return pair.outers[side]
    return INNER[side][index], INNER[other(side)][index]


def talk(pair, what, index=0):
    """SIZE bytes each way."""
    for side in ("left", "right"):
        own, there = ends(pair, side, index)
        server = pair.host(other(side)).spawn(f"server-{side}-{what}-{index}", "/usr/bin/python3", "-c",
                                              TALK, "server", there, own, what, "0")
        wait_for(lambda server=server: "ready" in server.log(), "the server")
        pair.host(side).run("/usr/bin/python3", "-c", TALK, "client", own, there, what, str(SIZE),
                            timeout=120)
        server.stop()


def counts(pair, side):
    """Of all pairs that a side has now: packets, compressed ones, bytes, bytes saved, by direction."""
    children = pair.peers[side].children()
    return {way: tuple(sum(int(child.get(f"{key}-{way}", 0)) for child in children)
                       for key in ("packets", "compressed", "bytes", "saved")) for way in ("in", "out")}


def cpis_agree(pair):
    (left,), (right,) = (pair.peers[side].children() for side in ("left", "right"))
    assert left["cpi-in"] == right["cpi-out"] and left["cpi-out"] == right["cpi-in"], (left, right)
    assert all(256 <= int(left[key], 16) < 61440 for key in ("cpi-in", "cpi-out")), left
    return left["cpi-in"]


def told(pair, side="left"):
    """Whether an application hears that lengths say something."""
    peer = pair.peers[side]
    said = pair.host(side).run(
        "env", f"LATCHKEY_SOCKET={peer.run_dir}/latchkey.app",
        f"LATCHKEY_LIBRARY={peer.bin}/client/liblatchkey.so.0", f"PYTHONPATH={PYTHON}",
        "/usr/bin/python3", "-c", TOKEN, *ends(pair, side, 0), f"{other(side)}.example").stdout
    return {"compression True\n": True, "compression False\n": False}[said]


def compressed(pair, versions=(0, 1)):
    """Words become much less, numbers do not, and arrive; after a re-key by either side as well."""
    both_up(pair)
    seen = {cpis_agree(pair)}
    assert told(pair)
    for index in versions:
        before = {side: counts(pair, side) for side in ("left", "right")}
        talk(pair, "words", index)
        for side in ("left", "right"):
            packets, done, size, saved = (a - b for a, b in zip(counts(pair, side)["out"],
                                                                before[side]["out"]))
            story(f"{side}: {done} of {packets} packets compressed, {saved} of {size} bytes saved")
            assert size > SIZE and saved > size / 2 and done > packets / 4, side
        before = {side: counts(pair, side) for side in ("left", "right")}
        talk(pair, "numbers", index)
        for side in ("left", "right"):
            packets, done, size, saved = (a - b for a, b in zip(counts(pair, side)["out"],
                                                                before[side]["out"]))
            assert size > SIZE and saved < size / 20, (side, done, packets, saved, size)
    for side in ("left", "right"):
        pair.peers[side].rekey(child="net")
        wait_for(lambda: agree(pair) and len(pair.peers["left"].children()) == 1 and
                 len(pair.peers["right"].children()) == 1 and
                 pair.peers["left"].children()[0]["cpi-in"] not in seen, "a re-key")
        seen.add(cpis_agree(pair))
        talk(pair, "words", versions[0])
        shown = pair.peers[side].cli("show").stdout
        assert "compressed, " in shown and "bytes saved" in shown, shown
    for side in ("left", "right"):
        text = pair.peers[side].cli("stats").stdout
        assert "IPCOMP" not in text, text
    pair.peers["right"].down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=100)


def as_it_is(said):
    """Where one side does not take it, packets go as they are, and that side says so."""
    def scenario(pair):
        both_up(pair)
        for side in ("left", "right"):
            assert not any("cpi-in" in child for child in pair.peers[side].children()), side
            assert pair.sides[side].kind != "latchkey" or not told(pair, side), side
        pair.ping_all(size=1000)
        for side, text in said.items():
            assert any(pair.peers[side].said(word) for word in text), pair.peers[side].log()
        if pair.sides["left"].kind == "latchkey":
            assert counts(pair, "left")["out"][1] == 0
    return scenario


def judged(pair):
    """NULL encryption shows it all to tshark, which opens DEFLATE by itself: every packet that is
    compressed is the ping that it was, and has the CPI of its receiver."""
    both_up(pair)
    pair.ping_all(size=1000)
    child = pair.peers["left"].children()[0]
    path = pair.capture.path
    pair.capture.stop()
    config = pair.left.path("wireshark")
    os.mkdir(config)
    rows = tshark(path, config, ["ipcomp.cpi", "icmp.type", "icmpv6.type", "ip.src", "ipv6.src"],
                  "ipcomp", ["-o", "esp.enable_null_encryption_decode_heuristic:TRUE"])
    if not rows:
        raise Skip("this tshark does not look into NULL encryption")
    assert len(rows) >= 12, rows
    cpis = {int(row[0], 0) for row in rows}
    assert cpis == {int(child["cpi-in"], 16), int(child["cpi-out"], 16)}, (cpis, child)
    echoes = [row for row in rows if row[1] in ("0", "8") or row[2] in ("128", "129")]
    assert len(echoes) == len(rows), rows
    story(f"tshark opened {len(echoes)} compressed pings")


YES = {"ipcomp": "yes"}
ON = Side(child=YES)
BARE = Side(child=YES, connection={"encap": "no"})
OFF = Side()
DYNAMIC = {"local_ts": "dynamic", "remote_ts": "dynamic"}
TRANSPORT = Side(child={**YES, "mode": "transport"}, **DYNAMIC)
CHARON = Side("charon", child=YES)
NULL = Side(child=YES, connection={"encap": "no"}, esp_proposals="null-sha256")
NOT_TAKEN = ["does not take compression"]
NO_CPI = ["unable to allocate a CPI", "IPComp is not supported"]  # charon's, of kernel-libipsec


def one_family(pair):
    compressed(pair, (0,))


TABLE = [
    ("compression: tunnel", compressed, ON, ON, {}),
    ("compression: tunnel, bare ESP over IPv6", compressed, BARE, BARE, {"outer": "ip6"}),
    ("compression: transport mode", one_family, TRANSPORT, TRANSPORT, {}),
    ("compression: transport mode, IPv6", one_family, TRANSPORT, TRANSPORT, {"outer": "ip6"}),
    ("compression: the other side does not want it", as_it_is({"left": NOT_TAKEN, "right": ["`ipcomp` is not set"]}),
     ON, OFF, {}),
    ("compression: charon without a kernel that has it", as_it_is({"left": NOT_TAKEN, "right": NO_CPI}), ON, CHARON,
     {}),
    ("compression: charon without a kernel that has it begins", as_it_is({"left": NO_CPI}), CHARON, ON, {}),
    ("compression: judged by tshark", judged, NULL, NULL, {}),
]


def test_of(name, scenario, left, right, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right, **options) as pair:
            scenario(pair)
    return name, test


TESTS = [test_of(*row) for row in TABLE]
