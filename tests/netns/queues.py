# SPDX-License-Identifier: Apache-2.0
"""Gateways on DPDK with several workers: a queue of each port for each of them, SAs of both, and what
arrives at the wrong one handed over."""

import re

from gateway import CLIENT, LAN, Gateways, by_the_lane, fast, nothing_leaked
from lab import wait_for
from nets import NETWORK, Side, Stream, other, stop_all
from pytap import diag
from siblings import FLOWS
from workers import workers_of

TWO = {"workers": 2}


def sides(kinds, both=True, siblings=False, **more):
    """Both sides' configurations: with `both` each version of IP has a child of its own, and so a
    pair of its own, which is another worker's."""
    out = []
    for name, kind in zip(("left", "right"), kinds):
        side = Side(daemon={} if kind == "charon" else dict(TWO), **more)
        if both:
            (side.local_ts, six), (side.remote_ts, six_there) = NETWORK[name], NETWORK[other(name)]
            side.children = {"six": {"local_ts": six, "remote_ts": six_there}}
        # When a queue is full the kernel puts the packet into another one: packets are late.
        side.child = {"replay_window": 4096}
        if siblings:
            side.child["per_cpu_sas"] = "yes"
        out.append(side)
    return out


def told(name, workers):
    text = f"{name}: " + "; ".join(
        f"received {w['rx-packets']}, sent {w['tx-packets']}, handed over {w['handed-off']}, took "
        f"{w['taken']}, dropped {w['drops']}, owns {w['pairs']}" for w in workers)
    diag(text)
    return text


def traffic(g, versions=(4, 6)):
    """Pings, several flows of TCP and of UDP at once, both ways and of both versions."""
    for version in versions:
        for side in ("left", "right"):
            g.ping(side, version)
            speed = g.tcp(side, version, flows=4)
            diag(f"TCP of IPv{version} from the {side}: {speed:.0f} Mb/s")
    # All of a direction together as Gateways.stream() has it.
    streams = {(side, version, i): Stream(g, side, 100, 1000, version=version, ends=CLIENT,
                                          port=7000 + 10 * version + i).start()
               for side in ("left", "right") for version in versions for i in range(2)}
    for stream in streams.values():
        stream.wait(100)
    # charon's queues are short, where processors are few and busy.
    enough = 0.75 if "charon" in g.kinds.values() else 0.97
    for key, counted in stop_all(streams).items():
        assert counted["received"] >= counted["sent"] * enough, (key, counted)


def both_work(g, side, send=True):
    """Both workers of a gateway received by queues of their own, and sealed or opened."""
    workers = workers_of(g.peers[side])
    text = told(side, workers)
    assert len(workers) == 2 and all(w["rx-packets"] > 300 for w in workers), text
    assert not send or all(w["tx-packets"] > 300 for w in workers), text
    assert sum(w["handed-off"] for w in workers) == sum(w["taken"] for w in workers) > 100, text
    drops = g.peers[side].cli("stats").stdout
    assert not re.search(r"AUTH:|MALFORMED_INNER:|REPLAY:|NO_PORT:", drops), drops
    shown = g.peers[side].cli("show").stdout
    assert len(re.findall(r"port \w+: .*, 2 queues, spread by the host's kernel\n", shown)) == 2, \
        shown


def two_workers(name, kinds, outer=4, **more):
    """A pair of each worker; what comes to the other one's queue is handed over."""
    def test():
        left, right = sides(kinds, **more)
        with Gateways(name, kinds, left, right, outer=outer, queues=2) as g:
            for child in ("net", "six"):
                g.peers["left"].up(child)
            traffic(g)
            for side in (name for name, kind in g.kinds.items() if kind == "dpdk"):
                by_the_lane(g, side)
                both_work(g, side)
                owned = [w["pairs"] for w in workers_of(g.peers[side])]
                assert owned == [1, 1], owned
            g.protected()
    return test


def siblings_of(kinds, name):
    """One child, and a pair for each worker: both seal what came by their own queue."""
    def test():
        left, right = sides(kinds, both=False, siblings=True)
        with Gateways(name, kinds, left, right, queues=2) as g:
            g.peers["left"].up("net")

            def there():
                for side in ("left", "right"):
                    g.clients[side].run("/usr/bin/python3", "-c", FLOWS, CLIENT[side][0],
                                        CLIENT[other(side)][0])
                return all(sorted(child["cpu"] for child in g.peers[side].children()
                                  if "cpu" in child) == ["0", "1"] for side in ("left", "right"))
            wait_for(there, "a pair for each worker")
            traffic(g)
            for side in (name for name, kind in g.kinds.items() if kind == "dpdk"):
                by_the_lane(g, side)
                both_work(g, side)
            g.protected()
    return test


