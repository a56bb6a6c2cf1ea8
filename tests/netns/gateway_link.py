# SPDX-License-Identifier: Apache-2.0
"""A gateway on DPDK that has two ways to its peer, by two of its ports: a cable that is pulled is the
port's news, its shadow shows it, and the path is left as one by any other interface."""

import re
import time

from capture import Capture, assert_protected
from gateway import CLIENT, Gateways, bare, module, no_offloads
from lab import wait_for
from nets import Side, Stream
from several import active, by_number, results_of, sections

SECOND = {"left": "203.0.113.1", "right": "203.0.113.2"}
RATE = 1000
SETTLE = 1.0


class TwoCables(Gateways):
    """The left gateway's ports are lan, wan and wan2, the right one has interfaces. Between the
    second cables is a switch as between the first ones."""

    def __init__(self, name):
        paths = sections(1)
        paths["path2"] = {"local_addr": SECOND["left"], "remote_addr": SECOND["right"],
                          "priority": 1}
        super().__init__(name, ("dpdk", "latchkey"),
                         Side(connection={"path_policy": "failover", "paths": paths}),
                         Side(connection={"local_addrs": "%any"}), start=False)
        try:
            self.second = Capture(self.switch, "second-right", name="second", bulk=True)
            self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def _make(self, side):
        if side == "left":
            self.switch.run("ip", "link", "add", "sw2", "type", "bridge", "mcast_snooping", "0")
            self.switch.run("ip", "link", "set", "sw2", "up")
        super()._make(side)
        self.lab.link(self.switch, f"second-{side}", self.gateways[side], self.device(side, "wan2"),
                      (), [f"{SECOND[side]}/24"] if side == "right" else [])
        self.switch.run("ip", "link", "set", f"second-{side}", "master", "sw2")
        no_offloads(self.switch, f"second-{side}")
        if side == "left":
            bare(self.gateways[side], "dev-wan2")

    def _dpdk(self, side):
        section = super()._dpdk(side)
        section["dpdk"]["ports"]["wan2"] = {"device": "net_af_packet2,iface=dev-wan2"}
        return section

    def address(self, side):
        super().address(side)
        if side == "left":
            self.gateways[side].address("wan2", f"{SECOND[side]}/24")

    def protected(self):
        assert_protected(self.second.stop(), "the second cable", 500)
        return super().protected()


def flags(g, device):
    """The shadow's, as the host shows them."""
    shown = g.gateways["left"].run("ip", "link", "show", device).stdout
    return re.search(r"<(.*?)>", shown).group(1).split(",")


def test_cable():
    """The first cable is pulled, and is back: payload goes by the second one in between, by the same SA,
    and not because probes were missed. The same once more for the path that nothing is sent by."""
    with TwoCables("gateway-link") as g:
        peers = g.peers.values()
        g.peers["left"].up("net")
        for peer in peers:
            wait_for(lambda peer=peer: active(peer) == [1] and len(by_number(peer)) == 2 and
                     by_number(peer)[2]["state"] == "STANDBY", "two paths")
        g.ping()
        before = {side: peer.ike_spis() for side, peer in g.peers.items()}
        running = {side: Stream(g, side, rate=RATE, port=9000 + i, ends=CLIENT).start()
                   for i, side in enumerate(("left", "right"))}
        time.sleep(SETTLE)

        g.switch.run("ip", "link", "set", "to-left", "down")
        for peer in peers:
            wait_for(lambda peer=peer: active(peer) == [2], "the second path")
        for line in ("wan: the link is down", "the link of path 1 is down"):
            assert g.peers["left"].said(line), line
        assert {"NO-CARRIER", "UP"} <= set(flags(g, "wan")), flags(g, "wan")
        assert "port wan: link down" in g.peers["left"].cli("show").stdout
        assert sorted(by_number(g.peers["left"])) == [1, 2], "the path is another one now"
        time.sleep(SETTLE)

        g.switch.run("ip", "link", "set", "to-left", "up")
        for peer in peers:
            wait_for(lambda peer=peer: active(peer) == [1], "the first path again")
        assert g.peers["left"].said("the link of path 1 is up")
        assert "LOWER_UP" in flags(g, "wan"), flags(g, "wan")
        time.sleep(SETTLE)

        g.switch.run("ip", "link", "set", "second-left", "down")
        wait_for(lambda: g.peers["left"].said("the link of path 2 is down"), "news of the second")
        assert active(g.peers["left"]) == [1]
        wait_for(lambda: by_number(g.peers["left"])[2]["state"] not in ("STANDBY", "ACTIVE"),
                 "a path that is none")
        for r in results_of(running, "a port's cable").values():
            assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
        for side, peer in g.peers.items():
            assert peer.ike_spis() == before[side], f"{side} has another IKE SA now"
        assert g.port("left", "wan2")["tx-fast"] > 500, "not by the lane"
        g.protected()


TESTS = [
    ("gateway: a cable is pulled", test_cable),
]
