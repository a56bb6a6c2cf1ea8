# SPDX-License-Identifier: Apache-2.0
"""Peers that prove nothing, or only that they have a key that nobody vouches for."""

import base64
import hashlib
import re

import nets
from capture import assert_protected
from lab import wait_for
from nets import Pair, Side, other
from pki import key, public
from pubkey import root, with_cert
from scenarios import PAIRINGS, agree, both_down, both_up, ours


def nobody(left, right):
    """Two sides with these sections, Latchkey both."""
    own = {"ike-own": {"id": "right.example", "secret": f'"{nets.PSK}"'}}
    return tuple(Side(connection={"local": local, "remote": remote}, secrets=own)
                 for local, remote in (left, right))


PSK = {side: {"auth": "psk", "id": f"{side}.example"} for side in ("left", "right")}
NULL = {"auth": "null"}


def life(pair, of_left, of_right):
    """Up, traffic, what lists say, a re-keyed IKE SA, down."""
    both_up(pair)
    assert agree(pair)
    pair.ping_all(versions=(4,))
    before = pair.peers["left"].ike_spis()
    pair.peers["left"].rekey(ike="gw")
    wait_for(lambda: pair.peers["left"].ike_spis() and
             not before & pair.peers["left"].ike_spis(), "a new IKE SA")
    for side, method in (("left", of_right), ("right", of_left)):
        if side not in ours(pair):
            continue
        shown = pair.peers[side].cli("sas").stdout
        assert f"remote authentication: {method}\n" in shown, shown
        assert pair.peers[side].established()[0]["remote-auth"] == method
    pair.ping_all(versions=(4,))
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=8)


def refused(pair, text):
    assert not pair.peers["left"].up("net", check=False, timeout=30), "it came up"
    wait_for(lambda: any(text in peer.log() for peer in pair.peers.values()), f"'{text}'")
    assert not any(peer.children() for peer in pair.peers.values())
    for frame in pair.capture.stop():
        assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"


def named(left, right):
    """The responder has a connection that names the left network for somebody."""
    sides = nobody(left, right)
    sides[1].connections = {"office": {"remote_addrs": "192.0.2.99",
                                       "remote": {"auth": "psk", "id": "office.example"}}}
    return sides


ROWS = [
    ("both are nobody", nobody((NULL, NULL), (NULL, NULL)), life, ("none", "none")),
    ("the client is nobody", nobody((NULL, PSK["right"]), (PSK["right"], NULL)), life,
     ("none", "psk")),
    ("nobody is not let in by a secret", nobody((NULL, PSK["right"]), (PSK["right"], PSK["left"])),
     refused, ("does not authenticate itself",)),
    ("somebody is not taken for nobody", nobody((PSK["left"], PSK["right"]), (PSK["right"], NULL)),
     refused, ("no connection takes a peer",)),
    ("nobody gets no traffic that somebody has", named((NULL, PSK["right"]), (PSK["right"], NULL)),
     refused, ("which child net of connection office is for",)),
]


def any_key(left, right, remote=lambda side: {"auth": "btns"}, **daemon):
    """Ours believe whatever key is shown, and have a raw one; charon shows a certificate that nobody
    there can check, and knows our key."""
    sides = []
    for side, kind in (("left", left.kind), ("right", right.kind)):
        who = {"local": {"auth": "pubkey", "id": f"{side}.example"}}
        files = {f"private/{side}.pem": key("ed25519", side)}
        if kind == "charon":
            made = with_cert(side, kind, authority=root("ecdsa", "Stranger"))
            made.connection["remote"]["pubkeys"] = "peer.pem"
            made.connection["send_cert"] = "always"
            made.files["pubkey/peer.pem"] = public(key("ed25519", other(side)))
        else:
            files["pubkey/own.pem"] = public(key("ed25519", side))
            who["local"]["pubkeys"] = "own.pem"
            made = Side(connection={**who, "remote": remote(other(side))}, files=files,
                        daemon=daemon)
        sides.append(made)
    return tuple(sides)


def known(left, right):
    """The responder knows the initiator's key, under another name."""
    sides = any_key(left, right)
    sides[1].files["pubkey/known.pem"] = sides[0].files["pubkey/own.pem"]
    sides[1].connections = {"office": {"remote_addrs": "192.0.2.99", "remote": {
        "auth": "pubkey", "id": "office.example", "pubkeys": "known.pem"}}}
    return sides


KNOWN = "/run/latchkey/known_peers"


def first_key(left, right):
    """Ours remember the key of a peer by its name."""
    return any_key(left, right, known_peers=KNOWN, remote=lambda side: {
        "auth": "leapoffaith", "id": f"{side}.example"})


def remembered(pair):
    """The first key is written down, passes again, and another one is refused until the line goes."""
    us = "left" if pair.sides["left"].kind == "latchkey" else "right"
    host, peer = pair.host(us), pair.peers[us]
    for _ in range(2):
        both_up(pair)
        assert "remote authentication: leap-of-faith\n" in peer.cli("sas").stdout
        pair.ping_all(versions=(4,))
        pair.peers["left"].down(ike="gw")
        both_down(pair)
        lines = host.run("cat", KNOWN).stdout.splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"fqdn:{other(us)}.example SHA256:"), lines
    assert host.run("stat", "-c", "%a", KNOWN).stdout.strip() == "600"
    stranger = public(key("ecdsa384", "stranger"))
    der = "".join(line for line in stranger.decode().splitlines() if "-----" not in line)
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(der)).digest()).decode().rstrip("=")
    other_line = f"fqdn:{other(us)}.example SHA256:{digest} {der}\n"
    host.run("sh", "-c", f"cat > {KNOWN}", text=other_line)
    assert not pair.peers["left"].up("net", check=False, timeout=30), "another key passed"
    wait_for(lambda: f"delete line 1 of {KNOWN}" in peer.log(), "the line to be named")
    host.run("rm", KNOWN)
    both_up(pair)


for one, two in PAIRINGS:
    ROWS.append((f"the first key, {one.kind}-{two.kind}", first_key(one, two), remembered, ()))
    ROWS.append((f"any key, {one.kind}-{two.kind}", any_key(one, two), life, ("btns", "btns")))
ROWS.append(("a key that is known is not just anybody's", known(*PAIRINGS[0]), refused,
             ("its key is known here",)))


def tests():
    for name, sides, scenario, arguments in ROWS:
        def test(sides=sides, scenario=scenario, arguments=arguments, name=name):
            with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *sides) as pair:
                scenario(pair, *arguments)
        yield f"anybody: {name}", test


TESTS = list(tests())
