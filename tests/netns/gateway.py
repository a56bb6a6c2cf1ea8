# SPDX-License-Identifier: Apache-2.0
"""Gateways on DPDK: client - gateway - gateway - client, DPDK on net_af_packet in ordinary pages.

A gateway's devices are veths that the host's own stack has nothing to do with; what bears the
addresses are the shadows. Between the gateways is a switch, where everything on the wire is seen.
"""

import os
import re

from capture import PROTECTED, Capture
from lab import Lab, wait_for
from nets import Scene, Side, Stream, configuration, other, stop_all
from peers import KINDS, Latchkey
from pytap import Skip, diag

WAN = {"left": ("192.0.2.1", "2001:db8::1"), "right": ("192.0.2.2", "2001:db8::2")}
LAN = {"left": ("10.1.0.1", "fd00:1::1"), "right": ("10.2.0.1", "fd00:2::1")}
CLIENT = {"left": ("10.1.0.9", "fd00:1::9"), "right": ("10.2.0.9", "fd00:2::9")}
OUTSIDE = "198.51.100.9"  # a host of the network between, with which nothing is protected

# What a driver of frames cannot take from a veth: packets without checksums, or of many segments.
NO_OFFLOADS = """
import array, fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command in (0x17, 0x1f, 0x24, 0x2c):  # ETHTOOL_STXCSUM, _STSO, _SGSO, _SGRO
    value = array.array("B", struct.pack("II", command, 0))
    request = struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0])
    fcntl.ioctl(s, 0x8946, request + bytes(16))
"""


def module():
    path = os.path.join(Latchkey.build, "drivers/dpdk/latchkey-dpdk.so")
    if not os.path.exists(path):
        raise Skip("built without DPDK")
    return path


def dpdk_section(queues=1, **more):
    """queues: of both ports, or of each."""
    of = dict(zip(("lan", "wan"), queues if isinstance(queues, tuple) else (queues, queues)))
    return {"dpdk": {"module": module(), "huge": "no", "packets": 4096, "idle": 100, **more,
                     "ports": {name: {"device": f"net_af_packet{i},iface=dev-{name}" +
                                      f",qpairs={num}" * (num > 1)}
                               for i, (name, num) in enumerate(of.items())}}}


def no_offloads(host, device):
    host.run("/usr/bin/python3", "-c", NO_OFFLOADS, device)


def bare(host, device):
    """The host's own stack has nothing to do with the device: it is DPDK's."""
    host.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 1)
    host.run("ip", "address", "flush", "dev", device)
    host.nft(f"table netdev unused-{device} {{\n chain away {{\n"
             f"  type filter hook ingress device \"{device}\" priority 0; policy drop;\n }}\n}}\n")
    no_offloads(host, device)


