# SPDX-License-Identifier: Apache-2.0
"""Tunnels between Latchkey and itself, and between Latchkey and charon in both roles.

A scenario is a row: a name, the two sides, and a function that is given the running pair. The left
side initiates, so "latchkey-charon" tests our initiator and "charon-latchkey" our responder.
"""

import collections
import re
import time
from dataclasses import replace

from capture import (CREATE_CHILD_SA, IKE_AUTH, IKE_SA_INIT, INFORMATIONAL, assert_protected,
                     exchanges, ike_fragments)
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, Stream, other, stop_all, story

LATCHKEY, CHARON = Side(kind="latchkey"), Side(kind="charon")
DEVICES = {"latchkey": "latchkey0", "charon": "ipsec0"}
QUEUE = 2_000  # packets: two seconds of a stream
PAIRINGS = [(LATCHKEY, LATCHKEY), (LATCHKEY, CHARON), (CHARON, LATCHKEY)]


def ours(pair):
    """The sides that Latchkey is on."""
    return [side for side in ("left", "right") if pair.sides[side].kind == "latchkey"]


def both_up(pair, child="net"):
    pair.peers["left"].up(child)
    wait_for(lambda: all(peer.children() for peer in pair.peers.values()), "Child SAs on both sides")


def both_down(pair):
    for side, peer in pair.peers.items():
        wait_for(lambda peer=peer: not peer.sas(), f"{side} to have no SA")


def agree(pair):
    """Both sides hold the same Child SAs, seen from their own end."""
    left, right = (pair.peers[side].spis() for side in ("left", "right"))
    return bool(left) and left == {(out, inward) for inward, out in right}


# --- whole life ----------------------------------------------------------------------------------

def whole_life(pair):
    """Up, traffic in both versions and directions, delete by each side in turn."""
    for deleter in ("left", "right"):
        both_up(pair)
        assert agree(pair), "the two sides' SPIs differ"
        pair.ping_all()
        for size in (1, 500, 1200):
            pair.left.ping(INNER["right"][0], INNER["left"][0], size=size)
        for side in ours(pair):
            shown = pair.peers[side].cli("show").stdout
            assert "ESTABLISHED" in shown and "INSTALLED" in shown, shown
        pair.peers[deleter].down(ike="gw")
        both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=40)


def big_packets(pair):
    """Inner packets as large as the path takes after encapsulation, and larger: TCP-like and ICMP."""
    both_up(pair)
    for size in (1300, 1372, 1400, 2800, 8000):
        pair.left.ping(INNER["right"][0], INNER["left"][0], size=size)
        pair.right.ping(INNER["left"][1], INNER["right"][1], size=size)
    frames = pair.capture.stop()
    assert not [f for f in frames if f.kind == "clear"], "a packet in the clear"


# --- re-keying under load ------------------------------------------------------------------------

def with_cipher(name):
    """What ESP is encrypted with, and still is after it was re-keyed by either side."""
    def scenario(pair):
        rekey_under_load(pair)
        for peer in pair.peers.values():
            assert {child["encr-alg"] for child in peer.children()} == {name}, peer.children()
    return scenario


def stream_length(frames, source):
    """The length that most ESP packets from this side have: the stream's."""
    lengths = collections.Counter(f.length for f in frames
                                  if f.kind == "esp" and f.source == source)
    return lengths.most_common(1)[0][0]


def on_wire(frames, source):
    length = stream_length(frames, source)
    return sum(1 for f in frames
               if f.kind == "esp" and f.source == source and f.length == length)


def assert_none_lost(pair, frames, results):
    """No datagram lost by us: by its own count, or, beside charon, by what the wire carried."""
    outer = {side: pair.outers[side][0] for side in ("left", "right")}
    for source, result in results.items():
        carried = on_wire(frames, outer[source])
        text = f"{source}: sent {result['sent']}, on the wire {carried}, " \
               f"received {result['received']}, lost {result['lost']}"
        story(text)
        assert result["repeated"] == 0, f"repeated datagrams; {text}"
        if pair.sides[source].kind == "latchkey":
            assert carried >= result["sent"], f"lost before the wire; {text}"
        if pair.sides[other(source)].kind == "latchkey":
            assert result["received"] >= carried, f"lost after the wire; {text}"
        if pair.sides["left"].kind == pair.sides["right"].kind:
            assert result["received"] == result["sent"], f"lost; {text}"


def less_refused(pair, frames):
    """Without what charon's kernel says while charon's socket for bare ESP is full, on a busy machine."""
    charons = {pair.outers[side][0] for side in ("left", "right") if pair.sides[side].kind == "charon"}
    return [f for f in frames if f.kind != "esp refused" or f.source not in charons]


