# SPDX-License-Identifier: Apache-2.0
"""Connections with interfaces of their own: two sites with the same inner network behind one hub,
told apart by the interface that the operator's routes and sockets name."""

import time

from capture import Capture, assert_protected
from guard import LISTEN, SPOOF
from lab import Lab, wait_for
from nets import PSK, section
from peers import KINDS

INNER = "10.9.0.1"  # of both sites
NETWORK = "10.9.0.0/24"
SITES = ("one", "two")
HUB = {"one": "10.101.0.1", "two": "10.102.0.1"}  # the hub's address on each interface
TABLE = {"one": "101", "two": "102"}
OUTER = {"one": ("192.0.2.1", "192.0.2.2"), "two": ("198.51.100.1", "198.51.100.2")}


def ends(name, here, there, child, **more):
    return {"version": "2", "local_addrs": here, "remote_addrs": there,
            "proposals": "aes256gcm16-prfsha256-x25519",
            "local": {"auth": "psk", "id": f"{name[0]}.example"},
            "remote": {"auth": "psk", "id": f"{name[1]}.example"}, **more,
            "children": {"net": {"esp_proposals": "aes256gcm16", **child}}}


def hub_conf(sites=SITES):
    everything = {"local_ts": "0.0.0.0/0", "remote_ts": "0.0.0.0/0"}
    text = section("connections", {
        site: ends(("hub", site), *OUTER[site], everything, interface=f"to-{site}",
                   interface_addrs=f"{HUB[site]}/32") for site in sites}) + "\n"
    text += section("secrets", {"ike": {"secret": f'"{PSK}"'}}) + "\n"
    return text + section("latchkey", {"interface": "latchkey0"}) + "\n"


def site_conf(site, kind):
    here, there = OUTER[site][1], OUTER[site][0]
    text = section("connections", {"gw": ends(
        (site, "hub"), here, there,
        {"local_ts": NETWORK, "remote_ts": "10.96.0.0/11", "mode": "tunnel"})}) + "\n"
    text += section("secrets", {"ike-gw": {"secret": f'"{PSK}"'}}) + "\n"
    return text if kind == "charon" else text + section("latchkey", {"interface": "latchkey0"}) + "\n"


class Hub:
    """A hub and two sites, each on a wire of its own."""

    def __init__(self, name, kinds):
        self.lab = Lab(name)
        try:
            self.host = self.lab.host("hub")
            self.sites, self.captures, peers = {}, {}, {}
            for site, kind in zip(SITES, kinds):
                host = self.sites[site] = self.lab.host(site)
                self.lab.link(self.host, f"wire-{site}", host, "wire",
                              [f"{OUTER[site][0]}/24"], [f"{OUTER[site][1]}/24"])
                host.address("lo", f"{INNER}/32")
                host.run("ip", "route", "add", "10.96.0.0/11", "via", OUTER[site][0])
                self.captures[site] = Capture(host, "wire")
                peers[site] = KINDS[kind](host, site_conf(site, kind))
            self.peer = KINDS["latchkey"](self.host, hub_conf()).start()
            self.peers = {site: peer.start() for site, peer in peers.items()}
            for site in SITES:
                self.route(site)
                self.host.run("ip", "rule", "add", "from", HUB[site], "lookup", TABLE[site])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lab.close()

    def up(self, site):
        answer, _ = self.peer.vici("initiate", {"ike": site, "child": "net", "timeout": 20000})
        assert answer.get("success") == "yes", answer

    def route(self, site):
        """The operator's: into each interface, and answers by the one that the question came by."""
        for table in ("main", TABLE[site]):
            self.host.run("ip", "route", "add", NETWORK, "dev", f"to-{site}", "table", table,
                          "metric", TABLE[site])

    def ping(self, site, check=True):
        """From the hub, by this site's interface."""
        return self.host.run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", f"to-{site}",
                             INNER, check=check).returncode == 0

    def ping_back(self, site):
        self.sites[site].ping(HUB[site], INNER, count=2)

    def counted(self, site):
        """Packets that the hub sent in this site's Child SA."""
        return sum(int(child["packets-out"]) for child in self.peer.children()
                   if child["ike"] == site)


