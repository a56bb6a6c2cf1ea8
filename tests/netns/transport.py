# SPDX-License-Identifier: Apache-2.0
"""Transport mode between real hosts, and what charon's kernel-libipsec says to it.

The traffic is between the outer addresses themselves, so everything that is not protected would
leave in the clear by the same wire: every scenario looks at all frames of it.
"""

import contextlib
import json
import re

from capture import assert_protected
from lab import wait_for
from nets import NAT_INSIDE, NAT_OUTSIDE, Pair, Side, story
from scenarios import agree, both_down, both_up

DYNAMIC = {"local_ts": "dynamic", "remote_ts": "dynamic"}
MODE = {"mode": "transport"}
BARE = {"encap": "no"}
CLEAR_TEXT = b"seen by nobody on the way"
TCP_PORT = 5201
# Answers each line with the address it came from; the text is looked for on the wire.
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], 9200), family=family)
print("ready", flush=True)
while True:
    client, address = server.accept()
    data = client.recv(65536)
    client.sendall((address[0] + " " + data.decode()).encode())
    client.close()
"""
CLIENT = """
import socket, sys
client = socket.create_connection((sys.argv[1], 9200), timeout=10)
client.sendall(sys.argv[2].encode())
print(client.recv(65536).decode(), flush=True)
"""


def side(kind="latchkey", child=None, connection=None, **more):
    return Side(kind=kind, child={**MODE, **(child or {})}, connection=connection or {},
                **{**DYNAMIC, **more})


def modes(pair):
    return {child["mode"] for peer in pair.peers.values() for child in peer.children()}


def talk(pair, server="right", text="question"):
    """One TCP connection to the server, which says whom it sees."""
    address = pair.outers[server][0]
    listener = pair.host(server).spawn(f"server-{server}", "/usr/bin/python3", "-c", SERVER,
                                       address)
    wait_for(lambda: "ready" in listener.log(), "the server")
    client = pair.left if server == "right" else pair.right
    target = pair.outers["left" if server == "right" else "right"][1]
    answer = client.run("/usr/bin/python3", "-c", CLIENT, target, text).stdout.split(" ", 1)
    listener.stop()
    assert answer[1].strip() == text, answer
    return answer[0]


def iperf(pair, client, reverse=False):
    """TCP for a moment, no faster than a capture can follow; returns bits per second received."""
    server = "right" if client == "left" else "left"
    listener = pair.host(server).spawn("iperf3", "iperf3", "-s", "-1", "--forceflush")
    wait_for(lambda: "listening" in listener.log(), "iperf3")
    done = pair.host(client).run("iperf3", "-c", pair.outers[client][1], "-n", "3M", "-b", "30M", "-J",
                                 *(["-R"] if reverse else []))
    with contextlib.suppress(ProcessLookupError):  # it served its one client and is gone
        listener.stop()
    return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]


def ping_both(pair, **options):
    for name in ("left", "right"):
        pair.host(name).ping(pair.outers[name][1], **options)


def host_to_host(protocol):
    """Up, ping, TCP both ways, re-keys by both, down: all in transport mode and nothing clear."""
    def scenario(pair):
        both_up(pair)
        assert agree(pair) and modes(pair) == {"TRANSPORT"}, modes(pair)
        ping_both(pair)
        for name in ("left", "right"):
            assert talk(pair, name, CLEAR_TEXT.decode()) == pair.outers[name][1]
        for reverse in (False, True):
            rate = iperf(pair, "left", reverse)
            assert rate > 1e6, f"{rate:.0f} bit/s"
            story(f"TCP {rate / 1e6:.0f} Mbit/s")
        for name in ("left", "right"):
            before = pair.peers[name].spis()
            pair.peers[name].rekey(child="net")
            wait_for(lambda before=before: agree(pair) and
                     not before & pair.peers["left"].spis(), "a re-key")
            assert modes(pair) == {"TRANSPORT"}, modes(pair)
            ping_both(pair)
        for peer in pair.peers.values():
            assert "TRANSPORT" in peer.cli("show").stdout
        pair.peers["right"].down(ike="gw")
        both_down(pair)
        frames = pair.capture.stop()
        assert_protected(frames, "wire", at_least=200)
        assert not [f for f in frames if CLEAR_TEXT in f.payload]
        assert {f.protocol for f in frames if f.kind == "esp"} == {protocol}
    return scenario


def big_packets(pair):
    """Packets that are longer than the wire takes, up to many buffers: put together before ESP, cut
    behind it, and whole again when they arrive."""
    both_up(pair)
    for size in (1300, 1400, 1472, 2000, 2800, 20000, 60000):
        ping_both(pair, size=size)
    assert modes(pair) == {"TRANSPORT"}, modes(pair)
    assert not [f for f in pair.capture.stop() if f.kind == "clear"], "a packet in the clear"


def trap(pair):
    """The first packet brings it up and arrives; nothing of it is on the wire before."""
    assert not pair.peers["left"].sas()
    pair.left.ping(pair.outers["left"][1], count=1, wait=20)
    assert modes(pair) == {"TRANSPORT"}, modes(pair)
    assert_protected(pair.capture.stop(), "wire")


def behind_nat(pair):
    """RFC 7296 2.23.1: each host uses the addresses that it knows; TCP's checksums fit them."""
    both_up(pair)
    assert modes(pair) == {"TRANSPORT"}, modes(pair)
    assert talk(pair) == NAT_OUTSIDE, "the server does not see the translator's address"
    pair.left.ping(pair.outers["left"][1])
    rate = iperf(pair, "left")
    assert rate > 1e6, f"{rate:.0f} bit/s"
    for name in ("left", "right"):
        before = pair.peers[name].spis()
        pair.peers[name].rekey(child="net")
        wait_for(lambda before=before: agree(pair) and not before & pair.peers["left"].spis(),
                 "a re-key")
        assert talk(pair) == NAT_OUTSIDE
    frames = pair.capture.stop()
    assert_protected(frames, "wire", at_least=100)
    assert NAT_INSIDE not in {f.source for f in frames}


