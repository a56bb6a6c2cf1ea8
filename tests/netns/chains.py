# SPDX-License-Identifier: Apache-2.0
"""Certificate chains that are too large for one datagram: IKE_AUTH in fragments (RFC 7383)."""

import functools
import re

from capture import IKE_AUTH, assert_protected, exchanges, ike_fragments
from nets import Pair
from pki import Authority
from pubkey import root, with_cert
from scenarios import PAIRINGS, agree, both_up, named

WHOLE = 1280  # what an IP packet may be where nothing else is said


@functools.lru_cache(maxsize=None)
def between(side):
    """Each side's own authority, which only it has: the other has the root alone."""
    return Authority(f"Between {side}", "rsa", above=root("rsa"))


def chain_side(side, kind):
    return with_cert(side, kind, "rsa", authority=between(side),
                     trusted=[root("rsa"), between(side)])


def chain_in_fragments(pair):
    both_up(pair)
    assert agree(pair)
    pair.ping_all(versions=(4,))
    frames = pair.capture.stop()
    assert not [f for f in frames if f.kind == "fragment"], "IP had to cut a message"
    pieces = exchanges(ike_fragments(frames), IKE_AUTH)
    assert max(f.length for f in pieces) + 28 <= WHOLE
    for side in ("left", "right"):
        sent = [f for f in pieces if f.source == pair.outers[side][0]]
        assert len(sent) >= 2, f"{side} sent {len(sent)} fragments of IKE_AUTH"
    assert_protected(frames, "wire", at_least=2)


def test_of(name, left, right):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), chain_side("left", left.kind),
                  chain_side("right", right.kind)) as pair:
            chain_in_fragments(pair)
    return name, test


TESTS = [test_of(named(left, right, "certificate chain in fragments"), left, right)
         for left, right in PAIRINGS]