class Gateways(Scene):
    """The five hosts, a daemon on each gateway. kinds: "dpdk", "latchkey" or "charon"; outer: the
    version of IP between the gateways; crypto: the left one's device for ciphers; queues: of DPDK's
    ports."""

    def __init__(self, name, kinds=("dpdk", "dpdk"), left=None, right=None, start=True, outer=4,
                 crypto=None, queues=1):
        self.crypto = {"left": {"crypto": crypto, "crypto_sessions": 512} if crypto else {},
                       "right": {}}
        self.queues = queues
        self.lab = Lab(name)
        self.outer = {side: addresses[outer == 6] for side, addresses in WAN.items()}
        self.kinds = dict(zip(("left", "right"), kinds))
        self.sides = {"left": left or Side(), "right": right or Side()}
        self.switch = self.lab.host("switch")
        self.gateways, self.clients, self.peers = {}, {}, {}
        try:
            self.switch.run("ip", "link", "add", "sw", "type", "bridge", "mcast_snooping", "0")
            self.switch.address("sw", "192.0.2.99/24", f"{OUTSIDE}/32")
            self.switch.run("ip", "link", "set", "sw", "up")
            for side in ("left", "right"):
                self.switch.run("ip", "route", "add", LAN[side][0][:-1] + "0/24", "via",
                                WAN[side][0])
            for side in ("left", "right"):
                self._make(side)
            self.capture = Capture(self.switch, "to-right", bulk=True)
            if start:
                self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def device(self, side, name):
        """What the wire is at: the veth of DPDK's, else the interface itself."""
        return f"dev-{name}" if self.kinds[side] == "dpdk" else name

    def _make(self, side):
        gateway = self.gateways[side] = self.lab.host(side)
        client = self.clients[side] = self.lab.host(f"{side}-client")
        self.lab.link(client, "eth", gateway, self.device(side, "lan"),
                      [f"{CLIENT[side][0]}/24", f"{CLIENT[side][1]}/64"])
        self.lab.link(self.switch, f"to-{side}", gateway, self.device(side, "wan"))
        self.switch.run("ip", "link", "set", f"to-{side}", "master", "sw")
        for host, device in ((client, "eth"), (self.switch, f"to-{side}")):
            no_offloads(host, device)
        no_offloads(self.switch, "sw")
        client.run("ip", "route", "add", "default", "via", LAN[side][0])
        client.run("ip", "-6", "route", "add", "default", "via", LAN[side][1])
        gateway.sysctl("net.ipv4.ip_forward", 1)
        gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
        daemon = {}
        if self.kinds[side] == "dpdk":
            daemon = self._dpdk(side)
        else:
            if self.crypto[side]:
                daemon = {"dpdk": {"module": module(), "huge": "no", **self.crypto[side]}}
            no_offloads(gateway, "wan")
            no_offloads(gateway, "lan")
            self.address(side)
        kind = "charon" if self.kinds[side] == "charon" else "latchkey"
        self.sides[side].kind = kind
        self.sides[side].daemon = {**daemon, **self.sides[side].daemon}
        text = configuration(side, self.sides[side], self.outer[side], self.outer[other(side)])
        self.peers[side] = KINDS[kind](gateway, text)

    def _dpdk(self, side):
        """Devices for DPDK; returns what the configuration says of them."""
        bare(self.gateways[side], "dev-lan")
        bare(self.gateways[side], "dev-wan")
        return dpdk_section(self.queues, **self.crypto[side])

    def address(self, side):
        gateway = self.gateways[side]
        gateway.address("wan", f"{WAN[side][0]}/24", f"{WAN[side][1]}/64")
        gateway.address("lan", f"{LAN[side][0]}/24", f"{LAN[side][1]}/64")
        gateway.run("ip", "route", "add", f"{OUTSIDE}/32", "via", "192.0.2.99")

    def start(self):
        for side, peer in self.peers.items():
            peer.start()
            if self.kinds[side] == "dpdk":
                self.address(side)

    def ping(self, side="left", version=4, **options):
        index = 0 if version == 4 else 1
        return self.clients[side].ping(CLIENT[other(side)][index], **options)

    def host(self, side):
        """Where a side's streams begin and end."""
        return self.clients[side]

    def protected(self):
        """The wire between carried nothing in the clear; returns its frames."""
        frames = self.capture.stop()
        clear = [f for f in frames if f.kind not in PROTECTED]
        assert not clear, "in the clear:\n" + "\n".join(map(str, clear[:10]))
        return frames

    def tcp(self, side="left", version=4, flows=1):
        """TCP flows between the clients, of 16 MB together; returns Mb/s of all."""
        server = self.clients[other(side)].spawn("iperf3", "iperf3", "-s", "-1")
        target = CLIENT[other(side)][version == 6]
        wait_for(lambda: "5201" in self.clients[other(side)].run("ss", "-ltn").stdout, "iperf3")
        done = self.clients[side].run("iperf3", "-c", target, "-n", "16M", "-f", "m", "-P", flows,
                                      timeout=60)
        server.outer.wait(10)
        return float(re.findall(r"([\d.]+) Mbits/sec\s+receiver", done.stdout)[-1])

    def stream(self, side="left", version=4, rate=400, size=1200):
        """Numbered datagrams to the other client, on their way. A port has room for 512 frames: at
        this rate nothing is lost though a gateway stands still for a second."""
        return Stream(self, side, rate, size, version=version, ends=CLIENT).start()

    def port(self, side, name):
        """What `stats` says of a port."""
        return self.peers[side].cli_json("stats")["stats"]["ports"][name]


