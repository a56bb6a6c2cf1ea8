# SPDX-License-Identifier: Apache-2.0
"""Several key exchanges for one SA (RFC 9370), between IKE_SA_INIT and IKE_AUTH.

charon speaks them from 6.0 on, which Debian 13 has: tests/long/trixie runs these there. ML-KEM needs
OpenSSL 3.5 here, and charon's plugin `ml` there.
"""

import functools
import glob
import json
import re
import subprocess

from nets import Pair
from pytap import Skip
from scenarios import PAIRINGS, both_up, named, ours, whole_life, with_sides

TWO = {"proposals": "aes256gcm16-prfsha384-x25519-ke1_ecp256-ke3_ecp384"}
MLKEM = {"proposals": "aes256gcm16-prfsha384-x25519-ke1_mlkem768"}
LARGE = {"proposals": "aes256-sha512-ecp384-ke1_mlkem1024-ke2_mlkem512"}


@functools.lru_cache(maxsize=None)
def charon_version():
    """As its package says: the program itself has no such option."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "charon-systemd"],
                          capture_output=True, text=True, check=False).stdout
    found = re.match(r"(\d+)\.(\d+)", said)
    if not found:
        raise Skip("strongSwan is not installed")
    return tuple(map(int, found.groups()))


@functools.lru_cache(maxsize=None)
def have_mlkem():
    """OpenSSL has it."""
    return "ML-KEM-768" in subprocess.run(["openssl", "list", "-kem-algorithms"],
                                          capture_output=True, text=True, check=False).stdout


def need(left, right, mlkem):
    """Skips what this host's programs cannot do."""
    charon = "charon" in (left.kind, right.kind)
    if charon and charon_version() < (6, 0):
        raise Skip("strongSwan before 6.0 makes one key exchange only")
    if mlkem and not have_mlkem():
        raise Skip("this host's OpenSSL has no ML-KEM")
    if mlkem and charon and not glob.glob("/usr/lib/ipsec/plugins/libstrongswan-ml.so"):
        raise Skip("strongSwan's plugin for ML-KEM is not installed")


def shown(pair, methods):
    """What is up is said to have been made by these methods, in words and as JSON."""
    for side in ours(pair):
        peer = pair.peers[side]
        sa = json.loads(peer.cli("show", "--json").stdout)
        assert all(method in json.dumps(sa) for method in methods), sa


def several(methods):
    def scenario(pair):
        both_up(pair)
        pair.ping_all()
        shown(pair, methods)
    return scenario


def pairs_of(what, scenario, more, mlkem=False):
    for left, right in PAIRINGS:
        name = named(left, right, what)

        def test(name=name, left=left, right=right):
            need(left, right, mlkem)
            with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()),
                      *with_sides(left, right, more, more)) as pair:
                scenario(pair)
        yield name, test


TESTS = [
    *pairs_of("multi-ke, whole life", whole_life, TWO),
    *pairs_of("rw-mlkem, whole life", whole_life, MLKEM, mlkem=True),
    *pairs_of("rw-mlkem, two of them", several(["ML_KEM_1024", "ML_KEM_512"]), LARGE, mlkem=True),
]
