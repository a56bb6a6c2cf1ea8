# SPDX-License-Identifier: Apache-2.0
"""Neighbours of a gateway on DPDK as the kernel's own timers have them: they go stale, are asked for
and answer while the lane sends to them, of which the kernel sees nothing, and after a pause; and one
whose card is another, without a word about it, is found again.
"""

import re

from gateway import CLIENT, Gateways, counts, fast
from lab import wait_for
from nets import stop_all
from pytap import diag

# In place of 30 s, 5 s, 1 s and 60 s. A neighbour is believed for 1.1 to 3.2 s; where that is less
# than the delay before the first probe the kernel goes on asking for ever, with or without traffic.
TIMERS = {"base_reachable_time_ms": 2150, "delay_first_probe_time": 1, "retrans_time_ms": 200,
          "gc_stale_time": 2}
NEW_MAC = {"lan": "02:00:00:00:00:66", "wan": "02:00:00:00:00:77"}


def hurry(host, *devices):
    for device in devices:
        for family in ("ipv4", "ipv6"):
            for name, value in TIMERS.items():
                host.sysctl(f"net.{family}.neigh.{device}.{name}", value)


class Neighbours:
    """What `ip monitor` tells of the left gateway's: the client, and the far gateway."""

    def __init__(self, g, version):
        self.gateway = g.gateways["left"]
        self.addresses = {"lan": CLIENT["left"][version == 6], "wan": g.outer["right"]}
        self.monitor = self.gateway.spawn("neigh", "stdbuf", "-oL", "ip", "monitor", "neigh")

    def states(self, device):
        """The states that its neighbour went through."""
        return re.findall(rf"^{re.escape(self.addresses[device])} dev {device} .*?([A-Z]+) $",
                          self.monitor.log(), re.M)

    def now(self, device):
        return self.gateway.run("ip", "neigh", "show", "to", self.addresses[device], "dev",
                                device).stdout


def lost_seconds(counted):
    """How long the longest gap of a stream was."""
    longest = max((last - first + 1 for first, last in counted["lost"]), default=0)
    return longest * counted["seconds"] / counted["sent"]


def expire(g, neighbours, version):
    """Both sides send for a while: each neighbour goes stale and answers again and again, and all goes
    by the lane meanwhile, nothing lost and each packet in its place."""
    before = counts(g)
    streams = {side: g.stream(side, version, rate=200) for side in ("left", "right")}

    def came_and_went(device):
        states = neighbours.states(device)
        return states.count("REACHABLE") >= 2 and states.count("PROBE") >= 2

    for device in ("lan", "wan"):
        wait_for(lambda device=device: came_and_went(device), f"{device} to answer twice", 60)
        diag(f"{device}: {' '.join(neighbours.states(device))}")
    counted = stop_all(streams)
    after = counts(g)
    for one in counted.values():
        assert one["received"] == one["sent"] and not one["reordered"], one
    sent, left = after[0] - before[0], after[1] - before[1]
    diag(f"by the lane {sent}, left to the host {left}")
    assert sent >= counted["left"]["sent"] and left == 0, (before, after)


def pause(g, neighbours, version):
    """Nothing is sent until both are stale; then all of it arrives, by the lane."""
    for device in ("lan", "wan"):
        wait_for(lambda device=device: "STALE" in neighbours.now(device), f"{device} to be stale")
    fast(g, "after a pause", version)


def another_card(g, neighbours, version, device):
    """The neighbour, which a stream goes to and none comes from, has another MAC address from now:
    probes to the old one are not answered, and the host asks for it anew."""
    side, host, name = ("right", g.clients["left"], "eth") if device == "lan" else \
        ("left", g.gateways["right"], "wan")
    stream = g.stream(side, version, rate=200)
    stream.wait(200)
    host.run("ip", "link", "set", name, "address", NEW_MAC[device])
    wait_for(lambda: NEW_MAC[device] in neighbours.now(device), f"{device}: the new address")
    stream.wait(200)
    counted = stream.stop()
    gap = lost_seconds(counted)
    diag(f"{device}: another card, and {gap:.1f} s until it was known")
    # It was believed for 3.2 s at most; the host was told within a second that it is used, and asked
    # for it by its old address for 1.6 s and then at large.
    assert 0 < gap < 8, counted
    assert counted["highest"] == counted["sent"] - 1, counted


def scenario(version):
    def test():
        with Gateways(f"gateway-neighbours-{version}", ("dpdk", "latchkey"),
                      outer=version) as g:
            hurry(g.gateways["left"], "lan", "wan")
            g.peers["left"].up("net")
            g.ping(version=version)
            neighbours = Neighbours(g, version)
            expire(g, neighbours, version)
            pause(g, neighbours, version)
            for device in ("lan", "wan"):
                another_card(g, neighbours, version, device)
            fast(g, "at last", version)
            assert any(f.kind == "esp" for f in g.protected())
    return test


TESTS = [
    ("gateway: neighbours expire, ARP", scenario(4)),
    ("gateway: neighbours expire, ND", scenario(6)),
]
