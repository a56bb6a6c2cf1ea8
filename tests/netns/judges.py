# SPDX-License-Identifier: Apache-2.0
"""Independent judges of our packets: scapy's ESP both ways, and tshark with our keys.

The keys come from a build with -Dtest_keylog=true in which the daemon writes them down in
Wireshark's own table formats; the everyday build must not (that is a test too).
"""

import csv
import os
import shutil
import subprocess

from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, story
from pytap import Skip
from scenarios import agree

KEYLOG_BUILD = "build-keylog"
TSHARK_OPTIONS = ["-o", "esp.enable_encryption_decode:TRUE",
                  "-o", "esp.enable_authentication_check:TRUE"]


def scapy_ipsec():
    try:
        from scapy.layers import inet, inet6, ipsec, l2
    except ImportError:
        raise Skip("scapy is not installed") from None
    return inet, inet6, ipsec, l2


def keylog_pair(name, more=None, **options):
    from peers import Latchkey
    build = os.path.join(os.path.dirname(Latchkey.build), KEYLOG_BUILD)
    if not os.path.exists(os.path.join(build, "api", "latchkeyd")):
        raise Skip(f"{KEYLOG_BUILD} was not built")
    left, right = (Side(**(more or {})) for _ in range(2))
    return Pair(name, left, right, build=build, **options)


def esp_sas(text):
    """The lines of an esp_sa table as {spi: (source, destination, key and salt)}."""
    return {int(row[3], 16): (row[1], row[2], bytes.fromhex(row[5][2:]))
            for row in csv.reader(text.splitlines()) if len(row) >= 8}


def scapy_sa(spi, source, destination, key):
    inet, _, ipsec, _ = scapy_ipsec()
    return ipsec.SecurityAssociation(
        ipsec.ESP, spi=spi, crypt_algo="AES-GCM", crypt_key=key,
        tunnel_header=inet.IP(src=source, dst=destination),
        nat_t_header=inet.UDP(sport=4500, dport=4500))


def scapy_opens(frame, keys):
    """The inner packet of an ESP frame as scapy decrypts it."""
    inet, _, ipsec, _ = scapy_ipsec()
    source, destination, key = keys[frame.spi]
    outer = inet.IP(src=source, dst=destination) / inet.UDP(sport=4500, dport=4500) \
        / ipsec.ESP(frame.payload)
    return scapy_sa(frame.spi, source, destination, key).decrypt(inet.IP(bytes(outer)))


def test_scapy_opens_ours():
    inet, inet6, _, _ = scapy_ipsec()
    with keylog_pair("scapy-opens") as pair:
        pair.peers["left"].up("net")
        pair.ping_all()
        keys = esp_sas(pair.peers["left"].keylog("esp_sa"))
        frames = [f for f in pair.capture.stop() if f.kind == "esp"]
        assert len(frames) >= 24, f"{len(frames)} ESP packets"
        opened = [scapy_opens(frame, keys) for frame in frames]
        for version, layer, echo in ((4, inet.IP, inet.ICMP), (6, inet6.IPv6, None)):
            index = 0 if version == 4 else 1
            inner = [p for p in opened if isinstance(p, layer)]
            assert {p.src for p in inner} == {INNER["left"][index], INNER["right"][index]}, inner
            assert not echo or all(p.haslayer(echo) for p in inner), inner
        broken = frames[0]
        broken.payload = broken.payload[:-1] + bytes([broken.payload[-1] ^ 1])
        try:
            scapy_opens(broken, keys)
        except Exception as refused:  # scapy's own IPSecIntegrityError
            story(f"scapy opened {len(opened)}; a flipped bit gives {type(refused).__name__}")
        else:
            raise AssertionError("scapy accepts a packet with a flipped bit")


LISTEN = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9100))
print("ready", flush=True)
while True:
    print(s.recv(2048).decode(), flush=True)
"""
INJECT = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
s.send(bytes.fromhex(sys.argv[2]))
"""


def inject(pair, source, inner, sequence, keys, spi, flip=False):
    """Sends, from the right host's wire, an ESP packet of scapy's making to the left host."""
    inet, _, ipsec, l2 = scapy_ipsec()
    outer_source, destination, key = keys[spi]
    sa = scapy_sa(spi, outer_source, destination, key)
    packet = sa.encrypt(inner, seq_num=sequence)
    del packet[inet.UDP].len, packet[inet.UDP].chksum, packet[inet.IP].len, packet[inet.IP].chksum
    raw = bytearray(bytes(packet))
    if flip:
        raw[-1] ^= 1
        packet = inet.IP(bytes(raw))
    mac = {side: pair.host(side).run("cat", "/sys/class/net/wire/address").stdout.strip()
           for side in ("left", "right")}
    frame = bytes(l2.Ether(src=mac["right"], dst=mac["left"]) / packet)
    pair.host(source).run("/usr/bin/python3", "-c", INJECT, "wire", frame.hex())


