#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent judge of the ESP data path: scapy decrypts what it makes, and it what scapy makes.

usage: esp_scapy.py ESP_TOOL

Both directions for IPv4 and IPv6 inside, with every algorithm (SUITES), with and without extended
sequence numbers, raw and UDP-encapsulated, through every back end that is built in.
What scapy does not check or have is written out here from the RFCs: padding, next header, IV and
sequence numbers (4303, 4106, 3602), GMAC (4543), implicit IVs (8750), the high half behind the
text (4303 2.2.1). What is compressed inside (3173, 2394) is zlib's to open and to make.
"""

import os
import random
import subprocess
import sys
import zlib
from dataclasses import dataclass

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import Skip, run  # noqa: E402

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from scapy.config import conf
    conf.ipv6_enabled = False  # no look at this machine's addresses
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.ipsec import (AUTH_ALGOS, CRYPT_ALGOS, ESP, CryptAlgo, IPSecIntegrityError,
                                    SecurityAssociation, _ESPPlain)
    conf.ipv6_enabled = True  # without it there are no checksums over IPv6
    SCAPY = True
    # Ciphers alone, by the suites' names for scapy.
    BARE = {"AES-GCM": AESGCM, "AES-GCM-IIV": AESGCM, "CHACHA20-POLY1305": ChaCha20Poly1305,
            "CHACHA20-POLY1305-IIV": ChaCha20Poly1305}
except ImportError:
    SCAPY = False

SPI_OUT = 0x0a0b0c0d
OUTER = dict(src="192.0.2.1", dst="192.0.2.2")
BACK = dict(src="192.0.2.2", dst="192.0.2.1")
LENGTHS = sorted(set(range(0, 34)) | {127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025,
                                      1300, 1371, 1372, 1373, 1400, 1471, 1472})


@dataclass(frozen=True)
class Suite:
    """An algorithm as its RFC has it, by the name that a proposal has for it."""
    name: str
    crypt: str          # scapy's name
    key: int            # bytes of the cipher's key
    salt: int = 4
    auth: str = "NULL"  # scapy's name
    auth_key: int = 0
    iv: int = 8
    align: int = 4
    icv: int = 16

    @property
    def combined(self):
        return self.auth == "NULL"


HASHES = {256: "SHA2-256-128", 384: "SHA2-384-192", 512: "SHA2-512-256"}
GCM = [Suite(f"aes{bits}gcm16", "AES-GCM", bits // 8) for bits in (128, 256)]
CHACHA = Suite("chacha20poly1305", "CHACHA20-POLY1305", 32)
CBC = [Suite(f"aes{bits}-sha{size}", "AES-CBC", bits // 8, 0, auth, size // 8, 16, 16, size // 16)
       for bits in (128, 192, 256) for size, auth in HASHES.items()]
PLAIN = [Suite(f"null-sha{size}", "NULL", 0, 0, auth, size // 8, 0, 4, size // 16)
         for size, auth in HASHES.items()]
GMAC = [Suite(f"aes{bits}gmac", "GMAC", bits // 8) for bits in (128, 192, 256)]
IMPLICIT = [Suite(f"aes{bits}gcm16iiv", "AES-GCM-IIV", bits // 8, iv=0) for bits in (128, 256)] + \
    [Suite("chacha20poly1305iiv", "CHACHA20-POLY1305-IIV", 32, iv=0)]
SUITES = GCM + [CHACHA] + CBC + PLAIN + GMAC + IMPLICIT
# Back ends that have some of them; without vaes's processor the tool takes another.
PARTIAL = {"libsodium": [CHACHA, PLAIN[0], PLAIN[2], IMPLICIT[2]], "vaes": GCM}


def add_gmac():
    """ENCR_NULL_AUTH_AES_GMAC, which scapy does not have: IV and text are additional data."""
    class Gmac(CryptAlgo):
        def _aad(self, esp, text, esn_en, esn):
            number = (esn.to_bytes(4, "big") if esn_en else b"") + esp.seq.to_bytes(4, "big")
            return esp.spi.to_bytes(4, "big") + number + text

        def encrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
            text = esp.iv + esp.data_for_encryption()
            tag = AESGCM(key).encrypt(sa.crypt_salt + esp.iv, b"", self._aad(esp, text, esn_en, esn))
            return ESP(spi=esp.spi, seq=esp.seq, data=text + tag)

        def decrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
            iv, text, tag = esp.data[:8], esp.data[:-16], esp.data[-16:]
            try:
                AESGCM(key).decrypt(sa.crypt_salt + iv, tag, self._aad(esp, text, esn_en, esn))
            except InvalidTag as err:
                raise IPSecIntegrityError(err) from err
            padlen, nh = text[-2:]
            return _ESPPlain(spi=esp.spi, seq=esp.seq, iv=iv, data=text[8:-2 - padlen],
                             padding=text[-2 - padlen:-2], padlen=padlen, nh=nh, icv=tag)

    CRYPT_ALGOS["GMAC"] = Gmac("GMAC", cipher=None, mode=None, block_size=1, iv_size=8,
                               icv_size=16, salt_size=4, key_size=(16, 24, 32))


def add_implicit():
    """RFC 8750, which scapy does not have: the nonce ends in the sequence number of 64 bits, or in
    that of 32 behind four zeros, and nothing of it is in the packet."""
    class Implicit(CryptAlgo):
        def _parts(self, sa, esp, esn_en, esn):
            low = esp.seq.to_bytes(4, "big")
            high = esn.to_bytes(4, "big") if esn_en else b""
            return sa.crypt_salt + (high or bytes(4)) + low, esp.spi.to_bytes(4, "big") + high + low

        def encrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
            nonce, aad = self._parts(sa, esp, esn_en, esn)
            return ESP(spi=esp.spi, seq=esp.seq,
                       data=BARE[self.name](key).encrypt(nonce, esp.data_for_encryption(), aad))

        def decrypt(self, sa, esp, key, icv_size=None, esn_en=False, esn=0):
            nonce, aad = self._parts(sa, esp, esn_en, esn)
            try:
                text = BARE[self.name](key).decrypt(nonce, esp.data, aad)
            except InvalidTag as err:
                raise IPSecIntegrityError(err) from err
            padlen, nh = text[-2:]
            return _ESPPlain(spi=esp.spi, seq=esp.seq, iv=b"", data=text[:-2 - padlen],
                             padding=text[-2 - padlen:-2], padlen=padlen, nh=nh, icv=esp.data[-16:])

    for suite, sizes in ((IMPLICIT[0], (16, 32)), (IMPLICIT[2], (32,))):
        CRYPT_ALGOS[suite.crypt] = Implicit(suite.crypt, cipher=None, mode=None, block_size=1, iv_size=0,
                                            icv_size=16, salt_size=4, key_size=sizes)


class HighHalf:
    """scapy's MAC for ESP, with the high half of the sequence number, which scapy before 2.6 leaves
    out, and later ones tell (esn_en, esn)."""

    def __init__(self, name, high):
        self.algo, self.high = AUTH_ALGOS[name], high
        self.icv_size = self.algo.icv_size

    def _mac(self, esp, key):
        mac = self.algo.new_mac(key)
        mac.update(bytes(esp) + self.high.to_bytes(4, "big"))
        return mac.finalize()[:self.icv_size]

    def sign(self, esp, key, **_):
        esp.data += self._mac(esp, key)

    def verify(self, esp, key, **_):
        bare = esp.copy()
        bare.data = bare.data[:-self.icv_size]
        if self._mac(bare, key) != esp.data[-self.icv_size:]:
            raise IPSecIntegrityError("the ICV is wrong")

    def check_key(self, key):
        self.algo.check_key(key)


class Tool:
    """A running data path; each call hands it one packet and returns its answer."""

    def __init__(self, suite=GCM[0], esn=False, udp=False, aead=None, window=64, transport=None,
                 seen=None, cpis=None):
        self.rng = random.Random(f"{suite.name} {esn} {udp}")
        self.suite = suite
        self.key_out, self.key_in = (
            self.rng.randbytes(suite.key + suite.salt + suite.auth_key) for _ in range(2))
        options = ["--alg", suite.name, "--window", str(window)] + ["--esn"] * esn + ["--udp"] * udp
        options += ["--aead", aead] if aead else []
        options += ["--transport", ",".join(transport)] if transport else []
        options += ["--seen", ",".join(seen)] if seen else []
        options += ["--ipcomp", f"{cpis[0]},{cpis[1]}"] if cpis else []
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


def sa_of(tool, spi, key, outer, esn_en=None, esn=0, tunnel=True):
    """scapy's view of an SA; key is cipher key || salt || MAC key."""
    suite = tool.suite
    esn_en = tool.esn if esn_en is None else esn_en
    cut = suite.key + suite.salt
    sa = SecurityAssociation(ESP, spi=spi, crypt_algo=suite.crypt, crypt_key=key[:cut],
                             auth_algo=suite.auth, auth_key=key[cut:],
                             tunnel_header=IP(**outer) if tunnel else None,
                             esn_en=esn_en, esn=esn)
    if esn_en and not suite.combined:
        sa.auth_algo = HighHalf(suite.auth, esn)
    return sa


