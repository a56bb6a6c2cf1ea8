# SPDX-License-Identifier: Apache-2.0
"""What strongSwan tests its own gateways with, played between Latchkey and charon in both roles.

README.md says which of its tests are played under which name, and why others are not.
"""

import base64
import functools
import hashlib
import re

from capture import assert_protected
from eap import by_password
from lab import wait_for
from nets import INNER, NETWORK, Pair, Side, Stream
from pki import Authority, key, public
from pubkey import below, cert, raw_keys, up_and_down, verifier, with_cert
from scenarios import (PAIRINGS, both_down, both_up, named, narrowed, ours, proven_again, virtual,
                       whole_life)

ICMP = 1
SECOND_ADDRESS = "192.0.2.11"


# --- tunnels -------------------------------------------------------------------------------------

def inner_version6(pair):
    both_up(pair)
    pair.ping_all(versions=(6,))
    assert_protected(pair.capture.stop(), "wire", at_least=12)


def narrowed_trap(pair):
    """A trap for more than the peer grants: the grant passes, the rest never leaves."""
    pair.left.run("ip", "route", "add", "default", "via", pair.outers["left"][1])
    pair.right.address("lo", "10.2.9.1/32")
    pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=20)
    assert not pair.left.ping("10.2.9.1", INNER["left"][0], count=2, wait=2, check=False)
    pair.left.ping(INNER["right"][0], INNER["left"][0])
    for child in pair.peers["left"].children():
        assert child["remote-ts"] == ["10.2.0.0/24"], child
    narrowed(pair)


def both_translated(pair):
    """double-nat: neither side sees the other's own address."""
    both_up(pair)
    pair.ping_all()
    frames = pair.capture.stop()
    assert_protected(frames, "wire", at_least=24)
    assert {f.source for f in frames if f.kind == "esp"} == {"203.0.113.1", "172.17.0.2"}


def one_port_range(pair):
    """protoport-range: ports of the range pass through the tunnel, others are not part of it."""
    for side in ("left", "right"):
        pair.host(side).run("ip", "route", "add", "default", "via", pair.outers[side][1])
    both_up(pair)
    for peer in pair.peers.values():
        shown = str(peer.children())
        assert "10.2.0.0/24[udp/9000-9010]" in shown, shown
    inside = Stream(pair, "left", rate=100, port=9005).start()
    outside = Stream(pair, "left", rate=100, port=9500).start()
    wait_for(lambda: sum(int(child["packets-in"]) for child in pair.peers["right"].children()) > 50,
             "packets through the tunnel")
    inside, outside = (stream.stop() for stream in (inside, outside))
    frames = pair.capture.stop()
    carried = sum(1 for f in frames if f.kind == "esp")
    assert inside["received"] == inside["sent"] == carried, f"{carried} ESP packets, {inside}"
    clear = sum(1 for f in frames if f.kind == "clear")
    # The route is ours in the one case; in the other charon's, which takes all and drops the rest.
    wanted = outside["sent"] if pair.sides["left"].kind == "latchkey" else 0
    assert clear == wanted, f"{clear} packets in the clear, {outside}"


# --- a peer that falls silent --------------------------------------------------------------------

def dead(back):
    """dpd-clear, dpd-restart: the peer dies; its SA goes, and comes back if it is to."""
    def scenario(pair):
        watcher = verifier(*pair.sides.values())
        lost = pair.peers["left" if watcher == "right" else "right"]
        peer = pair.peers[watcher]
        both_up(pair)
        pair.ping_all(versions=(4,))
        before = peer.ike_spis()
        lost.kill()
        wait_for(lambda: not before & peer.ike_spis(), "the dead peer to be given up")
        if not back:
            wait_for(lambda: not peer.sas(), "all to be gone")
            return
        lost.start()
        wait_for(lambda: peer.children() and lost.children(), "the tunnel again", seconds=60)
        wait_for(lambda: pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=1,
                                        check=False), "traffic again")
        frames = [f for f in pair.capture.stop()  # without what a dead host says of its port
                  if f.protocol != ICMP or f.source != pair.outers[watcher][1]]
        assert_protected(frames, "wire", at_least=6)
    return scenario


def watched(action):
    """The side that is ours asks the other one whether it lives, and gives up within seconds."""
    def make(left, right):
        sides = {"left": Side(left.kind), "right": Side(right.kind)}
        side = sides[verifier(left, right)]
        side.connection = {"dpd_delay": "1s", "keyingtries": "0"}
        side.child = {"dpd_action": action}
        side.daemon = {"retransmit_timeout": "1s", "retransmit_tries": 2}
        return sides["left"], sides["right"]
    return make


# --- a peer that proves itself again -------------------------------------------------------------

