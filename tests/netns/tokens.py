# SPDX-License-Identifier: Apache-2.0
"""Whose a datagram is, told exactly: two sites of different identities send from one address and
port to one socket of a hub, each by its own SAs, which are re-keyed meanwhile. The mark of every
datagram is the class of the SA that carried it, or the interface that it came by the connection's.

LATCHKEY_DATAGRAMS: how many, of both sites together (else 40,000)."""

import mmap
import os
import struct

from content import program, said
from interfaces import SITES, ends
from lab import Lab, wait_for
from nets import PSK, Scene, section, story, wait_until_ready
from peers import KINDS

COUNT = int(os.environ.get("LATCHKEY_DATAGRAMS", "40000"))
OUTER = {"one": ("192.0.2.1", "192.0.2.2"), "two": ("198.51.100.1", "198.51.100.2")}
SOURCE = {4: "10.9.0.1", 6: "fd00:9::1"}  # of both sites
HUB = {4: {"one": "10.1.0.1", "two": "10.1.0.2"},
       6: {"one": "fd00:1::1", "two": "fd00:1::2"}}
BITS = {4: 32, 6: 128}
PORT, FROM = 4000, 5000
DEMAND = 1 << 28
# Others save a connection's mark and restore it; all packets of both sites have one.
OTHERS = """table inet other {
 chain pre {
  type filter hook prerouting priority -150;
  meta mark set ct mark
 }
 chain in {
  type filter hook input priority 300;
  ct mark 0 ct mark set 0x00000777
  meta mark set ct mark
 }
}
"""


def selectors(addresses):
    return ",".join(f"{addresses[v]}/{BITS[v]}" for v in (4, 6))


def hub_at(site, apart):
    """The hub's addresses for a site: its own, or with interfaces of their own the same."""
    return {v: HUB[v]["one" if apart else site] for v in (4, 6)}


def secret_with(site):
    """It proves who each of the two is: no others have it."""
    return {"id-1": "hub.example", "id-2": f"{site}.example", "secret": f'"{PSK} of {site}"'}


def hub_conf(apart):
    text = section("connections", {site: ends(
        ("hub", site), *OUTER[site],
        {"local_ts": selectors(hub_at(site, apart)), "remote_ts": selectors(SOURCE)},
        **({"interface": f"to-{site}"} if apart else {})) for site in SITES}) + "\n"
    text += section("secrets", {f"ike-{site}": secret_with(site) for site in SITES}) + "\n"
    return text + section("latchkey", {"interface": "latchkey0"}) + "\n"