def sa_out(tool, key=None, **changes):
    """scapy's view of the SA that the data path sends on."""
    return sa_of(tool, SPI_OUT, key or tool.key_out, OUTER, **changes)


def sa_in(tool, **changes):
    """scapy's view of the SA that the data path receives on."""
    return sa_of(tool, tool.spi_in, tool.key_in, BACK, **changes)


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


def clear_text(tool, esp):
    """What scapy would decrypt, with padding and trailer, by the cipher alone."""
    suite, key = tool.suite, tool.key_out[:tool.suite.key]
    iv, text = esp[8:8 + suite.iv], esp[8 + suite.iv:-suite.icv]
    if suite.crypt in ("NULL", "GMAC"):
        return text
    if suite.crypt == "AES-CBC":
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(text) + decryptor.finalize()
    high = bytes(4) if tool.esn else b""
    return BARE[suite.crypt](key).decrypt(tool.key_out[suite.key:] + (iv or bytes(4) + esp[4:8]),
                                          esp[8 + suite.iv:], esp[:4] + high + esp[4:8])


def check_trailer(tool, esp, inner):
    """Padding 1, 2, 3 ..., as short as it can be, and the next header (RFC 4303 2.4 to 2.6)."""
    text = clear_text(tool, esp)
    assert text == inner + trailer(inner, tool.suite.align), text[len(inner):]