def again_after(left_time, right_time):
    """What the sides say of it; charon is told to make before it breaks."""
    def make(left, right):
        def side(kind, seconds):
            times = {"reauth_time": seconds, "over_time": "10s", "rand_time": "0s"} if seconds else {}
            return Side(kind, connection=times, charon={"make_before_break": "yes"})
        return side(left.kind, left_time), side(right.kind, right_time)
    return make


# --- a peer that comes twice ---------------------------------------------------------------------

def comes_twice(held):
    """unique: the same peer by another connection; held: which of its IKE SAs stand then."""
    def scenario(pair):
        left, right = pair.peers["left"], pair.peers["right"]
        pair.left.address("wire", SECOND_ADDRESS + "/24")
        left.up("net")
        first = right.ike_spis()
        second_up = left.up("again", check=False)
        wait_for(lambda: len(right.sas()) == (2 if held == "both" else 1), "one to be left")
        now = right.ike_spis()
        assert second_up == (held != "first"), "the second came up" if second_up else "it did not"
        assert (first <= now) == (held != "second"), (first, now)
        pair.left.ping(INNER["right"][0], INNER["left"][0])
        assert_protected(pair.capture.stop(), "wire", at_least=6)
    return scenario


def twice(unique):
    def make(left, right):
        child = {"local_ts": NETWORK["left"][0], "remote_ts": NETWORK["right"][0],
                 "esp_proposals": Side.esp_proposals}
        # From where it was already, it might be the same SA made anew, which none of these refuses.
        second = {"local_addrs": SECOND_ADDRESS, "children": {"again": child}}
        return (Side(left.kind, connections={"second": second}),
                Side(right.kind, connection={"unique": unique, "remote_addrs": "192.0.2.0/24"}))
    return make


# --- certificates --------------------------------------------------------------------------------

def certificates(what="ecdsa", left_more=None, right_more=None, **connection):
    def make(left, right):
        sides = [with_cert(side, one.kind, what, **connection)
                 for side, one in (("left", left), ("right", right))]
        for side, more in zip(sides, (left_more, right_more)):
            for name, value in (more or {}).items():
                setattr(side, name, value)
        return tuple(sides)
    return make


def hosts(left, right):
    """host2host-cert: the tunnel is for the outer addresses themselves."""
    sides = certificates()(left, right)
    for side in sides:
        side.local_ts = side.remote_ts = "dynamic"
        if side.kind == "charon":  # as strongSwan's own test has it, or its packets go in circles
            side.charon = {"plugins { kernel-netlink { fwmark": "!0x42 } }",
                           "plugins { socket-default { fwmark": "0x42 } }",
                           "plugins { kernel-libipsec { allow_peer_ts": "yes } }"}
    return sides


def host_to_host(pair):
    both_up(pair)
    for side in ("left", "right"):
        pair.host(side).ping(pair.outers[side][1], pair.outers[side][0])
    assert_protected(pair.capture.stop(), "wire", at_least=12)


def key_id(private):
    """What charon calls a key that has no other name: SHA-1 of its SubjectPublicKeyInfo."""
    lines = public(private).decode().splitlines()
    return hashlib.sha1(base64.b64decode("".join(lines[1:-1]))).hexdigest()


def anonymous(left, right):
    """rw-pubkey-anon: the responder knows keys, one of which is the peer's, and no name."""
    one, two = raw_keys("ecdsa")(left, right)
    one.connection["local"]["id"] = f'"@#{key_id(key("ecdsa", "left"))}"'
    two.connection["remote"].update({"id": "%any", "pubkeys": "other.pem, peer.pem"})
    two.files["pubkey/other.pem"] = public(key("ecdsa", "somebody else"))
    return one, two


@functools.lru_cache(maxsize=None)
def department(name):
    return below(name=name)


def subject(side, unit):
    return f"C=CH, O=Latchkey, OU={unit}, CN={side}.example"


@functools.lru_cache(maxsize=None)
def member_cert(side, unit, authority):
    return department(authority).issue(subject(side, unit), f"{side}.example", key("ecdsa", side))


def member(unit, authority):
    """The initiator is of one department; the responder has a connection for each, by the pattern
    of the name and the authority."""
    def make(left, right):
        us = {"auth": "pubkey", "id": "right.example"}
        one = with_cert("left", left.kind, remote={"id": "right.example"})
        one.files.update({"x509/own.pem": member_cert("left", unit, authority),
                          f"x509ca/{authority}.pem": department(authority).cert})
        one.connection["local"] = {"auth": "pubkey", "id": f'"{subject("left", unit)}"'}
        two = with_cert("right", right.kind)
        net = {"local_ts": NETWORK["right"][0], "remote_ts": NETWORK["left"][0],
               "esp_proposals": Side.esp_proposals}
        two.connections = {}
        for name in ("Research", "Sales"):
            two.files[f"x509ca/{name}.pem"] = department(name).cert
            two.connections[name.lower()] = {
                "local": us, "children": {name.lower(): net},
                "remote": {"auth": "pubkey", "id": f'"C=CH, O=Latchkey, OU={name}, CN=*"',
                           "cacerts": f"{name}.pem"}}
        two.connection["remote"]["id"] = "nobody.example"
        return one, two
    return make


