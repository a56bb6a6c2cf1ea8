# SPDX-License-Identifier: Apache-2.0
"""Every method by which a peer may prove itself, as a table: with the right credential, with a wrong
one, and where the other side takes another method.

One side proves itself by the method, the other one judges; that one itself always signs with a
certificate. Two daemons play a whole table, with another configuration for each row. Rows that need
more hosts or files stand where these are: radius.py, pkcs11.py, revocation.py.
"""

import functools
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import Callable

from capture import IKE_SA_INIT, assert_protected, exchanges
from eap import CAROL, PASSWORD, password
from lab import wait_for
from nets import INNER, PSK, Pair, configuration, other, story
from pki import key, public
from pubkey import root, with_cert
from replay import ANOTHER_PPK, known
from scenarios import PAIRINGS, both_up, named, ours

SOURCES = [f"192.0.2.{10 + number}" for number in range(10)]
ROWS_OF_ONE = 6  # at each of them in turn
FOLDERS = ("x509", "x509ca", "x509crl", "private", "pubkey")
PINS = {"known_peers": "/run/latchkey/known_peers"}


def name(side):
    return f"{side}.example"


# --- what the sides say: each of these changes one of them, "prover" is the other's name ----------

def says(section, **more):
    """Another section "local" or "remote" of the connection."""
    def change(one, _):
        one.connection[section] = {k: v for k, v in more.items() if v}
    return change


def proves(**more):
    """By this, and with the name of the side that it is."""
    def change(one, prover):
        one.connection["local"] = {"id": name(prover), **more}
    return change


def takes(**more):
    """Of the prover, by its name."""
    def change(one, prover):
        one.connection["remote"] = {"id": name(prover), **more}
    return change


def expects(**more):
    """The prover, of the judge."""
    return lambda one, prover: takes(**more)(one, other(prover))


def shows(**more):
    """The judge, of itself."""
    return lambda one, prover: proves(**more)(one, other(prover))


def takes_signed(auth):
    """A signature of this kind alone; charon's own rule would hold for all certificates too."""
    def change(one, prover):
        takes(auth=auth if one.kind == "latchkey" else "pubkey")(one, prover)
    return change


def all_of(*changes):
    def change(one, prover):
        for each in changes:
            each(one, prover)
    return change


def secret(text):
    def change(one, _):
        one.psk = text
    return change


def group_secret(text):
    """One that names nobody is anybody's."""
    def change(one, _):
        one.secrets["ike-gw"] = {"secret": f'"{text}"'}
    return change


def more_secrets(secrets):
    def change(one, _):
        one.secrets.update(secrets)
    return change


def connection(**keys):
    def change(one, _):
        one.connection.update(keys)
    return change


def daemon(**keys):
    def change(one, _):
        if one.kind == "latchkey":
            one.daemon.update(keys)
    return change


def signs(kind, authority=None, flags=(), whose=None):
    """With a certificate of this kind of key, of this authority; whose: of somebody else's key."""
    def change(one, prover):
        own = key(kind, whose or prover)
        one.files[f"private/{prover}.pem"] = own
        one.files["x509/own.pem"] = certificate(prover, kind, authority or root(kind), flags,
                                                whose or prover)
    return change


@functools.lru_cache(maxsize=None)
def certificate(side, kind, authority, flags, whose):
    return authority.issue(f"C=CH, O=Latchkey, CN={name(side)}", name(side), key(kind, whose), *flags)


def believes(kind):
    def change(one, _):
        one.files["x509ca/more.pem"] = root(kind).cert
    return change


def has_certificate(one, prover):
    """Of the prover, so that no authority is needed."""
    one.files["x509/peer.pem"] = certificate(prover, "ecdsa384", root("ecdsa384"), (), prover)
    one.connection["remote"] = {"auth": "pubkey", "id": name(prover), "certs": "peer.pem"}


def raw(kind, whose=None):
    """With a key alone."""
    def change(one, prover):
        own = key(kind, whose or prover)
        one.files.pop("x509/own.pem", None)
        one.files[f"private/{prover}.pem"] = own
        one.files["pubkey/own.pem"] = public(own)
        one.connection["local"] = {"auth": "pubkey", "id": name(prover), "pubkeys": "own.pem"}
    return change


def knows_key(kind):
    def change(one, prover):
        one.files["pubkey/peer.pem"] = public(key(kind, prover))
        one.connection["remote"] = {"auth": "pubkey", "id": name(prover), "pubkeys": "peer.pem"}
    return change


