# SPDX-License-Identifier: Apache-2.0
"""Known content between two hosts with a relay between that hands ESP on out of order, again, forged
and with losses (tests/relay): every byte is compared, every datagram and every drop accounted for.
tests/long/content plays the same with more."""

import json
import os
import signal
import time

from lab import Lab, wait_for
from nets import INNER, Scene, Side, configuration, other, story, wait_until_ready
from peers import KINDS, Latchkey

OUTER = {"left": ("192.0.2.1", "192.0.2.254"), "right": ("198.51.100.1", "198.51.100.254")}
WINDOW = 1024
QUEUE = 8192
STREAM_RATE = 3_000_000
SPOIL_ONE_IN = 8
# No re-keying: what comes again after its SA is gone would be another kind of drop.
SIDE = {"child": {"replay_window": WINDOW, "rekey_time": "0"}, "connection": {"rekey_time": "0"}}


def program(name):
    path = os.path.join(Latchkey.build, "tests/relay", name)
    assert os.path.exists(path), f"not built: {path}"
    return path


def said(process):
    """The books that a program printed last."""
    return json.loads(process.log().splitlines()[-1])


def drops_of(stats):
    return {name: int(drop["count"]) for name, drop in stats["data"]["drops"].items()}


def less(after, before):
    return {key: after[key] - before.get(key, 0) for key in after
            if after[key] != before.get(key, 0)}


def host_counts(host):
    """What the kernel counts of IP, UDP and TCP."""
    counts = {}
    lines = host.run("cat", "/proc/net/snmp").stdout.splitlines()
    for keys, values in zip(lines[::2], lines[1::2]):
        name = keys.split(":")[0]
        counts.update({name + key: int(value) for key, value
                       in zip(keys.split()[1:], values.split()[1:])})
    for line in host.run("cat", "/proc/net/snmp6").stdout.splitlines():
        key, value = line.split()
        counts[key] = int(value)
    return counts


def lost_by(host):
    """What devices and sockets of the host had no room for."""
    lost = {f"{host.name} {key}": value for key, value in host_counts(host).items()
            if key.endswith(("RcvbufErrors", "SndbufErrors", "MemErrors"))}
    for link in json.loads(host.run("ip", "-json", "-s", "link").stdout):
        for way in ("rx", "tx"):
            lost[f"{host.name} {link['ifname']} {way}"] = link["stats64"][way]["dropped"]
    return lost


