# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end does not depend on paths: a site reaches a hub by two, which are lost, come
and go under load, and another site is there by its own wire, from the same address and port. Every
datagram's token is its peer's, and latches neither break nor are told of anything."""

import os
import signal
import time

import stream
from content import program, said
from lab import wait_for
from nets import other, story, wait_until_ready
from scenarios import agree
from several import all_alive, states
from several_transport import Hosts
from theft import ANSWER, ESTABLISHED, Client
from tokens import COUNT, HUB, OUTER, SOURCE, Star
from wire import Wire

SECOND = ("203.0.113.1", "203.0.113.2")  # of the hub and of the site
ALIVE = ("ACTIVE", "STANDBY")
SETTLE = 0.5


class TwoWays(Star):
    """The first site has two paths to the hub."""

    def __init__(self, name, policy, **more):
        self.policy, self.wires = policy, []
        super().__init__(name, **more)

    def join(self, site):
        if site != "one":
            return super().join(site)
        for n, (there, here) in enumerate((OUTER["one"], SECOND), 1):
            self.wires.append(Wire(self.lab, str(n), (self.sites["one"], f"path{n}", [f"{here}/24"]),
                                   (self.host, f"wire-{n}", [f"{there}/24"]), "delay 5ms", seed=n))
        return None

    def conf_of(self, site, **more):
        if site != "one":
            return super().conf_of(site, **more)
        paths = {f"path{n}": {"local_addr": here, "remote_addr": there,
                              "priority": n - 1 if self.policy == "failover" else 0}
                 for n, (there, here) in enumerate((OUTER["one"], SECOND), 1)}
        return super().conf_of(site, path_policy=self.policy, paths=paths)

    def both(self):
        """{"hub" or "one": the states of the paths between them}."""
        found = {}
        for where, peer, name in (("hub", self.peer, "one"), ("one", self.peers["one"], "gw")):
            for sa_name, sa in peer.sas():
                if sa_name == name and sa.get("state") == "ESTABLISHED":
                    found[where] = {n: path["state"] for n, path in sa.get("paths", {}).items()}
        return found

    def wait(self, what, holds):
        wait_for(lambda: len(self.both()) == 2 and all(holds(list(states.values()))
                                                       for states in self.both().values()), what)

    def all_alive(self):
        self.wait("two paths that carry",
                  lambda states: len(states) == 2 and all(s in ALIVE for s in states))

    def black_hole(self):
        self.wires[0].black_hole()
        self.wait("one path to be given up",
                  lambda states: [state for state in states if state in ALIVE] == ["ACTIVE"])
        time.sleep(SETTLE)
        self.wires[0].black_hole(False)
        self.all_alive()

    def address_goes(self):
        address = f"{OUTER['one'][1]}/24"
        self.sites["one"].run("ip", "address", "del", address, "dev", "path1")
        self.wait("one path", lambda states: states == ["ACTIVE"])
        time.sleep(SETTLE)
        self.sites["one"].address("path1", address)
        self.all_alive()

    def disturb(self):
        self.black_hole()
        self.address_goes()
        self.rekey()
        self.address_goes()


def answers(host, name, address):
    server = host.spawn(f"answers-{name}", "/usr/bin/python3", "-c", ANSWER, name, address, address)
    wait_until_ready(server)


def latched(star):
    """Clients with latches, TCP and UDP: of the site and, where the hub tells the two sites apart by its
    addresses, of the hub. What the peer says is "bob", and "mallory" what another one says."""
    clients = []

    def begin(host, peer, of, local, remote):
        for kind, port in (("udp", 4101), ("tcp", 4102)):
            clients.append(Client(host.spawn(
                f"{kind}-{of}", program("latched"), kind, local, port, remote, 9, "secure", of,
                env={"LATCHKEY_SOCKET": f"{peer.run_dir}/latchkey.app"})))

    answers(star.host, "bob", HUB[4]["one"])
    begin(star.sites["one"], star.peers["one"], "hub.example", SOURCE[4], HUB[4]["one"])
    if not star.apart:
        answers(star.sites["one"], "bob", SOURCE[4])
        answers(star.sites["two"], "mallory", SOURCE[4])
        begin(star.host, star.peer, "one.example", HUB[4]["one"], SOURCE[4])
    for client in clients:
        client.hears("bob")
    return clients


def unmoved(clients):
    for client in clients:
        client.hears("bob")
        now = client.said()
        assert now["mallory"] == now["alerts"] == now["broken"] == 0, now
        assert now["state"] in (0, ESTABLISHED) and now["peer"], now


def play(policy, what, **more):
    def test():
        with TwoWays(f"several-tokens-{policy}-{what}", policy, **more) as star:
            star.all_alive()
            wanted = star.tokens() if what == "mark" else star.indices()
            clients = latched(star)
            for version in (4, 6):
                got = star.play(version, what, wanted, COUNT // 2, star.disturb)
                story(f"{policy}, IPv{version}: {sum(got['received'])} of {sum(got['sent'])} "
                      f"datagrams, {got['wrong']} wrong, the site changed {got['turns']} times")
                assert got["wrong"] == got["strange"] == 0, got
                for sent, received in zip(got["sent"], got["received"]):
                    assert received > sent * 0.9 > COUNT // 8, got
                unmoved(clients)
            assert what != "mark" or star.tokens() == wanted, "another class"
            drops = star.peer.cli_json("stats")["stats"]["data"]["drops"]
            assert "CLASS" not in drops and "LATCH" not in drops, drops
    return test


# Who sent each datagram, counted.
WHOSE = """
import collections, json, signal, socket, sys
import latchkey_ipsec as ipsec
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 4002))
ipsec.enable_messages(sock)
whose = collections.Counter()
def end(*_):
    print(json.dumps(whose), flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    _, ancillary, _, _ = sock.recvmsg(2000, ipsec.MSG_SPACE)
    token = ipsec.of_message(ancillary)
    whose[token.peer.identity if token else "nobody"] += 1
"""


def exchange(scene):
    """Datagrams between the two hosts' addresses, and clients with latches, both ways: returns
    ({side: (who counts, who sends)}, clients)."""
    here = os.path.dirname(os.path.realpath(__file__))
    running, clients = {}, []
    for side, peer in scene.peers.items():
        client = f"LATCHKEY_SOCKET={peer.run_dir}/latchkey.app"
        library = f"LATCHKEY_LIBRARY={peer.bin}/client/liblatchkey.so.0"
        counts = scene.host(side).spawn("whose", "env", client, library,
                                        f"PYTHONPATH={here}/../../api/python", "/usr/bin/python3", "-c",
                                        WHOSE)
        wait_until_ready(counts)
        answers(scene.host(side), "bob", scene.ends[side])
        sends = scene.host(other(side)).spawn(
            "sends", *stream.command("send", scene.ends[other(side)], scene.ends[side], 4002, 500, 200))
        running[side] = counts, sends
    for side, peer in scene.peers.items():
        for kind, port in (("udp", 4101), ("tcp", 4102)):
            clients.append(Client(scene.host(side).spawn(
                f"{kind}-{side}", program("latched"), kind, scene.ends[side], port,
                scene.ends[other(side)], 9, "secure", f"{other(side)}.example",
                env={"LATCHKEY_SOCKET": f"{peer.run_dir}/latchkey.app"})))
    return running, clients


def transport():
    """The same in transport mode, while a host has lost the address that its programs use."""
    with Hosts("tokens") as scene:
        scene.begin()
        running, clients = exchange(scene)
        for client in clients:
            client.hears("bob")
        for _ in range(2):
            scene.path(1).leave()
            wait_for(lambda: list(states(scene.peers["right"]).values()) == ["ACTIVE"],
                     "the right host to have one path")
            unmoved(clients)
            before = scene.peers["left"].spis()
            scene.peers["right"].rekey(child="net")
            wait_for(lambda before=before: agree(scene) and
                     not before & scene.peers["left"].spis(), "a re-key")
            unmoved(clients)
            scene.path(1).join()
            all_alive(scene, 2)
        unmoved(clients)
        for side, (counts, sends) in running.items():
            sends.stop(signal.SIGTERM)
            time.sleep(SETTLE)
            counts.stop(signal.SIGTERM)
            sent, whose = stream.result_of(sends)["sent"], said(counts)
            story(f"to {side}: {whose} of {sent} datagrams")
            assert list(whose) == [f"{other(side)}.example"], whose
            assert sum(whose.values()) > sent * 0.7, (sent, whose)


TESTS = [
    ("tokens: by several paths, which are lost and come and go", play("failover", "mark")),
    ("tokens: by several paths, packet by packet", play("spray", "mark")),
    ("tokens: by several paths, each packet by all", play("duplicate", "mark")),
    ("tokens: by several paths, TUNs", play("failover", "interface", apart=True, tun=True)),
    ("tokens: by several paths, transport mode", transport),
]
