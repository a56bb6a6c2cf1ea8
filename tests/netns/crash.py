# SPDX-License-Identifier: Apache-2.0
"""A daemon that is killed and comes back without its SAs: who sends to it finds out (RFC 6290)."""

import random
import struct
import sys
import time
from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, other, story

KILLED_SECONDS = 1.5  # that nobody is there
PINGS = 10            # a second
# No liveness checks: without the token and the hint nobody would ever find out.
SIDE = Side(child={"dpd_action": "restart"}, connection={"keyingtries": 0})
UNREACHABLE = (1, 58)  # what the host of a dead daemon says of its closed ports
INVALID_IKE_SPI, INVALID_SPI, QUICK_CRASH_DETECTION = 4, 11, 16419
NOTIFY, INFORMATIONAL, RESPONSE, INITIATOR = 41, 37, 0x20, 0x08


def ping(pair, source, **options):
    version = 1 if ":" in pair.outers["left"][0] else 0
    return pair.host(source).ping(INNER[other(source)][version], INNER[source][version], **options)


def keep_pinging(pair, source):
    return pair.host(source).spawn("pings", "ping", "-i", 1 / PINGS, "-W", 1, "-I", INNER[source][0],
                                   INNER[other(source)][0])


def restart(pair, side):
    pair.peers[side].kill()
    time.sleep(KILLED_SECONDS)
    pair.peers[side].start()
    return time.monotonic()


def same(pair):
    left, right = (pair.peers[side].spis() for side in ("left", "right"))
    return bool(left) and left == {(out, inward) for inward, out in right}


def found(lost, outer="ip4", **connection):
    """Packets flow to a side that was killed: the other one has new SAs soon after it is back."""
    def scenario():
        side = replace(SIDE, connection={**SIDE.connection, **connection})
        with Pair(f"crash-{lost}-{outer}-{len(connection)}", side, side, outer=outer) as pair:
            teller = other(lost)
            pair.peers["left"].up("net")
            ping(pair, teller)
            before = pair.peers[teller].spis()
            pings = keep_pinging(pair, teller)
            back = restart(pair, lost)
            wait_for(lambda: same(pair) and not before & pair.peers[teller].spis(),
                     "new SAs on both sides", seconds=30)
            story(f"new SAs {time.monotonic() - back:.2f} s after the {lost} side was back")
            ping(pair, teller)
            pings.stop()
            assert pair.peers[teller].said("has restarted without its IKE SA")
            frames = pair.capture.stop()
            assert not [f for f in frames if f.kind == "clear" and f.protocol not in UNREACHABLE], "in the clear"
    return scenario


def message(flags, spis, exchange, number, notifies):
    body = b""
    for i, (kind, data) in enumerate(notifies):
        more = NOTIFY if i + 1 < len(notifies) else 0
        body += struct.pack("!BBHBBH", more, 0, 8 + len(data), 0, 0, kind) + data
    return bytes(4) + spis + struct.pack("!BBBBII", NOTIFY, 0x20, exchange, flags, number,
                                         28 + len(body)) + body


# Sends datagrams, one a line, from a port of its own.
SENDER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin:
    s.sendto(bytes.fromhex(line), (sys.argv[1], int(sys.argv[2])))
"""


def forgeries(pair, count):
    """Hints about the SPI that is sent by, and wrong tokens under the IKE SA's SPIs."""
    _, sa = pair.peers["left"].sas()[0]
    child = pair.peers["left"].children()[0]
    spis = bytes.fromhex(sa["initiator-spi"]) + bytes.fromhex(sa["responder-spi"])
    draw = random.Random(1)
    for i in range(count):
        yield message(INITIATOR, bytes(16), INFORMATIONAL, 0,
                      [(INVALID_SPI, bytes.fromhex(child["spi-out"]))])
        for number in range(8):
            yield message(RESPONSE, spis, INFORMATIONAL, number,
                          [(INVALID_IKE_SPI, b""),
                           *((QUICK_CRASH_DETECTION, draw.randbytes(32)) for _ in range(4))])


