#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent judge of the ESP data path: scapy decrypts what it makes, and it what scapy makes.

usage: esp_scapy.py ESP_TOOL

Both directions for IPv4 and IPv6 inside, AES-GCM with 128- and 256-bit keys and
ChaCha20-Poly1305, with and without extended sequence numbers, raw and UDP-encapsulated, through every AEAD back end that is built in.
What scapy does not check is written out here from RFC 4303 and 4106: padding, next header, IV and
sequence numbers.
"""

import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import Skip, run  # noqa: E402

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from scapy.config import conf
    conf.ipv6_enabled = False  # no look at this machine's addresses
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation, _ESPPlain
    conf.ipv6_enabled = True  # without it there are no checksums over IPv6
    SCAPY = True
except ImportError:
    SCAPY = False

SPI_OUT = 0x0a0b0c0d
OUTER = dict(src="192.0.2.1", dst="192.0.2.2")
BACK = dict(src="192.0.2.2", dst="192.0.2.1")
LENGTHS = sorted(set(range(0, 70)) | {127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025,
                                      1300, 1371, 1372, 1373, 1400, 1471, 1472})


class Tool:
    """A running data path; each call hands it one packet and returns its answer."""

    def __init__(self, key_len=16, esn=False, udp=False, aead=None, window=64, chacha=False,
                 transport=None, seen=None):
        self.rng = random.Random(f"{key_len} {esn} {udp}")
        self.cipher, self.name = (ChaCha20Poly1305, "CHACHA20-POLY1305") if chacha \
            else (AESGCM, "AES-GCM")
        self.key_out, self.key_in = (self.rng.randbytes(key_len + 4) for _ in range(2))
        options = ["--window", str(window)] + ["--esn"] * esn + ["--udp"] * udp \
            + ["--chacha"] * chacha
        options += ["--aead", aead] if aead else []
        options += ["--transport", ",".join(transport)] if transport else []
        options += ["--seen", ",".join(seen)] if seen else []
        self.esn = esn
        self.process = subprocess.Popen(
            [TOOL, *options, self.key_out.hex(), self.key_in.hex(), hex(SPI_OUT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline().split()
        if first[:1] != ["spi"]:
            raise RuntimeError(self.process.stderr.read() or "the tool said nothing")
        self.spi_in = int(first[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait(timeout=10)
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert status == 0, f"the tool ended with {status}: {errors}"

    def ask(self, what, packet):
        self.process.stdin.write(f"{what} {packet.hex()}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip().lower()
        assert answer, "the tool ended: " + self.process.stderr.read()
        return answer

    def out(self, inner):
        """The ESP packet that the data path makes of an inner one."""
        answer = self.ask("out", inner)
        assert " " not in answer and answer != "nothing", answer
        return bytes.fromhex(answer)

    def into(self, esp):
        """The inner packet, as bytes, or the reason why there is none, as text."""
        answer = self.ask("in", esp)
        return answer if answer.startswith(("drop", "nothing")) else bytes.fromhex(answer)


def sa_out(tool, **changes):
    """scapy's view of the SA that the data path sends on."""
    options = dict(spi=SPI_OUT, crypt_algo=tool.name, crypt_key=tool.key_out,
                   tunnel_header=IP(**OUTER), esn_en=tool.esn) | changes
    return SecurityAssociation(ESP, **options)


def sa_in(tool, **changes):
    """scapy's view of the SA that the data path receives on."""
    options = dict(spi=tool.spi_in, crypt_algo=tool.name, crypt_key=tool.key_in,
                   tunnel_header=IP(**BACK), esn_en=tool.esn) | changes
    return SecurityAssociation(ESP, **options)


def inner_packets(rng, lengths=LENGTHS):
    """IPv4 and IPv6 packets by turns with payloads of every length, headers of several shapes."""
    for number, length in enumerate(lengths):
        body = rng.randbytes(length)
        upper = TCP(sport=1024 + number, dport=80, seq=number) if number % 3 == 2 else \
            UDP(sport=1024 + number, dport=53)
        yield bytes(IP(src="10.1.0.5", dst="10.2.0.9", id=number, tos=number & 0xfc)
                    / upper / body)
        yield bytes(IPv6(src="2001:db8:1::5", dst="2001:db8:2::9", tc=number & 0xfc, fl=number)
                    / upper / body)


def opened(sa, esp, **options):
    """The inner packet as scapy decrypts it."""
    outer = bytes(IP(proto=50, **OUTER) / esp)
    return bytes(sa.decrypt(IP(outer), **options))