def reaches(name):
    def scenario(pair):
        both_up(pair)
        assert [child["name"] for child in pair.peers["right"].children()] == [name]
        pair.ping_all(versions=(4,))
        pair.peers["left"].down(ike="gw")
        both_down(pair)
        assert_protected(pair.capture.stop(), "wire", at_least=12)
    return scenario


def kept_out(pair):
    """Refused, whoever it is that refuses, and no packet passes."""
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    # A responder that believes is told by a further message that it is not believed.
    wait_for(lambda: not any(peer.children() for peer in pair.peers.values()), "no Child SA")
    for side in ours(pair):
        assert re.search("is not believed|authentication_failed", pair.peers[side].log(),
                         re.IGNORECASE), f"{side}'s log does not say why"
    for frame in pair.capture.stop():
        assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"


@functools.lru_cache(maxsize=None)
def circle():
    """Two authorities that certify each other, and none that certifies itself."""
    one, two = Authority("Loop one"), Authority("Loop two")
    return one, [one.issue("C=CH, O=Latchkey, CN=Loop two", None, two.key, "--ca"),
                 two.issue("C=CH, O=Latchkey, CN=Loop one", None, one.key, "--ca")]


def in_circles(left, right):
    """The side that is not looked at shows a certificate whose chain has no end."""
    us = verifier(left, right)
    sides = {side: with_cert(side, one.kind) for side, one in (("left", left), ("right", right))}
    peer, authority = "left" if us == "right" else "right", circle()[0]
    sides[peer].files["x509/own.pem"] = cert(authority, peer)
    for number, one in enumerate(circle()[1]):
        sides[peer].files[f"x509ca/loop{number}.pem"] = one
    return sides["left"], sides["right"]


# --- the table -----------------------------------------------------------------------------------

NULL = {"esp_proposals": "null-sha256"}
RANGE = {"left": {"local_ts": "10.1.0.0/24[udp]", "remote_ts": "10.2.0.0/24[udp/9000-9010]"},
         "right": {"local_ts": "10.2.0.0/24[udp/9000-9010]", "remote_ts": "10.1.0.0/24[udp]"}}
IPV6 = {"left": {"local_ts": NETWORK["left"][1], "remote_ts": NETWORK["right"][1]},
        "right": {"local_ts": NETWORK["right"][1], "remote_ts": NETWORK["left"][1]}}
ROAD_POOL = {"pools": {"four": {"addrs": "10.3.0.0/24", "dns": "10.2.0.53"}},
             "remote_ts": "dynamic"}
SHA384 = {"auth": "ecdsa-sha384"}


def plain(left_more=None, right_more=None):
    return lambda left, right: (Side(left.kind, **(left_more or {})),
                                Side(right.kind, **(right_more or {})))


def weak(left, right):
    """Ours wants SHA-384, and the other one's key makes SHA-256 of it."""
    us = verifier(left, right)
    return tuple(with_cert(side, one.kind, remote=SHA384 if side == us else None)
                 for side, one in (("left", left), ("right", right)))


def lent_with_certificates(left, right):
    one, two = certificates(left_more={"local_ts": "dynamic"}, right_more=ROAD_POOL)(left, right)
    one.connection["vips"], two.connection["pools"] = "0.0.0.0", "four"
    return one, two


# --- post-quantum pre-shared keys ----------------------------------------------------------------

PPK = "0s6cqO0lN2Cw0xPJmkc2u0L2K3RZz3QyVbRw8b2Q0yL2U="
ANOTHER_PPK = "0s7cqO0lN2Cw0xPJmkc2u0L2K3RZz3QyVbRw8b2Q0yL2U="


def known(ppk=PPK, name="left-ppk"):
    return {"ppk-left": {"id": name, "secret": ppk}}


def quantum(make, ppk=PPK, name="left-ppk", demands=None):
    """The left side names a PPK, and the right one has `ppk` by the name `name`; `demands`: the side
    that demands one."""
    def sides(left, right):
        one, two = make(left, right)
        one.secrets = {**one.secrets, **known()}
        two.secrets = {**two.secrets, **known(ppk, name)}
        one.connection["ppk_id"] = "left-ppk"
        for side, this in (("left", one), ("right", two)):
            if side == demands:
                this.connection["ppk_required"] = "yes"
        return one, two
    return sides