def knows_it_elsewhere(one, prover):
    """The key is somebody's: another connection asks for it."""
    one.files["pubkey/known.pem"] = public(key("ed25519", prover))
    one.connections = {"office": {"remote_addrs": "192.0.2.99", "remote": {
        "auth": "pubkey", "id": "office.example", "pubkeys": "known.pem"},
        "children": {"elsewhere": {"local_ts": "10.9.0.0/24", "remote_ts": "10.9.1.0/24"}}}}


def nothing(*_):
    pass


# --- the table -----------------------------------------------------------------------------------

@dataclass
class Method:
    """By which the prover proves itself. told: what the judge's `show --json` then says of it. wrong
    and unlisted change either side after all else, and say in which words the judge refuses; those of
    the prover are in `hears`. Where charon cannot: prover or judge."""

    name: str
    told: dict
    prove: Callable
    judge: Callable = nothing
    wrong: tuple = ()     # (of the prover, of the judge, words)
    unlisted: tuple = ()
    hears: dict = field(default_factory=dict)  # column -> words of the prover, if it is ours
    back: dict = field(default_factory=lambda: {"remote-auth": "pkix-inline"})  # told of the judge
    begins: bool = False  # the prover has to be the initiator
    alone: str = ""  # as responder it sees by itself that another method is wanted, and says this
    charon: tuple = ("prover", "judge")


SECRETS_DIFFER = "pre-shared keys of the two sides differ"
NO_SECRET = (nothing, takes(auth="psk"), "pre-shared key: set `auth = psk` there")
NO_KEY = (nothing, takes(auth="pubkey"), "signature is wanted: set `auth = pubkey`")
NOT_THIS_KEY = "not among `remote.pubkeys`|signature .* is wrong"
REFUSED = "AUTHENTICATION_FAILED"
EAP_FAILED = f"EAP with .* failed|{REFUSED}"
NO_SIGNATURES = "says nothing of signatures by RFC 7427"
STRANGER = "authority that is not known here"


def stranger(kind):
    """A certificate that only an authority that nobody knows vouches for."""
    return signs(kind, root("ecdsa", "Stranger"), (), "stranger")


def certified(kind, auth="pubkey", unlisted=NO_SECRET, flags=()):
    return {"told": {"remote-auth": "pkix-inline"},
            "prove": all_of(signs(kind, flags=flags), proves(auth=auth)),
            "judge": all_of(believes(kind), takes_signed(auth)),
            "wrong": (stranger(kind), nothing, STRANGER), "unlisted": unlisted}


def another_kind(auth, words):
    """Of a charon that judges a pre-shared key: its rules for one kind of key let others pass."""
    def change(one, prover):
        takes(auth=auth if one.kind == "latchkey" else "psk")(one, prover)
    return nothing, change, words


