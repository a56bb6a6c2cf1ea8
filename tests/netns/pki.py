# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and revocation lists made by strongSwan's own pki at the time of the test."""

import functools
import os
import shutil
import subprocess
import tempfile

from pytap import Skip

KINDS = {"ecdsa": ("ecdsa", "256"), "ecdsa384": ("ecdsa", "384"), "ecdsa521": ("ecdsa", "521"),
         "ed25519": ("ed25519", None), "ed448": ("ed448", None), "rsa": ("rsa", "3072"),
         "rsa1024": ("rsa", "1024")}


def pki(*arguments, binary=None):
    """Runs a command of pki; its output is PEM."""
    if not shutil.which("pki"):
        raise Skip("strongSwan's pki is not installed")
    done = subprocess.run(["pki", *map(str, arguments), "--outform", "pem"], input=binary,
                          capture_output=True, check=False)
    assert done.returncode == 0, f"pki {arguments}: {done.stderr.decode()}"
    return done.stdout


@functools.lru_cache(maxsize=None)
def key(kind, name):
    """A private key; the same for the same name. Making an RSA key takes a while."""
    what, size = KINDS[kind]
    return pki("--gen", "--type", what, *(["--size", size] if size else []))


class Folder:
    """Files for the arguments of a command."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="lkn-pki-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def put(self, name, data):
        path = os.path.join(self.path, name)
        with open(path, "wb") as file:
            file.write(data)
        return path


def public(private):
    with Folder() as folder:
        return pki("--pub", "--type", "priv", "--in", folder.put("key", private))


class Authority:
    """A certification authority; below another one if it is given."""

    def __init__(self, name, kind="ecdsa", above=None, flags=(), **more):
        self.name, self.key, self.above = name, key(kind, name), above
        distinguished = f"C=CH, O=Latchkey, CN={name}"
        if above:
            self.cert = above.issue(distinguished, None, self.key, "--ca", *flags, **more)
        else:
            with Folder() as folder:
                self.cert = pki("--self", "--ca", "--in", folder.put("key", self.key), "--type",
                                "priv", "--dn", distinguished)

    def issue(self, distinguished, name, private, *flags, pathlen=None, dates=None):
        """A certificate by this authority, with a subjectAltName if name is given."""
        more = ["--san", name] if name else []
        more += ["--pathlen", pathlen] if pathlen is not None else []
        if dates:
            more += ["--not-before", dates[0], "--not-after", dates[1]]
        with Folder() as folder:
            return pki("--issue", "--in", folder.put("key", private), "--type", "priv",
                       "--cacert", folder.put("ca", self.cert),
                       "--cakey", folder.put("cakey", self.key),
                       "--dn", distinguished, *more, *flags)

    def revoke(self, *certs):
        """A list of what this authority took back."""
        with Folder() as folder:
            more = []
            for number, cert in enumerate(certs):
                more += ["--reason", "key-compromise", "--cert",
                         folder.put(f"revoked{number}", cert)]
            return pki("--signcrl", "--cacert", folder.put("ca", self.cert), "--cakey",
                       folder.put("cakey", self.key), *more)
