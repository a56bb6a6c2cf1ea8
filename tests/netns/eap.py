# SPDX-License-Identifier: Apache-2.0
"""EAP in IKE_AUTH: the left side proves itself by it, the right one by a certificate."""

import re
from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import Pair
from pubkey import cert, root, with_cert
from scenarios import PAIRINGS, agree, both_down, both_up, named, proven_again

CAROL = "carol@example.org"
PASSWORD = "Ar3etTnp01qlpOgb"


def password(secret=PASSWORD):
    return {"eap-carol": {"id": CAROL, "secret": f'"{secret}"'}}


def by_password(left, right, secret=PASSWORD, local=None, remote=None):
    """As strongSwan's rw-eap-mschapv2-id-rsa; further keys of the left side's local section and of
    the right side's remote one."""
    client = with_cert("left", left.kind)
    client = replace(client, files={"x509ca/0.pem": root("ecdsa").cert}, secrets=password(secret))
    client.connection["local"] = {"auth": "eap-mschapv2", "id": CAROL, **(local or {})}
    server = with_cert("right", right.kind)
    server = replace(server, secrets=password())
    server.connection["remote"] = {"auth": "eap-mschapv2", **(remote or {})}
    return client, server


def with_identity(left, right):
    return by_password(left, right, local={"id": "left.example", "eap_id": CAROL},
                       remote={"eap_id": "%any"})


def by_tls(left, right, alone=False, what="ecdsa"):
    """Certificates on both sides, the left one's in EAP; `alone`: the right one's, too (RFC 5998). It is
    TLS 1.3 between ourselves and 1.2 with charon, whose 1.3 is older than RFC 9190: its server does not
    say that it is done, and its client ends by SIGSEGV."""
    tls = {"auth": "eap-tls"}
    sides = []
    for name, one in (("left", left), ("right", right)):
        side = with_cert(name, one.kind, what, local=tls if alone or name == "left" else None,
                         remote=tls if alone or name == "right" else None)
        sides.append(side)
    return tuple(sides)


def by_long_tls(left, right):
    """So much that TLS's flights come in several packets of EAP."""
    return by_tls(left, right, what="rsa")


def by_tls_alone(left, right):
    return by_tls(left, right, alone=True)


def strange_certificate(left, right):
    """The left side's certificate is of an authority that the right one does not know."""
    client, server = by_tls(left, right)
    strange = root("ecdsa", "Stranger")
    files = {**client.files, "x509/own.pem": cert(strange, "left"), "x509ca/strange.pem": strange.cert}
    return replace(client, files=files), server


def again_as_told(left, right):
    """The server alone says when, for it cannot begin."""
    client, server = by_password(left, right)
    server.connection.update(reauth_time="14s", over_time="10s", rand_time="0s")
    return replace(client, charon={"make_before_break": "yes"}), server


def wrong_password(left, right):
    return by_password(left, right, secret="Ar3etTnp01qlpOgc", remote={"eap_id": "%any"})


def whole(pair, name=CAROL):
    """Up, traffic, who the right side says that the left one is, an IKE SA re-keyed, down."""
    both_up(pair)
    assert agree(pair)
    pair.ping_all(versions=(4,))
    right = pair.peers["right"]
    if pair.sides["right"].kind == "latchkey":
        shown = right.cli("show").stdout
        assert name in shown, shown
        assert re.search(r"remote authentication: eap\b", right.cli("sas").stdout), \
            right.cli("sas").stdout
    else:
        assert name in right.swanctl("--list-sas").stdout
    before = pair.peers["left"].ike_spis()
    pair.peers["left"].rekey(ike="gw")
    wait_for(lambda: pair.peers["left"].ike_spis() and
             not before & pair.peers["left"].ike_spis(), "a new IKE SA")
    pair.ping_all(versions=(4,))
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=4)
    for side, peer in pair.peers.items():
        assert PASSWORD not in peer.log(), f"{side} logs the password"


def whole_by_tls(pair):
    whole(pair, "left.example")


def whole_alone(pair):
    """The same, and the left side knows the right one by EAP."""
    if pair.sides["left"].kind == "latchkey":
        both_up(pair)
        shown = pair.peers["left"].cli("sas").stdout
        assert re.search(r"remote authentication: eap\b", shown), shown
    whole_by_tls(pair)


def not_known(pair):
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    if pair.sides["right"].kind == "latchkey":
        wait_for(lambda: "authority that is not known here" in pair.peers["right"].log(),
                 "the right side's log to say why")
    assert not any(peer.children() for peer in pair.peers.values()), "a Child SA stands"


def refused(pair):
    """Whichever side is ours says that the password is wrong, and nothing is sent."""
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    for side, words in (("left", r"E=691"), ("right", r"its password is wrong")):
        if pair.sides[side].kind == "latchkey":
            peer = pair.peers[side]
            wait_for(lambda peer=peer, words=words: re.search(words, peer.log()),
                     f"{side}'s log to say {words}")
    assert not any(peer.children() for peer in pair.peers.values()), "a Child SA stands"
    for frame in pair.capture.stop():
        assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"


ROWS = [
    ("EAP-MSCHAPv2, by the name in IKE", whole, by_password),
    ("replay rw-eap-mschapv2-id-rsa", whole, with_identity),
    ("EAP-MSCHAPv2, a wrong password", refused, wrong_password),
    ("EAP-MSCHAPv2, again when the server says so", proven_again, again_as_told),
    ("EAP-TLS", whole_by_tls, by_tls),
    ("EAP-TLS, RSA, in fragments", whole_by_tls, by_long_tls),
    ("replay rw-eap-tls-only", whole_alone, by_tls_alone),
    ("EAP-TLS, an authority that is not known", not_known, strange_certificate),
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
