# SPDX-License-Identifier: Apache-2.0
"""Revocation lists that are fetched from a web server, OCSP responders that are asked, and what is said
where neither tells anything."""

import functools
import hashlib
import os
import re
import subprocess

from capture import assert_protected
from lab import wait_for
from nets import NETWORK, Pair, other
from pki import Folder, key, pki
from pubkey import other_differs, root, subject, verifier, with_cert
from scenarios import PAIRINGS, both_down, both_up, named, ours

US, WEB = "198.51.100.1", "198.51.100.2"
THEM, WEB_THERE = "203.0.113.1", "203.0.113.2"
LIST = f"http://{WEB}/root.crl"
RESPONDER = f"http://{WEB}/"

# Takes connections and says nothing.
DEAF = "import socket, time; s = socket.create_server(('', 80)); time.sleep(600)"
# A gigabyte to whoever asks, and a way that leads back to itself.
ENDLESS = """
import http.server
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(1 << 10):
            self.wfile.write(bytes(1 << 20))
    do_POST = do_GET
http.server.ThreadingHTTPServer(("", 80), Server).serve_forever()
"""
CIRCLE = """
import http.server
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()
    do_POST = do_GET
http.server.ThreadingHTTPServer(("", 80), Server).serve_forever()
"""
# The same of a name server.
DUMB = ("import socket; u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 53)); "
        + DEAF)


@functools.lru_cache(maxsize=None)
def cert(side, *flags):
    """The certificate of a side; the flags say where what is known of it is."""
    return root("ecdsa").issue(subject(side), f"{side}.example", key("ecdsa", side), *flags)


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
    """A host that the side that is ours can reach, or both can, with a web server; served: its
    files, a program in Python, or what makes the responder's command (of this host)."""

    def __init__(self, pair, us, served, for_both=False):
        self.host = pair.lab.host("web")
        pair.lab.link(pair.host(us), "web", self.host, "wire", [f"{US}/24"], [f"{WEB}/24"])
        if for_both:
            peer = pair.host(other(us))
            pair.lab.link(peer, "web", self.host, "more", [f"{THEM}/24"], [f"{WEB_THERE}/24"])
            peer.run("ip", "route", "add", WEB, "via", WEB_THERE)
        if isinstance(served, dict):
            for name, data in {"index.html": b"", **served}.items():
                self.host.write_bytes(f"htdocs/{name}", data)
            command = ["python3", "-u", "-m", "http.server", "80", "--directory",
                       self.host.path("htdocs")]
        elif isinstance(served, str):
            command = ["python3", "-c", served]
        else:
            command = served(self.host)
        self.process = self.host.spawn("web", *command)
        wait_for(lambda: ":80 " in self.host.run("ss", "-Hltn").stdout, "the web server")


def serial(pem):
    said = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, check=True,
                          capture_output=True, text=False).stdout.decode()
    return said.strip().partition("=")[2]


def responder(status, signer=None):
    """OpenSSL's own, which knows of one certificate, or with status None of none; it signs with the
    authority's key, or as somebody whose certificate has these flags."""
    def served(side, *flags):
        def command(host):
            by, what = root("ecdsa").cert, root("ecdsa").key
            if signer is not None:
                what = key("ecdsa", "responder")
                by = root("ecdsa").issue("C=CH, O=Latchkey, CN=responder", None, what, *signer)
            since = "240101000000Z" if status == "R" else ""
            row = f"{status}\t490101000000Z\t{since}\t{serial(cert(side, *flags))}\tunknown\t/CN=x\n"
            files = {"index": row.encode() if status else b"", "ca": root("ecdsa").cert,
                     "signer": by, "key": what}
            paths = {name: host.write_bytes(f"ocsp/{name}", data) for name, data in files.items()}
            return ["openssl", "ocsp", "-port", "80", "-nmin", "60", "-index", paths["index"],
                    "-CA", paths["ca"], "-rsigner", paths["signer"], "-rkey", paths["key"]]
        return command
    return served


