# SPDX-License-Identifier: Apache-2.0
"""Public-key authentication: certificates of every kind, raw keys, chains, and what is refused."""

import functools
import re
from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import Pair, Side, other
from pki import Authority, key, public
from scenarios import CHARON, LATCHKEY, PAIRINGS, agree, both_down, both_up, named, ours, refused

# Dates in the spelling of pki.
LONG_AGO = ("01.01.20 00:00:00", "01.01.21 00:00:00")
IN_FUTURE = ("01.01.49 00:00:00", "01.01.50 00:00:00")


@functools.lru_cache(maxsize=None)
def root(kind="ecdsa", name="Root"):
    return Authority(f"{name} {kind}", kind)


def subject(side):
    return f"C=CH, O=Latchkey, CN={side}.example"


@functools.lru_cache(maxsize=None)
def cert(authority, side, kind="ecdsa", **more):
    return authority.issue(subject(side), f"{side}.example", key(kind, side), **more)


def side_of(side, kind, files, local=None, remote=None, **more):
    """One side that signs: its files, and further keys of its local and remote sections."""
    connection = {"local": {"auth": "pubkey", "id": f"{side}.example", **(local or {})},
                  "remote": {"auth": "pubkey", "id": f"{other(side)}.example", **(remote or {})},
                  **more}
    return Side(kind=kind, connection=connection, files=files)


def with_cert(side, kind, what="ecdsa", authority=None, trusted=None, **more):
    """A side with a certificate of this kind of key, and its authority's or others' as anchors."""
    authority = authority or root(what)
    files = {"x509/own.pem": cert(authority, side, what),
             f"private/{side}.pem": key(what, side)}
    for number, anchor in enumerate(trusted or [authority]):
        files[f"x509ca/{number}.pem"] = anchor.cert
    return side_of(side, kind, files, **more)


# --- scenarios -----------------------------------------------------------------------------------

def up_and_down(pair):
    """Up, traffic, an IKE SA re-keyed, down."""
    both_up(pair)
    assert agree(pair)
    pair.ping_all(versions=(4,))
    before = pair.peers["left"].ike_spis()
    pair.peers["left"].rekey(ike="gw")
    wait_for(lambda: pair.peers["left"].ike_spis() and
             not before & pair.peers["left"].ike_spis(), "a new IKE SA")
    pair.ping_all(versions=(4,))
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=4)


def said_by_us(reason):
    """Refused, and the side that is ours and verifies says why."""
    def scenario(pair):
        assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
        peer = pair.peers["right" if pair.sides["right"].kind == "latchkey" else "left"]
        wait_for(lambda: re.search(reason, peer.log()), f"the log to say {reason}")
        assert re.search(reason, peer.cli("show").stdout), peer.cli("show").stdout
        assert not peer.children(), "a Child SA stands"
        for frame in pair.capture.stop():
            assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"
    return scenario


# --- the table -----------------------------------------------------------------------------------

def both(what, **more):
    """The same kind of certificate on both sides."""
    return lambda left, right: (with_cert("left", left.kind, what, **more),
                                with_cert("right", right.kind, what, **more))


def raw_keys(what):
    def make(left, right):
        sides = {}
        for side, kind in (("left", left.kind), ("right", right.kind)):
            files = {f"private/{side}.pem": key(what, side),
                     "pubkey/own.pem": public(key(what, side)),
                     "pubkey/peer.pem": public(key(what, other(side)))}
            sides[side] = side_of(side, kind, files, {"pubkeys": "own.pem"},
                                  {"pubkeys": "peer.pem"})
        return sides["left"], sides["right"]
    return make


def mixed(left, right):
    """One side has an ECDSA key, the other an RSA one, of two authorities."""
    trusted = [root("ecdsa"), root("rsa")]
    return (with_cert("left", left.kind, "ecdsa", trusted=trusted),
            with_cert("right", right.kind, "rsa", trusted=trusted))


PSS = {"auth": "rsa/pss-sha256"}


def pss(left, right):
    """Both make RSASSA-PSS signatures; ours take no other. charon's own rule would hold for the
    signatures in certificates too."""
    sides = [with_cert(side, one.kind, "rsa", local=PSS,
                       remote=PSS if one.kind == "latchkey" else None)
             for side, one in (("left", left), ("right", right))]
    return tuple(sides)


ROWS = [
    ("certificates, ECDSA P-256", up_and_down, both("ecdsa")),
    ("certificates, ECDSA P-384", up_and_down, both("ecdsa384")),
    ("certificates, Ed25519", up_and_down, both("ed25519")),
    ("certificates, RSA", up_and_down, both("rsa")),
    ("certificates, RSASSA-PSS", up_and_down, pss),
    ("certificates of two authorities, ECDSA and RSA", up_and_down, mixed),
    ("raw public keys, Ed25519", up_and_down, raw_keys("ed25519")),
    ("raw public keys, ECDSA", up_and_down, raw_keys("ecdsa")),
]


def rows():
    for left, right in PAIRINGS:
        for what, scenario, make in ROWS:
            yield test_of(named(left, right, what), scenario, make, left, right)


def test_of(name, scenario, make, left, right):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *make(left, right)) as pair:
            scenario(pair)
    return name, test


TESTS = list(rows())