def by_the_lane(g, side):
    """Nearly all packets were the lane's, and the host had the rest."""
    wan, lan = g.port(side, "wan"), g.port(side, "lan")
    diag(f"{side}: by the lane {wan['tx-fast']} and {lan['tx-fast']} packets, left to the host "
         f"{lan['left-to-host']}")
    assert wan["tx-fast"] > 20 * lan["left-to-host"] and lan["rx-inner"] > 1000 and \
        wan["rx-esp"] > 1000, f"not by the fast lane: {wan} {lan}"
    assert "port wan: link up" in g.peers[side].cli("show").stdout


def between(g, outer, bare):
    """What the wire carried: IKE, and ESP of both sides as it was agreed on."""
    frames = [f for f in g.protected() if f.kind in ("ike", "esp")]
    assert {6 if ":" in f.source else 4 for f in frames} == {outer}, frames[0]
    assert any(f.kind == "ike" for f in frames), "no IKE was seen"
    esp = [f for f in frames if f.kind == "esp"]
    assert {f.source for f in esp} == set(g.outer.values()), {f.source for f in esp}
    assert {f.protocol for f in esp} == {50 if bare else 17}, {f.protocol for f in esp}
    return esp


def arrived(*counted):
    """Of each of the streams nearly all."""
    for one in counted:
        assert one["received"] >= one["sent"] * 0.99, counted


def sides(bare):
    """Both sides' configurations: ESP in UDP, or bare."""
    return [Side(connection={"encap": "no"} if bare else {}) for _ in range(2)]


def life(name, kinds, versions=(4, 6), outer=4, bare=False):
    """Ping, TCP and UDP both ways; the wire shows ESP, IKE and what keeps a link alive only."""
    def test():
        left, right = sides(bare)
        with Gateways(name, kinds, left, right, outer=outer) as g:
            g.peers["left"].up("net")
            for version in versions:
                for side in ("left", "right"):
                    g.ping(side, version)
            for side, version in (("left", versions[0]), ("right", versions[-1])):
                diag(f"TCP from the {side}: {g.tcp(side, version):.0f} Mb/s")
                stream = g.stream(side, version)
                stream.wait(500)
                arrived(stream.stop())
            for side in (name for name, kind in g.kinds.items() if kind == "dpdk"):
                by_the_lane(g, side)
            assert len(between(g, outer, bare)) > 1000
            g.peers["left"].down(ike="gw")
    return test


def re_keyed(g, streams):
    """The child three times under these streams, between which something comes; what they counted."""
    for _ in range(3):
        before = g.peers["left"].spis()
        for stream in streams:
            stream.wait(200)
        g.peers["left"].rekey(child="net")
        wait_for(lambda before=before: g.peers["left"].spis() and
                 not before & g.peers["left"].spis(), "a re-key")
    for stream in streams:
        stream.wait(200)
    return list(stop_all(dict(enumerate(streams))).values())


def by_device(g, side="left"):
    """What the device did, of all workers."""
    return sum(w["by-device"] for w in g.peers[side].cli_json("stats")["stats"]["workers"].values())


def by_a_device(name, kinds, device="crypto_aesni_mb0", proposal=None):
    """As life(), with a device for the left one's ciphers: nearly all packets are its work, also
    while SAs are re-keyed."""
    def test():
        left, right = sides(bare=False)
        for side in (left, right) if proposal else ():
            side.esp_proposals = proposal
        with Gateways(name, kinds, left, right, crypto=device) as g:
            g.peers["left"].up("net")
            log = g.peers["left"].log()
            assert f"{device} does " in log and "aes256gcm16" in log, log
            for side in ("left", "right"):
                g.ping(side)
            before = by_device(g)
            stream = g.stream("left")
            back = g.stream("right")
            counted = re_keyed(g, (stream, back))
            done = by_device(g) - before
            diag(f"by the device {done} of {sum(c['sent'] for c in counted)} packets")
            arrived(*counted)
            assert done >= sum(c["received"] for c in counted) * 0.99, (done, counted)
            diag(f"TCP: {g.tcp('left'):.0f} Mb/s")
            g.protected()
            g.peers["left"].down(ike="gw")
    return test