def refused_by(pair, peer, reason):
    """Nothing comes up, and the peer, which is ours, says why."""
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    wait_for(lambda: re.search(reason, peer.log()), f"our log: {reason}")
    assert re.search(reason, peer.cli("show").stdout), peer.cli("show").stdout
    assert not peer.children(), "a Child SA stands"
    for frame in pair.capture.stop():
        assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"


class Case:
    """What is published, what our side asks for, and what comes of it."""

    def __init__(self, what, served, refused=None, said=None, mode="strict", flags=("--crl", LIST),
                 authority=None, daemon=None, child=None, resolves=False):
        self.what, self.served, self.refused, self.said = what, served, refused, said
        self.mode, self.flags = mode, flags
        self.authority, self.daemon, self.child = authority, daemon or {}, child
        self.resolves = resolves

    def sides(self, left, right):
        us = verifier(left, right)
        made = other_differs(us={"remote": {"revocation": self.mode}},
                             peer_files=lambda side: {"x509/own.pem": cert(side, *self.flags)})
        sides = dict(zip(("left", "right"), made(left, right)))
        sides[us].daemon.update(self.daemon)
        if self.authority:
            sides[us].authorities = {"root": {"cacert": "0.pem", **self.authority}}
        for side, one in sides.items():
            one.child.update(self.child(side, side == us) if self.child else {})
        return us, sides

    def play(self, name, left, right):
        us, sides = self.sides(left, right)
        with Pair(name, sides["left"], sides["right"], start=False) as pair:
            served = self.served
            web = Web(pair, us, served(other(us), *self.flags) if callable(served) else served)
            if self.resolves:
                file = pair.host(us).write("resolv.conf", f"nameserver {WEB}\n")
                pair.host(us).run("mount", "--bind", file, "/etc/resolv.conf")
            pair.start()
            self.check(pair, pair.peers[us], web)

    def check(self, pair, peer, web):
        if self.refused:
            refused_by(pair, peer, self.refused)
            return
        both_up(pair)
        pair.ping_all(versions=(4,))
        if self.said:
            assert re.search(self.said, peer.log()), peer.log()
        if self.served == published:
            assert web.process.log().count("GET /root.crl") == 1, web.process.log()
            again(pair, web)
        assert_protected(pair.capture.stop(), "wire", at_least=4)


def again(pair, web):
    """Another handshake does with the list that is there."""
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    both_up(pair)
    assert web.process.log().count("GET /root.crl") == 1, web.process.log()


def published(side, *flags):
    """The list names somebody else."""
    return {"root.crl": der(root("ecdsa").revoke(cert(other(side), *flags)))}


def revoked(side, *flags):
    return {"root.crl": der(root("ecdsa").revoke(cert(side, *flags)))}


def everything(side, ours):
    """All IPv4 traffic of our side is to be protected: what goes to the web server, too."""
    ends = {"local_ts": f"{NETWORK[side][0]},{US}/32", "remote_ts": "0.0.0.0/0",
            "start_action": "trap"}
    return ends if ours else {"local_ts": "0.0.0.0/0",
                              "remote_ts": f"{NETWORK[other(side)][0]},{US}/32"}


LOCAL = ("--crl", "http://127.0.0.1/root.crl")
OCSP = ("--ocsp", RESPONDER)
BOTH = (*OCSP, "--crl", LIST)
MAY_SIGN = ("--flag", "ocspSigning")