def rekey_under_load(pair, number=300):
    """Child and IKE, begun by either side, under a stream in each direction, of which so many datagrams
    come by what is new each time."""
    both_up(pair)
    for side, peer in pair.peers.items():  # that a daemon is late is not what is looked at
        pair.host(side).run("ip", "link", "set", DEVICES[peer.kind], "txqueuelen", QUEUE)
    streams = {"left": Stream(pair, "left", port=9000).start(),
               "right": Stream(pair, "right", port=9001).start()}
    for side in ("left", "right"):
        for what in ("child", "ike"):
            peer = pair.peers[side]
            before = peer.spis() if what == "child" else peer.ike_spis()
            peer.rekey(**({"child": "net"} if what == "child" else {"ike": "gw"}))
            for one in pair.peers.values():
                held = one.spis if what == "child" else one.ike_spis
                wait_for(lambda held=held, one=one: held() and not before & held() and not
                         {(b, a) for a, b in before} & held(), f"{what} re-keyed by {side}")
            for stream in streams.values():
                stream.wait(number)
            wait_for(lambda: agree(pair), f"both sides to agree after {side} re-keyed {what}")
            story(f"{what} re-keyed by {side}")
    results = stop_all(streams)
    frames = pair.capture.stop()
    assert_none_lost(pair, frames, results)
    assert_protected(less_refused(pair, frames), "wire", at_least=1000)


def rekey_long_under_load(pair):
    """So long that what a side does a second after a re-key is seen as well."""
    rekey_under_load(pair, 1500)


# --- a peer that proves itself again -------------------------------------------------------------

def proven_again(pair):
    """reauth-mbb: another IKE SA beside the one that is there, which goes when that has its child."""
    both_up(pair)
    stream = Stream(pair, "left", rate=100, port=9100).start()
    for _ in range(2):
        before = pair.peers["left"].ike_spis()
        wait_for(lambda before=before: all(len(peer.ike_spis()) == 1 and not before & peer.ike_spis()
                                           for peer in pair.peers.values()),
                 "another IKE SA, and that alone", seconds=40)
        wait_for(lambda: agree(pair), "both sides to agree")
    result = stream.stop()
    story(f"of {result['sent']} datagrams {result['received']} came")
    pair.ping_all(versions=(4,))
    assert_protected(pair.capture.stop(), "wire", at_least=100)


# --- refusals ------------------------------------------------------------------------------------

def refused(reason):
    """A scenario whose negotiation must fail and say why: on our sides, in `show` and in the log."""
    def scenario(pair):
        assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
        for side in ours(pair):
            peer = pair.peers[side]
            wait_for(lambda peer=peer: re.search(reason, peer.log(), re.IGNORECASE),
                     f"{side}'s log to say {reason}")
            shown = peer.cli("show").stdout
            assert re.search(reason, shown, re.IGNORECASE), \
                f"{side}: latchkey show does not say {reason}:\n{shown}"
            assert not peer.children(), "a Child SA stands"
        pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=1, check=False)
        for frame in pair.capture.stop():
            assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"
    return scenario


# --- acquire, narrowing --------------------------------------------------------------------------

def acquire(pair):
    """The first packet brings the tunnel up, is kept, and arrives."""
    index = {4: 0, 6: 1}
    assert not pair.peers["left"].sas()
    for version in (4, 6):
        pair.left.ping(INNER["right"][index[version]], INNER["left"][index[version]],
                       count=1, wait=20)
    assert_protected(pair.capture.stop(), "wire")


def narrowed(pair):
    """The responder grants a part of what was asked for; the rest stays outside, not in the clear."""
    both_up(pair)
    pair.left.ping(INNER["right"][0], INNER["left"][0])
    for side in ours(pair):
        child = pair.peers[side].children()[0]
        key = "remote-ts" if side == "left" else "local-ts"
        assert child[key] == ["10.2.0.0/24"], child
    frames = pair.capture.stop()
    assert_protected(frames, "wire")


# --- bare ESP ------------------------------------------------------------------------------------

def bare(scenario):
    """The scenario, and every ESP packet on the wire was IP protocol 50."""
    def run(pair):
        scenario(pair)
        frames = [f for f in pair.capture.stop() if f.kind == "esp"]
        assert frames and all(f.protocol == 50 for f in frames), "ESP in UDP, or none"
    return run


def one_wants_udp(pair):
    """A side that wants ESP in UDP gets it from one that does not."""
    both_up(pair)
    pair.ping_all()
    frames = [f for f in pair.capture.stop() if f.kind == "esp"]
    assert frames and all(f.protocol == 17 for f in frames), "bare ESP, or none"


def bare_between_selectors(pair):
    """The outer addresses lie in what the guard protects: bare ESP and its fragments still pass."""
    both_up(pair)
    for version in (0, 1):
        for size in (100, 1500, 1900):
            pair.left.ping(INNER["right"][version], INNER["left"][version], size=size)


# --- TOS byte ------------------------------------------------------------------------------------

def outer_tos(wanted):
    """Each TOS byte pinged with is on the outer packets as `wanted` makes it, in both directions."""
    def scenario(pair):
        both_up(pair)
        for tos in (0x00, 0xB8, 0x28, 0xBA):
            for index in (0, 1):
                pair.left.run("ping", "-n", "-c", "1", "-w", "10", "-Q", hex(tos), "-I",
                              INNER["left"][index], INNER["right"][index])
        frames = [f for f in pair.capture.stop() if f.kind == "esp"]
        seen = collections.Counter(f.tos for f in frames)
        expected = collections.Counter()
        for tos in (0x00, 0xB8, 0x28, 0xBA):
            expected[wanted(tos)] += 4
        assert seen == expected, f"outer TOS bytes {seen}, not {expected}"
    return scenario