def test_device_that_is_not_there():
    """The processor goes on without, and the log tells."""
    with Gateways("gateway-no-crypto", ("dpdk", "latchkey"), crypto="crypto_nosuch0") as g:
        g.peers["left"].up("net")
        g.ping()
        log = g.peers["left"].log()
        assert "crypto_nosuch0: DPDK has no such device" in log, log
        assert "the processor does its work" in log, log
        assert by_device(g) == 0


def test_port_that_does_not_start():
    """DPDK goes on without a device that failed; the daemon does not."""
    lab = Lab("gateway-no-port")
    try:
        host = lab.host("only")
        text = configuration("left", Side(daemon={"dpdk": {
            "module": module(), "huge": "no", "packets": 1024,
            "ports": {"wan": {"device": "net_af_packet0,iface=nowhere"}}}}), "192.0.2.1",
            "192.0.2.2")
        conf = host.write("latchkey.conf", text)
        process = host.spawn("latchkeyd", f"{Latchkey.build}/api/latchkeyd", "-c", conf,
                             "--run-dir", host.path("run"), "--foreground")
        assert process.outer.wait(20) != 0
        assert "wan: net_af_packet0,iface=nowhere: DPDK has no such device" in process.log(), \
            process.log()
        text = text.replace(module(), "/nonexistent.so")
        conf = host.write("latchkey.conf", text)
        process = host.spawn("latchkeyd", f"{Latchkey.build}/api/latchkeyd", "-c", conf,
                             "--run-dir", host.path("run"), "--foreground")
        assert process.outer.wait(20) != 0
        assert "DPDK's module cannot be loaded: /nonexistent.so" in process.log(), process.log()
    finally:
        lab.close()


def nothing_leaked(g):
    """No frame between has an inner address; returns them all."""
    frames = g.capture.stop()
    inner = tuple(address[:-1] for address, _ in LAN.values())
    leaked = [f for f in frames if f.source.startswith(inner) or f.destination.startswith(inner)]
    assert not leaked, f"in the clear: {leaked[0]}"
    return frames


def counts(g, side="left"):
    """Sent to the wire by the lane; left to the host of all ports, which the first one counts."""
    return g.port(side, "wan")["tx-fast"], g.port(side, "lan")["left-to-host"]


def fast(g, what, version=4):
    """Traffic goes by the lane again: ten pings and what little the host is asked for."""
    before = counts(g)
    g.ping(version=version, count=10)
    after = counts(g)
    assert after[0] - before[0] >= 9, f"{what}: not by the lane: {before} {after}"


def shorter_link(g):
    """The link between, at both ends and within: 1300 bytes."""
    for host, device in ((g.gateways["left"], "wan"), (g.gateways["right"], "wan"),
                         (g.switch, "to-left"), (g.switch, "to-right"), (g.switch, "sw")):
        host.run("ip", "link", "set", device, "mtu", 1300)
    wait_for(lambda: g.port("left", "wan")["mtu"] == 1300, "the MTU to be seen")


def long_pings(g, side="left", version=4):
    """The first ones learn what the path takes."""
    wait_for(lambda: g.ping(side, version, count=1, size=1400, wait=1, check=False),
             "long packets in parts")
    g.ping(side, version, count=3, size=1400)


def none_longer(g):
    """Nothing leaked, and no ESP that left last is longer than the shorter link takes."""
    frames = nothing_leaked(g)
    late = [f for f in frames if f.kind == "esp" and f.source == g.outer["left"]][-3:]
    for f in late:
        headers = (40 if ":" in f.source else 20) + (8 if f.protocol == 17 else 0)
        assert f.length + headers <= 1300, str(f)
    assert late, "no ESP"
    return frames