CASES = [
    Case("a list is fetched", published, said=f"fetched {LIST}"),
    Case("a list is fetched and revokes", revoked, refused="was revoked"),
    Case("a list is fetched and revokes, relaxed", revoked, refused="was revoked",
         mode="relaxed"),
    Case("an outdated list is fetched", lambda *_: {"root.crl": der(outdated())},
         refused="only an outdated revocation list"),
    Case("no list is there", {}, refused="HTTP 404"),
    Case("no list is there, relaxed", {}, said="HTTP 404", mode="relaxed"),
    Case("what is there is no list", {"root.crl": b"<html>"},
         refused="what came is no revocation list"),
    Case("the server says nothing", DEAF, refused="no answer within 2 s"),
    Case("the server says nothing, relaxed", DEAF, said="no answer within 2 s", mode="relaxed"),
    Case("the name server says nothing", DUMB, refused="no answer within 2 s", resolves=True,
         flags=("--crl", "http://lists.example/root.crl")),
    Case("the list of an authority's configuration", revoked, refused="was revoked", flags=(),
         authority={"crl_uris": LIST}, mode="ifuri"),
    Case("lists on this host are not asked for", {}, refused="this host's own", flags=LOCAL),
    Case("lists at an address of this host are not asked for", {}, refused="this host's own",
         flags=("--crl", f"http://{US}/root.crl")),
    Case("a list is fetched though all is to be protected", published, said=f"fetched {LIST}",
         child=everything),
    Case("nothing is fetched", published, refused="has no revocation list here",
         daemon={"fetch": "no"}),
    # ocsp-signer-cert
    Case("a responder is asked", responder("V", MAY_SIGN), said=f"fetched {RESPONDER}",
         flags=OCSP),
    Case("a responder revokes", responder("R", MAY_SIGN), refused="was revoked", flags=OCSP),
    Case("a responder revokes, relaxed", responder("R", MAY_SIGN), refused="was revoked",
         flags=OCSP, mode="relaxed"),
    Case("the authority itself responds", responder("V"), said=f"fetched {RESPONDER}", flags=OCSP),
    Case("who may not respond does", responder("V", ()), refused="not signed by the authority",
         flags=OCSP),
    Case("the responder does not know", responder(None, MAY_SIGN),
         refused="does not know the certificate", flags=OCSP),
    Case("the responder says nothing", DEAF, refused="no answer within 2 s", flags=OCSP),
    Case("the responder sends a gigabyte", ENDLESS, refused="longer than 65536 bytes", flags=OCSP),
    Case("the server leads in a circle", CIRCLE, refused="the server leads elsewhere .HTTP 302."),
    Case("there is no responder, and a list", published, said=f"fetched {LIST}", flags=BOTH),
    Case("the responder of an authority's configuration", responder("R", MAY_SIGN),
         refused="was revoked", flags=(), authority={"ocsp_uris": RESPONDER}, mode="ifuri"),
]


# --- certificates by hash and URL ----------------------------------------------------------------

BASE = f"http://{WEB}/certs/"
FETCHES = {"hash_and_url": "yes",
           "load": "random nonce openssl aes sha1 sha2 hmac kdf gcm aesni chapoly curve25519 pem "
                   "pkcs1 pkcs8 x509 pubkey constraints curl kernel-libipsec kernel-netlink "
                   "socket-default vici"}


def published_certs(*certs, instead=None):
    """Each under the SHA-1 of its DER, or another one in its place."""
    made = {}
    for pem in certs:
        binary = subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem, check=True,
                                capture_output=True).stdout
        made[f"certs/{hashlib.sha1(binary).hexdigest()}"] = instead or binary
    return made


def by_url(left, right, instead=None):
    """Both sides show their certificates by hash and URL; ours alone knows neither by itself."""
    us = verifier(left, right)
    sides = {side: with_cert(side, kind.kind) for side, kind in (("left", left), ("right", right))}
    for side in sides.values():
        side.authorities = {"root": {"cacert": "0.pem", "cert_uri_base": BASE}}
        if side.kind == "charon":
            side.charon.update(FETCHES)
    files = {**published_certs(sides[us].files["x509/own.pem"]),
             **published_certs(sides[other(us)].files["x509/own.pem"], instead=instead)}
    return us, sides, files