def congestion(pair):
    """A router marks what it cannot queue: who speaks ECN is told, who does not loses the packet."""
    both_up(pair)
    pair.right.nft("table ip marks {\n chain c {\n  type filter hook prerouting priority -310;\n"
                   "  udp dport 4500 @th,64,32 != 0 ip ecn set ce\n }\n}\n")
    told = ["ping", "-n", "-c", "1", "-w", "10", "-I", INNER["left"][0], INNER["right"][0]]
    pair.left.run(*told[:-3], "-Q", "0x2", *told[-3:])
    lost = pair.left.run("ping", "-n", "-c", "1", "-W", "1", *told[-3:], check=False)
    assert lost.returncode != 0, "a packet without ECN came through congestion"
    stats = pair.peers["right"].cli("stats").stdout
    assert re.search(r"ECN:\s+count: 1\b", stats), stats


# --- NAT -----------------------------------------------------------------------------------------

def through_nat(pair):
    both_up(pair)
    pair.ping_all()
    frames = [f for f in pair.capture.stop() if f.kind == "esp"]
    assert frames and all(f.protocol == 17 for f in frames), "ESP without UDP through a translator"
    sources = {f.source for f in frames}
    assert sources == {"203.0.113.1", "203.0.113.2"}, sources


# --- liveness, cookies --------------------------------------------------------------------------

def liveness(pair):
    """An idle tunnel is asked now and then whether its peer lives, and stays up."""
    both_up(pair)
    wait_for(lambda: len(exchanges(pair.capture.so_far(), INFORMATIONAL)) >= 4,
             "two INFORMATIONAL exchanges")
    assert agree(pair), "the tunnel did not stay up"


def find_key(tree, key):
    """The value of a key anywhere in a nested dict, or None."""
    for name, value in tree.items():
        found = value if name == key else find_key(value, key) if isinstance(value, dict) else None
        if found is not None:
            return found
    return None


def cookies(pair):
    """The responder wants a cookie first: one exchange more, then all is as ever."""
    both_up(pair)
    pair.ping_all(versions=(4,))
    begun = exchanges(pair.capture.stop(), IKE_SA_INIT)
    # A slow machine repeats a request, and its answer with it.
    assert len(begun) >= 4, f"{len(begun)} IKE_SA_INIT messages"
    sent = find_key(pair.peers["right"].cli_json("stats"), "cookies-sent")
    assert sent and int(sent) >= 1, f"{sent} cookies sent"


# --- puzzles (RFC 8019) --------------------------------------------------------------------------

# First messages from made-up addresses, each from another one, until it is stopped.
FLOOD = """
import os, random, socket, struct, sys, time
target, pause = sys.argv[1], float(sys.argv[2])
def payload(following, body):
    return struct.pack(">BBH", following, 0, 4 + len(body)) + body
def transform(last, kind, number, more=b""):
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(more), kind, 0, number) + more
suite = (transform(False, 1, 20, b"\\x80\\x0e\\x01\\x00") + transform(False, 2, 5) +
         transform(True, 4, 31))
proposal = struct.pack(">BBHBBBB", 0, 0, 8 + len(suite), 1, 1, 0, 3) + suite
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
print("ready", flush=True)
while True:
    chain = (payload(34, proposal) + payload(40, struct.pack(">HH", 31, 0) + os.urandom(32)) +
             payload(0, os.urandom(32)))
    ike = os.urandom(8) + bytes(8) + struct.pack(">BBBBII", 33, 0x20, 34, 8, 0, 28 + len(chain)) + chain
    udp = struct.pack(">HHHH", 500, 500, 8 + len(ike), 0) + ike
    source = bytes([198, 18, random.randrange(256), random.randrange(1, 255)])
    s.sendto(struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + source +
             socket.inet_aton(target) + udp, (target, 0))
    time.sleep(pause)
"""


def count(pair, key):
    return int(find_key(pair.peers["right"].cli_json("stats"), key) or 0)


def puzzle_done(pair):
    """Who knows of puzzles has solved one, and who does not was spared."""
    key = "puzzles-solved" if pair.sides["left"].kind == "latchkey" else "puzzles-spared"
    assert count(pair, key) >= 1, pair.peers["right"].cli("stats").stdout


def puzzles(pair):
    both_up(pair)
    pair.ping_all(versions=(4,))
    assert count(pair, "puzzles-set") >= 1
    puzzle_done(pair)


def puzzles_in_a_flood(pair):
    """The flood makes as many IKE SAs as may be half open, and then puzzles, and nothing else."""
    pair.right.run("ip", "route", "add", "198.18.0.0/15", "via", OUTER4["left"])
    flood = pair.left.spawn("flood", "/usr/bin/python3", "-c", FLOOD, OUTER4["right"], "0.005")
    wait_for(lambda: count(pair, "puzzles-set") >= 100, "puzzles to be set")
    assert count(pair, "half-open") == FLOODED
    both_up(pair)
    pair.ping_all(versions=(4,))
    assert flood.running()
    flood.stop()
    puzzle_done(pair)


# --- fragments of IKE messages -------------------------------------------------------------------

FRAGMENT_SIZE = 300


