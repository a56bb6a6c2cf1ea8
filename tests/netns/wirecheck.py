# SPDX-License-Identifier: Apache-2.0
"""The wire proved on itself: what a real flow meets is what it was told to do."""

import re
import signal

from lab import Lab, wait_for
from nets import wait_until_ready
from stream import command, result_of
from wire import Wire, will_be_lost

HERE, THERE = "192.0.2.1", "192.0.2.2"
MAC = {"one": "02:00:00:00:00:01", "two": "02:00:00:00:00:02"}


class Ends:
    """Two hosts and a wire between them. They know each other, so that what they send is what a
    test sends and nothing else."""

    def __init__(self, name, orders=""):
        self.lab = Lab(name)
        try:
            self.one, self.two = self.lab.host("one"), self.lab.host("two")
            for host in (self.one, self.two):
                host.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
            self.wire = Wire(self.lab, "a", (self.one, "wire", [f"{HERE}/24"]),
                             (self.two, "wire", [f"{THERE}/24"]), orders)
            for host, own, other, address in ((self.one, "one", "two", THERE),
                                              (self.two, "two", "one", HERE)):
                host.run("ip", "link", "set", "wire", "address", MAC[own])
                host.run("ip", "neigh", "replace", address, "lladdr", MAC[other], "dev", "wire",
                         "nud", "permanent")
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()

    def send(self, count, rate=4000, size=200):
        """So many datagrams; returns what stream.py says of both ends."""
        receiver = self.two.spawn("receive", *command("receive", THERE, 9000))
        wait_until_ready(receiver)
        before = self.wire.counts()["left"]["in"]
        sender = self.one.spawn("send", *command("send", HERE, THERE, 9000, rate, size, count))
        wait_for(lambda: not sender.running(), "all to be sent", 120)
        wait_for(lambda: self._settled(before + count), "all to have left the wire")
        receiver.stop(signal.SIGTERM)
        return {**result_of(sender), **result_of(receiver)}

    def _settled(self, number):
        counts = self.wire.counts()
        return counts["left"]["in"] >= number and not counts["under_way"]

    def round_trips(self, count=20):
        done = self.one.run("ping", "-n", "-c", count, "-i", "0.05", THERE)
        return [float(ms) for ms in re.findall(r"time=([\d.]+) ms", done.stdout)]


def lost_of(result):
    return {n for first, last in result["lost"] for n in range(first, last + 1)} | \
        set(range(result["highest"] + 1, result["sent"]))


def test_delay():
    """Nothing is early, and the fastest of some is not much later; the ends of a cable that is a
    millisecond long as well as those of one that is 20."""
    with Ends("wire-delay") as ends:
        for delay in (1, 20):
            ends.wire.order(f"left delay {delay}ms", f"right delay {2 * delay}ms")
            times = ends.round_trips()
            assert len(times) == 20 and 3 * delay <= min(times) < 3 * delay + 10, times
        counts = ends.wire.counts()
        assert counts["left"]["out"] == counts["right"]["out"] == 40, counts


def test_losses():
    """Lost are those datagrams that the seed says, and no other."""
    with Ends("wire-losses") as ends:
        for seed, percent in ((7, 5), (8, 0.5), (9, 60)):
            ends.wire.order(f"left loss {percent}%")
            ends.wire.seed(seed)
            before = ends.wire.counts()["left"]["lost"]
            result = ends.send(4000)
            expected = will_be_lost(seed, "left", percent, 4000)
            assert expected and lost_of(result) == expected, (result, sorted(expected))
            assert result["repeated"] == result["reordered"] == 0, result
            assert ends.wire.counts()["left"]["lost"] - before == len(expected)


def test_order_and_copies():
    """What it says that it did is what the receiver sees; without being told it does neither."""
    with Ends("wire-order", "delay 2ms") as ends:
        result = ends.send(2000)
        assert not lost_of(result) and not result["repeated"] + result["reordered"], result
        ends.wire.order("left duplicate 10%")
        result = ends.send(2000)
        again = ends.wire.counts()["left"]["again"]
        assert again > 100 and result["repeated"] == again and not lost_of(result), result
        ends.wire.order("left duplicate 0%", "left reorder 5%", "left late 20ms")
        result = ends.send(2000)
        late = ends.wire.counts()["left"]["late"]
        # One that is late at the end of a pause of the sender's may still be the next one.
        assert late > 50 and late / 2 < result["reordered"] <= late, (late, result)
        assert not lost_of(result), result


def test_rate():
    """Of more than there is room for some is dropped, and the rest is not faster than the rate."""
    with Ends("wire-rate", "left rate 2M; left queue 50ms") as ends:
        result = ends.send(3000, rate=1e6, size=958)  # 1,000 bytes with all headers: 4 ms
        counts = ends.wire.counts()["left"]
        assert counts["full"] > 0 and counts["full"] == len(lost_of(result)), (counts, result)
        assert counts["out_len"] == 1000 * counts["out"], counts
        took = result["took_ms"]
        assert took >= 4 * (counts["out"] - 1) - 4, (took, counts)
        late = ends.wire.counts()["tardy_ns"] / 1e6 + result["pause_ms"]  # the machine's part
        assert result["slowest_ms"] < 50 + 4 + 4 + 500 + late, (result, late)


def test_black_hole():
    with Ends("wire-black-hole") as ends:
        for way in ("left", "right"):
            assert len(ends.round_trips(3)) == 3
            ends.wire.order(f"{way} blackhole on")
            assert ends.one.ping(THERE, count=2, wait=1, check=False) == 0
            ends.wire.order(f"{way} blackhole off")
            assert ends.wire.counts()[way]["swallowed"] > 0
        ends.wire.plug(False)
        assert "NO-CARRIER" in ends.one.run("ip", "link", "show", "wire").stdout
        ends.wire.plug()
        assert ends.one.ping(THERE, count=2) == 2
        books = ends.wire.stop()
        for way in ("left", "right"):
            at = books[way]
            assert at["in"] == at["out"] + at["swallowed"] + at["lost"] + at["full"], books


def test_wrong_orders():
    """What is wrong is said, and changes nothing."""
    with Ends("wire-orders", "delay 1ms") as ends:
        for text in ("delay", "left delay 1", "left delay 900ms; loss 200%", "", "counts!"):
            answer = ends.wire.ask(text)
            assert (answer == "ok") == (text == ""), (text, answer)
        assert len(ends.round_trips(3)) == 3


TESTS = [
    ("wire: delay", test_delay),
    ("wire: losses are those of the seed", test_losses),
    ("wire: order and copies", test_order_and_copies),
    ("wire: rate", test_rate),
    ("wire: black hole, and no carrier", test_black_hole),
    ("wire: orders that are wrong", test_wrong_orders),
]