def check_trailer(tool, esp, inner):
    """Padding 1, 2, 3 ..., as short as it can be, and the next header (RFC 4303 2.4 to 2.6)."""
    high = bytes(4) if tool.esn else b""
    text = tool.cipher(tool.key_out[:-4]).decrypt(tool.key_out[-4:] + esp[8:16], esp[16:],
                                             esp[:4] + high + esp[4:8])
    assert text == inner + trailer(inner), text[len(inner):]


def trailer(inner):
    pad = -(len(inner) + 2) % 4
    return bytes(range(1, pad + 1)) + bytes([pad, {4: 4, 6: 41}[inner[0] >> 4]])


def seal(sa, inner, **options):
    """ESP header to ICV as scapy makes it."""
    kind = IP if inner[0] >> 4 == 4 else IPv6
    return bytes(sa.encrypt(kind(inner), **options)[ESP])


def test_scapy_opens_ours(**kind):
    with Tool(**kind) as tool:
        sa = sa_out(tool)
        for number, inner in enumerate(inner_packets(tool.rng), 1):
            esp = tool.out(inner)
            spi, seq = int.from_bytes(esp[:4], "big"), int.from_bytes(esp[4:8], "big")
            assert (spi, seq) == (SPI_OUT, number), f"SPI {spi:#x}, sequence number {seq}"
            assert int.from_bytes(esp[8:16], "big") == number, "the IV is not the sequence number"
            assert len(esp) == 16 + (len(inner) + 2 + 3) // 4 * 4 + 16, f"{len(esp)} bytes"
            assert opened(sa, esp) == inner, f"packet {number} is not what went in"
            check_trailer(tool, esp, inner)


def test_we_open_scapys(**kind):
    with Tool(**kind) as tool:
        sa = sa_in(tool)
        for number, inner in enumerate(inner_packets(tool.rng), 1):
            answer = tool.into(seal(sa, inner))
            assert answer == inner, f"packet {number}: {answer}"