def esp_len(suite, length):
    """Of the ESP packet around so many bytes, without trailer."""
    blocks = (length + 2 + suite.align - 1) // suite.align
    return 8 + suite.iv + blocks * suite.align + suite.icv


def trailer(inner, align=4):
    pad = -(len(inner) + 2) % align
    return bytes(range(1, pad + 1)) + bytes([pad, {4: 4, 6: 41}[inner[0] >> 4]])


def check_ivs(suite, ivs):
    """The sequence number, or (RFC 3602 3) nothing that can be told before or is told twice."""
    if suite.iv == 8:
        assert [int.from_bytes(iv, "big") for iv in ivs] == list(range(1, len(ivs) + 1)), \
            "the IV is not the sequence number"
    elif suite.iv == 16:
        assert len(set(ivs)) == len(ivs), "an IV came twice"
        ones = sum(bin(a ^ b).count("1") for first, second in zip(ivs, ivs[1:])
                   for a, b in zip(first, second))
        share = ones / (128 * (len(ivs) - 1))
        assert 0.45 < share < 0.55, f"{share:.2f} of the bits change from IV to IV"


def seal(sa, inner, **options):
    """ESP header to ICV as scapy makes it."""
    kind = IP if inner[0] >> 4 == 4 else IPv6
    return bytes(sa.encrypt(kind(inner), **options)[ESP])


