# SPDX-License-Identifier: Apache-2.0
"""A flow that asks for algorithms of its own: a narrow Child SA is made beside the wide one of the
same child, is re-keyed by either side and stays narrow, and carries that flow."""

import json

from content import program
from lab import wait_for
from nets import INNER, Pair, Side, story
from scenarios import PAIRINGS, agree, both_up, named, ours, with_sides

PORT, FROM = 4000, 5000
ESTABLISHED = 2
WIDE, NARROW = "AES_GCM_16-256", "AES_GCM_16-128"

ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, who = s.recvfrom(2000)
    s.sendto(data, who)
"""


def is_flow(child):
    return all(ts[0].endswith(f"[udp/{port}]") and len(ts) == 1
               for ts, port in ((child["local-ts"], FROM), (child["remote-ts"], PORT)))


def at_peer(child):
    return all(ts[0].endswith(f"[udp/{port}]") and len(ts) == 1
               for ts, port in ((child["local-ts"], PORT), (child["remote-ts"], FROM)))


def one(children, which):
    found = [child for child in children if which(child)]
    assert len(found) == 1 and len(children) == 2, children
    return found[0]


def suite(child):
    return f"{child['encr-alg']}-{child['encr-keysize']}"


def narrow(pair):
    both_up(pair)
    side = ours(pair)[0]
    there = "right" if side == "left" else "left"
    us, them = pair.peers[side], pair.peers[there]
    pair.host(there).spawn("echo", "/usr/bin/python3", "-c", ECHO, INNER[there][0], PORT)
    client = pair.host(side).spawn(
        "narrow", program("narrow"), INNER[side][0], FROM, INNER[there][0], PORT,
        "authenticated", "aes128gcm16", env={"LATCHKEY_SOCKET": f"{us.run_dir}/latchkey.app"})

    def said():
        lines = client.log().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def answers(more=5):
        before = said().get("got", 0)
        wait_for(lambda: said().get("got", 0) >= before + more, f"answers: {client.log()[-300:]}")
        assert said()["state"] == ESTABLISHED, said()

    answers()
    for peer in (None, us, them):
        if peer:
            before = us.spis()
            peer.rekey(child="net")
            wait_for(lambda before=before: not us.spis() & before and len(us.spis()) == 2,
                     "both pairs to be re-keyed")
            wait_for(lambda: agree(pair), "the two sides to agree")
            answers()
        here, at = one(us.children(), is_flow), one(them.children(), at_peer)
        assert suite(here) == suite(at) == NARROW, (here, at)
        assert {suite(child) for child in us.children()} == {WIDE, NARROW}
        wait_for(lambda: int(one(us.children(), is_flow)["packets-out"]) > 3, "packets of the flow")
    assert len(us.established()) == 1
    story(f"{said()['sent']} datagrams by {NARROW} beside {WIDE}, {said()['got']} came back")


TESTS = []
for left, right in PAIRINGS:
    sides = with_sides(left, right, {"esp_proposals": "aes256gcm16"},
                       {"esp_proposals": "aes256gcm16,aes128gcm16"}) \
        if left.kind == "latchkey" else \
        with_sides(left, right, {"esp_proposals": "aes256gcm16,aes128gcm16"},
                   {"esp_proposals": "aes256gcm16"})
    TESTS.append((named(left, right, "a flow has algorithms of its own"), lambda sides=sides: play(*sides)))


def play(left, right):
    with Pair(f"narrow-{left.kind}-{right.kind}", left, right) as pair:
        narrow(pair)
