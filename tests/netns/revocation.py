# SPDX-License-Identifier: Apache-2.0
"""Revocation lists that are fetched from a web server, and what is said where they cannot be."""

import functools
import re
import subprocess

from capture import assert_protected
from lab import wait_for
from nets import NETWORK, Pair, other
from pki import Folder, key, pki
from pubkey import other_differs, root, subject, verifier
from scenarios import PAIRINGS, both_down, both_up, named

US, WEB = "198.51.100.1", "198.51.100.2"
LIST = f"http://{WEB}/root.crl"

# Takes connections and says nothing.
DEAF = "import socket, time; s = socket.create_server(('', 80)); time.sleep(600)"


@functools.lru_cache(maxsize=None)
def cert(side, *uris):
    """The certificate of a side, which says where its authority's list is."""
    more = [word for uri in uris for word in ("--crl", uri)]
    return root("ecdsa").issue(subject(side), f"{side}.example", key("ecdsa", side), *more)


def der(pem):
    """What PEM holds: lists are published so (RFC 5280 4.2.1.13)."""
    return subprocess.run(["openssl", "crl", "-outform", "DER"], input=pem, check=True,
                          capture_output=True).stdout


def outdated():
    """A list that was good for a day."""
    with Folder() as folder:
        return pki("--signcrl", "--cacert", folder.put("ca", root("ecdsa").cert), "--cakey",
                   folder.put("key", root("ecdsa").key), "--this-update", "01.01.24 00:00:00",
                   "--next-update", "02.01.24 00:00:00")


class Web:
    """A host that the side that is ours can reach, and nobody else, with a web server."""

    def __init__(self, pair, us, files, script=None):
        self.host = pair.lab.host("web")
        pair.lab.link(pair.host(us), "web", self.host, "wire", [f"{US}/24"], [f"{WEB}/24"])
        for name, data in files.items():
            self.host.write_bytes(f"htdocs/{name}", data)
        if script:
            command = ["python3", "-c", script]
        else:
            self.host.write_bytes("htdocs/index.html", b"")
            command = ["python3", "-u", "-m", "http.server", "80", "--directory",
                       self.host.path("htdocs")]
        self.process = self.host.spawn("web", *command)
        wait_for(lambda: ":80 " in self.host.run("ss", "-Hltn").stdout, "the web server")


class Case:
    """What is published, what our side asks for, and what comes of it."""

    def __init__(self, what, files=None, refused=None, said=None, mode="strict", uris=(LIST,),
                 script=None, authority=None, daemon=None, child=None):
        self.what, self.files, self.refused, self.said = what, files, refused, said
        self.mode, self.uris, self.script = mode, uris, script
        self.authority, self.daemon, self.child = authority, daemon or {}, child

    def sides(self, left, right):
        us = verifier(left, right)
        made = other_differs(us={"remote": {"revocation": self.mode}},
                             peer_files=lambda side: {"x509/own.pem": cert(side, *self.uris)})
        sides = dict(zip(("left", "right"), made(left, right)))
        sides[us].daemon.update(self.daemon)
        if self.authority:
            sides[us].authorities = {"root": {"cacert": "0.pem", "crl_uris": self.authority}}
        for side, one in sides.items():
            one.child.update(self.child(side, side == us) if self.child else {})
        return us, sides

    def play(self, name, left, right):
        us, sides = self.sides(left, right)
        with Pair(name, sides["left"], sides["right"], start=False) as pair:
            web = Web(pair, us, self.files(other(us), *self.uris) if self.files else {}, self.script)
            pair.start()
            self.check(pair, pair.peers[us], web)

    def check(self, pair, peer, web):
        if self.refused:
            assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
            wait_for(lambda: re.search(self.refused, peer.log()), f"our log: {self.refused}")
            assert re.search(self.refused, peer.cli("show").stdout), peer.cli("show").stdout
            assert not peer.children(), "a Child SA stands"
            for frame in pair.capture.stop():
                assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"
            return
        both_up(pair)
        pair.ping_all(versions=(4,))
        if self.said:
            assert re.search(self.said, peer.log()), peer.log()
        if self.files:
            assert web.process.log().count("GET /root.crl") == 1, web.process.log()
            again(pair, web)
        assert_protected(pair.capture.stop(), "wire", at_least=4)


def again(pair, web):
    """Another handshake does with the list that is there."""
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    both_up(pair)
    assert web.process.log().count("GET /root.crl") == 1, web.process.log()


def published(side, *uris):
    """The list names somebody else."""
    return {"root.crl": der(root("ecdsa").revoke(cert(other(side), *uris)))}


def revoked(side, *uris):
    return {"root.crl": der(root("ecdsa").revoke(cert(side, *uris)))}


def everything(side, ours):
    """All IPv4 traffic of our side is to be protected: what goes to the web server, too."""
    ends = {"local_ts": f"{NETWORK[side][0]},{US}/32", "remote_ts": "0.0.0.0/0",
            "start_action": "trap"}
    return ends if ours else {"local_ts": "0.0.0.0/0",
                              "remote_ts": f"{NETWORK[other(side)][0]},{US}/32"}


CASES = [
    Case("a list is fetched", published, said=f"fetched {LIST}"),
    Case("a list is fetched and revokes", revoked, refused="was revoked"),
    Case("a list is fetched and revokes, relaxed", revoked, refused="was revoked",
         mode="relaxed"),
    Case("an outdated list is fetched", lambda side, *uris: {"root.crl": der(outdated())},
         refused="only an outdated revocation list"),
    Case("no list is there", lambda side, *uris: {}, refused="HTTP 404"),
    Case("no list is there, relaxed", said="HTTP 404", mode="relaxed"),
    Case("what is there is no list", lambda side, *uris: {"root.crl": b"<html>"},
         refused="what came is no revocation list"),
    Case("the server says nothing", refused="no answer within 2 s", script=DEAF),
    Case("the server says nothing, relaxed", said="no answer within 2 s", script=DEAF,
         mode="relaxed"),
    Case("the list of an authority's configuration", revoked, refused="was revoked", uris=(),
         authority=LIST, mode="ifuri"),
    Case("lists on this host are not asked for", refused="this host's own",
         uris=("http://127.0.0.1/root.crl",)),
    Case("a list is fetched though all is to be protected", published, said=f"fetched {LIST}",
         child=everything),
    Case("nothing is fetched", published, refused="has no revocation list here",
         daemon={"fetch": "no"}),
]


def test_of(case, left, right):
    name = named(left, right, f"revocation: {case.what}")

    def test():
        case.play(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right)
    return name, test


TESTS = [test_of(case, left, right) for left, right in PAIRINGS for case in CASES]