def test_scapy_opens_ours(lengths, **kind):
    with Tool(**kind) as tool:
        sa, suite, ivs = sa_out(tool), tool.suite, []
        for number, inner in enumerate(inner_packets(tool.rng, lengths), 1):
            esp = tool.out(inner)
            spi, seq = int.from_bytes(esp[:4], "big"), int.from_bytes(esp[4:8], "big")
            assert (spi, seq) == (SPI_OUT, number), f"SPI {spi:#x}, sequence number {seq}"
            assert len(esp) == esp_len(suite, len(inner)), f"{len(esp)} bytes"
            assert opened(sa, esp) == inner, f"packet {number} is not what went in"
            check_trailer(tool, esp, inner)
            ivs.append(esp[8:8 + suite.iv])
        check_ivs(suite, ivs)


def test_we_open_scapys(lengths, **kind):
    with Tool(**kind) as tool:
        sa = sa_in(tool)
        for number, inner in enumerate(inner_packets(tool.rng, lengths), 1):
            answer = tool.into(seal(sa, inner))
            assert answer == inner, f"packet {number}: {answer}"


def test_scapy_refuses_ours_with_a_wrong_bit(**kind):
    with Tool(**kind) as tool:
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


def test_scapy_refuses_ours_with_other_keys(**kind):
    with Tool(**kind) as tool:
        esp = tool.out(next(inner_packets(tool.rng)))
        for sa in (sa_out(tool, key=tool.key_in), sa_out(tool, esn_en=True)):
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


def test_we_refuse_truncation(**kind):
    with Tool(**kind) as tool:
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


def test_extended_numbers_go_on_past_32_bits(**kind):
    with Tool(esn=True, **kind) as tool:
        inner = next(inner_packets(tool.rng))
        for high, low in ((0, 1), (0, 0x7ffffff0), (0, 0xfffffff0), (0, 0xffffffff), (1, 0),
                          (1, 5), (0, 0xfffffff1), (1, 0x80000000), (1, 0xfffffffe), (2, 3)):
            esp = seal_number(tool, inner, high, low)
            answer = tool.into(esp)
            assert answer == inner, f"{high}:{low:#x}: {answer}"
            assert tool.into(esp) == "drop replay", f"{high}:{low:#x} was taken twice"
        # The right low half under the wrong high half is not authentic.
        assert tool.into(seal_number(tool, inner, 1, 9)) == "drop auth"


def seal_number(tool, inner, high, low):
    return seal_plain(tool, inner + trailer(inner, tool.suite.align), low, high)


def seal_plain(tool, text, seq, high=0):
    """A correctly authenticated ESP packet around any text, trailer included."""
    sa = sa_in(tool, esn=high)
    esp = _ESPPlain(spi=tool.spi_in, seq=seq, iv=tool.rng.randbytes(tool.suite.iv))
    esp.data_for_encryption = lambda: text
    esp = sa.crypt_algo.encrypt(sa, esp, sa.crypt_key, esn_en=tool.esn, esn=high)
    sa.auth_algo.sign(esp, sa.auth_key)
    return bytes(esp)


def test_padding_of_every_length(**kind):
    with Tool(**kind) as tool:
        align = tool.suite.align
        for pad in range(256):
            inner = next(inner_packets(tool.rng, [-(30 + pad) % align]))
            text = inner + bytes(range(1, pad + 1)) + bytes([pad, 4])
            assert len(text) % align == 0
            answer = tool.into(seal_plain(tool, text, seq=2 * pad + 1))
            assert answer == inner, f"{pad} bytes of padding: {answer}"
            if pad > 0:
                wrong = inner + bytes(pad) + bytes([pad, 4])
                answer = tool.into(seal_plain(tool, wrong, seq=2 * pad + 2))
                assert answer == "drop padding", f"{pad}: {answer}"