def frags(headers, ping=True):
    """frags-ipv4, frags-ipv6: large messages both ways, none larger than an IP packet may be."""
    def scenario(pair):
        both_up(pair)
        for side in ("left", "right"):
            before = pair.peers[side].spis()
            pair.peers[side].rekey(child="net")
            wait_for(lambda before=before: agree(pair) and not before &
                     pair.peers["left"].spis() | before & pair.peers["right"].spis(),
                     f"the child to be re-keyed by {side}")
        if ping:
            pair.ping_all()
        frames = pair.capture.stop()
        assert not [f for f in frames if f.kind == "fragment"], "IP had to cut a message"
        pieces = ike_fragments(frames)
        assert max(f.length for f in pieces) + headers <= FRAGMENT_SIZE
        for kind in (IKE_AUTH, CREATE_CHILD_SA):
            for side in ("left", "right"):
                sent = [f for f in exchanges(pieces, kind) if f.source == pair.outers[side][0]]
                assert len(sent) >= 2, f"{side} sent {len(sent)} fragments in exchange {kind}"
    return scenario


# --- virtual addresses ---------------------------------------------------------------------------

def addresses(host, device):
    shown = host.run("ip", "-o", "addr", "show", "dev", device).stdout
    return set(re.findall(r"inet6? ([0-9a-f.:]+)/", shown))


def virtual(*wanted):
    """config-payload, ip-two-pools-v4v6: the peer lends addresses; they come, serve, and go."""
    def scenario(pair):
        peer = pair.peers["left"]
        both_up(pair)
        assert set(wanted) <= addresses(pair.left, "latchkey0"), "not on the virtual interface"
        child = peer.children()[0]
        assert set(child["local-ts"]) == {f"{a}/{128 if ':' in a else 32}" for a in wanted}, child
        for address in wanted:
            inner = INNER["right"][1 if ":" in address else 0]
            pair.left.run("ping", "-n", "-c", "1", "-w", "10", inner)  # from where routes say
            pair.right.ping(address, inner)
        shown = peer.cli("show").stdout
        with open(peer.run_dir + "/resolv.conf", encoding="utf-8") as file:
            servers = file.read()
        for text in ("10.2.0.53", "fd00:2::53")[:len(wanted)]:
            assert text in shown and f"nameserver {text}" in servers, shown + servers
        before = peer.ike_spis()
        peer.rekey(ike="gw")
        wait_for(lambda: agree(pair) and peer.ike_spis() and not before & peer.ike_spis(),
                 "the IKE SA to be re-keyed")
        time.sleep(0.5)
        assert set(wanted) <= addresses(pair.left, "latchkey0"), "lost when re-keyed"
        pair.left.run("ping", "-n", "-c", "1", "-w", "10", INNER["right"][0])
        peer.down(ike="gw")
        both_down(pair)
        wait_for(lambda: not set(wanted) & addresses(pair.left, "latchkey0"), "the addresses to go")
        with open(peer.run_dir + "/resolv.conf", encoding="utf-8") as file:
            assert "nameserver" not in file.read()
        assert_protected(pair.capture.stop(), "wire")
    return scenario


def leases(pair):
    """Who has which address, as the responder lists it: address, identity, online or not."""
    listed = pair.peers["right"].swanctl("--list-pools", "--leases").stdout
    return {line.split()[0]: line.split()[1:] for line in listed.splitlines()
            if line.startswith("  ")}


def lent(*wanted):
    """The same as the other side sees it: who is lent what, and has it again the next time."""
    def scenario(pair):
        for status in ("online", "online again"):
            both_up(pair)
            child = pair.peers["right"].children()[0]
            assert set(child["remote-ts"]) == {f"{a}/{128 if ':' in a else 32}" for a in wanted}, \
                child
            for address in wanted:
                pair.right.ping(address, INNER["right"][1 if ":" in address else 0])
            listed = leases(pair)
            assert listed.keys() == set(wanted), f"{status}: {listed}"
            assert all(l[0] == "online" and "left" in l[1] for l in listed.values()), listed
            shown = pair.peers["right"].cli("show").stdout
            assert f"lent to the peer {wanted[0]}" in shown, shown
            before = pair.peers["right"].ike_spis()
            pair.peers["right"].rekey(ike="gw")
            wait_for(lambda before=before: agree(pair) and not before & pair.peers["right"].ike_spis(),
                     "the IKE SA to be re-keyed")
            assert leases(pair) == listed, "lost when re-keyed"
            pair.peers["left"].down(ike="gw")
            both_down(pair)
            listed = leases(pair)
            assert all(l[0] == "offline" for l in listed.values()), listed
        assert_protected(pair.capture.stop(), "wire")
    return scenario


def virtual_own(pair):
    """The address goes to the interface of the connection's own, where routes are the operator's."""
    both_up(pair)
    assert "10.3.0.1" in addresses(pair.left, "own"), "not on the connection's interface"
    assert "10.3.0.1" not in addresses(pair.left, "latchkey0")
    pair.left.run("ip", "route", "add", "10.2.0.0/24", "dev", "own", "src", "10.3.0.1")
    pair.left.run("ping", "-n", "-c", "1", "-w", "10", INNER["right"][0])
    pair.peers["left"].down(ike="gw")
    wait_for(lambda: "10.3.0.1" not in addresses(pair.left, "own"), "the address to go")
    assert_protected(pair.capture.stop(), "wire")


