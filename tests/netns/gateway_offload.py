# SPDX-License-Identifier: Apache-2.0
"""A gateway whose ports are DPDK's net_tap: at their other side is the kernel, and behind it hosts,
which take no packet with a wrong checksum, and captures that tshark judges."""

import os
import re
import shutil
import subprocess

from capture import Capture
from gateway import Gateways, arrived, between, by_the_lane, module, no_offloads
from lab import wait_for
from pytap import Skip, diag

ALL_ON = {}
ALL_OFF = {"tx_checksum": "no", "rx_checksum": "no", "tso": "no"}
PORTS = ("lan", "wan")
SWITCH = "192.0.2.99"
GOOD = "1"  # as tshark writes a checksum's status
BAD = "0"


class TapGateways(Gateways):
    """The left gateway on net_tap, whose devices are bridged to the cables; the right one without
    DPDK."""

    def __init__(self, name, switches, outer):
        self.switches = switches
        super().__init__(name, ("dpdk", "latchkey"), outer=outer)

    def _dpdk(self, side):
        ports = {port: {"device": f"net_tap{i},iface=tap-{port}", **self.switches}
                 for i, port in enumerate(PORTS)}
        return {"dpdk": {"module": module(), "huge": "no", "packets": 4096, "idle": 100,
                         "ports": ports}}

    def start(self):
        gateway = self.gateways["left"]
        self.peers["left"].start()
        # What is bridged is a cable's, and not the guard's affair.
        for what in ("iptables", "ip6tables"):
            gateway.run("sysctl", "-q", "-w", f"net.bridge.bridge-nf-call-{what}=0", check=False)
        for i, port in enumerate(PORTS):
            gateway.run("ip", "link", "add", f"br-{port}", "type", "bridge", "mcast_snooping", "0")
            gateway.sysctl(f"net.ipv6.conf.br-{port}.disable_ipv6", 1)
            gateway.sysctl(f"net.ipv4.conf.br-{port}.arp_ignore", 8)
            # The kernel's end of a port has its address, and would be taken for it.
            gateway.run("ip", "link", "set", f"tap-{port}", "address", f"02:00:00:00:01:0{i}")
            for device in (f"tap-{port}", f"dev-{port}"):
                gateway.run("ip", "link", "set", device, "master", f"br-{port}", "up")
            no_offloads(gateway, f"dev-{port}")
            gateway.run("ip", "link", "set", f"br-{port}", "up")
        self.address("left")
        self.peers["right"].start()


def statuses(path, version):
    """Of each frame in a capture: who sent it, protocol, and what tshark says of its checksums."""
    if not shutil.which("tshark"):
        raise Skip("tshark is not installed")
    fields = ["eth.src", "frame.len", "ip.checksum.status" if version == 4 else "ipv6.nxt",
              "udp.checksum.status", "tcp.checksum.status", "tcp.checksum",
              "tcp.checksum_calculated"]
    # Each segment for itself: following the streams takes minutes where one comes out of order.
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-o", "ip.check_checksum:TRUE",
               "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
               "-o", "tcp.analyze_sequence_numbers:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
               "-Y", "ip" if version == 4 else "ipv6"]
    for field in fields:
        command += ["-e", field]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def judged(path, mac):
    """No checksum of what this one sent is wrong. How many of UDP and TCP were found right."""
    udp = tcp = 0
    for version in (4, 6):
        for source, _, head, udp_status, tcp_status, written, right in statuses(path, version):
            if source != mac:
                continue
            if (written, right) == ("0xffff", "0x0000"):  # the other zero, which kernels write too
                tcp_status = GOOD
            said = [udp_status, tcp_status] + ([head] if version == 4 else [])
            assert BAD not in said, (version, said, written, right)
            udp += udp_status == GOOD
            tcp += tcp_status == GOOD
    return udp, tcp


def refused_by_kernels(g):
    """What the hosts dropped for its checksum."""
    names = ("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors", "TcpInErrs")
    counted = {}
    for host in (g.switch, g.clients["left"], g.clients["right"], g.gateways["right"],
                 g.gateways["left"]):
        for line in host.run("nstat", "-asz", *names).stdout.splitlines():
            if line.startswith(names):
                key, value = line.split()[:2]
                counted[key] = counted.get(key, 0) + int(value)
    assert set(names) <= set(counted), counted
    return {key: value for key, value in counted.items() if value}


def own_tcp(g, target):
    """TCP of the gateway's own, in the clear, by the shadow; returns Mb/s."""
    server = g.switch.spawn("iperf3", "iperf3", "-s", "-1")
    wait_for(lambda: "5201" in g.switch.run("ss", "-ltn").stdout, "iperf3")
    done = g.gateways["left"].run("iperf3", "-c", target, "-n", "16M", "-f", "m", timeout=60)
    server.outer.wait(10)
    return float(re.findall(r"([\d.]+) Mbits/sec\s+receiver", done.stdout)[-1])


def offloads(name, switches, outer, shown):
    def test():
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Skip("no /dev/net/tun")
        with TapGateways(name, switches, outer) as g:
            left = g.gateways["left"]
            text = g.peers["left"].cli("show").stdout
            assert text.count(f", offloads {shown}\n") == (2 if shown else 0) and \
                text.count("offloads") == (2 if shown else 0), text
            mac = left.run("cat", "/sys/class/net/wan/address").stdout.strip()
            lan_mac = left.run("cat", "/sys/class/net/lan/address").stdout.strip()
            wire = Capture(g.switch, "to-left", name="wire", bulk=True)
            inside = Capture(g.clients["left"], "eth", name="inside", bulk=True)
            g.peers["left"].up("net")
            for version in (4, 6):
                for side in ("left", "right"):
                    g.ping(side, version)
                diag(f"IPv{version}: TCP {g.tcp('left', version):.0f} Mb/s out, "
                     f"{g.tcp('right', version):.0f} Mb/s in")
                stream = g.stream("right", version)
                stream.wait(500)
                arrived(stream.stop())
            by_the_lane(g, "left")
            between(g, outer, bare=False)
            diag(f"TCP of the gateway's own: {own_tcp(g, SWITCH):.0f} Mb/s")
            wire.stop()
            inside.stop()
            udp, tcp = judged(wire.path, mac)
            diag(f"on the wire {udp} checksums of UDP and {tcp} of TCP are right, none is wrong")
            assert tcp > 1000 and (udp > 1000) == (outer == 6), (udp, tcp)
            udp, tcp = judged(inside.path, lan_mac)
            diag(f"at the client {udp} of UDP and {tcp} of TCP")
            assert udp > 500 and tcp > 1000, (udp, tcp)
            assert not refused_by_kernels(g), refused_by_kernels(g)
    return test


TESTS = [
    ("gateway: net_tap, IPv6 outside, the port's offloads",
     offloads("gateway-tap-6", ALL_ON, 6, "tx_checksum rx_checksum")),
    ("gateway: net_tap, the port's offloads",
     offloads("gateway-tap", ALL_ON, 4, "tx_checksum rx_checksum")),
    ("gateway: net_tap, IPv6 outside, no offloads",
     offloads("gateway-tap-off", ALL_OFF, 6, "")),
]
