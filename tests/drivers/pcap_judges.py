#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Captures through the data path: scapy makes them, editcap converts them, tshark and scapy judge.

usage: pcap_judges.py PCAP_TOOL
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import Skip, run  # noqa: E402

try:
    from scapy.config import conf
    conf.ipv6_enabled = False  # no look at this machine's addresses
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.ipsec import ESP, SecurityAssociation
    from scapy.layers.l2 import ARP, Dot1Q, Ether
    from scapy.packet import Raw
    from scapy.utils import RawPcapReader, RawPcapWriter
    conf.ipv6_enabled = True  # without it there are no checksums over IPv6
    SCAPY = True
except ImportError:
    SCAPY = False

KEY = bytes(range(36))
SPI = 0x0a0b0c0d
ETHERNET = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b") if SCAPY else None
OURS, THEIRS = "192.0.2.1", "192.0.2.2"
FIELDS = ["frame.protocols", "ip.src", "ip.dst", "esp.spi", "esp.sequence", "esp.icv_good",
          "udp.checksum.status", "ip.checksum.status", "_ws.malformed", "data.data", "esp.iv"]


def inner_packets():
    """IPv4 and IPv6, UDP, TCP and ICMP, with bodies of many lengths."""
    rng = random.Random(3)
    for number in range(150):
        body = Raw(rng.randbytes(rng.randrange(1200)))
        upper = (UDP(sport=5000 + number, dport=5001), TCP(sport=5000, dport=80, seq=number),
                 ICMP(id=number))[number % 3]
        if number % 4 == 3 and number % 3 != 2:
            yield IPv6(src="2001:db8:1::5", dst="2001:db8:2::9", fl=number) / upper / body
        else:
            yield IP(src="10.1.0.5", dst="10.2.0.9", id=number) / upper / body


class Place:
    """A directory, and the tool that works in it."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="latchkey-pcap-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, packets, linktype):
        writer = RawPcapWriter(self.file(name), linktype=linktype)
        for packet in packets:
            writer.write(bytes(packet))
        writer.close()

    def read(self, name):
        """The frames of a capture, as bytes."""
        reader = RawPcapReader(self.file(name))
        frames = [data for data, _ in reader]
        reader.close()
        return frames

    def tool(self, way, came, went, *options):
        """What the tool says: {"received": ..., "sent": ..., "errors": ..., reason: ...}."""
        done = subprocess.run([TOOL, way, *options, KEY.hex(), hex(SPI), self.file(came),
                               self.file(went)], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr
        words = done.stdout.split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def tshark(self, name, spi, source, destination):
        """FIELDS of each frame, decrypted and checked."""
        if not shutil.which("tshark"):
            raise Skip("tshark is not installed")
        sa = ('uat:esp_sa:"IPv4","%s","%s","0x%08x","AES-GCM with 16 octet ICV [RFC4106]",'
              '"0x%s","NULL",""' % (source, destination, spi, KEY.hex()))
        command = ["tshark", "-n", "-r", self.file(name), "-T", "fields",
                   "-o", "esp.enable_encryption_decode:TRUE",
                   "-o", "esp.enable_authentication_check:TRUE", "-o", sa,
                   "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
        for field in FIELDS:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]


def association(spi, source, destination, udp):
    return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=KEY,
                               tunnel_header=IP(src=source, dst=destination),
                               nat_t_header=UDP(sport=4500, dport=4500) if udp else None)


def seal(sa, inner, number):
    """An outer packet; scapy leaves the lengths and checksums of its headers as they were."""
    packet = sa.encrypt(inner, seq_num=number)
    for layer in (IP, UDP):
        if layer in packet:
            del packet[layer].len, packet[layer].chksum
    return IP(bytes(packet))


def test_out(ethernet, udp, workers):
    """What the data path made of scapy's packets: tshark decodes all of it, scapy opens it."""
    options = ["--workers", str(workers)] + ["--ethernet"] * ethernet + ["--udp"] * udp
    with Place() as place:
        inner = list(inner_packets())
        frames = [ETHERNET / p for p in inner] if ethernet else inner
        place.write("clear", frames, 1 if ethernet else 101)
        told = place.tool("out", "clear", "esp", *options)
        assert told == {"received": 150, "sent": 150, "errors": 0}, told
        sa = association(SPI, OURS, THEIRS, udp)
        for number, frame in enumerate(place.read("esp"), 1):
            outer = Ether(frame)[IP] if ethernet else IP(frame)
            assert outer[ESP].seq == number
            opened = bytes(sa.decrypt(outer))
            assert opened == bytes(inner[number - 1]), f"packet {number} is another"
        rows = place.tshark("esp", SPI, OURS, THEIRS)
        assert len(rows) == 150, len(rows)
        for number, row in enumerate(rows, 1):
            assert row["esp.icv_good"] in ("1", "True"), row
            assert int(row["esp.sequence"]) == number and int(row["esp.spi"], 16) == SPI, row
            assert row["ip.src"].split(",")[0] == OURS, row
            assert not row["_ws.malformed"], row
            # Checksum status 1 is "good".
            assert set(row["ip.checksum.status"].split(",")) == {"1"}, row
            inside = inner[number - 1]
            count = int(udp) + int(UDP in inside)
            assert [s for s in row["udp.checksum.status"].split(",") if s] == ["1"] * count, row


