# SPDX-License-Identifier: Apache-2.0
"""Public-key authentication: certificates of every kind, raw keys, chains, and what is refused."""

import functools
import re
from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import Pair, Side, other, section
from pki import Authority, key, public
from scenarios import CHARON, LATCHKEY, PAIRINGS, agree, both_down, both_up, named, ours, refused

# Dates in the spelling of pki.
LONG_AGO = ("01.01.20 00:00:00", "01.01.21 00:00:00")
IN_FUTURE = ("01.01.49 00:00:00", "01.01.50 00:00:00")


@functools.lru_cache(maxsize=None)
def root(kind, name="Root"):
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


def verifier(_, right):
    """The side whose refusal is looked at: ours; the responder if both are."""
    return "right" if right.kind == "latchkey" else "left"


def other_differs(**difference):
    """The peer of the side that is ours has another certificate, or ours knows more."""
    def make(left, right):
        kinds = {"left": left.kind, "right": right.kind}
        us = verifier(left, right)
        sides = {us: with_cert(us, kinds[us], **difference.get("us", {}))}
        sides[other(us)] = with_cert(other(us), kinds[other(us)], **difference.get("peer", {}))
        for name, data in difference.get("peer_files", lambda side: {})(other(us)).items():
            sides[other(us)].files[name] = data
        for name, data in difference.get("our_files", lambda side: {})(other(us)).items():
            sides[us].files[name] = data
        return sides["left"], sides["right"]
    return make


def peer_cert(**more):
    """Another certificate for the peer, by the same authority."""
    return lambda side: {"x509/own.pem": cert(root("ecdsa"), side, **more)}


def wrong_name(side):
    return {"x509/own.pem": root("ecdsa").issue("C=CH, O=Latchkey, CN=mallory", "mallory.example",
                                         key("ecdsa", side))}


def revoked(side):
    return {"x509crl/list.pem": root("ecdsa").revoke(cert(root("ecdsa"), side, "ecdsa"))}


def not_revoked(side):
    return {"x509crl/list.pem": root("ecdsa").revoke(cert(root("ecdsa"), other(side), "ecdsa"))}


@functools.lru_cache(maxsize=None)
def below(above=None, name="Below", **more):
    return Authority(name, "ecdsa", above or root("ecdsa"), **more)


def chained(left, right):
    """Both have an authority between their certificate and the root, which they send along."""
    sides = []
    for side, one in (("left", left), ("right", right)):
        between = below(name=f"Below {side}")
        made = with_cert(side, one.kind, authority=between, trusted=[root("ecdsa"), between])
        sides.append(made)
    return tuple(sides)


def path_length(side):
    """The peer shows a chain with more authorities than the uppermost one allows."""
    narrow = below(name="Narrow", pathlen=0)
    deeper = below(narrow, name="Deeper")
    return {"x509/own.pem": cert(deeper, side), "x509ca/narrow.pem": narrow.cert,
            "x509ca/deeper.pem": deeper.cert}


def issued(*flags):
    """The peer's certificate, by the same authority, with more flags of pki."""
    return lambda side: {"x509/own.pem": root("ecdsa").issue(
        subject(side), f"{side}.example", key("ecdsa", side), *flags)}


def constrained(side):
    """The authority between excludes the peer's name (RFC 5280 4.2.1.10)."""
    narrow = below(name="Constrained", flags=("--nc-excluded", f"{side}.example"))
    return {"x509/own.pem": cert(narrow, side), "x509ca/narrow.pem": narrow.cert}


def circle(side):
    """Two authorities that vouch for each other, and nobody else for them."""
    one = Authority("Circle one", "ecdsa")
    two = Authority("Circle two", "ecdsa", one)
    with_one = two.issue("C=CH, O=Latchkey, CN=Circle one", None, one.key, "--ca")
    return {"x509/own.pem": cert(one, side), "x509ca/one.pem": with_one, "x509ca/two.pem": two.cert}


def short_rsa(side):
    """1024 bits, as charon lets."""
    own = key("rsa1024", side)
    return {f"private/{side}.pem": own, "x509/own.pem": root("ecdsa").issue(
        subject(side), f"{side}.example", own)}


STRICT = {"remote": {"revocation": "strict"}}
REFUSALS = [
    ("certificate expired", "has expired", {"peer_files": peer_cert(dates=LONG_AGO)}),
    ("certificate not valid yet", "is not valid yet", {"peer_files": peer_cert(dates=IN_FUTURE)}),
    ("certificate revoked", "was revoked", {"our_files": revoked}),
    ("no revocation list, and one is wanted", "no revocation list", {"us": STRICT}),
    ("path length", "path length allows", {"peer_files": path_length}),
    ("certificate for other uses", "is for other uses than IKE",
     {"peer_files": issued("--flag", "ocspSigning")}),
    ("name constraint", "name constraint above it excludes", {"peer_files": constrained}),
    ("authorities in a circle", "authority that is not known here", {"peer_files": circle}),
    ("certificate signed with SHA-1", "signed with a hash that is too weak",
     {"peer_files": issued("--digest", "sha1")}),
]
# What a Latchkey would not use itself.
REFUSALS_OF_CHARON = [
    ("RSA key of 1024 bits", "its RSA key has 1024 bits", {"peer_files": short_rsa}),
]


def stranger(left, right):
    """The peer's certificate is of an authority that we do not know, and it knows ours."""
    kinds = {"left": left.kind, "right": right.kind}
    us = verifier(left, right)
    strange = root("ecdsa", "Stranger")
    sides = {us: with_cert(us, kinds[us])}
    sides[other(us)] = with_cert(other(us), kinds[other(us)], authority=strange,
                                 trusted=[strange, root("ecdsa")])
    return sides["left"], sides["right"]


