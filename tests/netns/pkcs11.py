# SPDX-License-Identifier: Apache-2.0
"""Private keys and certificates that lie on a PKCS#11 token: SoftHSM's, which is software."""

import glob
import os
import re
import shutil
import signal
import subprocess
import time

from capture import assert_protected
from lab import children_of, wait_for
from nets import Pair, other
from pki import Folder, key
from pubkey import cert, root, verifier, with_cert
from pytap import Skip
from scenarios import PAIRINGS, both_up, named

PIN, HANDLE, BESIDE = "471100", "a1b2c3d4", "0102"
MODULE = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"]
OTHER_PIN = "111111"


def module():
    found = [path for pattern in MODULE for path in glob.glob(pattern)]
    if not found or not shutil.which("softhsm2-util") or not shutil.which("p11tool"):
        raise Skip("softhsm2 or gnutls-bin is not installed")
    return found[0]


class Token:
    """A token in a folder of the host, with the private key of this kind of its side."""

    def __init__(self, host, side, kind, with_certificate=False):
        os.makedirs(host.path("tokens"), exist_ok=True)
        self.folder = host.path("tokens")
        self.conf = host.write("softhsm2.conf", f"directories.tokendir = {self.folder}\n"
                               "objectstore.backend = file\nlog.level = ERROR\n")
        self.environment = ("env", f"SOFTHSM2_CONF={self.conf}")
        self.util("--init-token", "--free", "--label", "own", "--pin", PIN, "--so-pin", "87654321")
        with Folder() as folder:
            private = folder.put("key.pem", subprocess.run(
                ["openssl", "pkcs8", "-topk8", "-nocrypt"], input=key(kind, side), check=True,
                capture_output=True).stdout)
            self.util("--import", private, "--token", "own", "--pin", PIN, "--label", side, "--id",
                      HANDLE)
            if with_certificate:
                shown = folder.put("own.pem", cert(root(kind), side, kind))
                self.run("p11tool", "--provider", module(), "--login", "--set-pin", PIN, "--write",
                         "--load-certificate", shown, "--id", HANDLE, "--label", side,
                         "pkcs11:token=own")

    def run(self, *command):
        done = subprocess.run([*self.environment, *command], capture_output=True, check=False,
                              text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def util(self, *arguments):
        return self.run("softhsm2-util", "--module", module(), *arguments)

    def slot(self):
        """The number of its slot."""
        return re.search(r"^Slot (\d+)$", self.util("--show-slots"), re.MULTILINE).group(1)


def sides_of(left, right, kind, **secret):
    """The side that is ours has no private key in a file; secret: further keys of secrets.token."""
    us = verifier(left, right)
    sides = {"left": with_cert("left", left.kind, kind), "right": with_cert("right", right.kind, kind)}
    del sides[us].files[f"private/{us}.pem"]
    sides[us].secrets["token1"] = {"handle": HANDLE, "pin": PIN, **secret}
    sides[us].daemon["pkcs11"] = {"softhsm": {"path": module()}}
    return us, sides


def on_host(pair, us, kind, **options):
    token = Token(pair.host(us), us, kind, **options)
    pair.peers[us].prefix = token.environment
    return token


def up(pair, us):
    both_up(pair)
    pair.ping_all(versions=(4,))
    assert "private" not in os.listdir(pair.host(us).folder), "a private key lies in a file"
    assert_protected(pair.capture.stop(), "wire", at_least=2)


def signs_test(left, right, kind):
    """The token signs, and the peer believes it."""
    name = named(left, right, f"token: its {kind} key signs")

    def test():
        us, sides = sides_of(left, right, kind)
        with Pair(slug(name), sides["left"], sides["right"], start=False) as pair:
            on_host(pair, us, kind)
            pair.start()
            up(pair, us)
            assert PIN not in pair.peers[us].log(), "the PIN is in the log"
    return name, test


def certificate_test(left, right):
    """The certificate lies there, too: nothing of ours is in a file."""
    name = named(left, right, "token: its key and its certificate")

    def test():
        us, sides = sides_of(left, right, "ecdsa")
        del sides[us].files["x509/own.pem"]
        sides[us].connection["local"]["cert-own"] = {"handle": HANDLE, "module": "softhsm"}
        with Pair(slug(name), sides["left"], sides["right"], start=False) as pair:
            on_host(pair, us, "ecdsa", with_certificate=True)
            pair.start()
            up(pair, us)
    return name, test


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def refusal(pair, us, reason):
    peer = pair.peers[us]
    assert not pair.peers["left"].up("net", check=False, timeout=40), "it came up"
    wait_for(lambda: re.search(reason, peer.log()), f"our log: {reason}\n{peer.log()}")
    assert not peer.children(), "a Child SA stands"


def tries_left(token):
    """Whether the token's own PIN still opens it: SoftHSM says no more of wrong ones."""
    return token.run("p11tool", "--provider", module(), "--login", "--set-pin", PIN, "--list-all",
                     "pkcs11:token=own")


def gone(pair, us):
    shutil.rmtree(pair.host(us).path("tokens"))
    os.makedirs(pair.host(us).path("tokens"))


REFUSALS = [
    ("a wrong PIN", r"its PIN is wrong", {"pin": OTHER_PIN}, None),
    ("no such key", r"holds no private key with this handle", {"handle": BESIDE}, None),
    ("no token", r"it is gone, or was never there", {}, gone),
    ("no such slot", r"there is none in its slot", {"slot": "77"}, None),
    ("a module of no name", r"not in latchkey.pkcs11", {"module": "elsewhere"}, None),
]


def refused_test(left, right, what, reason, secret, prepare):
    name = named(left, right, f"token: {what}")

    def test():
        us, sides = sides_of(left, right, "ecdsa", **secret)
        with Pair(slug(name), sides["left"], sides["right"], start=False) as pair:
            on_host(pair, us, "ecdsa")
            if prepare:
                prepare(pair, us)
            pair.start()
            refusal(pair, us, reason)
    return name, test


def wrong_pin_once():
    """Ten handshakes with a wrong PIN are one try; another PIN by the control socket is tried."""
    left, right = PAIRINGS[0]
    us, sides = sides_of(left, right, "ecdsa", pin=OTHER_PIN)
    with Pair("token-pin-once", sides["left"], sides["right"], start=False) as pair:
        token = on_host(pair, us, "ecdsa")
        pair.start()
        peer = pair.peers[us]
        refusal(pair, us, "its PIN is wrong")
        time.sleep(3)  # until then the token is not asked again at all
        for _ in range(3):
            refusal(pair, us, "was not taken before .secrets, `pin`., and is not tried again")
        tried = re.findall("did not do what was wanted: its PIN is wrong", peer.log())
        assert len(tried) == 1, peer.log()
        tries_left(token)
        folder = pair.host(us).path("swanctl")
        os.makedirs(folder)
        tokens = pair.host(us).write("swanctl/swanctl.conf", "secrets {\n\ttoken1 {\n"
                                     f"\t\thandle = {HANDLE}\n\t\tpin = {PIN}\n\t}}\n}}\n")
        said = peer.swanctl("--load-creds", "--file", tokens).stdout
        assert f"from token [keyid: {HANDLE}]" in said, said
        wait_for(lambda: pair.peers["left"].up("net", check=False, timeout=40), "the right PIN")
        pair.ping_all(versions=(4,))


def crash():
    """The process with the module is killed: it is there again, and signs."""
    left, right = PAIRINGS[0]
    us, sides = sides_of(left, right, "ecdsa")
    with Pair("token-crash", sides["left"], sides["right"], start=False) as pair:
        on_host(pair, us, "ecdsa")
        pair.start()
        both_up(pair)
        keeper, = children_of(pair.peers[us].process.pid)
        loaded, = children_of(keeper)
        os.kill(loaded, signal.SIGSEGV)
        pair.peers["left"].down(ike="gw")
        wait_for(lambda: pair.peers["left"].up("net", check=False, timeout=40), "it to sign again")
        pair.ping_all(versions=(4,))
        pair.peers[us].stop()
        wait_for(lambda: not os.path.exists(f"/proc/{keeper}/cwd"), "the keeper to have gone")


KINDS = ("ecdsa", "ecdsa384", "rsa", "ed25519")
TESTS = [signs_test(left, right, kind) for left, right in PAIRINGS for kind in KINDS]
TESTS += [certificate_test(left, right) for left, right in PAIRINGS]
TESTS += [refused_test(*PAIRINGS[1], *case) for case in REFUSALS]
TESTS += [refused_test(*PAIRINGS[2], *REFUSALS[0])]
TESTS += [("token: a wrong PIN is tried once", wrong_pin_once),
          ("token: its module crashes", crash)]
