# SPDX-License-Identifier: Apache-2.0
"""Several workers in a process: what they carry side by side arrives as it was sent, through re-keys,
and with peers that know nothing of workers; pairs are spread, and packets arrive where they belong."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from capture import Capture, assert_protected
from lab import Lab, wait_for
from nets import INNER, PSK, Pair, Side, other, section, story
from offload import DATAGRAMS, TALK, talk_between
from peers import KINDS
from scenarios import agree, named

TWO = {"workers": 2}
# A second child, whose pair is another worker's.
MORE = {"left": "10.3.0.1", "right": "10.4.0.1"}
L, C = Side(kind="latchkey", daemon=TWO), Side(kind="charon")
AMOUNT = 3_000_000


def workers_of(peer):
    return list(peer.cli_json("stats")["stats"]["workers"].values())


def assert_spread(name, peer, pairs=1):
    """Each worker owns as many pairs and carries something; little is handed over. Pairs that were
    replaced receive for a few seconds more."""
    wait_for(lambda: all(w["pairs"] <= pairs for w in workers_of(peer)), "replaced pairs to go")
    workers = workers_of(peer)
    text = f"{name}: " + "; ".join(
        f"received {w['rx-packets']}, sent {w['tx-packets']}, handed over {w['handed-off']}, "
        f"dropped {w['drops']}, owns {w['pairs']}" for w in workers)
    story(text)
    assert len(workers) == 2 and all(w["pairs"] == pairs for w in workers), text
    assert all(w["rx-packets"] > 100 and w["tx-packets"] > 100 for w in workers), text
    handed = sum(w["handed-off"] for w in workers)
    assert handed < sum(w["tx-packets"] for w in workers) / 5, text
    stats = peer.cli("stats").stdout
    assert not re.search(r"AUTH:|MALFORMED_INNER:|REPLAY:|HANDOFF_FULL:", stats), stats


def transfer(job):
    client, server, port = job
    sent, received = talk_between(TALK, client, server, AMOUNT, port)
    assert sent == received and int(sent[0]) == AMOUNT, f"TCP to {port}: {sent}, {received}"
    return port


def side_by_side(jobs, meanwhile=lambda: None):
    """All transfers at once; what is done meanwhile, once."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(transfer, job) for job in jobs]
        meanwhile()
        for job in running:
            job.result()


def flows(pair):
    """(host, address) of both ends for transfers of each child in each direction."""
    ends = [INNER["left"][0], INNER["right"][0]], [INNER["left"][1], INNER["right"][1]], \
        [MORE["left"], MORE["right"]]
    jobs = []
    for left, right in ends:
        here, there = (pair.host("left"), left), (pair.host("right"), right)
        jobs += [(here, there, 7200 + len(jobs)), (there, here, 7201 + len(jobs))]
    return jobs


def rekey_both(pair):
    """Each child by each side, while packets go."""
    for side in ("left", "right"):
        for child in ("net", "more"):
            before = {s: peer.spis() for s, peer in pair.peers.items()}
            pair.peers[side].rekey(child=child)
            wait_for(lambda before=before: all(len(peer.spis() - before[s]) == 1 for s, peer in
                                               pair.peers.items()), f"{child} re-keyed by {side}")
            wait_for(lambda: agree(pair), "both sides to agree")


def two_children(pair):
    for side, host in (("left", pair.left), ("right", pair.right)):
        host.address("lo", f"{MORE[side]}/32")
    for child in ("net", "more"):
        pair.peers["left"].up(child)
    wait_for(lambda: all(len(peer.children()) == 2 for peer in pair.peers.values()),
             "both children on both sides")
    side_by_side(flows(pair), lambda: rekey_both(pair))
    for port, (client, server, _) in enumerate(flows(pair), start=7300):
        _, received = talk_between(DATAGRAMS, client, server, 1000, port)
        story(f"UDP to {port}: {received[0]} of 1000, {received[1]} wrong")
        # charon's queues are short, and so is the receiver's where processors are few.
        enough = 500 if pair.sides["right"].kind == pair.sides["left"].kind else 100
        assert int(received[0]) > enough and received[1] == "0", f"UDP: {received}"
    assert_protected(pair.capture.stop(whole=False), "wire", at_least=1000)
    for side, peer in pair.peers.items():
        if pair.sides[side].kind == "latchkey":
            assert_spread(side, peer)


def children(kind, **more):
    def side(name, side):
        keys = {"local_ts": f"{MORE[name]}/32", "remote_ts": f"{MORE[other(name)]}/32"}
        return replace(side, children={"more": keys}, **more)
    return side("left", L if kind != "charon-latchkey" else C), \
        side("right", L if kind != "latchkey-charon" else C)


def two_children_of(kind, what="two children, re-keyed under load", **more):
    left, right = children(kind, **more)

    def test():
        with Pair(f"workers-{what[:4].strip()}-{kind}", left, right) as pair:
            two_children(pair)
    return named(left, right, f"workers, {what}"), test