def test_text_that_is_not_whole_blocks():
    for suite in (GCM[0], PLAIN[0], GMAC[0], IMPLICIT[0]):
        with Tool(suite) as tool:
            for more in (1, 2, 3):
                inner = next(inner_packets(tool.rng, [2 + more]))
                answer = tool.into(seal_plain(tool, inner + bytes([0, 4]), seq=more))
                assert answer == "drop malformed_esp", f"{suite.name}, {more}: {answer}"


def test_pad_length_beyond_the_packet(**kind):
    with Tool(**kind) as tool:
        align = tool.suite.align
        for seq, length in enumerate(range(0, 64, align), 1):
            text = bytes(length + align - 4) + bytes([1, 2, 255, 4])
            answer = tool.into(seal_plain(tool, text, seq))
            assert answer == "drop padding", f"{length}: {answer}"


def test_every_next_header():
    with Tool() as tool:
        inner = next(inner_packets(tool.rng))
        for header in range(256):
            text = (inner + trailer(inner))[:-1] + bytes([header])
            answer = tool.into(seal_plain(tool, text, seq=header + 1))
            expected = {4: inner, 41: "drop malformed_inner", 59: "drop dummy", 108: "drop ipcomp"}
            assert answer == expected.get(header, "drop next_header"), f"{header}: {answer}"


# ---- transport mode (RFC 4303 3.1.1): the addresses are those of the SA, the outer header is not ours

TRANSPORT = {4: ("10.1.0.5", "10.2.0.9"), 6: ("2001:db8:1::5", "2001:db8:2::9")}
NEVER = dict(id=0, flags="DF", ttl=64)  # of an IPv4 header that is made again


def headed(version, upper, back=False, **fields):
    """A whole packet between the two ends, its checksums right."""
    src, dst = TRANSPORT[version][::-1] if back else TRANSPORT[version]
    kind = IP if version == 4 else IPv6
    return kind(bytes(kind(src=src, dst=dst, **fields) / upper))


def uppers(rng, lengths=LENGTHS):
    """Upper layers of every length, those that have checksums over the addresses and others."""
    for number, length in enumerate(lengths):
        yield (TCP(sport=1024 + number, dport=80, seq=number), UDP(sport=1024 + number, dport=53),
               UDP(sport=53, dport=number, chksum=0))[number % 3] / rng.randbytes(length)


def without_tunnel(make, tool):
    """sa_out() or sa_in() in transport mode."""
    return make(tool, tunnel=False)


def test_scapy_opens_our_transport(version, lengths, **kind):
    with Tool(transport=TRANSPORT[version], **kind) as tool:
        sa = without_tunnel(sa_out, tool)
        for number, upper in enumerate(uppers(tool.rng, lengths), 1):
            packet = headed(version, upper)
            esp = tool.out(bytes(packet))
            assert len(esp) == esp_len(tool.suite, len(packet.payload)), f"{len(esp)} bytes"
            head = IP(proto=50, src=packet.src, dst=packet.dst) if version == 4 else \
                IPv6(nh=50, src=packet.src, dst=packet.dst)
            clear = sa.decrypt(type(head)(bytes(head / esp)))
            assert bytes(clear.payload) == bytes(packet.payload), f"packet {number}"
            assert (clear.proto if version == 4 else clear.nh) == \
                (packet.proto if version == 4 else packet.nh), f"packet {number}: protocol"


def test_we_open_scapys_transport(version, lengths, **kind):
    with Tool(transport=TRANSPORT[version], **kind) as tool:
        sa = without_tunnel(sa_in, tool)
        for number, upper in enumerate(uppers(tool.rng, lengths), 1):
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


# ---- compressed (RFC 3173) by DEFLATE (RFC 2394), without zlib's own header and checksum

CPIS = (0x0777, 0xe00d)  # the one that we choose, and the one that the peer does
COMPRESSED = 108
WORDS = b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nAccept: text/html\r\n"
MODES = [(version, transport) for version in (4, 6) for transport in (False, True)]