def test_follows_the_host():
    """Neighbours that expire or move, routes that change, links and MTUs: without a restart."""
    with Gateways("gateway-follow", ("dpdk", "latchkey")) as g:
        left, right = g.gateways["left"], g.gateways["right"]
        g.peers["left"].up("net")
        g.ping()
        fast(g, "at first")

        left.run("ip", "neigh", "flush", "all")
        g.ping()
        fast(g, "neighbours forgotten")

        # The peer's card is another one. The host hears of it, and so does the lane.
        right.run("ip", "link", "set", "wan", "address", "02:00:00:00:00:77")
        right.run("ip", "neigh", "flush", "all")
        left.run("ip", "neigh", "change", "192.0.2.2", "dev", "wan", "nud", "stale")
        wait_for(lambda: g.ping(count=1, wait=1, check=False), "traffic after the card changed")
        wait_for(lambda: "02:00:00:00:00:77" in left.run("ip", "neigh").stdout, "its address")
        fast(g, "another card")

        # By a next hop, a host that forwards to the peer.
        g.switch.sysctl("net.ipv4.ip_forward", 1)
        g.switch.sysctl("net.ipv4.conf.all.send_redirects", 0)
        g.switch.sysctl("net.ipv4.conf.sw.send_redirects", 0)
        left.run("ip", "route", "add", "192.0.2.2/32", "via", "192.0.2.99")
        g.ping()
        fast(g, "a next hop")
        mac = g.switch.run("cat", "/sys/class/net/sw/address", check=False).stdout.strip() or \
            re.search(r"link/ether (\S+)", g.switch.run("ip", "link", "show", "sw").stdout).group(1)
        sent = Capture(g.switch, "to-left", only=f"ether dst {mac} and udp port 4500")
        g.ping()
        assert len(sent.stop()) >= 3, "not by the next hop"
        left.run("ip", "route", "del", "192.0.2.2/32")
        g.ping()
        fast(g, "the route gone again")

        # The cable.
        g.switch.run("ip", "link", "set", "to-left", "down")
        wait_for(lambda: "NO-CARRIER" in left.run("ip", "link", "show", "wan").stdout, "no carrier")
        assert not g.ping(count=1, wait=1, check=False)
        g.switch.run("ip", "link", "set", "to-left", "up")
        wait_for(lambda: g.ping(count=1, wait=1, check=False), "traffic after the cable is back")
        fast(g, "the link again")

        left.run("ip", "link", "set", "wan", "down")
        assert not g.ping(count=1, wait=1, check=False)
        left.run("ip", "link", "set", "wan", "up")
        wait_for(lambda: g.ping(count=1, wait=1, check=False), "traffic after the shadow is up")
        fast(g, "the shadow up again")

        shorter_link(g)
        long_pings(g)
        fast(g, "the shorter link")
        none_longer(g)


def long_packets(outer, bare):
    """A link that takes less, and packets of IPv4 and of IPv6 that it does not take as they are:
    those of IPv6 have 1280 bytes at least, and then the outer ones are cut, which is the host's."""
    def test():
        left, right = sides(bare)
        with Gateways(f"gateway-long-{outer}{'-bare' * bare}", ("dpdk", "latchkey"), left, right,
                      outer=outer) as g:
            g.peers["left"].up("net")
            shorter_link(g)
            for side, version in (("left", 4), ("right", 4), ("left", 6), ("right", 6)):
                long_pings(g, side, version)
            fast(g, "the shorter link")
            frames = none_longer(g)
            assert any(f.kind == "fragment" for f in frames), "no outer packet was cut"
    return test


def test_nothing_by_the_shadow():
    """What a policy protects leaves by no shadow: injected routes, SAs that are lost, a daemon that
    is killed. What none protects is forwarded and answered by the host."""
    with Gateways("gateway-shadow", ("dpdk", "latchkey")) as g:
        left, client = g.gateways["left"], g.clients["left"]
        client.ping(OUTSIDE)  # by the host: nothing protects it
        client.ping(LAN["left"][0])
        left.ping(OUTSIDE)
        answer = client.run("ping", "-n", "-c", 1, "-W", 2, "-t", 1, OUTSIDE, check=False).stdout
        assert "Time to live exceeded" in answer, answer
        g.capture.stop()
        g.capture = Capture(g.switch, "to-left", name="again", bulk=True)
        g.peers["left"].up("net")
        g.ping()
        assert left.ping(CLIENT["right"][0], LAN["left"][0]) == 3  # the host's own
        left.run("ip", "route", "add", "10.2.0.0/24", "via", "192.0.2.2", "dev", "wan")
        left.run("ip", "rule", "add", "pref", 1, "lookup", "main")
        g.ping()
        left.ping(CLIENT["right"][0], LAN["left"][0], check=False, wait=3)
        # Without the guard the policies alone stand before the wire: it goes protected.
        left.run("nft", "delete", "table", "inet", "latchkey-latchkey0")
        assert left.ping(CLIENT["right"][0], LAN["left"][0]) == 3
        g.peers["right"].kill()
        g.ping(count=3, wait=1, check=False)
        g.peers["left"].kill()
        g.ping(count=3, wait=1, check=False)
        left.ping(CLIENT["right"][0], LAN["left"][0], count=2, check=False, wait=1)
        assert any(f.kind == "esp" for f in nothing_leaked(g))