def one_service(pair):
    """Selectors with a port: that service is protected, and only that; the rest is as ever."""
    both_up(pair)
    assert modes(pair) == {"TRANSPORT"}, modes(pair)
    talk(pair, "right", CLEAR_TEXT.decode())
    ping_both(pair)
    frames = pair.capture.stop()
    assert not [f for f in frames if CLEAR_TEXT in f.payload], "the service was in the clear"
    assert [f for f in frames if f.kind == "esp"], "the service was not protected"
    clear = {f.protocol for f in frames if f.kind == "clear"}
    assert clear == {1}, f"protocols in the clear: {clear}"


def killed(pair):
    """S58: with the daemon gone nothing that was protected passes, in either direction."""
    both_up(pair)
    ping_both(pair)
    for name in ("left", "right"):
        pair.peers[name].kill()
        for one in ("left", "right"):
            assert pair.host(one).ping(pair.outers[one][1], count=1, wait=1, check=False) == 0
    assert_protected(pair.capture.stop(), "wire")


def spoofed(pair):
    """S58: what a neighbour sends in the clear, as if from the peer, is not taken."""
    both_up(pair)
    ping_both(pair)
    for table in (line.split()[1:] for line in
                  pair.right.run("nft", "list", "tables").stdout.splitlines()):
        pair.right.run("nft", "delete", "table", *table)
    # Without its guard the right host's marks are gone, so that it answers in the clear.
    assert pair.right.ping(pair.outers["right"][1], count=1, wait=1, check=False) == 0
    clear = [f for f in pair.capture.stop() if f.kind == "clear"]
    assert clear, "the attack sent nothing"
    stats = pair.left.run("nft", "list", "counters").stdout
    assert re.search(r"entering \{\s+packets [1-9]", stats), stats


def tunnel_instead(pair):
    """The peer's configuration says tunnel: it is one, between the same hosts."""
    both_up(pair)
    assert agree(pair) and modes(pair) == {"TUNNEL"}, modes(pair)
    ping_both(pair)
    talk(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=12)


def refused_by_charon(reason):
    """It is agreed, and then charon's kernel-libipsec cannot carry it: its own words."""
    def scenario(pair):
        charon = "left" if pair.sides["left"].kind == "charon" else "right"
        pair.peers["left"].up("net", check=False, timeout=30)
        wait_for(lambda: re.search(reason, pair.peers[charon].log()), "charon to say why not")
        story(f"charon: {re.search(reason, pair.peers[charon].log()).group(0)}")
        for peer in pair.peers.values():
            wait_for(lambda peer=peer: not peer.children(), "the child to be gone on both sides")
            assert peer.established(), "the IKE SA is gone too"
        assert not [f for f in pair.capture.stop() if f.kind == "clear"], "a packet in the clear"
    return scenario


UNSUPPORTED = r".*IPsec SA: unsupported mode.*"
# Falling back to a tunnel between the two hosts does not help charon: its route would be a loop.
CONFLICT = r".*can't install route for .* conflicts with IKE traffic.*"
OUTER6 = {"outer": "ip6"}
BARE_SIDE = {"connection": BARE}
ONE_SERVICE = ({"local_ts": "dynamic[tcp]", "remote_ts": "dynamic[tcp/9200]"},
               {"local_ts": "dynamic[tcp/9200]", "remote_ts": "dynamic[tcp]"})
# (name, scenario, left, right, options of the pair)
TABLE = [
    ("transport: ESP in UDP", host_to_host(17), side(), side(), {}),
    ("transport: bare ESP", host_to_host(50), side(**BARE_SIDE), side(**BARE_SIDE), {}),
    ("transport: IPv6, ESP in UDP", host_to_host(17), side(), side(), OUTER6),
    ("transport: IPv6, bare ESP", host_to_host(50), side(**BARE_SIDE), side(**BARE_SIDE), OUTER6),
    ("transport: big packets", big_packets, side(), side(), {}),
    ("transport: big packets, IPv6, bare ESP", big_packets, side(**BARE_SIDE), side(**BARE_SIDE),
     OUTER6),
    ("transport: acquire by the first packet", trap, side(start_action="trap"),
     side(start_action="trap"), {}),
    ("transport: behind a translator", behind_nat, side(), side(), {"nat": True}),
    ("transport: one service", one_service, side(**ONE_SERVICE[0]), side(**ONE_SERVICE[1]), {}),
    ("S58 transport: both killed", killed, side(), side(), {}),
    ("S58 transport: spoofed clear packets", spoofed, side(), side(), {}),
    ("transport: the peer wants a tunnel", tunnel_instead, side(),
     Side(**DYNAMIC), {}),
    ("transport: latchkey-charon", refused_by_charon(UNSUPPORTED), side(), side("charon"), {}),
    ("transport: charon-latchkey", refused_by_charon(UNSUPPORTED), side("charon"), side(), {}),
    ("transport: latchkey-charon, a tunnel instead", refused_by_charon(CONFLICT), side(),
     Side("charon", **DYNAMIC), {}),
    ("transport: charon-latchkey, a tunnel instead", refused_by_charon(CONFLICT),
     Side("charon", **DYNAMIC), side(), {}),
]


def test_of(name, scenario, left, right, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right, **options) as pair:
            scenario(pair)
    return name, test


TESTS = [test_of(*row) for row in TABLE]
