# SPDX-License-Identifier: Apache-2.0
"""A pair of SAs for each worker (per_cpu_sas, RFC 9611), by flows that the kernel spreads over the
workers' queues; and a peer that knows nothing of it."""

from lab import wait_for
from nets import INNER, Pair, Side, story
from scenarios import both_up

FLOWS = r"""
import socket, sys, time
for port in range(20000, 20064):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((sys.argv[1], port))
    for _ in range(3):
        s.sendto(b"x" * 64, (sys.argv[2], 9))
    time.sleep(0.002)
"""


def flows(pair):
    pair.left.run("/usr/bin/python3", "-c", FLOWS, INNER["left"][0], INNER["right"][0])


def workers(pair, side):
    """The workers that a side's pairs are for; the shared one is for none."""
    return sorted(child["cpu"] for child in pair.peers[side].children() if "cpu" in child)


def each_its_own(pair):
    both_up(pair)
    assert workers(pair, "left") == [], "there are none before there is traffic"

    def all_there():
        flows(pair)
        return workers(pair, "left") == ["0", "1"]
    wait_for(all_there, "a pair for each worker")
    story(f"left {workers(pair, 'left')}, right {workers(pair, 'right')}")
    assert workers(pair, "right") == ["0", "1"]
    pair.left.ping(INNER["right"][0], INNER["left"][0])
    pair.right.ping(INNER["left"][0], INNER["right"][0])


def each_its_own_bare(pair):
    """Protocol 50: each packet comes to one worker, the one that it is for."""
    each_its_own(pair)
    before = stats_of(pair, "right")
    sent = pair.peers["left"].cli_json("stats")["stats"]["data"]["tx-packets"]
    for _ in range(10):
        flows(pair)
    sent = pair.peers["left"].cli_json("stats")["stats"]["data"]["tx-packets"] - sent
    after = stats_of(pair, "right")
    got = [a - b for a, b in zip(after["received"], before["received"])]
    handed = after["handed"] - before["handed"]
    story(f"{sent} packets sent, the workers received {got}, handed over {handed}")
    assert sent >= 10 * 64 * 3, sent
    assert sum(got) <= sent + 20 and sum(got) >= sent * 0.98, (got, sent)
    assert all(n > sent / 5 for n in got), got
    assert handed < sent / 50, handed
    text = pair.peers["right"].cli("stats").stdout
    assert "REPLAY" not in text and "NO_SA" not in text, text
    frames = [f for f in pair.capture.stop() if f.kind == "esp"]
    assert {f.protocol for f in frames} == {50}, "not bare"


def stats_of(pair, side):
    found = list(pair.peers[side].cli_json("stats")["stats"]["workers"].values())
    return {"received": [w["rx-packets"] for w in found],
            "handed": sum(w["handed-off"] for w in found)}


def not_known(pair):
    both_up(pair)
    for _ in range(3):
        flows(pair)
    assert workers(pair, "left") == []
    pair.left.ping(INNER["right"][0], INNER["left"][0])


OURS = Side("latchkey", child={"per_cpu_sas": "yes"}, daemon={"workers": 2})


BARE = Side("latchkey", connection={"encap": "no"}, child={"per_cpu_sas": "yes"},
            daemon={"workers": 2})


def test_of(name, scenario, right, left=OURS, **more):
    def run():
        with Pair(name, left, right, **more) as pair:
            scenario(pair)
    return run


TESTS = [("siblings: a pair for each worker", test_of("siblings", each_its_own, OURS)),
         ("siblings: a pair for each worker, bare ESP", test_of("siblings-bare", each_its_own_bare,
                                                                 BARE, BARE)),
         ("siblings: a pair for each worker, bare ESP over IPv6",
          test_of("siblings-bare-6", each_its_own_bare, BARE, BARE, outer="ip6")),
         ("siblings: charon knows of none", test_of("siblings-charon", not_known, Side("charon")))]