def cut_trailer(text):
    """What ESP carries, and its next header."""
    pad = text[-2]
    assert text[-2 - pad:-2] == bytes(range(1, pad + 1)), text[-2 - pad:]
    return text[:-2 - pad], text[-1]


def carried(packet, version, transport):
    """Of a whole packet what ESP carries, and its next header."""
    if not transport:
        return bytes(packet), {4: 4, 6: 41}[version]
    return bytes(packet.payload), packet.proto if version == 4 else packet.nh


def compressing(version, transport):
    return Tool(transport=TRANSPORT[version] if transport else None, cpis=CPIS)


def text_packets(tool, version, lengths, back=False):
    fields = NEVER if version == 4 and back else {}
    for length in lengths:
        yield headed(version, UDP(sport=9, dport=9) / (WORDS * 40)[:length], back=back, **fields)


def test_zlib_opens_ours(version, transport):
    with compressing(version, transport) as tool:
        shorter = 0
        for packet in text_packets(tool, version, LENGTHS):
            what, header = carried(packet, version, transport)
            esp = tool.out(bytes(packet))
            got, next_header = cut_trailer(clear_text(tool, esp))
            if next_header == COMPRESSED:
                assert got[:4] == bytes([header, 0]) + CPIS[1].to_bytes(2, "big"), got[:4]
                opener = zlib.decompressobj(-15)
                assert opener.decompress(got[4:]) == what and opener.eof
                assert not opener.unused_data and len(got) < len(what)
                shorter += 1
            else:
                assert (got, next_header) == (what, header)
                assert len(what) < 200, f"{len(what)} bytes went as they are"
        assert shorter > len(LENGTHS) // 4, shorter
        packet = headed(version, UDP(sport=9, dport=9) / tool.rng.randbytes(1000))
        assert cut_trailer(clear_text(tool, tool.out(bytes(packet)))) == \
            carried(packet, version, transport), "what does not shrink goes as it is"


def seal_packed(tool, data, header, cpi=CPIS[0], seq=1):
    """An ESP packet with compressed data in it."""
    inside = bytes([header, 0]) + cpi.to_bytes(2, "big") + data
    pad = -(len(inside) + 2) % 4
    return seal_plain(tool, inside + bytes(range(1, pad + 1)) + bytes([pad, COMPRESSED]), seq)


def test_we_open_zlibs(version, transport):
    """Of every level, strategy and window."""
    with compressing(version, transport) as tool:
        seq = 0
        for level in (0, 1, 6, 9):
            for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE,
                             zlib.Z_FIXED):
                for window in (-9, -11, -15):
                    lengths = LENGTHS[(level + window) % 12::12]
                    for packet in text_packets(tool, version, lengths, back=True):
                        what, header = carried(packet, version, transport)
                        maker = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
                        seq += 1
                        esp = seal_packed(tool, maker.compress(what) + maker.flush(), header, seq=seq)
                        answer = tool.into(esp)
                        assert answer == bytes(packet), f"level {level}, {strategy}, {window}: {answer}"