def test_into(ethernet, udp, pcapng, workers):
    """The data path opens what scapy sealed: the same packets come out, and nothing else."""
    options = ["--workers", str(workers)] + ["--ethernet"] * ethernet
    spi = int(subprocess.run([TOOL, "spi", "--workers", str(workers)], capture_output=True,
                             text=True, check=True).stdout)
    with Place() as place:
        inner = list(inner_packets())
        sa = association(spi, THEIRS, OURS, udp)
        sealed = [seal(sa, p, n) for n, p in enumerate(inner, 1)]
        sealed.append(sealed[7])  # again
        broken = bytearray(bytes(sealed[9]))
        broken[-1] ^= 1
        # Another's, a fragment, and something else: the capture was not made for us.
        sealed += [seal(sa, inner[0], 200), IP(bytes(broken)),
                   IP(src=THEIRS, dst=OURS) / UDP(sport=53, dport=53) / b"no",
                   IP(src=THEIRS, dst=OURS, proto=50, flags="MF") / bytes(64)]
        sealed[-4][ESP].spi ^= 0x100
        frames = [ETHERNET / p for p in sealed] if ethernet else sealed
        if ethernet:
            frames[3] = ETHERNET / Dot1Q(vlan=9) / sealed[3]
            frames.append(ETHERNET / ARP())
        place.write("esp", frames, 1 if ethernet else 101)
        if pcapng:
            if not shutil.which("editcap"):
                raise Skip("editcap is not installed")
            subprocess.run(["editcap", "-F", "pcapng", place.file("esp"), place.file("ng")],
                           check=True, timeout=60)
        told = place.tool("in", "ng" if pcapng else "esp", "clear", *options)
        assert told == {"received": 153, "sent": 150, "errors": 2 + ethernet, "REPLAY": 2,
                        "NO_SA": 1}, told
        opened = place.read("clear")
        opened = [bytes(Ether(f).payload) for f in opened] if ethernet else opened
        assert opened == [bytes(p) for p in inner], "other packets came out"


def tests():
    for ethernet, udp, workers in ((False, False, 1), (False, True, 1), (True, False, 1),
                                   (True, True, 1), (False, True, 4)):
        name = f"{'Ethernet' if ethernet else 'raw IP'}, {'UDP' if udp else 'ESP'}, " \
            f"workers: {workers}"
        yield (f"tshark and scapy open ours: {name}",
               lambda e=ethernet, u=udp, w=workers: test_out(e, u, w))
        yield (f"we open scapy's: {name}",
               lambda e=ethernet, u=udp, w=workers: test_into(e, u, False, w))
    yield "we open scapy's: pcapng", lambda: test_into(True, True, True, 4)


def main():
    global TOOL
    TOOL = sys.argv[1]
    if not SCAPY:
        print("1..0 # SKIP scapy is not installed")
        return 0
    return run(list(tests()))


if __name__ == "__main__":
    sys.exit(main())