def virtual_acquire(pair):
    """Without an address yet, traffic to the peer's network is held back and asks for one."""
    pair.left.run("ping", "-n", "-c", "1", "-w", "10", INNER["right"][0])
    assert "10.3.0.1" in addresses(pair.left, "latchkey0")
    pair.peers["left"].down(ike="gw")
    wait_for(lambda: "10.3.0.1" not in addresses(pair.left, "latchkey0"), "the address to go")
    pair.left.run("ping", "-n", "-c", "1", "-w", "10", INNER["right"][0])  # and again
    assert_protected(pair.capture.stop(), "wire")


# --- several children ----------------------------------------------------------------------------

def more_inner(side, number):
    """Further inner addresses: 10.1N.0.1 behind left, 10.2N.0.1 behind right."""
    return f"10.{'1' if side == 'left' else '2'}{number}.0.1"


def more_children(side, **keys):
    def network(whose, number):
        return more_inner(whose, number)[:-1] + "0/24"
    children = {f"more{number}": {"local_ts": network(side, number),
                                  "remote_ts": network(other(side), number), **keys}
                for number in (1, 2)}
    # Each side has one that the other does not know.
    children["odd"] = {"local_ts": f"10.9.{len(side)}.0/24", "remote_ts": "10.99.0.0/24"}
    return children


def give_more_inner(pair):
    for side in ("left", "right"):
        for number in (1, 2):
            pair.host(side).address("lo", more_inner(side, number) + "/32")


def child_spis(pair, name):
    left, right = ({(c["spi-in"].lower(), c["spi-out"].lower())
                    for c in pair.peers[side].children() if c["name"] == name}
                   for side in ("left", "right"))
    return left if left == {(b, a) for a, b in right} else None


def ping_more(pair, numbers=(1, 2)):
    for number in numbers:
        left, right = more_inner("left", number), more_inner("right", number)
        pair.left.ping(right, left)
        pair.right.ping(left, right)


def one_ike_sa(pair):
    return all(len(peer.established()) == 1 for peer in pair.peers.values())


NAMES = {"net", "more1", "more2"}


def all_children(pair):
    return all({c["name"] for c in peer.children()} == NAMES and len(peer.children()) == 3
               for peer in pair.peers.values()) and agree(pair)


def several_children(pair):
    """On one IKE SA, begun by either side; re-keyed and closed one by one; a refusal hurts none."""
    left, right = pair.peers["left"], pair.peers["right"]
    give_more_inner(pair)
    both_up(pair)
    left.up("more1")
    right.up("more2")
    wait_for(lambda: all_children(pair), "three children on both sides")
    assert one_ike_sa(pair), "more than one IKE SA"
    pair.ping_all(versions=(4,))
    ping_more(pair)
    for peer, name in ((left, "more1"), (right, "net"), (right, "more1"), (left, "more2")):
        before = {n: child_spis(pair, n) for n in NAMES}
        peer.rekey(child=name)
        wait_for(lambda name=name, before=before: child_spis(pair, name) and
                 child_spis(pair, name) != before[name], f"{name} to be re-keyed")
        assert all(child_spis(pair, n) == before[n] for n in NAMES - {name}), "another one changed"
    for peer in (left, right):
        assert not peer.up("odd", check=False), "a child came up that the peer does not know"
        wait_for(lambda: all_children(pair), "the others to stay")
    before = left.ike_spis()
    left.rekey(ike="gw")
    wait_for(lambda: all_children(pair) and one_ike_sa(pair) and
             not before & (left.ike_spis() | right.ike_spis()), "the children to move")
    ping_more(pair)
    left.down(child="more1")
    right.down(child="net")
    wait_for(lambda: all([c["name"] for c in peer.children()] == ["more2"]
                         for peer in pair.peers.values()), "one child to be left")
    assert one_ike_sa(pair), "the IKE SA went with a child"
    ping_more(pair, numbers=(2,))
    left.down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire")


def all_start(pair):
    """Each with start_action = start: they come up by themselves, on one IKE SA."""
    give_more_inner(pair)
    wait_for(lambda: all_children(pair), "three children on both sides")
    assert one_ike_sa(pair), "more than one IKE SA"
    pair.ping_all(versions=(4,))
    ping_more(pair)


def all_trap(pair):
    """Each by its first packet, on one IKE SA."""
    give_more_inner(pair)
    for number in (2, 1):
        left, right = more_inner("left", number), more_inner("right", number)
        pair.left.ping(right, left, count=1, wait=20)
    pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=20)
    wait_for(lambda: all_children(pair), "three children on both sides")
    assert one_ike_sa(pair), "more than one IKE SA"


def first_refused(pair):
    """The child of IKE_AUTH is refused: the IKE SA stands and takes another one (RFC 7296 1.3)."""
    left = pair.peers["left"]
    give_more_inner(pair)
    assert not left.up("odd", check=False), "a child came up that the peer does not know"
    assert one_ike_sa(pair), "the IKE SA did not stay"
    left.up("more1")
    ping_more(pair, numbers=(1,))
    assert one_ike_sa(pair), "a second IKE SA"