class Flood(Scene):
    """left - relay - right, a daemon on left and right."""

    def __init__(self, name, seed, workers):
        self.lab, self.seed = Lab(name), seed
        self.hosts = {side: self.lab.host(side) for side in ("left", "right")}
        self.between, self.relay, self.phases = self.lab.host("relay"), None, 0
        self.peers = {}
        try:
            for side, host in self.hosts.items():
                own, next_hop = OUTER[side]
                self.lab.link(host, "wire", self.between, side, [f"{own}/24"],
                              [f"{next_hop}/24"], together=True)
                host.address("lo", f"{INNER[side][0]}/32", f"{INNER[side][1]}/128")
                text = configuration(side, Side(**SIDE, daemon={"workers": workers}), own,
                                     next_hop)
                self.peers[side] = KINDS["latchkey"](host, text)
                self.peers[side].start()
                # All that may be on the way is room for: the queue is not what is looked at.
                host.run("ip", "link", "set", "latchkey0", "txqueuelen", QUEUE)
            self.hand_on()
            self.peers["left"].up("net")
            for side, host in self.hosts.items():
                host.ping(INNER[other(side)][0], INNER[side][0])
                host.ping(INNER[other(side)][1], INNER[side][1])
        except BaseException:
            self.close(failed=True)
            raise

    def hand_on(self, **options):
        """The relay ends, and goes on as it is told; returns its books of before."""
        before = None
        if self.relay:
            assert self.relay.stop() == 0, self.relay.log()
            before = said(self.relay)
        self.phases += 1
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self.relay = self.between.spawn(
            f"relay-{self.phases}", program("relay"), "--window", WINDOW, "--seed",
            self.seed * 1000 + self.phases, *words, *OUTER["left"][::-1], *OUTER["right"][::-1])
        wait_until_ready(self.relay)
        return before

    def counts(self, side):
        """What the daemon and its host have counted until now."""
        host = self.hosts[side]
        return {"stats": self.peers[side].cli_json("stats")["stats"], "host": host_counts(host),
                "lost": {**lost_by(host), **lost_by(self.between)}}

    def _settled(self, side):
        """The same when nothing of it changes any more."""
        def moving(counts):
            return drops_of(counts["stats"]), counts["host"], counts["lost"]

        now = self.counts(side)
        for _ in range(20):
            before, _ = now, time.sleep(0.5)
            now = self.counts(side)
            if moving(now) == moving(before):
                break
        return now

    def _send(self, count):
        """Datagrams both ways; returns what their receivers have to say when all is over."""
        receivers, senders = {}, []
        for side, host in self.hosts.items():
            to = other(side)
            books = os.path.join(self.lab.folder, f"books-{side}-{self.phases}")
            common = (books, self.seed * 1000 + 2 * self.phases + (side == "left"), count)
            receivers[side] = self.hosts[to].spawn(f"receive-{self.phases}", program("datagrams"),
                                                   "receive", *common, *INNER[to])
            wait_until_ready(receivers[side])
            ends = (INNER[side][0], INNER[to][0], INNER[side][1], INNER[to][1])
            senders.append(host.spawn(f"send-{self.phases}", program("datagrams"), "send", *common,
                                      "latchkey0", *ends))
        told = 0
        while any(process.running() for process in receivers.values()):
            time.sleep(0.2)
            now = max(process.log().count("arrived\n") for process in receivers.values())
            if now != told:
                story(f"{now * 5} million each way")
                told = now
            assert all(s.running() or s.outer.wait() == 0 for s in senders), senders[0].log()
        for process in senders:
            process.outer.wait(20)
        return {side: said(process) for side, process in receivers.items()}

    def _streams(self):
        """TCP by both versions, with wrong packets among the right ones to the right host."""
        pairs = []
        for version, port in ((0, 8004), (1, 8006)):
            common = (self.seed * 1000 + self.phases, STREAM_RATE, port)
            listens = self.hosts["right"].spawn(f"listen-{port}-{self.phases}", program("stream"),
                                                "listen", *common, INNER["right"][version])
            wait_until_ready(listens)
            spoils = self.hosts["left"].spawn(f"spoil-{port}-{self.phases}", program("spoil"),
                                              "latchkey0", port, SPOIL_ONE_IN)
            wait_until_ready(spoils)
            connects = self.hosts["left"].spawn(f"connect-{port}-{self.phases}",
                                                program("stream"), "connect", *common,
                                                INNER["left"][version], INNER["right"][version])
            pairs.append((spoils, connects, listens))
        return pairs

    def _end_streams(self, pairs):
        """They end; returns how many wrong packets there were."""
        spoilt = 0
        for spoils, connects, listens in pairs:
            wait_for(lambda: "begun" in spoils.log(), "a wrong packet of TCP")
            for process in (spoils, connects, listens):
                process.send(signal.SIGTERM)
            for process in (spoils, connects, listens):
                assert process.outer.wait(60) == 0, process.log()
            one, two = said(connects), said(listens)
            spoilt += said(spoils)["spoilt"]
            story(f"TCP: {one['sent']} bytes and {two['sent']} back, {said(spoils)['spoilt']} "
                  "wrong packets among them")
            assert one["sent"] == two["received"] and two["sent"] == one["received"], (one, two)
            assert one["wrong"] == two["wrong"] == 0 and one["sent"] > 0, (one, two)
        return spoilt

    def phase(self, what, count, streams=False, **options):
        """So many datagrams each way while the relay does what the options say: the books."""
        self.hand_on(**options)
        before = {side: self.counts(side) for side in self.hosts}
        begin = time.monotonic()
        pairs = self._streams() if streams else []
        books = self._send(count)
        spoilt = self._end_streams(pairs)
        seconds = time.monotonic() - begin
        relay = self.hand_on()
        for side in self.hosts:
            to = other(side)
            self._check(what, books[side], relay[side], spoilt if to == "right" else 0,
                        before[to], self._settled(to))
        rate = sum(way["in"] for way in relay.values()) / seconds
        story(f"{what}: {seconds:.0f} s, {rate:.0f} packets a second")

    def _check(self, what, book, relay, spoilt_tcp, before, after):
        """One direction: what was sent by `book`, what the relay did, what the far side counted."""
        drops = less(drops_of(after["stats"]), drops_of(before["stats"]))
        host = less(after["host"], before["host"])
        story(f"{what}: {json.dumps(book)}")
        story(f"{what}: relay {json.dumps(relay)}; drops {json.dumps(drops)}")
        lost = less(after["lost"], before["lost"])
        assert not lost, f"no room for them: {lost}"
        for key in ("corrupt", "twice", "misled", "laundered"):
            assert book[key] == 0, f"{key}: {book}"
        assert (book["behind"] > 0) == (relay["late"] > 0), book
        assert book["joined"] > 0 and book["spoilt"] > 0, book
        assert relay["out"] == relay["in"] - relay["lost"] + relay["again"] + relay["forged"], relay
        drops.pop("KEEPALIVE", None)  # which the relay hands on
        wanted = {"REPLAY": relay["again"], "AUTH": relay["forged"]}
        assert drops == {key: value for key, value in wanted.items() if value}, (drops, wanted)
        wrong = host.get("UdpInCsumErrors", 0) + host.get("Udp6InCsumErrors", 0)
        missing = book["given"] - book["arrived"] + book["spoilt"] - wrong + spoilt_tcp - \
            host.get("TcpInCsumErrors", 0)
        assert missing == relay["lost"], f"missing {missing}: {book} {relay} {host}"
        assert host.get("UdpInErrors", 0) + host.get("Udp6InErrors", 0) == wrong, host


HOSTILE = {"late": 8, "again": 16, "forged": 64}
LESS_SO = {"late": 32, "again": 64, "forged": 256}


def play(count, seed, workers):
    """So many datagrams altogether, by a wire that becomes worse."""
    with Flood(f"content-{workers}", seed, workers) as flood:
        flood.phase("as they come", count // 20)
        flood.phase("out of order", count // 20 * 7, streams=True, **LESS_SO)
        flood.phase("hardly in order", count // 20, streams=True, **HOSTILE)
        flood.phase("with losses", count // 20, **HOSTILE, lost=200)


def test_of(workers):
    def test():
        play(int(os.environ.get("CONTENT_PACKETS", "200000")),
             int(os.environ.get("CONTENT_SEED", "1")), workers)
    return test


TESTS = [("content: out of order, again, forged, lost", test_of(1)),
         ("content: the same by three workers", test_of(3))]