METHODS = [
    Method("pre-shared key of one pair", {"remote-auth": "psk"}, proves(auth="psk"),
           takes(auth="psk"), (secret("another secret"), nothing, SECRETS_DIFFER), NO_KEY),
    Method("pre-shared key of a group", {"remote-auth": "group-psk"},
           all_of(proves(auth="psk"), group_secret(PSK)), all_of(takes(auth="psk"), group_secret(PSK)),
           (group_secret("another secret"), nothing, SECRETS_DIFFER), NO_KEY),
    Method("pre-shared key and a post-quantum one", {"remote-auth": "psk", "ppk": "yes"},
           all_of(proves(auth="psk"), connection(ppk_id="left-ppk"), more_secrets(known())),
           all_of(takes(auth="psk"), connection(ppk_required="yes"), more_secrets(known())),
           (more_secrets(known(ANOTHER_PPK)), nothing, "PPK (of the name )?left-ppk"),
           (connection(ppk_id=None), nothing, "uses no PPK .* demands one: set `ppk_id` there"),
           begins=True),
    Method("raw key, Ed25519", {"remote-auth": "pubkey"}, raw("ed25519"), knows_key("ed25519"),
           (raw("ed25519", "stranger"), nothing, NOT_THIS_KEY), NO_SECRET, alone=NO_SIGNATURES),
    Method("raw key, ECDSA", {"remote-auth": "pubkey"}, raw("ecdsa"), knows_key("ecdsa"),
           (raw("ecdsa", "stranger"), nothing, NOT_THIS_KEY), NO_SECRET),
    Method("certificate that lies here", {"remote-auth": "pkix-trusted"},
           all_of(signs("ecdsa384"), proves(auth="pubkey")), has_certificate,
           (signs("ecdsa384", None, (), "stranger"), nothing, "not among `remote.certs`"), NO_SECRET),
    Method("certificate, RSA", **certified("rsa", "rsa"), alone=NO_SIGNATURES),
    Method("certificate, RSASSA-PSS", **certified("rsa", "rsa/pss-sha256"), alone=NO_SIGNATURES),
    Method("certificate, RSA with SHA-512", **certified(
        "rsa", "rsa-sha512", another_kind("rsa-sha384", "a hash that is too weak or that `auth` does not"),
        ("--digest", "sha512"))),
    Method("certificate, ECDSA P-256", **certified("ecdsa")),
    Method("certificate, ECDSA P-384", **certified("ecdsa384")),
    Method("certificate, ECDSA P-521", **certified("ecdsa521")),
    Method("certificate, Ed25519", **certified(
        "ed25519", unlisted=another_kind("ecdsa-256", "is Ed25519, and `auth` lets ECDSA P-256"))),
    Method("certificate, Ed448", **certified(
        "ed448", unlisted=another_kind("rsa", "is Ed448, and `auth` lets RSA alone"))),
    Method("nobody", {"remote-auth": "none"}, says("local", auth="null"), says("remote", auth="null"),
           (), (nothing, takes(auth="pubkey"), "does not authenticate itself"), charon=(),
           alone="wants to speak to right.example"),
    Method("any key", {"remote-auth": "btns"}, raw("ed25519"), says("remote", auth="btns"),
           (nothing, knows_it_elsewhere, "its key is known here"), NO_SECRET, charon=(),
           alone=NO_SIGNATURES),
    Method("the first key", {"remote-auth": "leap-of-faith"}, raw("ed25519"),
           all_of(takes(auth="leapoffaith"), daemon(**PINS)),
           (raw("ed25519", "stranger"), nothing, "delete line 1 of"), NO_SECRET, charon=(),
           alone=NO_SIGNATURES),
    Method("EAP-MSCHAPv2",
           {"remote-auth": "eap", "remote-eap-method": "mschapv2", "remote-eap-id": CAROL},
           all_of(says("local", auth="eap-mschapv2", id=CAROL), more_secrets(password())),
           all_of(says("remote", auth="eap-mschapv2"), more_secrets(password())),
           (more_secrets(password("another password")), nothing, "its password is wrong"),
           (nothing, says("remote", auth="pubkey", id=CAROL),
            "by EAP, which is not offered here: set `auth = psk` or `auth = pubkey` there"),
           {"wrong": "E=691"}, begins=True),
    Method("EAP-TLS", {"remote-auth": "eap", "remote-eap-method": "tls"}, proves(auth="eap-tls"),
           takes(auth="eap-tls"), (stranger("ecdsa"), nothing, STRANGER),
           (nothing, all_of(says("remote", auth="eap-mschapv2"), more_secrets(password())),
            "does not want to do EAP-mschapv2"),
           {"wrong": EAP_FAILED, "unlisted": EAP_FAILED}, begins=True),
    Method("EAP-TLS alone", {"remote-auth": "eap", "remote-eap-method": "tls"},
           all_of(proves(auth="eap-tls"), expects(auth="eap-tls")),
           all_of(takes(auth="eap-tls"), shows(auth="eap-tls")),
           (stranger("ecdsa"), nothing, STRANGER),
           (expects(auth="pubkey"), nothing, "does not say that it takes that"),
           {"wrong": EAP_FAILED, "unlisted": f"{REFUSED}|nothing is told"},
           back={"remote-auth": "eap", "remote-eap-method": "tls"}, begins=True),
]


# --- the play ------------------------------------------------------------------------------------