def test_we_refuse_packed(version, transport):
    """Another CPI, half of the data, another kind of data, more than a packet can be; and, of an SA
    that has not agreed on it, everything."""
    packet = next(text_packets(None, version, [600], back=True))
    packet = packet if not transport or version == 6 else headed(
        4, packet.payload, back=True, **NEVER)
    what, header = carried(packet, version, transport)
    raw = zlib.compress(what, 9)[2:-4]
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = bomb.compress(bytes(1 << 20)) + bomb.flush()
    with compressing(version, transport) as tool:
        for seq, (data, cpi, why) in enumerate((
                (raw, CPIS[1], "drop ipcomp"), (raw, 2, "drop ipcomp"),
                (raw[:len(raw) // 2], CPIS[0], "drop ipcomp_data"),
                (zlib.compress(what), CPIS[0], "drop ipcomp_data"), (b"", CPIS[0], "drop ipcomp_data"),
                (bomb, CPIS[0], "drop ipcomp_data"), (raw, CPIS[0], bytes(packet))), 1):
            answer = tool.into(seal_packed(tool, data, header, cpi, seq))
            assert answer == why, f"{seq}: {answer}"
    with Tool(transport=TRANSPORT[version] if transport else None) as tool:
        answer = tool.into(seal_packed(tool, raw, header))
        assert answer == "drop ipcomp", answer


def kinds():
    """Back end, algorithm, ESN, UDP; every length once with each algorithm, some with the rest."""
    for aead, has in [(a, SUITES) for a in AEADS] + list(PARTIAL.items()):
        for suite in has:
            for esn in (False, True):
                every = aead == AEADS[0] and not esn
                yield dict(aead=aead, suite=suite, esn=esn,
                           lengths=LENGTHS if every else LENGTHS[::5])
    for suite in (GCM[1], CHACHA, CBC[0], PLAIN[2], GMAC[2], IMPLICIT[1], IMPLICIT[2]):
        yield dict(aead=AEADS[0], suite=suite, udp=True, lengths=LENGTHS[::5])


def name(kind):
    return " ".join([kind["aead"], kind["suite"].name] + ["ESN"] * kind.get("esn", 0)
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
        # The algorithm sees no difference: in transport mode every one with some of the lengths.
        some = kind | dict(lengths=LENGTHS[::5])
        for version in TRANSPORT:
            title = f"IPv{version} in transport mode: {name(kind)}"
            yield f"scapy opens ours, {title}", \
                lambda k=some, v=version: test_scapy_opens_our_transport(v, **k)
            yield f"we open scapy's, {title}", \
                lambda k=some, v=version: test_we_open_scapys_transport(v, **k)
    for version in TRANSPORT:
        yield f"checksums behind a NAT: IPv{version}", \
            lambda v=version: test_checksums_behind_a_nat(v)
    for version, transport in MODES:
        for test in (test_zlib_opens_ours, test_we_open_zlibs, test_we_refuse_packed):
            yield f"{test.__name__}: IPv{version}, {'transport' if transport else 'tunnel'} mode", \
                lambda t=test, v=version, m=transport: t(v, m)
    for aead in AEADS:
        for suite in (GCM[0], CHACHA, CBC[0], CBC[-1], PLAIN[1], GMAC[1]):
            yield f"a wrong bit anywhere is refused: {aead}, {suite.name}", \
                lambda a=aead, s=suite: test_we_refuse_a_wrong_bit(aead=a, suite=s)
    for aead, has in PARTIAL.items():
        for suite in has:
            yield f"a wrong bit anywhere is refused: {aead}, {suite.name}", \
                lambda a=aead, s=suite: test_we_refuse_a_wrong_bit(aead=a, suite=s)
    for aead in set(KNOWN) - set(AEADS):
        yield aead, absent
    for test in (test_scapy_refuses_ours_with_a_wrong_bit, test_scapy_refuses_ours_with_other_keys,
                 test_we_refuse_truncation, test_extended_numbers_go_on_past_32_bits,
                 test_padding_of_every_length, test_pad_length_beyond_the_packet):
        for suite in (GCM[0], CBC[0], PLAIN[0], GMAC[0]):
            yield f"{test.__name__}: {suite.name}", lambda t=test, s=suite: t(suite=s)
    for test in (test_text_that_is_not_whole_blocks, test_we_refuse_replay_and_old,
                 test_every_next_header):
        yield test.__name__, test


if len(sys.argv) != 2:
    sys.exit(__doc__)
TOOL = os.path.abspath(sys.argv[1])
KNOWN = ("openssl", "ipsec-mb")
AEADS = [a for a in KNOWN if available(a)]
PARTIAL = {a: has for a, has in PARTIAL.items() if available(a)}
assert "openssl" in AEADS, "the tool does not run"
if SCAPY:
    add_gmac()
    add_implicit()
sys.exit(run((title, needs_scapy(test)) for title, test in tests()))
