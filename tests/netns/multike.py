# SPDX-License-Identifier: Apache-2.0
"""Several key exchanges for one SA (RFC 9370): between IKE_SA_INIT and IKE_AUTH, and with re-keys.

charon speaks them from 6.0 on, which Debian 13 has: tests/long/trixie runs these there. ML-KEM needs
OpenSSL 3.5 here, and charon's plugin `ml` there.
"""

import functools
import glob
import json
import re
import subprocess
from dataclasses import replace

from nets import Pair
from peers import charon_version
from pubkey import with_cert
from pytap import Skip
from scenarios import PAIRINGS, bare, named, ours, rekey_under_load, whole_life, with_sides

TWO = {"proposals": "aes256gcm16-prfsha384-x25519-ke1_ecp256-ke3_ecp384",
       "esp_proposals": "aes256gcm16-x25519-ke1_ecp384"}
MLKEM = {"proposals": "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
         "esp_proposals": "aes256gcm16-x25519-ke1_mlkem768"}
LARGE = {"proposals": "aes256-sha512-ecp384-ke1_mlkem1024-ke2_mlkem512",
         "esp_proposals": "aes256-sha256-ecp384-ke2_mlkem1024"}

# charon's ESP in user space can do without UDP from 6.0 on.
RAW = {"charon": {"plugins": {"kernel-libipsec": {"raw_esp": "yes"}}}}


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
    """What is up is said to have been made by these methods ("KE1_ECP_256"), in words and as JSON."""
    for side in ours(pair):
        peer = pair.peers[side]
        lines, told = peer.cli("show").stdout, peer.cli("show", "--json").stdout
        json.loads(told)
        for method in methods:
            number, name = method[2], method[4:]
            assert f"/KE{number}_{name}" in lines, lines
            assert re.search(f'"ake{number}": *"{name}"', told), told


def several(methods):
    def scenario(pair):
        rekey_under_load(pair)
        shown(pair, methods)
    return scenario


def cert_sides(left, right, more, connection):
    """Both sign, and what else is said."""
    sides = []
    for side, name in ((left, "left"), (right, "right")):
        made = with_cert(name, side.kind)
        sides.append(replace(made, connection={**made.connection, **connection}, **more))
    return sides


def cert_pairs_of(what, scenario, more, connection=None):
    for left, right in PAIRINGS:
        name = named(left, right, what)

        def test(name=name, left=left, right=right):
            need(left, right, False)
            with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()),
                      *cert_sides(left, right, more, connection or {})) as pair:
                scenario(pair)
        yield name, test


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
    *pairs_of("multi-ke, re-key under load", several(["KE1_ECP_256", "KE3_ECP_384", "KE1_ECP_384"]), TWO),
    *pairs_of("rw-mlkem, whole life", whole_life, MLKEM, mlkem=True),
    *pairs_of("rw-mlkem, re-key under load", several(["KE1_ML_KEM_768"]), MLKEM, mlkem=True),
    *pairs_of("rw-mlkem, two of them", several(["KE1_ML_KEM_1024", "KE2_ML_KEM_512"]), LARGE, mlkem=True),
    *cert_pairs_of("rw-cert-multi-ke", several(["KE1_ECP_256", "KE3_ECP_384"]), TWO),
    *cert_pairs_of("net2net-cert-raw", bare(rekey_under_load), RAW, {"encap": "no"}),
]