def test_we_open_scapys():
    inet, _, _, _ = scapy_ipsec()
    with keylog_pair("scapy-seals") as pair:
        pair.peers["left"].up("net")
        pair.ping_all(versions=(4,))
        keys = esp_sas(pair.peers["right"].keylog("esp_sa"))
        spi = int(pair.peers["left"].children()[0]["spi-in"], 16)
        assert keys[spi][:2] == (OUTER4["right"], OUTER4["left"]), keys[spi]
        listener = pair.left.spawn("listen", "/usr/bin/python3", "-c", LISTEN, INNER["left"][0])
        wait_for(lambda: "ready" in listener.log(), "the listener")

        def inner(text, source=INNER["right"][0]):
            return inet.IP(src=source, dst=INNER["left"][0]) \
                / inet.UDP(sport=9100, dport=9100) / text.encode()

        inject(pair, "right", inner("flipped"), 1000, keys, spi, flip=True)
        inject(pair, "right", inner("outside the selectors", "10.9.0.1"), 1001, keys, spi)
        inject(pair, "right", inner("from scapy"), 1002, keys, spi)
        inject(pair, "right", inner("again"), 1002, keys, spi)
        inject(pair, "right", inner("too old"), 1, keys, spi)
        inject(pair, "right", inner("the last"), 1003, keys, spi)
        wait_for(lambda: "the last" in listener.log(), "scapy's packet to arrive")
        heard = listener.log().split("\n")[1:-1]
        assert heard == ["from scapy", "the last"], heard
        story("accepted the good ones; dropped a flipped bit, a foreign source, a replay, an old one")


def tshark(path, config, fields, display_filter, options=()):
    if not shutil.which("tshark"):
        raise Skip("tshark is not installed")
    command = ["tshark", "-n", "-r", path, *TSHARK_OPTIONS, *options, "-Y", display_filter, "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "WIRESHARK_CONFIG_DIR": config})
    assert done.returncode == 0 and "Error loading" not in done.stderr \
        and "UAT" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def tshark_opens_ours(name, more):
    with keylog_pair(name, more) as pair:
        pair.peers["left"].up("net")
        pair.ping_all()
        before = pair.peers["left"].spis()
        pair.peers["left"].rekey(child="net")
        wait_for(lambda: agree(pair) and not before & pair.peers["left"].spis(), "a re-key")
        pair.ping_all()
        frames = pair.capture.stop()
        esp = sum(1 for f in frames if f.kind == "esp")
        config = pair.left.path("wireshark")
        os.mkdir(config)
        for table in ("esp_sa", "ikev2_decryption_table"):
            with open(os.path.join(config, table), "w", encoding="utf-8") as file:
                file.write(pair.peers["left"].keylog(table))
        good = tshark(pair.capture.path, config, ["esp.spi", "esp.icv_good"], "esp")
        verified = [row for row in good if row[1] in ("1", "True")]
        assert len(good) == esp and len(verified) == esp, f"{len(verified)} of {esp} verified"
        inner = tshark(pair.capture.path, config, ["ip.src", "ipv6.src"], "icmp || icmpv6.type>127")
        assert len(inner) >= 24, f"{len(inner)} echo packets inside"
        opened = tshark(pair.capture.path, config, ["isakmp.exchangetype", "isakmp.auth.method"],
                        "isakmp.auth.method")
        assert len(opened) >= 2, "tshark does not open IKE_AUTH"
        story(f"tshark verified {esp} of {esp} ESP packets and opened IKE_AUTH")


def test_tshark_opens_ours():
    tshark_opens_ours("tshark-opens", {})


def test_tshark_opens_our_cbc():
    tshark_opens_ours("tshark-cbc", {"proposals": "aes256-sha384-ecp384",
                                     "esp_proposals": "aes128-sha256"})
    tshark_opens_ours("tshark-cbc-512", {"proposals": "aes128-sha256-x25519",
                                         "esp_proposals": "aes256-sha512"})


def test_no_keys_are_written():
    """The everyday build has no key log, neither on disk nor as code."""
    with Pair("no-keylog", Side(), Side()) as pair:
        pair.peers["left"].up("net")
        for side in ("left", "right"):
            assert not os.path.exists(os.path.join(pair.peers[side].run_dir, "keylog"))
        with open(os.path.join(pair.peers["left"].bin, "latchkeyd"), "rb") as program:
            assert b"ikev2_decryption_table" not in program.read(), "the code is there"


TESTS = [
    ("scapy decrypts our ESP", test_scapy_opens_ours),
    ("we decrypt scapy's ESP, and drop what is wrong", test_we_open_scapys),
    ("tshark decrypts and authenticates IKE and ESP", test_tshark_opens_ours),
    ("tshark decrypts and authenticates AES-CBC with HMAC", test_tshark_opens_our_cbc),
    ("no key is written by the everyday build", test_no_keys_are_written),
]