class Star(Scene):
    """A hub and two sites that have the same address, each on a wire of its own."""

    def __init__(self, name, apart=False, tun=False):
        self.lab, self.apart, self.runs = Lab(name), apart, 0
        try:
            self.host = self.lab.host("hub")
            for version in (4, 6):
                self.host.address("lo", *(f"{a}/{BITS[version]}" for a in HUB[version].values()))
            for site in SITES if tun else ():
                self.host.run("ip", "tuntap", "add", f"to-{site}", "mode", "tun")
            self.host.nft(OTHERS)
            self.sites, self.peers = {}, {}
            for site in SITES:
                host = self.sites[site] = self.lab.host(site)
                self.join(site)
                host.address("lo", *(f"{SOURCE[v]}/{BITS[v]}" for v in (4, 6)))
                self.peers[site] = KINDS["latchkey"](host, self.conf_of(site))
            self.peer = KINDS["latchkey"](self.host, hub_conf(apart))
            self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def join(self, site):
        """The site's wire, or wires."""
        self.lab.link(self.host, f"wire-{site}", self.sites[site], "wire", [f"{OUTER[site][0]}/24"],
                      [f"{OUTER[site][1]}/24"], together=True)

    def conf_of(self, site, **more):
        """Its configuration; more: keys of the connection."""
        text = section("connections", {"gw": ends(
            (site, "hub"), OUTER[site][1], OUTER[site][0],
            {"local_ts": selectors(SOURCE), "remote_ts": selectors(hub_at(site, self.apart))},
            **more)}) + "\n"
        text += section("secrets", {"ike": secret_with(site)}) + "\n"
        return text + section("latchkey", {"interface": "latchkey0"}) + "\n"

    def start(self):
        self.peer.start()
        for site in SITES:
            self.peers[site].start()
        for site in SITES:
            self.peers[site].up("net")
            for version in (4, 6) if self.apart else ():
                # The operator's, without which the host takes nothing from there.
                self.host.run("ip", f"-{version}", "route", "add", f"{SOURCE[version]}", "dev",
                              f"to-{site}", "metric", 100 + SITES.index(site))
        wait_for(lambda: len(self.peer.children()) == 2, "Child SAs with both sites")

    def tokens(self):
        """The class of each site's SAs at the hub, by `latchkey show`."""
        classes = {}
        for sa in self.peer.cli_json("show")["sas"]:
            for child in sa["child-sas"].values():
                classes.setdefault(sa["name"], set()).add(child["token"])
        assert sorted(classes) == sorted(SITES) and all(len(c) == 1 for c in classes.values()), \
            classes
        return {site: classes[site].pop() for site in SITES}

    def words(self):
        return "env", f"LATCHKEY_SOCKET={self.peer.run_dir}/latchkey.app"

    def indices(self):
        return {site: int(self.host.run("cat", f"/sys/class/net/to-{site}/ifindex").stdout)
                for site in SITES}

    def rekey(self):
        """The SAs of each site, by either side."""
        before = self.peer.spis()
        self.peers["one"].rekey(child="net")
        with_two = [c["uniqueid"] for c in self.peer.children() if c["ike"] == "two"]
        answer, _ = self.peer.vici("rekey", {"child-id": with_two[0]})
        assert answer.get("success") == "yes", answer
        wait_for(lambda: len(self.peer.spis()) == 2 and not self.peer.spis() & before,
                 "new SAs of both")

    def play(self, version, what, wanted, count, between=lambda: None):
        """Both sites send at once, `between` happens in the middle; the receiver's books."""
        self.runs += 1
        books = self.lab.hosts["hub"].write_bytes(f"books-{self.runs}", bytes(56))
        marked = program("marked")
        receiver = self.host.spawn(f"receive-{self.runs}", *self.words(), marked, "receive", books,
                                   PORT, what, *(wanted[site] for site in SITES))
        wait_until_ready(receiver)
        senders = [self.sites[site].spawn(
            f"send-{self.runs}", marked, "send", books, number, count // 2, SOURCE[version], FROM,
            hub_at(site, self.apart)[version], PORT) for number, site in enumerate(SITES)]
        with open(books, "r+b") as file, mmap.mmap(file.fileno(), 56) as table:
            def received():
                return struct.unpack_from("2Q", table, 16)
            wait_for(lambda: min(received()) > count // 8, "datagrams of both sites", seconds=60)
            between()
            middle = received()
            wait_for(lambda: min(b - a for a, b in zip(middle, received())) > 500,
                     "datagrams of both sites by the new SAs")
            struct.pack_into("Q", table, 32, 1)
            for sender in senders:
                sender.outer.wait(600)
            receiver.outer.wait(60)
        return said(receiver)


def exact(star, version, what, wanted, count=COUNT):
    got = star.play(version, what, wanted, count, star.rekey)
    story(f"IPv{version}: {sum(got['received'])} of {sum(got['sent'])} datagrams, "
          f"{got['wrong']} wrong, {got['joined']} messages were joined, the site changed "
          f"{got['turns']} times")
    assert got["wrong"] == got["strange"] == 0, got
    assert got["received"] == got["sent"] and sum(got["received"]) >= count, got
    assert got["turns"] > count / 400, f"hardly mixed: {got}"


def swapped(wanted):
    return dict(zip(wanted, reversed(list(wanted.values()))))


def marks(apart):
    def test():
        with Star("tokens-apart" if apart else "tokens", apart) as star:
            wanted = star.tokens()
            assert wanted["one"] != wanted["two"] and all(wanted.values())
            for version in (4, 6):
                exact(star, version, "mark", wanted)
            assert star.tokens() == wanted, "another class after a re-key"
            got = star.play(4, "mark", swapped(wanted), 2000)
            assert got["wrong"] == sum(got["received"]) > 0, f"it does not look: {got}"
            stays_until_the_end(star)
    return test


def stays_until_the_end(star):
    """Not with the process: with what it guards."""
    def tables():
        return star.host.run("nft", "list", "tables").stdout
    star.peer.kill()
    assert tables().count("latchkey/token") == 2, tables()
    star.peer.start()
    assert tables().count("latchkey/token") == 2, tables()
    star.peer.stop()
    assert "latchkey" not in tables(), tables()


def test_tun():
    """Without room for a class in a frame: one interface for each connection."""
    with Star("tokens-tun", apart=True, tun=True) as star:
        assert star.peer.said("sockets cannot be told whose a packet is, as it is a TUN")
        names = {site: f"{site}.example" for site in SITES}
        for version in (4, 6):
            exact(star, version, "interface", star.indices())
            exact(star, version, "name", names)
        got = star.play(6, "name", swapped(names), 2000)
        assert got["wrong"] == sum(got["received"]) > 0, f"it does not look: {got}"
        not_from_here(star)
        not_after_a_kill(star)


# Who sent each datagram to a port of all addresses, IPv4 and IPv6.
WHO = """
import socket, sys
import latchkey_ipsec as ipsec
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 4002))
ipsec.enable_messages(sock)
print("ready", flush=True)
while True:
    data, ancillary, _, _ = sock.recvmsg(100, ipsec.MSG_SPACE)
    token = ipsec.of_message(ancillary)
    print(data.decode(), token.peer.identity if token else "nobody", flush=True)
"""

TELL = """
import socket, sys
local, remote, what = sys.argv[1:4]
s = socket.socket(socket.AF_INET6 if ":" in remote else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
if local:
    s.bind((local, 0))
s.sendto(what.encode(), (remote, 4002))
"""


def who(star, name):
    here = os.path.dirname(os.path.realpath(__file__))
    server = star.host.spawn(name, *star.words(),
                             f"LATCHKEY_LIBRARY={star.peer.bin}/client/liblatchkey.so.0",
                             f"PYTHONPATH={here}/../../api/python", "/usr/bin/python3", "-c", WHO)
    wait_until_ready(server)
    return server


def tell(host, server, local, remote, what, by, *before):
    host.run(*before, "/usr/bin/python3", "-c", TELL, local, remote, what)
    wait_for(lambda: what in server.log(), f"datagram {what}")
    assert f"{what} {by}" in server.log(), server.log()


def not_from_here(star):
    """To an address of the interface's own the host sends by that interface, as it says itself: what
    a user of the host sends there is nobody's, with another's source too."""
    star.host.address("to-one", "10.5.0.1/24", "fd00:5::1/128")
    star.host.run("ip", "address", "add", "10.6.0.1/24", "broadcast", "10.6.0.255", "dev", "to-one")
    server = who(star, "who")
    for version in (4, 6):
        for site in SITES:
            tell(star.sites[site], server, SOURCE[version], HUB[version]["one"],
                 f"v{version}-from-{site}", f"{site}.example")
    nobody = "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"
    for what, local, remote in (("own-4", "", "10.5.0.1"), ("own-6", "", "fd00:5::1"),
                                ("false-6", SOURCE[6], "fd00:5::1"),
                                ("always", "", "169.254.43.1"), ("many", "", "10.6.0.255"),
                                ("lo-4", "", HUB[4]["one"]), ("lo-6", "", HUB[6]["one"])):
        tell(star.host, server, local, remote, what, "nobody", *nobody)
    tell(star.sites["one"], server, SOURCE[4], HUB[4]["one"], "again", "one.example")
    server.stop()


def not_after_a_kill(star):
    """What came before the daemon was started again is still in the socket: the interface, which
    outlived it, does not say whose."""
    server = who(star, "who-again")
    tell(star.sites["two"], server, SOURCE[4], HUB[4]["one"], "before", "two.example")
    star.peer.kill()
    star.peer.start()
    for site in SITES:
        star.peers[site].cli("down", "gw", check=False)
    wait_for(lambda: not star.peer.children(), "the old SAs to be gone")
    star.peers["two"].up("net")
    tell(star.sites["two"], server, SOURCE[4], HUB[4]["one"], "after", "nobody")
    server.stop()


SAY = """
import socket, sys
local, remote, mark = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
s.bind((local, 4001))
for _ in range(20):
    s.sendto(b"x" * 100, (remote, 5000))
"""


def test_demand():
    """What a socket demands: by an SA of that class or not at all; others' marks demand nothing."""
    with Star("tokens-demand") as star:
        star.host.run("nft", "delete", "table", "inet", "other")
        tokens = star.tokens()

        def sent():
            return {c["ike"]: int(c["packets-out"]) for c in star.peer.children()}

        def dropped():
            drops = star.peer.cli_json("stats")["stats"]["data"]["drops"]
            return drops.get("CLASS", {}).get("count", 0)

        for version in (4, 6):
            for mark, passes in ((0, True), (tokens["one"] | DEMAND, True),
                                 (tokens["two"] | DEMAND, False), (tokens["two"], True)):
                before, lost = sent(), dropped()
                star.host.run("/usr/bin/python3", "-c", SAY, HUB[version]["one"],
                              SOURCE[version], mark)
                wait_for(lambda: sent()["one"] + dropped() >= before["one"] + lost + 20, "20 more")
                assert sent()["one"] - before["one"] == (20 if passes else 0), (version, mark)
                assert dropped() - lost == (0 if passes else 20), (version, mark)
                assert sent()["two"] == before["two"]


TESTS = [
    ("tokens: every datagram's mark is its class", marks(apart=False)),
    ("tokens: the same with interfaces of their own", marks(apart=True)),
    ("tokens: TUNs, the interface tells", test_tun),
    ("tokens: what a socket demands", test_demand),
]
