# SPDX-License-Identifier: Apache-2.0
"""Hosts and translators whose addresses change under a tunnel (RFC 4555), and two peers behind one
translator."""

import re
from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import (INNER, NAT_INSIDE, NETWORK, PSK, Pair, Side, Stream, other, section, stop_all,
                  story)
from peers import KINDS
from scenarios import PAIRINGS, agree, both_up, ours

MOVED = {"left": "192.0.2.11", "right": "192.0.2.12"}


def hosts_of(peer):
    """(local, remote) address of the peer's one IKE SA."""
    sas = peer.established()
    return (sas[0]["local-host"], sas[0]["remote-host"]) if len(sas) == 1 else None


def move(pair, side, soft):
    """The host loses its address and has another one: afterwards, or already before."""
    host, old, new = pair.host(side), pair.outers[side][0], MOVED[side]
    host.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
    host.sysctl("net.ipv4.conf.wire.promote_secondaries", 1)
    steps = [("del", old), ("add", new)]
    for what, address in reversed(steps) if soft else steps:
        host.run("ip", "address", what, f"{address}/24", "dev", "wire")
    pair.outers = {side: (new, pair.outers[side][1]), other(side): (pair.outers[other(side)][0], new)}


def followed(pair):
    """Both sides know each other where they are now, and what they carry arrives."""
    for side, peer in pair.peers.items():
        wait_for(lambda peer=peer, side=side: hosts_of(peer) == pair.outers[side],
                 f"{side} to go from {pair.outers[side][0]} to {pair.outers[side][1]}")
    for side in ("left", "right"):
        wait_for(lambda side=side: pair.host(side).ping(
            INNER[other(side)][0], INNER[side][0], count=1, wait=1, check=False),
            f"{side}'s traffic to go on")
    wait_for(lambda: agree(pair), "both sides to hold the same Child SAs")
    pair.ping_all()


def moves(side, soft=False):
    def scenario(pair):
        both_up(pair)
        pair.ping_all()
        before = {name: peer.ike_spis() for name, peer in pair.peers.items()}
        spis = pair.peers["left"].spis()
        move(pair, side, soft)
        followed(pair)
        for name, peer in pair.peers.items():
            assert peer.ike_spis() == before[name], f"{name} has another IKE SA now"
        kinds = {peer.kind for peer in pair.peers.values()}
        if kinds == {"latchkey"}:
            assert pair.peers["left"].spis() == spis, "another Child SA"
        else:  # what charon has in user space does not move: it re-keys
            story("SPIs before and after: %s, %s" % (spis, pair.peers["left"].spis()))
        assert_protected(pair.capture.stop(), "wire", at_least=20)
    return scenario


def keeps_what_was_lent(pair):
    """mobike-virtual-ip: the host changes its address outside, and that inside stays what it is."""
    both_up(pair)
    before = {name: peer.ike_spis() for name, peer in pair.peers.items()}
    move(pair, "left", soft=False)
    for side, peer in pair.peers.items():
        wait_for(lambda peer=peer, side=side: hosts_of(peer) == pair.outers[side],
                 f"{side} to see left at {pair.outers['left'][0]}")
    wait_for(lambda: pair.left.ping(INNER["right"][0], LENT, count=1, wait=1, check=False),
             "traffic to go on")
    wait_for(lambda: agree(pair), "both sides to hold the same Child SAs")
    pair.left.ping(INNER["right"][0], LENT)
    pair.right.ping(LENT, INNER["right"][0])
    for name, peer in pair.peers.items():
        assert peer.ike_spis() == before[name], f"{name} has another IKE SA now"
    assert pair.peers["right"].children()[0]["remote-ts"] == [f"{LENT}/32"], "lent another one"
    assert_protected(pair.capture.stop(), "wire", at_least=12)


