# SPDX-License-Identifier: Apache-2.0
"""Captures on a host's interface, and what kinds of packet they hold."""

import os
import re
import signal
import socket
import struct
import time
from dataclasses import dataclass

from lab import wait_for

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
# What may pass on a link whose traffic is protected.
PROTECTED = {"ike", "esp", "keepalive", "arp", "nd"}


@dataclass
class Frame:
    """One captured frame: its kind, addresses, and the length of its IP payload, as its headers say:
    what was captured of it may be less."""

    time: float
    kind: str  # one of PROTECTED, "esp refused", "fragment" or "clear"
    source: str = ""
    destination: str = ""
    protocol: int = 0
    length: int = 0  # of the UDP payload or, without UDP, of the IP payload
    spi: int = 0
    tos: int = 0
    payload: bytes = b""

    def __str__(self):
        return f"{self.kind} {self.source} > {self.destination} protocol {self.protocol} " \
               f"length {self.length}"


def _text(raw):
    if len(raw) == 4:
        return ".".join(map(str, raw))
    return socket.inet_ntop(socket.AF_INET6, raw)


def _udp_kind(ports, payload):
    if 500 in ports:
        return "ike"
    if 4500 in ports:
        if payload == b"\xff":
            return "keepalive"
        return "ike" if payload[:4] == b"\0\0\0\0" else "esp"
    return "clear"


def _refuses_esp(icmp):
    """ICMP: no socket takes bare ESP, or (newer kernels) one that is full. It quotes what it refuses."""
    return icmp[:2] == b"\x03\x02" and len(icmp) >= 28 and icmp[17] == 50


def _classify(frame, protocol, payload, length):
    frame.protocol, frame.length, frame.payload = protocol, length, payload
    if protocol == 50:
        frame.kind = "esp"
    elif protocol == 1 and _refuses_esp(payload):
        frame.kind = "esp refused"
    elif protocol == 58 and payload and payload[0] in (130, 131, 132, 133, 134, 135, 136, 143):
        frame.kind = "nd"
    elif protocol == 17 and len(payload) >= 8:
        length = struct.unpack("!H", payload[4:6])[0]
        frame.payload, frame.length = payload[8:length], length - 8
        frame.kind = _udp_kind(struct.unpack("!HH", payload[:4]), frame.payload)
    if frame.kind == "esp" and len(frame.payload) >= 4:
        frame.spi = struct.unpack("!I", frame.payload[:4])[0]
    return frame


def parse_ethernet(time, data):
    kind = struct.unpack("!H", data[12:14])[0]
    body = data[14:]
    frame = Frame(time, "clear", protocol=-kind)
    if kind == ETH_ARP:
        frame.kind = "arp"
        return frame
    if kind == ETH_IPV4 and len(body) >= 20:
        head, total = (body[0] & 15) * 4, struct.unpack("!H", body[2:4])[0]
        frame.source, frame.destination = _text(body[12:16]), _text(body[16:20])
        frame.tos = body[1]
        if struct.unpack("!H", body[6:8])[0] & 0x1FFF:
            frame.kind = "fragment"
            return frame
        return _classify(frame, body[9], body[head:total], total - head)
    if kind == ETH_IPV6 and len(body) >= 40:
        length, following = struct.unpack("!HB", body[4:7])
        frame.source, frame.destination = _text(body[8:24]), _text(body[24:40])
        frame.tos = struct.unpack("!H", body[:2])[0] >> 4 & 0xFF
        payload = body[40:40 + length]
        if following == 0 and len(payload) >= 8:  # hop-by-hop options, as MLD reports have
            skip = 8 + payload[1] * 8
            following, payload, length = payload[0], payload[skip:], length - skip
        if following == 44 and len(payload) >= 8:
            following, offset, payload = payload[0], payload[2:4], payload[8:]
            length -= 8
            if struct.unpack("!H", offset)[0] & 0xFFF8:
                frame.kind = "fragment"
                return frame
        return _classify(frame, following, payload, length)
    return frame


HEADER_LEN = 24