def says_ppk(pair, side):
    peer = pair.peers[side]
    shown = peer.cli("sas").stdout if pair.sides[side].kind == "latchkey" else \
        peer.swanctl("--list-sas").stdout
    return "/PPK" in shown


def mixed(used):
    """Up, and both say whether a PPK is in the keys, which are good for traffic; re-keyed, too."""
    def scenario(pair):
        both_up(pair)
        for side in ("left", "right"):
            assert says_ppk(pair, side) == used, (side, used)
        pair.ping_all(versions=(4,))
        before = pair.peers["left"].ike_spis()
        pair.peers["left"].rekey(ike="gw")
        wait_for(lambda: pair.peers["left"].ike_spis() and
                 not before & pair.peers["left"].ike_spis(), "a new IKE SA")
        pair.peers["left"].rekey(child="net")
        pair.ping_all(versions=(4,))
        pair.peers["left"].down(ike="gw")
        both_down(pair)
        assert_protected(pair.capture.stop(), "wire", at_least=4)
        for side in ours(pair):
            assert PPK[2:12] not in pair.peers[side].log(), f"{side} logs the PPK"
    return scenario


def without_ppk(pair):
    """Refused, and ours says why: as responder itself, as initiator what to compare."""
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    wait_for(lambda: not any(peer.children() for peer in pair.peers.values()), "no Child SA")
    for side in ours(pair):
        assert re.search("and PPK of connection gw" if side == "left" else
                         "PPK (of the name )?left-ppk", pair.peers[side].log()), \
            f"{side}'s log does not say why"


PPK_ROWS = [(f"rw-{what}-ppk{more}", scenario, quantum(make, **keys), {})
            for what, make in (("psk", plain()), ("cert", certificates()), ("eap", by_password))
            for more, scenario, keys in (
                ("", mixed(True), {"demands": "left"}),
                (", demanded by the responder", mixed(True), {"demands": "right"}),
                (", as both like", mixed(True), {}),
                (", unknown", mixed(False), {"name": "another"}),
                (", unknown and demanded", without_ppk, {"name": "another", "demands": "right"}),
                (", another one", without_ppk, {"ppk": ANOTHER_PPK}))]

ROWS = [
    ("net2net-null", whole_life, plain(NULL, NULL), {}),
    ("net2net-cert-ipv6", inner_version6,
     certificates(left_more=IPV6["left"], right_more=IPV6["right"]), {}),
    ("host2host-cert", host_to_host, hosts, {}),
    ("double-nat", both_translated, plain(), {"nat": "double"}),
    ("protoport-range", one_port_range, plain(RANGE["left"], RANGE["right"]), {}),
    ("dpd-clear", dead(False), watched("clear"), {}),
    ("dpd-restart", dead(True), watched("restart"), {}),
    ("unique, never", comes_twice("both"), twice("never"), {}),
    ("unique, replace", comes_twice("second"), twice("replace"), {}),
    ("unique, keep", comes_twice("first"), twice("keep"), {}),
    ("rw-sig-auth", up_and_down, certificates("ecdsa384", local=SHA384, remote=SHA384), {}),
    ("rw-sig-auth, too weak", kept_out, weak, {}),
    ("rw-pubkey-anon", up_and_down, anonymous, {}),
    ("wildcards, research", reaches("research"), member("Research", "Research"), {}),
    ("wildcards, sales", reaches("sales"), member("Sales", "Sales"), {}),
    ("multi-ca, the other authority", kept_out, member("Sales", "Research"), {}),
    ("multi-ca, loop", kept_out, in_circles, {}),
]
ROWS += [
    ("reauth-mbb", proven_again, again_after("6s", None), {}),
    ("reauth-mbb, as the responder says", proven_again, again_after(None, "14s"), {}),
]
# charon's ESP in user space tells nobody about a packet without SA, and we lend no addresses.
INITIATOR_ROWS = [
    ("net2net-route-narrow", narrowed_trap,
     plain({"remote_ts": "10.2.0.0/16", "start_action": "trap"}, {"local_ts": "10.2.0.0/24"}), {}),
]
POOL_ROWS = [
    ("rw-cert with config-payload", virtual("10.3.0.1"), lent_with_certificates, {}),
]


def test_of(name, scenario, make, left, right, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *make(left, right),
                  **options) as pair:
            scenario(pair)
    return name, test


def rows():
    for left, right in PAIRINGS:
        table = ROWS + PPK_ROWS
        table += INITIATOR_ROWS if left.kind == "latchkey" else []
        table += POOL_ROWS if (left.kind, right.kind) == ("latchkey", "charon") else []
        for what, scenario, make, options in table:
            yield test_of(named(left, right, f"replay {what}"), scenario, make, left, right,
                          options)


TESTS = list(rows())