def test_scapy_refuses_ours_with_a_wrong_bit():
    with Tool() as tool:
        sa = sa_out(tool)
        inner = next(inner_packets(tool.rng))
        esp = tool.out(inner)
        assert opened(sa, esp) == inner
        for bit in range(32, 8 * len(esp)):
            wrong = bytearray(esp)
            wrong[bit // 8] ^= 1 << bit % 8
            try:
                opened(sa, bytes(wrong))
            except IPSecIntegrityError:
                continue
            raise AssertionError(f"bit {bit} was not noticed")


def test_scapy_refuses_ours_with_other_keys():
    with Tool() as tool:
        esp = tool.out(next(inner_packets(tool.rng)))
        for sa in (sa_out(tool, crypt_key=tool.key_in), sa_out(tool, esn_en=True)):
            try:
                opened(sa, esp)
            except IPSecIntegrityError:
                continue
            raise AssertionError("decrypted with another key or AAD")


def test_we_refuse_a_wrong_bit(**kind):
    with Tool(**kind) as tool:
        sa = sa_in(tool)
        inner = list(inner_packets(tool.rng, [5]))
        esp = seal(sa, inner[0])
        for bit in range(8 * len(esp)):
            wrong = bytearray(esp)
            wrong[bit // 8] ^= 1 << bit % 8
            answer = tool.into(bytes(wrong))
            allowed = ("drop no_sa",) if bit < 32 else ("drop auth", "drop replay")
            assert answer in allowed, f"bit {bit}: {answer}"
        assert tool.into(esp) == inner[0], "the right one after all the wrong ones"


def test_we_refuse_truncation():
    with Tool() as tool:
        sa = sa_in(tool)
        inner = next(inner_packets(tool.rng))
        esp = seal(sa, inner)
        for length in range(len(esp)):
            answer = tool.into(esp[:length])
            assert isinstance(answer, str) and answer.startswith("drop"), f"{length}: {answer}"
        assert tool.into(esp) == inner


def test_we_refuse_replay_and_old():
    with Tool(window=64) as tool:
        sa = sa_in(tool)
        inner = next(inner_packets(tool.rng))
        sealed = {seq: seal(sa, inner, seq_num=seq) for seq in (1, 2, 100, 37, 36, 99)}
        for seq, expected in ((1, inner), (1, "drop replay"), (100, inner), (100, "drop replay"),
                              (2, "drop replay"), (37, inner), (36, "drop replay"), (99, inner),
                              (37, "drop replay")):
            answer = tool.into(sealed[seq])
            assert answer == expected, f"sequence number {seq}: {answer}"


def test_extended_numbers_go_on_past_32_bits():
    with Tool(key_len=32, esn=True) as tool:
        sa = sa_in(tool)
        inner = next(inner_packets(tool.rng))
        for high, low in ((0, 1), (0, 0x7ffffff0), (0, 0xfffffff0), (0, 0xffffffff), (1, 0),
                          (1, 5), (0, 0xfffffff1), (1, 0x80000000), (1, 0xfffffffe), (2, 3)):
            # scapy takes a zero as "not given", so a zero low half is sealed by hand.
            esp = seal(sa, inner, seq_num=low, esn=high) if low else seal_zero(tool, inner, high)
            answer = tool.into(esp)
            assert answer == inner, f"{high}:{low:#x}: {answer}"
            assert tool.into(esp) == "drop replay", f"{high}:{low:#x} was taken twice"
        # The right low half under the wrong high half is not authentic.
        assert tool.into(seal(sa, inner, seq_num=9, esn=1)) == "drop auth"


def seal_zero(tool, inner, high):
    """An ESN packet whose low sequence number is 0, without scapy's SecurityAssociation."""
    iv, spi = b"\0" * 7 + b"\1", tool.spi_in.to_bytes(4, "big")
    aad = spi + high.to_bytes(4, "big") + bytes(4)
    return spi + bytes(4) + iv + AESGCM(tool.key_in[:-4]).encrypt(
        tool.key_in[-4:] + iv, inner + trailer(inner), aad)


def seal_plain(tool, text, seq):
    """A correctly authenticated ESP packet around any text, trailer included."""
    sa = sa_in(tool)
    esp = _ESPPlain(spi=tool.spi_in, seq=seq, iv=tool.rng.randbytes(8))
    esp.data_for_encryption = lambda: text
    return bytes(sa.crypt_algo.encrypt(sa, esp, sa.crypt_key))


def test_padding_of_every_length():
    with Tool() as tool:
        inner = next(inner_packets(tool.rng))
        for pad in range(256):
            text = inner + bytes(range(1, pad + 1)) + bytes([pad, 4])
            answer = tool.into(seal_plain(tool, text, seq=2 * pad + 1))
            if len(text) % 4 == 0:
                assert answer == inner, f"{pad} bytes of padding: {answer}"
            else:
                assert answer in (inner, "drop malformed_esp"), f"{pad}: {answer}"
            if pad > 0:
                wrong = inner + bytes(pad) + bytes([pad, 4])
                answer = tool.into(seal_plain(tool, wrong, seq=2 * pad + 2))
                assert answer in ("drop padding", "drop malformed_esp"), f"{pad}: {answer}"


def test_pad_length_beyond_the_packet():
    with Tool() as tool:
        for seq, length in enumerate(range(0, 64, 4), 1):
            text = bytes(length) + bytes([1, 2, 255, 4])
            answer = tool.into(seal_plain(tool, text, seq))
            assert answer == "drop padding", f"{length}: {answer}"


def test_every_next_header():
    with Tool() as tool:
        inner = next(inner_packets(tool.rng))
        for header in range(256):
            text = (inner + trailer(inner))[:-1] + bytes([header])
            answer = tool.into(seal_plain(tool, text, seq=header + 1))
            expected = {4: inner, 41: "drop malformed_inner", 59: "drop dummy"}
            assert answer == expected.get(header, "drop next_header"), f"{header}: {answer}"


# ---- transport mode (RFC 4303 3.1.1): the addresses are those of the SA, the outer header is not ours

TRANSPORT = {4: ("10.1.0.5", "10.2.0.9"), 6: ("2001:db8:1::5", "2001:db8:2::9")}
NEVER = dict(id=0, flags="DF", ttl=64)  # of an IPv4 header that is made again


def headed(version, upper, back=False, **fields):
    """A whole packet between the two ends, its checksums right."""
    src, dst = TRANSPORT[version][::-1] if back else TRANSPORT[version]
    kind = IP if version == 4 else IPv6
    return kind(bytes(kind(src=src, dst=dst, **fields) / upper))


def uppers(rng):
    """Upper layers of every length, those that have checksums over the addresses and others."""
    for number, length in enumerate(LENGTHS):
        yield (TCP(sport=1024 + number, dport=80, seq=number), UDP(sport=1024 + number, dport=53),
               UDP(sport=53, dport=number, chksum=0))[number % 3] / rng.randbytes(length)


def without_tunnel(make, tool):
    """sa_out() or sa_in() in transport mode."""
    return make(tool, tunnel_header=None)


def test_scapy_opens_our_transport(version, **kind):
    with Tool(transport=TRANSPORT[version], **kind) as tool:
        sa = without_tunnel(sa_out, tool)
        for number, upper in enumerate(uppers(tool.rng), 1):
            packet = headed(version, upper)
            esp = tool.out(bytes(packet))
            assert len(esp) == 16 + (len(packet.payload) + 2 + 3) // 4 * 4 + 16, f"{len(esp)} bytes"
            head = IP(proto=50, src=packet.src, dst=packet.dst) if version == 4 else \
                IPv6(nh=50, src=packet.src, dst=packet.dst)
            clear = sa.decrypt(type(head)(bytes(head / esp)))
            assert bytes(clear.payload) == bytes(packet.payload), f"packet {number}"
            assert (clear.proto if version == 4 else clear.nh) == \
                (packet.proto if version == 4 else packet.nh), f"packet {number}: protocol"


def test_we_open_scapys_transport(version, **kind):
    with Tool(transport=TRANSPORT[version], **kind) as tool:
        sa = without_tunnel(sa_in, tool)
        for number, upper in enumerate(uppers(tool.rng), 1):
            packet = headed(version, upper, back=True, **(NEVER if version == 4 else {}))
            answer = tool.into(bytes(sa.encrypt(packet)[ESP]))
            assert answer == bytes(packet), f"packet {number}: {answer}"


def test_checksums_behind_a_nat(version):
    """The peer's checksums are over addresses that a NAT changed: RFC 3948 3.1.2."""
    seen = {4: ("198.51.100.7", "192.168.0.33"), 6: ("2001:db8:77::1", "fd00::33")}[version]
    with Tool(transport=TRANSPORT[version], seen=seen) as tool:
        sa = without_tunnel(sa_in, tool)
        kind, fields = (IP, NEVER) if version == 4 else (IPv6, {})
        for number, upper in enumerate(uppers(tool.rng), 1):
            sent = kind(bytes(kind(src=seen[1], dst=seen[0], **fields) / upper))
            answer = tool.into(bytes(sa.encrypt(sent)[ESP]))
            expected = bytes(headed(version, upper, back=True, **fields))
            assert answer == expected, f"packet {number}: {answer} instead of {expected}"


def kinds():
    for aead in AEADS:
        for key_len in (16, 32):
            for esn in (False, True):
                yield dict(aead=aead, key_len=key_len, esn=esn)
    for aead in AEADS + CHACHA_ONLY:
        for esn in (False, True):
            yield dict(aead=aead, key_len=32, esn=esn, chacha=True)
    yield dict(aead=AEADS[0], key_len=32, udp=True)
    yield dict(aead=AEADS[0], key_len=32, udp=True, chacha=True)


def name(kind):
    cipher = "ChaCha20-Poly1305" if kind.get("chacha") else f"AES-GCM-{8 * kind['key_len']}"
    return " ".join([kind["aead"], cipher] + ["ESN"] * kind.get("esn", 0)
                    + ["UDP"] * kind.get("udp", 0))


def needs_scapy(test):
    def checked():
        if not SCAPY:
            raise Skip("scapy is not installed")
        test()
    return checked


def available(aead):
    try:
        with Tool(aead=aead):
            return True
    except RuntimeError:
        return False


def absent():
    raise Skip("this AEAD back end is not built in")


def tests():
    for kind in kinds():
        yield f"scapy opens ours: {name(kind)}", lambda k=kind: test_scapy_opens_ours(**k)
        yield f"we open scapy's: {name(kind)}", lambda k=kind: test_we_open_scapys(**k)
        for version in TRANSPORT:
            title = f"IPv{version} in transport mode: {name(kind)}"
            yield f"scapy opens ours, {title}", \
                lambda k=kind, v=version: test_scapy_opens_our_transport(v, **k)
            yield f"we open scapy's, {title}", \
                lambda k=kind, v=version: test_we_open_scapys_transport(v, **k)
    for version in TRANSPORT:
        yield f"checksums behind a NAT: IPv{version}", \
            lambda v=version: test_checksums_behind_a_nat(v)
    for aead in AEADS:
        yield f"a wrong bit anywhere is refused: {aead}", \
            lambda a=aead: test_we_refuse_a_wrong_bit(aead=a)
    for aead in AEADS + CHACHA_ONLY:
        yield f"a wrong bit anywhere is refused: {aead}, ChaCha20-Poly1305", \
            lambda a=aead: test_we_refuse_a_wrong_bit(aead=a, key_len=32, chacha=True)
    for aead in set(KNOWN) - set(AEADS):
        yield aead, absent
    for test in (test_scapy_refuses_ours_with_a_wrong_bit, test_scapy_refuses_ours_with_other_keys,
                 test_we_refuse_truncation, test_we_refuse_replay_and_old,
                 test_extended_numbers_go_on_past_32_bits, test_padding_of_every_length,
                 test_pad_length_beyond_the_packet, test_every_next_header):
        yield test.__name__, test


if len(sys.argv) != 2:
    sys.exit(__doc__)
TOOL = os.path.abspath(sys.argv[1])
KNOWN = ("openssl", "ipsec-mb")
CHACHA_ONLY = ["libsodium"]
AEADS = [a for a in KNOWN if available(a)]
assert "openssl" in AEADS, "the tool does not run"
sys.exit(run((title, needs_scapy(test)) for title, test in tests()))