def there_and_back_under_load(pair):
    """A stream in each direction goes on while the initiator, then the responder changes address;
    what is lost is what was under way."""
    both_up(pair)
    streams = {side: Stream(pair, side, rate=500, port=9000 + i).start()
               for i, side in enumerate(("left", "right"))}
    for side in ("left", "right"):
        move(pair, side, soft=True)
        followed(pair)
        story(f"{side} has moved")
    results = stop_all(streams)
    for side, result in results.items():
        lost = result["sent"] - result["received"]
        story(f"{side}: sent {result['sent']}, lost {lost}")
        assert result["repeated"] == 0, f"{side}: repeated datagrams"
        assert lost < result["sent"] / 2, f"{side}: {lost} of {result['sent']} lost"
    assert_protected(pair.capture.stop(), "wire", at_least=100)


def kernel_routes_come_back(pair):
    """An address inside the tunnel goes and comes: the kernel drops the routes that named it."""
    both_up(pair)
    side = ours(pair)[0]
    host, inner = pair.host(side), INNER[side][0]
    shown = host.run("ip", "route", "show", "table", "4301").stdout
    assert f"src {inner}" in shown, shown
    host.run("ip", "address", "del", f"{inner}/32", "dev", "lo")
    wait_for(lambda: NETWORK[other(side)][0] in
             host.run("ip", "route", "show", "table", "4301").stdout, "the route without a source")
    host.address("lo", f"{inner}/32")
    wait_for(lambda: f"src {inner}" in
             host.run("ip", "route", "show", "table", "4301").stdout, "the route with its source")
    pair.ping_all()
    assert_protected(pair.capture.stop(), "wire")


def made_anew(pair):
    """Without MOBIKE the initiator begins again when its address is gone."""
    both_up(pair)
    pair.ping_all(versions=(4,))
    before = pair.peers["left"].ike_spis()
    move(pair, "left", soft=False)
    followed(pair)
    assert not before & pair.peers["left"].ike_spis(), "the IKE SA is the old one"
    assert "does not do MOBIKE" in pair.peers["left"].log()
    assert_protected(pair.capture.stop(), "wire")


def mapping_changes(pair):
    """The translator takes another address and forgets what it had mapped."""
    both_up(pair)
    pair.ping_all()
    if pair.sides["left"].kind == "charon":  # it has to have seen the first mapping
        wait_for(lambda: "parsed INFORMATIONAL response" in pair.peers["left"].log(),
                 "charon's liveness check")
    pair.nat.run("ip", "address", "del", "203.0.113.1/24", "dev", "outside")
    pair.nat.run("ip", "address", "add", "203.0.113.9/24", "dev", "outside")
    right = pair.peers["right"]
    wait_for(lambda: (hosts_of(right) or ("", ""))[1] == "203.0.113.9",
             "the other side to follow", seconds=60)
    for side in ("right", "left"):
        wait_for(lambda side=side: pair.host(side).ping(
            INNER[other(side)][0], INNER[side][0], count=1, wait=1, check=False),
            f"{side}'s traffic to go on")
    pair.ping_all()
    assert_protected(pair.capture.stop(), "wire")


# --- two peers behind one translator ------------------------------------------------------------

THIRD = {"outer": "172.16.0.3", "inner": "10.3.0.1", "network": "10.3.0.0/24"}


def connection(name, local, remote, local_ts, remote_ts, addrs):
    return {name: {"version": "2", **addrs, "proposals": Side.proposals,
                   "local": {"auth": "psk", "id": local}, "remote": {"auth": "psk", "id": remote},
                   "children": {f"{name}-net": {"local_ts": local_ts, "remote_ts": remote_ts,
                                                "esp_proposals": Side.esp_proposals}}}}


def text_of(kind, connections):
    text = section("connections", connections) + "\n" + section(
        "secrets", {"ike-all": {"secret": f'"{PSK}"'}}) + "\n"
    return text + section("latchkey", {"interface": "latchkey0"}) + "\n" \
        if kind == "latchkey" else text


