# SPDX-License-Identifier: Apache-2.0
"""Several paths in transport mode: the selectors are the two addresses of the first path, whatever path
a packet takes. Programs go on using them when the host itself has lost its own."""

import time

from lab import wait_for
from nets import Side, Stream, other, story
from paths import PATHS4, PATHS6, Download, Paths
from scenarios import agree, both_down, both_up
from several import RATE, SETTLE, all_alive, results_of, sections, states, unchanged

PATHS = {4: PATHS4, 6: PATHS6}


def sides(version, policy, priorities=(), nat=(), named=True):
    """Between the two addresses of the first path; the left host decides. named: about paths that its
    configuration names, else its selectors are named."""
    paths = sections(2, priorities, version)
    for n in nat:
        paths[f"path{n}"]["local_addr"] = f"172.16.{n}.2"
    left, right = PATHS[version][0]
    common = {"child": {"mode": "transport"}}
    dynamic = {"local_ts": "dynamic", "remote_ts": "dynamic"}
    decides = {"path_policy": policy, "remote_addrs": right, **({"paths": paths} if named else {})}
    return (Side(connection=decides, **common, start_action="trap",
                 **(dynamic if named else {"local_ts": left, "remote_ts": right})),
            Side(connection={"remote_addrs": left}, **common, **dynamic))


class Hosts(Paths):
    """Two hosts and two paths, and the traffic between the addresses that programs know."""

    def __init__(self, name, version=4, policy="failover", priorities=(0, 1), nat=(),
                 orders="delay 5ms", named=True):
        self.version = version
        super().__init__(f"transport-{name}-{version}",
                         *sides(version, policy, priorities, nat, named), orders=orders, nat=nat)
        left, right = PATHS[version][0]
        self.ends = {"left": self.path(1).left4 if 1 in nat else left, "right": right}
        self.before = {}

    def give_inner(self):
        """There are none in transport mode."""

    def begin(self):
        both_up(self)
        all_alive(self, 2)
        for peer in self.peers.values():
            assert {child["mode"] for child in peer.children()} == {"TRANSPORT"}
        self.before = {side: peer.ike_spis() for side, peer in self.peers.items()}

    def streams(self, sources=("left", "right")):
        ends = {side: (address, address) for side, address in self.ends.items()}
        return {side: Stream(self, side, rate=RATE, port=9000 + i, version=self.version,
                             ends=ends).start() for i, side in enumerate(sources)}

    def download(self, to="left", port=9100):
        return Download(self, to, port, rate=2_000_000, ends=(self.ends[to], self.ends[other(to)]))

    def is_at(self, device):
        """The left host has the address of the selectors on this device."""
        shown = self.left.run("ip", "-o", f"-{self.version}", "address", "show", "dev", device).stdout
        return f" {self.ends['left']}/" in shown


def told(what, download):
    got = download.stop()
    story(f"{what}: {got['received']} bytes right, longest stall {got['stall_ms']:.0f} ms")


def active(scene, n):
    for side, peer in scene.peers.items():
        wait_for(lambda peer=peer: states(peer).get(str(n)) == "ACTIVE", f"{side} to use path {n}")


def black_hole(version):
    def test():
        with Hosts("hole", version) as scene:
            scene.begin()
            running, download = scene.streams(), scene.download()
            time.sleep(SETTLE)
            scene.path(1).wire.black_hole()
            active(scene, 2)
            time.sleep(SETTLE)
            scene.path(1).wire.black_hole(False)
            active(scene, 1)
            time.sleep(SETTLE)
            for r in results_of(running, "a black hole").values():
                assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
            told("a black hole", download)
            unchanged(scene, scene.before)
            scene.audit({1: 500, 2: 500})
    return test


def ways(scene):
    """In which it goes, and comes: with its interface, alone, an IPv4 address by being on an interface
    that is down, and an IPv6 one that is there again before the host knows that nobody else has it."""
    path = scene.path(1)

    def address(change):
        return lambda: scene.left.run("ip", "address", change, f"{scene.ends['left']}/64", "dev",
                                      path.device)
    yield path.leave, path.join
    yield path.lose, path.gain
    if scene.version == 4:
        yield (lambda: scene.left.run("ip", "link", "set", path.device, "down"),
               lambda: scene.left.run("ip", "link", "set", path.device, "up"))
    else:
        scene.left.sysctl(f"net.ipv6.conf.{path.device}.accept_dad", 1)
        yield address("del"), address("add")