# --- inactivity ----------------------------------------------------------------------------------

def inactivity(pair):
    """inactivity-timeout: packets keep the child up; without them it goes, and the IKE SA stays."""
    both_up(pair)
    for _ in range(4):
        pair.left.ping(INNER["right"][0], INNER["left"][0], count=1)
        time.sleep(1)
    assert agree(pair) and pair.peers["left"].children(), "closed in spite of packets"
    wait_for(lambda: not any(peer.children() for peer in pair.peers.values()),
             "the idle child to be closed")
    assert one_ike_sa(pair), "the IKE SA went too"
    both_up(pair)


# --- swanctl against our socket ------------------------------------------------------------------

def swanctl_drives_us(pair):
    """Debian's swanctl loads, starts, lists and ends; the daemon began with no connection."""
    peer = pair.peers["left"]
    loaded = peer.swanctl("--load-all", "--noprompt", "--file", peer.swanctl_conf).stdout
    assert "loaded connection 'gw'" in loaded and "loaded ike secret" in loaded, loaded
    assert "gw:" in peer.swanctl("--list-conns").stdout
    begun = peer.swanctl("--initiate", "--child", "net", "--timeout", "30").stdout
    assert "initiate completed successfully" in begun, begun
    listed = peer.swanctl("--list-sas").stdout
    for word in ("gw:", "ESTABLISHED", "IKEv2", "net:", "INSTALLED", "10.1.0.0/24", "10.2.0.0/24"):
        assert word in listed, f"{word} is missing:\n{listed}"
    pair.ping_all()
    ended = peer.swanctl("--terminate", "--ike", "gw").stdout
    assert "terminate completed successfully" in ended, ended
    both_down(pair)
    assert "gw" not in peer.swanctl("--list-sas").stdout
    refused_one = peer.swanctl("--initiate", "--child", "nowhere", check=False)
    assert refused_one.returncode != 0, "an unknown child was initiated"


# --- the table -----------------------------------------------------------------------------------

def named(left, right, what):
    return f"{left.kind}-{right.kind}: {what}"


def with_sides(left, right, left_more=None, right_more=None):
    return replace(left, **(left_more or {})), replace(right, **(right_more or {}))


PFS = {"esp_proposals": "aes128gcm16-ecp256"}
NO_PROPOSAL = {"proposals": "aes128gcm16-prfsha384-ecp384"}
NO_CHILD_PROPOSAL = {"esp_proposals": "aes128gcm16"}
GROUPS = {"proposals": "aes256gcm16-prfsha256-x25519-ecp256"}
SECOND_GROUP = {"proposals": "aes256gcm16-prfsha256-ecp256"}
OTHER_SUITE = {"proposals": "aes128gcm16-prfsha384-ecp384", "esp_proposals": "aes128gcm16"}
SUITES = ["aes256gcm16-prfsha512-ecp521", "aes256gcm16-prfsha512-modp2048",
          "aes256gcm16-prfsha384-modp3072", "aes256gcm16-prfsha512-modp4096",
          "chacha20poly1305-prfsha256-x25519"]

# (what, scenario, left's difference, right's difference, options of the pair)
TABLE = [
    ("whole life, delete by either side", whole_life, {}, {}, {}),
    ("big packets", big_packets, {}, {}, {}),
    ("re-key under load", rekey_long_under_load, {}, {}, {}),
    ("re-key with perfect forward secrecy", rekey_under_load, PFS, PFS, {}),
    ("AES-128, SHA-384, ECP-384", whole_life, OTHER_SUITE, OTHER_SUITE, {}),
    ("another group is asked for", whole_life, GROUPS, SECOND_GROUP, {}),
    ("translator between", through_nat, {}, {}, {"nat": True}),
    ("wrong pre-shared key", refused("authentication|pre-shared|auth.failed"), {},
     {"psk": "another key"}, {}),
    ("no common proposal", refused("proposal"), {}, NO_PROPOSAL, {}),
    ("no common proposal for the child", refused("proposal"), {}, NO_CHILD_PROPOSAL, {}),
    ("no common selector", refused("selector|ts.unacceptable"), {},
     {"local_ts": "10.7.0.0/24", "remote_ts": "10.8.0.0/24"}, {}),
    ("selectors are narrowed", narrowed, {"remote_ts": "10.2.0.0/16"},
     {"local_ts": "10.2.0.0/24"}, {}),
]
for suite in SUITES:
    cipher, _, group = suite.split("-")
    more = {"proposals": suite, "esp_proposals": f"{cipher}-{group}"}
    TABLE.append((f"re-key under load with {suite}", rekey_under_load, more, more, {}))
# IKE and ESP of ciphers that need a MAC beside them, and of none.
for title, ike, esp in (
        ("aes128-sha256", "aes128-sha256-x25519", "aes128-sha256"),
        ("aes256-sha512-modp2048", "aes256-sha512-modp2048", "aes256-sha512-modp2048"),
        ("net2net-null", "aes256-sha384-ecp384", "null-sha256"),
        ("aes192-sha384", "aes192-sha384-prfsha256-ecp256", "aes192-sha384-ecp256")):
    more = {"proposals": ike, "esp_proposals": esp}
    TABLE.append((title, rekey_under_load, more, more, {}))