def test_forged():
    """Whoever is on the way and says all of that with no secret changes nothing."""
    with Pair("crash-forged", SIDE, SIDE) as pair:
        pair.peers["left"].up("net")
        before, ike = pair.peers["left"].spis(), pair.peers["left"].ike_spis()
        lines = [datagram.hex() for datagram in forgeries(pair, 50)]
        sent, until = 0, time.monotonic() + 5
        while time.monotonic() < until:
            pair.right.run(sys.executable, "-c", SENDER, OUTER4["left"], 4500, text="\n".join(lines))
            ping(pair, "left", count=1)
            sent += len(lines)
        story(f"{sent} forged datagrams")
        assert pair.peers["left"].spis() == before and pair.peers["left"].ike_spis() == ike
        assert same(pair)
        ping(pair, "left")


def charon_lost():
    """charon comes back and has no tokens: it is found by liveness checks, as it always was."""
    left = replace(SIDE, connection={**SIDE.connection, "dpd_delay": "1s"},
                   daemon={"retransmit_timeout": "1s", "retransmit_tries": 4})
    with Pair("crash-charon-lost", left, Side(kind="charon")) as pair:
        pair.peers["left"].up("net")
        ping(pair, "left")
        before = pair.peers["left"].spis()
        pings = keep_pinging(pair, "left")
        restart(pair, "right")
        wait_for(lambda: same(pair) and not before & pair.peers["left"].spis(), "new SAs", seconds=60)
        pings.stop()
        ping(pair, "left")
        assert_protected([f for f in pair.capture.stop() if f.protocol not in UNREACHABLE], "wire")


def charon_left_alone():
    """We come back: hints and tokens are nothing to charon, which finds out as it always did."""
    left = Side(kind="charon", child={"dpd_action": "restart"},
                connection={"dpd_delay": "2s", "keyingtries": 0})
    with Pair("crash-charon-alone", left, SIDE) as pair:
        pair.peers["left"].up("net")
        ping(pair, "left")
        before = pair.peers["left"].spis()
        pings = keep_pinging(pair, "left")
        restart(pair, "right")
        wait_for(lambda: same(pair) and not before & pair.peers["left"].spis(), "new SAs", seconds=90)
        pings.stop()
        ping(pair, "left")
        assert_protected([f for f in pair.capture.stop() if f.protocol not in UNREACHABLE], "wire")


def charon_rekeys():
    """Tokens in charon's exchanges, and the one of our own after we have re-keyed, change nothing."""
    for sides in ((SIDE, Side(kind="charon")), (Side(kind="charon"), SIDE)):
        with Pair("crash-charon-rekeys", *sides) as pair:
            pair.peers["left"].up("net")
            for side in ("left", "right"):
                before = pair.peers["left"].ike_spis()
                pair.peers[side].rekey(ike="gw")
                wait_for(lambda before=before: all(
                    peer.ike_spis() and not before & peer.ike_spis()
                    for peer in pair.peers.values()), f"the IKE SA re-keyed by {side}")
                ping(pair, "left")
            assert same(pair)


TESTS = [
    ("S44 crash: the responder comes back", found("right")),
    ("S44 crash: the initiator comes back", found("left")),
    ("S44 crash: the responder comes back, IPv6", found("right", "ip6")),
    ("S44 crash: the responder comes back, bare ESP", found("right", encap="no", mobike="no")),
    ("S44 crash: the initiator comes back, bare ESP", found("left", encap="no", mobike="no")),
    ("S44 crash: what is forged does nothing", test_forged),
    ("S44 crash: charon comes back", charon_lost),
    ("S44 crash: we come back to charon", charon_left_alone),
    ("S44 crash: charon is given tokens", charon_rekeys),
]