class Table:
    """Two daemons, one of which proves itself by all methods in turn."""

    def __init__(self, pair, prover):
        self.pair, self.prover, self.judge = pair, prover, other(prover)
        self.now = {}
        self.begun = 0
        pair.left.address("wire", *(f"{address}/24" for address in SOURCES))

    def put(self, method, column):
        """Both sides have the configuration of a row, and those of the row before are gone."""
        wrong = {"right": (nothing, nothing), "wrong": method.wrong, "unlisted": method.unlisted}
        for side, change in ((self.prover, method.prove), (self.judge, method.judge)):
            one = with_cert(side, self.pair.sides[side].kind)
            change(one, self.prover)
            wrong[column][side == self.judge](one, self.prover)
            one.connection = {k: v for k, v in one.connection.items() if v is not None}
            self.load(side, one)

    def outer(self, side):
        """Who has failed is made to wait at its address (S43): the initiator has several."""
        source = SOURCES[self.begun // ROWS_OF_ONE % len(SOURCES)]
        here = self.pair.outers["right"][0]
        return (source, here) if side == "left" else (here, "%any")

    def load(self, side, one):
        host, text = self.pair.host(side), configuration(side, one, *self.outer(side))
        if self.now.get(side) == (text, one.files):
            return
        self.now[side] = text, dict(one.files)
        for folder in FOLDERS:
            shutil.rmtree(host.path(folder), ignore_errors=True)
        for path, data in one.files.items():
            host.write_bytes(path, data)
        self.pair.peers[side].configure(text)

    def play(self, method, column):
        self.put(method, column)
        self.begun += 1
        marks = {side: len(peer.log()) for side, peer in self.pair.peers.items()}
        if column == "right":
            self.proven(method)
        else:
            self.refused(method, column, marks)

    def at_rest(self):
        for side, peer in self.pair.peers.items():
            wait_for(lambda peer=peer: not peer.established() and not peer.children(),
                     f"{side} to have nothing that stands")

    def proven(self, method):
        both_up(self.pair)
        self.pair.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=10)
        for side in ours(self.pair):
            wanted = method.told if side == self.judge else method.back
            told = [{k: sa.get(k) for k in wanted}
                    for sa in self.pair.peers[side].cli_json("show")["sas"]
                    if sa["state"] == "ESTABLISHED"]
            assert told == [wanted], f"{side} says {told}"
        self.pair.peers["left"].down(ike="gw")
        self.at_rest()

    def words(self, method, column):
        """In which words the judge refuses, and the prover sees it."""
        words = {self.judge: getattr(method, column)[2], self.prover: method.hears.get(column, REFUSED)}
        if column == "unlisted" and len(ours(self.pair)) == 1:
            # charon says less, or more, of what it takes: ours may see it by itself, or be told later.
            return {self.judge: f"{REFUSED}|{words[self.judge]}",
                    self.prover: f"{words[self.prover]}|cannot sign"}
        if column == "unlisted" and self.prover == "right" and method.alone:
            return {self.judge: REFUSED, self.prover: method.alone}
        return words

    def ends(self, peer):
        """The handshake is over: charon leaves a server of EAP without its last message."""
        return not [sa for _, sa in peer.sas() if sa["state"] == "CONNECTING"]

    def refused(self, method, column, marks):
        """Nothing comes of it, and each side that is ours says why: the judge in the words of the
        row, the prover as told by the judge."""
        words = self.words(method, column)
        assert not self.pair.peers["left"].up("net", check=False, timeout=30), "it came up"
        self.at_rest()
        for side in ours(self.pair):
            peer = self.pair.peers[side]
            wait_for(lambda peer=peer, side=side: re.search(words[side], peer.log()[marks[side]:]),
                     f"{side} to say {words[side]}: {peer.log()[marks[side]:]}", seconds=10)
            told = json.dumps(peer.cli_json("show"), ensure_ascii=False)
            assert re.search(words[side], told) or not self.ends(peer), \
                f"{side} does not show '{words[side]}': {told}"

    def rows(self):
        kinds = {"prover": self.pair.sides[self.prover].kind, "judge": self.pair.sides[self.judge].kind}
        for method in METHODS:
            if method.begins and self.prover != "left":
                continue
            if any(kind == "charon" and part not in method.charon for part, kind in kinds.items()):
                continue
            for column in ("right", "wrong", "unlisted"):
                if column == "right" or getattr(method, column):
                    yield method, column

    def whole(self):
        """All rows; each that fails is told."""
        bad = []
        for method, column in self.rows():
            try:
                self.play(method, column)
                story(f"{method.name}, {column}")
            except AssertionError as failure:
                bad.append(f"{method.name}, {column}: {failure}")
        assert not bad, "\n".join(bad)
        frames = self.pair.capture.stop()
        assert_protected(frames, "wire")
        # Nobody tries a second time behind one's back, by another method or the same.
        begun = {frame.payload[:8] for frame in exchanges(frames, IKE_SA_INIT)}
        assert len(begun) == self.begun, f"{self.begun} were begun by us, {len(begun)} on the wire"
        for side, peer in self.pair.peers.items():
            assert PASSWORD not in peer.log() and PSK not in peer.log(), f"{side} logs a secret"


def test_of(left, right, prover):
    what = "methods of the initiator" if prover == "left" else "methods of the responder"

    def test():
        with Pair(f"methods-{left.kind}-{right.kind}-{prover}", with_cert("left", left.kind),
                  with_cert("right", right.kind)) as pair:
            Table(pair, prover).whole()
    return named(left, right, what), test


TESTS = [test_of(left, right, prover) for left, right in PAIRINGS for prover in ("left", "right")]