def read_pcap(path):
    """The Ethernet frames of a pcap file in the machine's byte order."""
    with open(path, "rb") as file:
        data = file.read()
    frames, at = [], HEADER_LEN
    assert len(data) >= HEADER_LEN and data[:4] == b"\xd4\xc3\xb2\xa1", f"{path} is not a capture"
    while at + 16 <= len(data):
        seconds, micros, length, _ = struct.unpack("<IIII", data[at:at + 16])
        if at + 16 + length > len(data):
            break  # so_far(): it is being written
        frames.append(parse_ethernet(seconds + micros / 1e6, data[at + 16:at + 16 + length]))
        at += 16 + length
    return frames


PROGRESS = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter, "
                      r"(\d+) packets? dropped by kernel")


SLOTS = 1 << 15  # packets that the kernel has room for
WHOLE = 2048  # bytes: any frame that a device did not leave to others to cut
SLOT_HEAD = 128


class Capture:
    """A running tcpdump. snap: so many bytes of each frame. bulk: for a gateway's rates; it is behind
    by up to a second then."""

    def __init__(self, host, device, name=None, snap=WHOLE, only="", bulk=False):
        self.host, self.path = host, host.path(f"{name or device}.pcap")
        # In immediate mode each packet has a slot of snap bytes and is told of at once. Without, they
        # are told of by the block, of which the last one is given up after a second.
        ring = ["-B", "131072"] if bulk else \
            ["-B", SLOTS * (snap + SLOT_HEAD) >> 10, "--immediate-mode"]
        # Without -U: who wants to read as it goes says so (so_far).
        self.process = host.spawn(f"tcpdump-{name or device}", "tcpdump", "-i", device, "-n",
                                  *ring, "-s", snap, "-Z", "root",
                                  "-w", self.path, *([only] if only else []))
        wait_for(lambda: "listening on" in self.process.log() or not self.process.running(),
                 "tcpdump to listen")
        assert self.process.running(), f"tcpdump ended:\n{self.process.log()}"
        self.frames = None
        self.missed = 0

    def _drain(self, tries=100):
        """Waits until it has read what the kernel has for it: when it ends, the rest is lost."""
        for asked in range(1, tries + 1):
            self.process.send(signal.SIGUSR1)
            wait_for(lambda asked=asked: len(PROGRESS.findall(self.process.log())) >= asked
                     or not self.process.running(), "tcpdump to say how far it is")
            captured, received, dropped = map(int, (PROGRESS.findall(self.process.log())
                                                    or [(0, 0, 0)])[-1])
            if captured + dropped >= received:
                return
            time.sleep(0.05)

    def so_far(self):
        """The frames that were written until a moment ago."""
        self.process.send(signal.SIGUSR2)  # write what there is
        return read_pcap(self.path) if os.path.getsize(self.path) >= HEADER_LEN else []

    def stop(self, whole=True):
        """Ends the capture and returns its frames. If whole, a frame it missed is an error."""
        if self.frames is None:
            self._drain()
            self.process.stop(signal.SIGINT)
            counted = re.search(r"^(\d+) packets dropped by kernel", self.process.log(), re.M)
            assert counted, self.process.log()
            self.missed = int(counted.group(1))
            assert not whole or self.missed == 0, self.process.log()
            self.frames = read_pcap(self.path)
        return self.frames


IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37


PAYLOAD_SKF = 53  # RFC 7383


def header_byte(frame, at):
    """A byte of the header of an IKE message, or None."""
    marked = 4 if frame.payload[:4] == b"\0\0\0\0" else 0  # the non-ESP marker
    return frame.payload[marked + at] if len(frame.payload) >= marked + 28 else None


def exchanges(frames, kind):
    """The IKE messages of one exchange type."""
    return [f for f in frames if f.kind == "ike" and header_byte(f, 18) == kind]


def ike_fragments(frames):
    """The IKE messages that are a fragment of one."""
    return [f for f in frames if f.kind == "ike" and header_byte(f, 16) == PAYLOAD_SKF]


def assert_protected(frames, what, at_least=1):
    """Only ESP, IKE and what a link needs; and really some ESP, or nothing was looked at."""
    clear = [f for f in frames if f.kind not in PROTECTED]
    assert not clear, f"{what}: {len(clear)} frames in the clear, first {clear[0]}"
    esp = sum(1 for f in frames if f.kind == "esp")
    assert esp >= at_least, f"{what}: {esp} ESP packets, at least {at_least} expected"