def address_goes(version):
    """The host loses the address that the selectors name, and gets it again."""
    def test():
        with Hosts("go", version) as scene:
            scene.begin()
            running, download = scene.streams(), scene.download()
            for leave, join in ways(scene):
                time.sleep(SETTLE)
                leave()
                wait_for(lambda: list(states(scene.peers["right"]).values()) == ["ACTIVE"],
                         "the right host to have one path")
                assert scene.is_at("latchkey0")
                time.sleep(SETTLE)
                join()
                all_alive(scene, 2)
                assert not scene.is_at("latchkey0")
            time.sleep(SETTLE)
            results_of(running, "an address that goes and comes")
            told("an address that goes and comes", download)
            unchanged(scene, scene.before)
            scene.audit({1: 500, 2: 500})
    return test


def only_address(version):
    """The host loses the only address that it has, and gets another one elsewhere later; and so back."""
    def test():
        with Hosts("only", version) as scene:
            scene.path(2).leave()
            both_up(scene)
            before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
            download = scene.download()
            time.sleep(SETTLE)
            for old, new in ((1, 2), (2, 1)):
                scene.path(old).leave()
                wait_for(lambda: scene.is_at("latchkey0"), "the address to be held")
                time.sleep(SETTLE)
                scene.path(new).join()
                for peer in scene.peers.values():
                    wait_for(lambda peer=peer: list(states(peer).values()) == ["ACTIVE"],
                             "one path that carries")
                time.sleep(SETTLE)
            assert not scene.is_at("latchkey0"), "it is back where it was"
            told("the only address", download)
            unchanged(scene, before)
            scene.audit({1: 100, 2: 100})
    return test


def asked():
    """While the first path is a black hole the pair goes, and the next packet asks for another one: it is
    between the addresses that programs use, not those of the path that IKE goes by."""
    with Hosts("asked") as scene:
        scene.begin()
        running = scene.streams(["left"])
        time.sleep(SETTLE)
        scene.path(1).wire.black_hole()
        wait_for(lambda: states(scene.peers["left"]).get("2") == "ACTIVE", "the second path")
        before = scene.peers["left"].spis()
        scene.peers["left"].down(child="net")
        wait_for(lambda: agree(scene) and not before & scene.peers["left"].spis(), "another pair")
        assert {child["mode"] for child in scene.peers["right"].children()} == {"TRANSPORT"}
        time.sleep(SETTLE)
        for r in results_of(running, "asked for").values():
            assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
        scene.audit({1: 500, 2: 500})


def killed():
    """The daemon is killed while it holds the address: what was protected does not pass in the clear, and
    the next one has it protected, whoever has the address."""
    with Hosts("killed") as scene:
        scene.begin()
        scene.path(1).leave()
        wait_for(lambda: scene.is_at("latchkey0"), "the address to be held")
        scene.peers["left"].kill()
        for side in ("left", "right"):
            assert scene.host(side).ping(scene.ends[other(side)], count=1, wait=1, check=False) == 0
        scene.path(1).join()
        assert scene.left.ping(scene.ends["right"], count=1, wait=1, check=False) == 0
        scene.peers["left"].start()
        scene.peers["left"].up("net")
        for side in ("left", "right"):
            scene.host(side).ping(scene.ends[other(side)])
        scene.peers["left"].down(ike="gw")
        scene.peers["left"].stop()
        # Without a daemon the host says of the peer's ESP that nobody is there, to where it came from.
        for (n, _), capture in scene.captures.items():
            seen = [f for f in capture.stop() if f.kind == "clear" and
                    not (f.protocol == 1 and f.payload[:1] == b"\3")]
            assert not seen, f"path {n}: {seen[0]}"