def renamed(left, right):
    """The peer shows a certificate that does not hold the identity it claims."""
    kinds = {"left": left.kind, "right": right.kind}
    us = verifier(left, right)
    sides = {side: with_cert(side, kinds[side]) for side in ("left", "right")}
    # A pattern, for an initiator tells whom it wants otherwise, and in quotes for its commas.
    sides[us].connection["remote"]["id"] = "C=CH, O=Elsewhere, CN=*"
    peer = sides[other(us)]
    peer.files.update(wrong_name(other(us)))
    peer.connection["local"] = {"auth": "pubkey", "certs": "own.pem",
                                "id": "C=CH, O=Latchkey, CN=mallory"}
    return sides["left"], sides["right"]


def two_connections(left, right):
    """The responder has another connection for the same peer first, under another authority."""
    strange = root("ecdsa", "Stranger")
    sides = (with_cert("left", left.kind), with_cert("right", right.kind))
    remote = sides[1].connection["remote"]
    sides[1].files["x509ca/strange.pem"] = strange.cert
    sides[1].connection["remote"] = {**remote, "cacerts": "0.pem"}
    sides[1].connections = {"stranger": {"remote": {**remote, "cacerts": "strange.pem"}}}
    return sides


def second_connection(pair):
    """The responder goes over to the connection that believes the peer."""
    both_up(pair)
    listed = pair.peers["right"].swanctl("--list-sas").stdout
    assert listed.startswith("gw:") and "stranger" not in listed, listed
    pair.ping_all(versions=(4,))
    assert_protected(pair.capture.stop(), "wire", at_least=2)


ROWS = [
    ("two connections for one identity", second_connection, two_connections),
    ("certificates, ECDSA P-256", up_and_down, both("ecdsa")),
    ("certificates, ECDSA P-384", up_and_down, both("ecdsa384")),
    ("certificates, Ed25519", up_and_down, both("ed25519")),
    ("certificates, RSA", up_and_down, both("rsa")),
    ("certificates, RSASSA-PSS", up_and_down, pss),
    ("certificates of two authorities, ECDSA and RSA", up_and_down, mixed),
    ("raw public keys, Ed25519", up_and_down, raw_keys("ed25519")),
    ("raw public keys, ECDSA", up_and_down, raw_keys("ecdsa")),
    ("an authority between", up_and_down, chained),
    ("a revocation list that names others", up_and_down,
     other_differs(us=STRICT, our_files=not_revoked)),
]
for what, reason, difference in REFUSALS:
    ROWS.append((what, said_by_us(reason), other_differs(**difference)))
ROWS.append(("unknown authority", said_by_us("authority that is not known here"), stranger))
ROWS.append(("another identity than the one expected", said_by_us("says it is|asks for"), renamed))


def rows():
    for left, right in PAIRINGS:
        for what, scenario, make in ROWS:
            yield test_of(named(left, right, what), scenario, make, left, right)
        for what, reason, difference in REFUSALS_OF_CHARON if left.kind != right.kind else ():
            yield test_of(named(left, right, what), said_by_us(reason),
                          other_differs(**difference), left, right)


def test_of(name, scenario, make, left, right):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *make(left, right)) as pair:
            scenario(pair)
    return name, test


def swanctl_test():
    """Debian's swanctl brings certificates, keys and connections to a daemon that has none."""
    name = "latchkey-charon: swanctl loads certificates and keys"

    def test():
        left, right = with_cert("left", "latchkey"), with_cert("right", "charon")
        files, left.files = left.files, {}
        # Several in one file: the one that is needed is not the first.
        files["x509ca/0.pem"] = root("ecdsa", "Stranger").cert + files["x509ca/0.pem"]
        with Pair("swanctl-creds", left, right, start=False) as pair:
            peer = pair.peers["left"]
            with open(peer.conf, encoding="utf-8") as file:
                whole = file.read()
            cut = whole.index("latchkey {")
            places = {"root": {"cacert": "0.pem", "crl_uris": "http://192.0.2.9/root.crl"}}
            conf = pair.left.write("swanctl.conf", whole[:cut] + section("authorities", places))
            pair.left.write("latchkey.conf", whole[cut:])
            pair.start()
            for name, data in files.items():
                pair.left.write_bytes(name, data)
            environment = ["env", f"SWANCTL_DIR={pair.left.folder}", "swanctl"]
            uri = ["--uri", f"unix://{peer.socket}"]
            loaded = pair.left.run(*environment, "--load-all", "--noprompt", "--file", conf,
                                   *uri).stdout
            assert "loaded certificate from" in loaded, loaded
            assert re.search(r"loaded \w+ key from", loaded), loaded
            assert "loaded connection 'gw'" in loaded, loaded
            listed = peer.swanctl("--list-certs").stdout
            for word in ("CN=left.example", "CN=Root ecdsa", "CN=Stranger ecdsa",
                         "has private key"):
                assert word in listed, f"{word} is missing:\n{listed}"
            listed = peer.swanctl("--list-authorities").stdout
            assert "http://192.0.2.9/root.crl" in listed, listed
            assert "PRIVATE" not in listed and "public key" in peer.swanctl("--list-conns").stdout
            up_and_down(pair)
            # What is gone from the folders goes from the daemon.
            pair.left.run("rm", pair.left.path("private/left.pem"))
            pair.left.run(*environment, "--load-creds", "--noprompt", "--file", conf, *uri)
            assert "has private key" not in peer.swanctl("--list-certs").stdout
            assert not peer.up("net", check=False), "signed without a key"
    return name, test


TESTS = list(rows()) + [swanctl_test()]