def same_network_twice(kinds, begins):
    """begins: who brings each site's connection up."""
    def test():
        with Hub("vif-" + "-".join(kinds), kinds) as hub:
            assert not hub.ping("one", check=False), "answered without an SA"
            for site in SITES:
                if begins[site] == "hub":
                    hub.up(site)
                else:
                    hub.peers[site].up("net")
            wait_for(lambda: len(hub.peer.children()) == 2, "Child SAs with both sites")
            apart(hub)
            nothing_in_table_4301(hub)
            frames = {site: capture.stop() for site, capture in hub.captures.items()}
            for site in SITES:
                assert_protected(frames[site], f"site {site}", at_least=8)
    return test


def apart(hub):
    for site in SITES:
        before = {s: hub.counted(s) for s in SITES}
        hub.ping(site)
        hub.ping_back(site)
        other = SITES[1 - SITES.index(site)]
        assert hub.counted(site) == before[site] + 4, "not by this site's SA"
        assert hub.counted(other) == before[other], "by the other site's SA"
    # Only the site that has the address answers: the other one's answer would be a mistake.
    hub.sites["two"].run("ip", "address", "del", f"{INNER}/32", "dev", "lo")
    hub.ping("one")
    assert not hub.ping("two", check=False), "site one answered for site two"


def nothing_in_table_4301(hub):
    said = hub.host.run("ip", "route", "show", "table", "4301", check=False).stdout
    assert "to-" not in said, said


def spoofed(hub, text):
    """A neighbour on a wire claims to be in the network that is behind the interfaces."""
    mac = hub.host.run("cat", "/sys/class/net/wire-one/address").stdout.strip()
    hub.sites["one"].run("/usr/bin/python3", "-B", "-c", SPOOF, "wire", mac, INNER, HUB["one"],
                         text)


def guarded(kinds):
    """What the routes send into an interface comes from there alone, with and without an SA and
    after a kill; then what they send there is lost, not sent in the clear."""
    def test():
        with Hub("vif-guard", kinds) as hub:
            listener = hub.host.spawn("listen", "/usr/bin/python3", "-B", "-c", LISTEN, HUB["one"])
            wait_for(lambda: "ready" in listener.log(), "the listener")
            for wire in ("all", "wire-one"):
                hub.host.sysctl(f"net.ipv4.conf.{wire}.rp_filter", 0)
            spoofed(hub, "spoofed")
            hub.up("one")
            spoofed(hub, "spoofed")
            hub.ping("one")
            assert "spoofed" not in listener.log(), "a spoofed packet was taken"
            hub.peer.kill()
            assert not hub.ping("one", check=False)
            spoofed(hub, "spoofed")
            time.sleep(0.3)
            assert "spoofed" not in listener.log(), "a spoofed packet was taken after a kill"
            hub.host.nft("delete table inet latchkey-latchkey0\n")
            spoofed(hub, "without a guard")
            wait_for(lambda: "without a guard" in listener.log(), "the attack without a guard")
    return test


def come_and_go():
    """The interface is there with the connection: made and removed by a reload, and with the end."""
    with Hub("vif-reload", ("latchkey", "latchkey")) as hub:
        def links():
            return hub.host.run("ip", "-o", "link").stdout
        assert "to-one" in links() and "to-two" in links()
        hub.up("one")
        hub.ping("one")
        hub.host.write("latchkey.conf", hub_conf(("one",)))
        hub.peer.process.send(1)
        wait_for(lambda: "to-two" not in links(), "the second interface to go")
        hub.ping("one")
        hub.host.write("latchkey.conf", hub_conf())
        hub.peer.process.send(1)
        wait_for(lambda: "to-two" in links(), "the second interface to come back")
        hub.route("two")
        hub.peers["two"].up("net")
        hub.ping("two")
        hub.ping("one")
        hub.peer.stop()
        assert "to-" not in links(), "an interface stayed after an orderly stop"


TESTS = [
    ("interfaces: the same network twice, charon answers",
     same_network_twice(("charon", "charon"), {"one": "hub", "two": "hub"})),
    ("interfaces: the same network twice, charon begins",
     same_network_twice(("charon", "charon"), {"one": "site", "two": "site"})),
    ("interfaces: the same network twice, Latchkey and charon",
     same_network_twice(("latchkey", "charon"), {"one": "site", "two": "hub"})),
    ("interfaces: S58, what routes lead into one", guarded(("latchkey", "latchkey"))),
    ("interfaces: come and go with their connections", come_and_go),
]