CHILDLESS = {"connection": {"childless": "force"}, **PFS}
TABLE.append(("net2net-childless", rekey_under_load, CHILDLESS, CHILDLESS, {}))
DPD = {"connection": {"dpd_delay": "1s"}}
COOKIES = {"daemon": {"cookies": "always"}}
PUZZLES = {"daemon": {"puzzles": "always", "puzzle_difficulty": "14"}}
FLOODED = 20
PUZZLES_FLOODED = {"daemon": {"puzzle_threshold": str(FLOODED)},
                   "connection": {"remote_addrs": "%any"}}
# charon, which is let in by chance, may try often.
PATIENT = {"charon": {"retransmit_timeout": "0.5", "retransmit_base": "1", "retransmit_tries": "60"}}
TABLE.append(("liveness", liveness, DPD, {}, {}))
# Long names and large key shares make the messages of every exchange large, both ways.
SMALL = {"daemon": {"fragment_size": FRAGMENT_SIZE}, "charon": {"fragment_size": FRAGMENT_SIZE},
         "esp_proposals": "aes256gcm16-modp4096"}
LONG = {side: ".".join([side] + ["a-name-of-many-parts"] * 9 + ["example"])
        for side in ("left", "right")}
FRAGS = [{"connection": {"local": {"auth": "psk", "id": LONG[side]},
                         "remote": {"auth": "psk", "id": LONG[other(side)]}}, **SMALL}
         for side in ("left", "right")]