def test_guide():
    """The trial of docs/gateway.md, line by line as it stands there."""
    module()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, "docs/gateway.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
    assert len(blocks) == 1, "the guide has one trial"
    script = blocks[0].replace("build/", f"{Latchkey.build}/").replace("$PWD/", "")
    lab = Lab("gateway-guide")
    try:
        host = lab.host("only")
        done = host.run("bash", "-eu", "-c", script, timeout=120)
        assert " 0% packet loss" in done.stdout or re.search(r"[45] received", done.stdout), \
            done.stdout
        assert "gw: up, net up" in done.stdout, done.stdout
        assert "port wan: link up" in done.stdout, done.stdout
        fast_ones = re.findall(r"tx-fast: (\d+)", done.stdout)
        assert any(int(n) >= 4 for n in fast_ones), done.stdout
    finally:
        lab.close()


TESTS = [
    ("gateway: the guide's trial", test_guide),
    ("gateway: a port that does not start", test_port_that_does_not_start),
    ("gateway: follows the host", test_follows_the_host),
    ("gateway: nothing protected by the shadow", test_nothing_by_the_shadow),
    ("gateway: two on DPDK", life("gateway-dpdk", ("dpdk", "dpdk"))),
    ("gateway: DPDK and a TUN", life("gateway-tun", ("dpdk", "latchkey"))),
    ("gateway: DPDK and charon", life("gateway-charon", ("dpdk", "charon"))),
    ("gateway: device for ciphers, DPDK and charon",
     by_a_device("gateway-crypto-charon", ("dpdk", "charon"))),
    ("gateway: device for ciphers, DPDK and a TUN",
     by_a_device("gateway-crypto-tun", ("dpdk", "latchkey"))),
    ("gateway: device for ciphers, a TUN and charon, AES-CBC",
     by_a_device("gateway-crypto-cbc", ("latchkey", "charon"), proposal="aes256-sha256")),
    ("gateway: device for ciphers that is not there", test_device_that_is_not_there),
    ("gateway: IPv6 outside, two on DPDK", life("gateway-dpdk-6", ("dpdk", "dpdk"), outer=6)),
    ("gateway: IPv6 outside, DPDK and a TUN", life("gateway-tun-6", ("dpdk", "latchkey"), outer=6)),
    ("gateway: IPv6 outside, DPDK and charon",
     life("gateway-charon-6", ("dpdk", "charon"), outer=6)),
    ("gateway: long packets, IPv6 outside", long_packets(6, bare=False)),
    ("gateway: long packets, bare ESP", long_packets(4, bare=True)),
    ("gateway: long packets, bare ESP, IPv6 outside", long_packets(6, bare=True)),
    ("gateway: bare ESP, two on DPDK", life("gateway-bare", ("dpdk", "dpdk"), bare=True)),
    ("gateway: bare ESP, IPv6 outside, two on DPDK",
     life("gateway-bare-6", ("dpdk", "dpdk"), outer=6, bare=True)),
    ("gateway: bare ESP, DPDK and a TUN",
     life("gateway-bare-tun", ("dpdk", "latchkey"), bare=True)),
    ("gateway: bare ESP, IPv6 outside, DPDK and a TUN",
     life("gateway-bare-tun-6", ("dpdk", "latchkey"), outer=6, bare=True)),
]
