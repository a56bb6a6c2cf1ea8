# SPDX-License-Identifier: Apache-2.0
"""A gateway whose outer port encrypts and decrypts: a stand-in (tests/drivers/inline_port.c) in
front of net_af_packet, whose ciphers are OpenSSL's. The other gateway knows nothing of it."""

import os

from gateway import Gateways, arrived, between, re_keyed, sides
from lab import wait_for
from peers import Latchkey
from pytap import Skip, diag


def stand_in():
    path = os.path.join(Latchkey.build, "tests/drivers/inline-port.so")
    if not os.path.exists(path):
        raise Skip("built without DPDK")
    return path


class InlineGateways(Gateways):
    """The left gateway's outer port is the stand-in, if it can what it is asked for."""

    def __init__(self, name, kind, left, right, outer, can=True):
        self.can = can
        super().__init__(name, ("dpdk", kind), left, right, outer=outer)

    def _dpdk(self, side):
        section = super()._dpdk(side)
        section["dpdk"]["ports"]["wan"]["inline_ipsec"] = "yes"
        return section

    def start(self):
        self.peers["left"].prefix = (
            "env", f"LD_PRELOAD={stand_in()}",
            f"LATCHKEY_INLINE_PORTS={'net_af_packet1' if self.can else ''}")
        super().start()

    def by_port(self):
        """ESP that the port encrypted, and decrypted."""
        wan = self.port("left", "wan")
        return wan["tx-inline"], wan["rx-inline"]


def inline(name, kind, outer=4, bare=False, sent=True):
    """Pings, TCP and datagrams both ways while SAs are re-keyed: nearly all ESP is the port's work,
    and nothing is in the clear. sent: also what is sent."""
    def test():
        left, right = sides(bare)
        with InlineGateways(name, kind, left, right, outer) as g:
            g.peers["left"].up("net")
            assert "inline_ipsec" in g.peers["left"].cli("show").stdout
            for version in (4, 6):
                for side in ("left", "right"):
                    g.ping(side, version)
            before = g.by_port()
            streams = [g.stream(side) for side in ("left", "right")]
            counted = re_keyed(g, streams)
            tx, rx = (after - b for after, b in zip(g.by_port(), before))
            diag(f"by the port {tx} sent of {counted[0]['sent']}, {rx} received of "
                 f"{counted[1]['sent']}")
            arrived(*counted)
            assert rx >= counted[1]["received"] * 0.99, (rx, counted)
            assert (tx >= counted[0]["received"] * 0.99) if sent else tx == 0, (tx, counted)
            for side, version in (("left", 4), ("right", 6)):
                diag(f"TCP from the {side}: {g.tcp(side, version):.0f} Mb/s")
            assert len(between(g, outer, bare)) > 1000
            g.peers["left"].down(ike="gw")
    return test


def test_port_that_cannot():
    """The log says so, and the processor does it."""
    left, right = sides(bare=False)
    with InlineGateways("gateway-not-inline", "latchkey", left, right, 4, can=False) as g:
        wait_for(lambda: "does no IPsec inline: the processor does it" in g.peers["left"].log(),
                 "the log to say so")
        g.peers["left"].up("net")
        g.ping()
        assert "inline_ipsec" not in g.peers["left"].cli("show").stdout
        assert g.by_port() == (0, 0)
        g.protected()


TESTS = [
    ("gateway: inline by the port, a TUN", inline("gateway-inline-tun", "latchkey")),
    ("gateway: inline by the port, charon", inline("gateway-inline-charon", "charon")),
    ("gateway: inline by the port, bare ESP", inline("gateway-inline-bare", "latchkey", bare=True)),
    ("gateway: inline by the port, bare ESP, IPv6 outside",
     inline("gateway-inline-bare-6", "latchkey", outer=6, bare=True)),
    ("gateway: inline by the port, IPv6 outside",
     inline("gateway-inline-6", "latchkey", outer=6, sent=False)),
    ("gateway: inline by a port that cannot", test_port_that_cannot),
]