def two_behind_one(left_kind, right_kind):
    def test():
        left, right = Side(kind=left_kind), Side(kind=right_kind)
        with Pair(f"two-behind-one-{left_kind}-{right_kind}", left, right, nat=True,
                  start=False) as pair:
            third = pair.lab.host("third")
            pair.lab.link(third, "wire", pair.nat, "inside2", [f"{THIRD['outer']}/24"], [])
            # One network inside, two cables.
            pair.nat.run("ip", "link", "add", "lan", "type", "bridge")
            pair.nat.run("ip", "address", "flush", "dev", "inside")
            for device in ("inside", "inside2"):
                pair.nat.run("ip", "link", "set", device, "master", "lan")
            pair.nat.address("lan", f"{NAT_INSIDE}/24")
            pair.nat.run("ip", "link", "set", "lan", "up")
            third.run("ip", "route", "add", "default", "via", NAT_INSIDE)
            third.address("lo", f"{THIRD['inner']}/32")
            begin = {"remote_addrs": pair.outers["left"][1]}
            right4, left4 = NETWORK["right"][0], NETWORK["left"][0]
            texts = {
                "left": connection("one", "left.example", "right.example", left4, right4, begin),
                "third": connection("two", "third.example", "right.example", THIRD["network"],
                                    right4, begin),
                "right": {**connection("one", "right.example", "left.example", right4, left4, {}),
                          **connection("two", "right.example", "third.example", right4,
                                       THIRD["network"], {})}}
            kinds = {"left": left_kind, "third": left_kind, "right": right_kind}
            hosts = {"left": pair.left, "third": third, "right": pair.right}
            pair.peers = {name: KINDS[kinds[name]](hosts[name], text_of(kinds[name], texts[name]))
                          for name in ("right", "left", "third")}
            pair.start()
            pair.peers["left"].up("one-net")
            pair.peers["third"].up("two-net")
            right_inner = INNER["right"][0]
            for _ in range(2):
                pair.left.ping(right_inner, INNER["left"][0])
                third.ping(right_inner, THIRD["inner"])
                pair.right.ping(INNER["left"][0], right_inner)
                pair.right.ping(THIRD["inner"], right_inner)
                for name, child in (("left", "one-net"), ("third", "two-net")):
                    peer = pair.peers[name]
                    before = peer.spis()
                    peer.rekey(child=child)
                    wait_for(lambda peer=peer, before=before:
                             peer.spis() and not peer.spis() & before, f"{name}'s re-key")
            assert len(pair.peers["right"].established()) == 2
            assert_protected(pair.capture.stop(), "wire", at_least=40)
    return f"{left_kind}-{right_kind}: two peers behind one translator", test


# --- the table -----------------------------------------------------------------------------------

NO = {"connection": {"mobike": "no"}}
ASKS = {"connection": {"dpd_delay": "1s"}}
LENT = "10.3.0.1"
LENDS = {"connection": {"pools": "four"}, "pools": {"four": {"addrs": "10.3.0.0/24"}},
         "remote_ts": "dynamic"}
TABLE = [
    ("initiator changes address", moves("left"), {}, {}, {}),
    ("responder changes address", moves("right", soft=True), {}, {}, {}),
    ("translator maps elsewhere", mapping_changes, ASKS, {}, {"nat": True}),
    ("mobike-virtual-ip", keeps_what_was_lent,
     {"connection": {"vips": "0.0.0.0"}, "local_ts": "dynamic"}, LENDS, {}),
]
OWN_TABLE = [
    ("initiator changes address, the new one first", moves("left", soft=True), {}, {}, {}),
    ("responder changes address, the old one first", moves("right"), {}, {}, {}),
    ("both change address under load", there_and_back_under_load, {}, {}, {}),
    ("bare ESP, initiator changes address", moves("left"), {"connection": {"encap": "no"}},
     {"connection": {"encap": "no"}}, {}),
    ("address gone without MOBIKE", made_anew, NO,
     {"connection": {"mobike": "no", "remote_addrs": "192.0.2.0/24"}}, {}),
    ("routes that went with an address", kernel_routes_come_back, {}, {}, {}),
]


def test_of(name, scenario, left, right, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right, **options) as pair:
            scenario(pair)
    return name, test


def rows():
    for left, right in PAIRINGS:
        table = TABLE + (OWN_TABLE if left.kind == right.kind else [])
        for what, scenario, left_more, right_more, options in table:
            yield test_of(f"{left.kind}-{right.kind}: {what}", scenario,
                          replace(left, **left_more), replace(right, **right_more), options)
        yield two_behind_one(left.kind, right.kind)


TESTS = list(rows())