def not_known():
    """charon knows of no pairs for workers: one worker owns the only pair, and both receive."""
    left, right = sides(("dpdk", "charon"), both=False)
    left.child["per_cpu_sas"] = "yes"
    with Gateways("queues-charon-one", ("dpdk", "charon"), left, right, queues=2) as g:
        g.peers["left"].up("net")
        traffic(g)
        by_the_lane(g, "left")
        both_work(g, "left", send=False)
        g.protected()


def fewer_queues():
    """One port has one queue: one worker drives both, and the other has its packets handed over,
    whatever it owns. Neighbours go, and come again."""
    kinds = ("dpdk", "latchkey")
    left, right = sides(kinds)
    with Gateways("queues-fewer", kinds, left, right, queues=1) as g:
        assert g.peers["left"].said("lan: net_af_packet0,iface=dev-lan has 1 queue: the first 1 of 2 "
                                    "workers drives the ports"), g.peers["left"].log()
        for child in ("net", "six"):
            g.peers["left"].up(child)
        traffic(g)
        by_the_lane(g, "left")
        workers = workers_of(g.peers["left"])
        text = told("left", workers)
        assert [w["pairs"] for w in workers] == [1, 1], text
        assert workers[1]["rx-packets"] < 50 and workers[1]["taken"] > 1000, text
        for version in (4, 6):
            fast(g, f"IPv{version}", version)
        g.gateways["left"].run("ip", "neigh", "flush", "all")
        for version in (4, 6):
            g.ping(version=version)
        assert any(f.kind == "esp" for f in nothing_leaked(g))


def left_to_the_host():
    """What the lane of either worker leaves to the host goes: decrypted packets by the virtual
    interface, sealed ones by the host's sockets, of which bare ESP's are one worker's; and what the
    host sends by a shadow that stood already, with one queue."""
    kinds = ("dpdk", "latchkey")
    left, right = sides(kinds, connection={"encap": "no"})
    with Gateways("queues-host", kinds, left, right, queues=2, start=False) as g:
        gateway = g.gateways["left"]
        gateway.run("ip", "tuntap", "add", "mode", "tap", "name", "wan")
        g.start()
        assert g.peers["left"].said("wan stands already and has one queue"), g.peers["left"].log()
        for child in ("net", "six"):
            g.peers["left"].up(child)
        for version in (4, 6):
            for side in ("left", "right"):
                g.ping(side, version)
            # The host itself, both ways: it has its packets by the virtual interface.
            index = version == 6
            assert gateway.ping(CLIENT["right"][index], LAN["left"][index]) == 3
            assert g.clients["right"].ping(LAN["left"][index]) == 3
        for i in range(4):
            gateway.run("ip", "neigh", "flush", "all")
            g.ping(version=4 + i % 2 * 2)
        told("left", workers_of(g.peers["left"]))
        assert g.port("left", "lan")["left-to-host"] > 0
        assert any(f.kind == "esp" for f in nothing_leaked(g))


def queues_that_nobody_reads():
    """AF_PACKET spreads over all queues that it was given: more than there are workers is refused."""
    left, right = sides(("dpdk", "latchkey"))
    with Gateways("queues-more", ("dpdk", "latchkey"), left, right, queues=3, start=False) as g:
        host, peer = g.gateways["left"], g.peers["left"]
        process = host.spawn("latchkeyd", f"{peer.build}/api/latchkeyd", "-c", peer.conf,
                             "--run-dir", host.path("run"), "--foreground")
        assert process.outer.wait(20) != 0
        assert "lan: net_af_packet0,iface=dev-lan,qpairs=3: 2 of its 3 queues would be read, and " \
            "what comes by the others be lost: give it qpairs=2" in process.log(), process.log()


TESTS = [
    ("queues: two on DPDK", two_workers("queues-dpdk", ("dpdk", "dpdk"))),
    ("queues: DPDK and a TUN", two_workers("queues-tun", ("dpdk", "latchkey"))),
    ("queues: DPDK and charon", two_workers("queues-charon", ("dpdk", "charon"))),
    ("queues: IPv6 outside, bare ESP, two on DPDK",
     two_workers("queues-bare-6", ("dpdk", "dpdk"), outer=6, connection={"encap": "no"})),
    ("queues: a pair for each worker, two on DPDK", siblings_of(("dpdk", "dpdk"), "queues-sib")),
    ("queues: a pair for each worker, DPDK and a TUN",
     siblings_of(("dpdk", "latchkey"), "queues-sib-tun")),
    ("queues: charon knows of no pairs for workers", not_known),
    ("queues: fewer than workers", fewer_queues),
    ("queues: what is left to the host", left_to_the_host),
    ("queues: more than workers", queues_that_nobody_reads),
]