TABLE += [
    ("frags-ipv4", frags(28), *FRAGS, {}),
    ("frags-ipv6", frags(48, ping=False), *FRAGS, {"outer": "ip6"}),
]
# The IV is not in the packet (RFC 8750), which charon does not do: it is left a cipher that has one.
IMPLICIT = {"esp_proposals": "aes256gcm16iiv-aes256gcm16"}
# Only where the responder is ours.
RESPONDER_TABLE = [
    ("implicit IV, the initiator has none", with_cipher("AES_GCM_16"), {}, IMPLICIT, {}),
    ("cookies", cookies, {}, COOKIES, {}),
    ("puzzles", puzzles, PATIENT, PUZZLES, {}),
    ("puzzles in a flood", puzzles_in_a_flood, PATIENT, PUZZLES_FLOODED, {}),
]
# Only where the initiator is ours.
INITIATOR_TABLE = [
    ("implicit IV, the responder has none", with_cipher("AES_GCM_16"), IMPLICIT, {}, {}),
    ("acquire by the first packet", acquire, {"start_action": "trap"}, {}, {}),
]
TABLE.append(("inactivity-timeout", inactivity, {"child": {"inactivity": "3"}}, {}, {}))
MORE = [{"children": more_children(side)} for side in ("left", "right")]
TABLE += [
    ("several children", several_children, *MORE, {}),
    ("first child refused", first_refused, *MORE, {}),
]
INITIATOR_TABLE += [
    ("several children, each started", all_start,
     {"children": {name: {**keys, "start_action": "none" if name == "odd" else "start"}
                   for name, keys in more_children("left").items()}, "start_action": "start"},
     MORE[1], {}),
    ("several children, each by a packet", all_trap,
     {"children": {name: {**keys, "start_action": "none" if name == "odd" else "trap"}
                   for name, keys in more_children("left").items()}, "start_action": "trap"},
     MORE[1], {}),
]
ROAD = {"local_ts": "dynamic"}
GATEWAY = {"remote_ts": "dynamic"}
POOL4 = {"four": {"addrs": "10.3.0.0/24", "dns": "10.2.0.53"}}
POOL6 = {"six": {"addrs": "fd00:3::/120", "dns": "fd00:2::53"}}
# Only where the initiator is ours.
POOL_TABLE = [
    ("config-payload", virtual("10.3.0.1"), {**ROAD, "connection": {"vips": "0.0.0.0"}},
     {**GATEWAY, "connection": {"pools": "four"}, "pools": POOL4}, {}),
    # charon lends what is next, whatever was asked for.
    ("config-payload, another address than asked for", virtual("10.3.0.1"),
     {**ROAD, "connection": {"vips": "10.3.0.77"}},
     {**GATEWAY, "connection": {"pools": "four"}, "pools": POOL4}, {}),
    ("ip-two-pools-v4v6", virtual("10.3.0.1", "fd00:3::1"),
     {**ROAD, "connection": {"vips": "0.0.0.0, ::"}},
     {**GATEWAY, "connection": {"pools": "four, six"}, "pools": {**POOL4, **POOL6}}, {}),
    ("config-payload, acquire by the first packet", virtual_acquire,
     {**ROAD, "connection": {"vips": "0.0.0.0"}, "start_action": "trap"},
     {**GATEWAY, "connection": {"pools": "four"}, "pools": POOL4}, {}),
    ("config-payload, an interface of the connection's own", virtual_own,
     {**ROAD, "connection": {"vips": "0.0.0.0", "interface": "own"}},
     {**GATEWAY, "connection": {"pools": "four"}, "pools": POOL4}, {}),
    ("no address to lend", refused("virtual address|address.failure"),
     {**ROAD, "connection": {"vips": "0.0.0.0"}}, GATEWAY, {}),
]
# Only where the responder is ours.
LENDER_TABLE = [
    ("config-payload, who has what", lent("10.3.0.1"), {**ROAD, "connection": {"vips": "0.0.0.0"}},
     {**GATEWAY, "connection": {"pools": "four"}, "pools": POOL4}, {}),
    ("ip-two-pools-v4v6, who has what", lent("10.3.0.1", "fd00:3::1"),
     {**ROAD, "connection": {"vips": "0.0.0.0, ::"}},
     {**GATEWAY, "connection": {"pools": "four, six"}, "pools": {**POOL4, **POOL6}}, {}),
    ("a pool that is not there", refused("virtual address|address.failure"),
     {**ROAD, "connection": {"vips": "0.0.0.0"}},
     {**GATEWAY, "connection": {"pools": "nothing"}}, {}),
]
BARE = {"connection": {"encap": "no"}}
EVERYTHING = {"local_ts": "0.0.0.0/0,::/0", "remote_ts": "0.0.0.0/0,::/0"}
# The packets of the tunnel are larger than what the wire takes.
BARE_LARGE = {**BARE, **EVERYTHING, "daemon": {"mtu": "2000"}, "child": {"copy_df": "no"}}
# Only between ourselves.
OWN_TABLE = [
    ("implicit IV, AES-GCM", with_cipher("AES_GCM_16_IIV"), IMPLICIT, IMPLICIT, {}),
    ("implicit IV, ChaCha20-Poly1305, 64-bit numbers", with_cipher("CHACHA20_POLY1305_IIV"),
     {"esp_proposals": "chacha20poly1305iiv-esn"}, {"esp_proposals": "chacha20poly1305iiv-esn"}, {}),
    ("outer TOS byte, bare ESP", outer_tos(lambda tos: tos), BARE, BARE, {}),
    ("outer TOS byte, outer IPv6", outer_tos(lambda tos: tos), {}, {}, {"outer": "ip6"}),
    ("outer TOS byte, copy_dscp = no", outer_tos(lambda tos: tos & 3),
     {"child": {"copy_dscp": "no"}}, {"child": {"copy_dscp": "no"}}, {}),
    ("congestion on the way", congestion, {}, {}, {}),
    ("bare ESP, whole life", bare(whole_life), BARE, BARE, {}),
    ("bare ESP, re-key under load", bare(rekey_under_load), BARE, BARE, {}),
    ("bare ESP, outer IPv6, whole life", bare(whole_life), BARE, BARE, {"outer": "ip6"}),
    ("bare ESP, outer IPv6, re-key under load", bare(rekey_under_load), BARE, BARE,
     {"outer": "ip6"}),
    ("bare ESP, guarded outer addresses, fragments", bare(bare_between_selectors), BARE_LARGE,
     BARE_LARGE, {}),
    ("bare ESP, outer IPv6, guarded outer addresses, fragments", bare(bare_between_selectors),
     BARE_LARGE, BARE_LARGE, {"outer": "ip6"}),
    # IKE is on port 4500, as where a peer that does MOBIKE takes it: that alone is no UDP for ESP.
    ("bare ESP, IKE on port 4500", bare(whole_life),
     {"connection": {"encap": "no", "remote_port": "4500"}}, BARE, {}),
    ("bare ESP not wanted, translator between", through_nat, BARE, BARE, {"nat": True}),
    ("only the initiator wants ESP in UDP", one_wants_udp, {}, BARE, {}),
    ("only the responder wants ESP in UDP", one_wants_udp, BARE, {}, {}),
    ("outer IPv6, whole life", whole_life, {}, {}, {"outer": "ip6"}),
    ("outer IPv6, re-key under load", rekey_under_load, {}, {}, {"outer": "ip6"}),
]


def test_of(name, scenario, left, right, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right, **options) as pair:
            scenario(pair)
    return name, test


def swanctl_test():
    name = "latchkey-charon: swanctl drives us"

    def test():
        with Pair("swanctl", LATCHKEY, CHARON, start=False) as pair:
            peer = pair.peers["left"]
            with open(peer.conf, encoding="utf-8") as file:
                whole = file.read()
            cut = whole.index("latchkey {")
            peer.swanctl_conf = pair.left.write("swanctl.conf", whole[:cut])
            pair.left.write("latchkey.conf", whole[cut:])
            pair.start()
            swanctl_drives_us(pair)
    return name, test


def rows():
    for left, right in PAIRINGS:
        table = list(TABLE)
        table += INITIATOR_TABLE if left.kind == "latchkey" else []
        table += RESPONDER_TABLE if right.kind == "latchkey" else []
        table += POOL_TABLE if left.kind == "latchkey" else []
        table += LENDER_TABLE if right.kind == "latchkey" else []
        table += OWN_TABLE if left.kind == right.kind else []
        for what, scenario, left_more, right_more, options in table:
            yield test_of(named(left, right, what), scenario,
                          *with_sides(left, right, left_more, right_more), options)
    yield swanctl_test()


TESTS = list(rows())