# --- a gateway with two peers --------------------------------------------------------------------

GATEWAY = "10.20.0.1"
SITES = {"one": ("192.0.2.1", "192.0.2.2", "10.21.0.1"),
         "two": ("198.51.100.1", "198.51.100.2", "10.22.0.1")}


def connection(names, local, remote, inner):
    return {"version": "2", "local_addrs": local, "remote_addrs": remote,
            "proposals": Side.proposals, "local": {"auth": "psk", "id": f"{names[0]}.example"},
            "remote": {"auth": "psk", "id": f"{names[1]}.example"},
            "children": {f"{names[-1]}-net": {
                "esp_proposals": Side.esp_proposals, "mode": "tunnel",
                "local_ts": f"{inner[0]}/32", "remote_ts": f"{inner[1]}/32"}}}


def text_of(kind, connections, daemon):
    text = section("connections", connections) + "\n" + \
        section("secrets", {"ike-all": {"secret": f'"{PSK}"'}}) + "\n"
    return text if kind == "charon" else text + \
        section("latchkey", {"interface": "latchkey0", **daemon}) + "\n"


def two_peers(kind):
    """Each peer's pair is one worker's, and both carry traffic both ways at once."""
    lab = Lab(f"workers-two-{kind}")
    try:
        gateway, hosts, captures, peers = lab.host("gateway"), {}, {}, {}
        gateway.address("lo", f"{GATEWAY}/32")
        connections = {}
        for name, (here, there, inner) in SITES.items():
            host = hosts[name] = lab.host(name)
            lab.link(gateway, f"wire-{name}", host, "wire", [f"{here}/24"], [f"{there}/24"])
            host.address("lo", f"{inner}/32")
            captures[name] = Capture(host, "wire")
            connections[name] = connection(("gateway", name), here, there, (GATEWAY, inner))
            conf = text_of(kind, {"gw": connection((name, "gateway"), there, here,
                                                   (inner, GATEWAY))}, {})
            peers[name] = KINDS[kind](host, conf)
        ours = KINDS["latchkey"](gateway, text_of("latchkey", connections, TWO)).start()
        for peer in peers.values():
            peer.start()
        ours.up("one-net")
        peers["two"].up("gateway-net")
        wait_for(lambda: len(ours.children()) == 2, "a Child SA with each peer")
        jobs = []
        for name, (_, _, inner) in SITES.items():
            ends = (gateway, GATEWAY), (hosts[name], inner)
            jobs += [(*ends, 7400 + len(jobs)), (*ends[::-1], 7401 + len(jobs))]
        side_by_side(jobs)
        assert_spread("gateway", ours)
        for name, capture in captures.items():
            assert_protected(capture.stop(whole=False), f"wire of {name}", at_least=1000)
    finally:
        lab.close()


# --- started again with other numbers ------------------------------------------------------------

def set_workers(peer, number):
    with open(peer.conf, encoding="utf-8") as file:
        text = file.read()
    with open(peer.conf, "w", encoding="utf-8") as file:
        file.write(re.sub(r"workers = \w+", f"workers = {number}", text))


def carries(pair, port):
    left = pair.peers["left"]
    left.up("net")
    wait_for(left.children, "the Child SA")
    ends = (pair.left, INNER["left"][0]), (pair.right, INNER["right"][0])
    side_by_side([(*ends, port), (*ends[::-1], port + 1)])


def started_again():
    """The number changes with the next start, and a device that a killed process left has the queue
    that it was made with: the other workers have that one send and receive for them."""
    with Pair("workers-again", replace(L, daemon={"workers": 1}),
              replace(L, daemon={"workers": "auto"})) as pair:
        left = pair.peers["left"]
        carries(pair, 7500)
        set_workers(left, 3)
        left.cli("load")
        assert left.said("takes effect at the next start"), left.log()
        assert len(workers_of(left)) == 1
        left.kill()
        left.start()
        assert left.said("has one queue"), left.log()
        carries(pair, 7510)
        workers = workers_of(left)
        assert len(workers) == 3 and sum(w["pairs"] for w in workers) == 1, workers
        left.stop()
        left.start()
        assert not left.said("has one queue"), left.log()
        carries(pair, 7520)
        assert_protected(pair.capture.stop(whole=False), "wire", at_least=1000)


TESTS = [two_children_of(kind) for kind in ("latchkey-latchkey", "latchkey-charon",
                                            "charon-latchkey")]
TESTS += [
    two_children_of("latchkey-latchkey", "bare ESP, re-keyed under load",
                    connection={"encap": "no"}),
    ("latchkey-latchkey: workers, a gateway with two peers", lambda: two_peers("latchkey")),
    ("latchkey-charon: workers, a gateway with two peers", lambda: two_peers("charon")),
    ("latchkey-latchkey: workers, started again with another number", started_again),
]