def re_keyed(version, nat=()):
    """While the host has lost the address, each side re-keys the pair: it is between the same two
    addresses still. The host has another way out, by which nothing leaves in the clear."""
    def test():
        with Hosts("rekey-nat" if nat else "rekey", version, nat=nat) as scene:
            scene.begin()
            scene.left.run("ip", f"-{version}", "route", "add", "default", "via",
                           PATHS[version][1][1], "metric", 5000)
            download = scene.download()
            scene.path(1).leave()
            wait_for(lambda: list(states(scene.peers["right"]).values()) == ["ACTIVE"],
                     "the right host to have one path")
            for peer in scene.peers.values():
                before = scene.peers["left"].spis()
                peer.rekey(child="net")
                wait_for(lambda before=before: agree(scene) and
                         not before & scene.peers["left"].spis(), "a re-key")
                time.sleep(SETTLE)
            scene.left.ping(scene.ends["right"])  # from wherever the host likes
            scene.path(1).join()
            all_alive(scene, 2)
            told("re-keys without the address", download)
            for peer in scene.peers.values():
                assert {child["mode"] for child in peer.children()} == {"TRANSPORT"}
            scene.peers["left"].down(ike="gw")
            both_down(scene)
            assert not scene.is_at("latchkey0")
            scene.audit({2: 500})
    return test


def spray(version):
    """One TCP connection by both paths, packet by packet, and then by the one that is left."""
    def test():
        with Hosts("spray", version, "spray", (0, 0), orders=["delay 5ms", "delay 20ms"]) as scene:
            scene.begin()
            download = scene.download()
            time.sleep(3)
            scene.path(1).leave()
            time.sleep(2)
            told("spray", download)
            unchanged(scene, scene.before)
            scene.audit({1: 500, 2: 1000})
    return test


def duplicate():
    """Each packet by two paths that lose a fifth each, and none is twice. The paths are those of all
    addresses, that of the selectors among them."""
    with Hosts("duplicate", 4, "duplicate", (0, 0), named=False) as scene:
        scene.begin()
        for n in (1, 2):
            scene.path(n).wire.order("loss 20%")
        running = scene.streams()
        for stream in running.values():
            stream.wait(3000)
        for side, r in results_of(running, "duplicate").items():
            assert r["sent"] - r["received"] < r["sent"] * 0.08, f"{side}: {r}"
        scene.audit({1: 1000, 2: 1000})


def translator(nat):
    """One path has a translator: the selectors are not what it writes, and checksums fit them by
    either path."""
    def test():
        with Hosts(f"nat-{nat}", nat=(nat,)) as scene:
            scene.begin()
            running, download = scene.streams(["left"]), scene.download()
            time.sleep(SETTLE)
            scene.path(nat).rebind()
            time.sleep(SETTLE)
            scene.path(1).wire.black_hole()
            active(scene, 2)
            time.sleep(SETTLE)
            for r in results_of(running, "a translator").values():
                assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
            told("a translator", download)
            unchanged(scene, scene.before)
            scene.audit({1: 500, 2: 500})
    return test


TESTS = [
    ("several paths, transport mode: a black hole, IPv4", black_hole(4)),
    ("several paths, transport mode: a black hole, IPv6", black_hole(6)),
    ("several paths, transport mode: the address goes and comes, IPv4", address_goes(4)),
    ("several paths, transport mode: the address goes and comes, IPv6", address_goes(6)),
    ("several paths, transport mode: the only address goes, IPv4", only_address(4)),
    ("several paths, transport mode: the only address goes, IPv6", only_address(6)),
    ("several paths, transport mode: asked for by another path", asked),
    ("several paths, transport mode: killed while it holds the address", killed),
    ("several paths, transport mode: re-keyed without the address, IPv4", re_keyed(4)),
    ("several paths, transport mode: re-keyed without the address, IPv6", re_keyed(6)),
    ("several paths, transport mode: re-keyed without an address behind a translator",
     re_keyed(4, nat=(1,))),
    ("several paths, transport mode: one connection by two, IPv4", spray(4)),
    ("several paths, transport mode: one connection by two, IPv6", spray(6)),
    ("several paths, transport mode: each packet by all", duplicate),
    ("several paths, transport mode: a translator on path 1", translator(1)),
    ("several paths, transport mode: a translator on path 2", translator(2)),
]