def url_test(left, right, good):
    what = "certificates by hash and URL" if good else "another certificate at the URL"
    name = named(left, right, what)

    def test():
        us, sides, files = by_url(left, right, None if good else b"another one")
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), sides["left"], sides["right"],
                  start=False) as pair:
            web = Web(pair, us, files, for_both=True)
            pair.start()
            if not good:
                refused_by(pair, pair.peers[us], "what is there has another hash")
                return
            both_up(pair)
            pair.ping_all(versions=(4,))
            for side in ours(pair):
                told = [sa["remote-auth"] for sa in pair.peers[side].cli_json("show")["sas"]]
                assert told == ["pkix-offline"], f"{side}: {told}"
            for path in files:
                assert f"GET /{path}" in web.process.log(), web.process.log()
            assert_protected(pair.capture.stop(), "wire", at_least=2)
    return name, test


STAPLED = ("--ocsp", RESPONDER)


def stapled_test(left, right, what, served, connection, refused):
    """Ours fetches nothing and wants to know: what the peer sends has to do (RFC 4806)."""
    name = named(left, right, f"OCSP within IKE: {what}")

    def test():
        us = verifier(left, right)
        made = other_differs(us={"remote": {"revocation": "strict"}},
                             peer_files=lambda side: {"x509/own.pem": cert(side, *STAPLED)})
        sides = dict(zip(("left", "right"), made(left, right)))
        sides[us].daemon["fetch"] = "no"
        sides[other(us)].connection.update(connection)
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), sides["left"], sides["right"],
                  start=False) as pair:
            web = Web(pair, other(us), served(other(us), *STAPLED))
            pair.start()
            if refused:
                refused_by(pair, pair.peers[us], refused)
                return
            both_up(pair)
            pair.ping_all(versions=(4,))
            pair.peers["left"].down(ike="gw")
            both_down(pair)
            both_up(pair)
            assert len(re.findall("fetched " + RESPONDER, pair.peers[other(us)].log())) == 1
            assert web.process.running(), web.process.log()
            assert_protected(pair.capture.stop(), "wire", at_least=4)
    return name, test


def others_go_on():
    """While a responder says nothing to one handshake the traffic of another IKE SA goes on."""
    left, right = (with_cert(side, "latchkey") for side in ("left", "right"))
    by_key = {side: one.connection for side, one in (("left", left), ("right", right))}
    right.files["x509/own.pem"] = cert("right", *OCSP)
    for side, one in (("left", left), ("right", right)):
        one.connections = {"slow": {**by_key[side], "children": {"slow": {
            "local_ts": "10.9.0.0/24", "remote_ts": "10.9.1.0/24"}}}}
        one.connection = {}
    left.connections["slow"]["remote"]["revocation"] = "strict"
    with Pair("revocation-others-go-on", left, right, start=False) as pair:
        Web(pair, "left", DEAF)
        pair.start()
        both_up(pair)
        peer = pair.peers["left"]
        slow = pair.left.spawn("up", os.path.join(peer.bin, "latchkey"), "--run-dir", peer.run_dir,
                               "up", "slow")
        pings = 0
        while slow.running():
            pair.ping_all(versions=(4,))
            pings += slow.running()
        assert "no answer within 2 s" in peer.log(), peer.log()
        assert pings >= 3, f"{pings} pings came back meanwhile"
        assert [child["ike"] for child in peer.children()] == ["gw"], peer.children()


def test_of(case, left, right):
    name = named(left, right, f"revocation: {case.what}")

    def test():
        case.play(re.sub(r"[^a-z0-9]+", "-", name.lower()), left, right)
    return name, test


TESTS = [test_of(case, left, right) for left, right in PAIRINGS for case in CASES]
TESTS += [("revocation: others go on meanwhile", others_go_on)]
TESTS += [stapled_test(*PAIRINGS[0], *case) for case in (
    ("a response does", responder("V"), {}, None),
    ("it says revoked", responder("R"), {}, "was revoked"),
    ("it is not sent", responder("V"), {"ocsp": "never"}, "no revocation list here"))]
TESTS += [url_test(left, right, good) for left, right in PAIRINGS for good in (True, False)]
