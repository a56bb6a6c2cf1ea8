# SPDX-License-Identifier: Apache-2.0
"""What is sent, received and handed to the host in one piece (TSO, USO, UDP_SEGMENT, UDP_GRO) is, to
those at the ends, what it would be packet by packet; with each of the switches, and with a peer that
has none of it. The cable hands over what the kernel has joined, so both ends see it."""

import re
from dataclasses import replace

from lab import wait_for
from nets import INNER, Pair, Side, other, story
from scenarios import both_up, named

L, C = Side(kind="latchkey"), Side(kind="charon")

# Each end sends what no packet repeats and says what it got.
TALK = r"""
import hashlib, random, socket, sys
role, family, address, port, size, seed = sys.argv[1], *sys.argv[2:4], *map(int, sys.argv[4:])
family = socket.AF_INET6 if family == "6" else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if role == "server":
    s.bind((address, port))
    s.listen()
    print("ready", flush=True)
    s, _ = s.accept()
    digest, n = hashlib.sha256(), 0
    while data := s.recv(1 << 18):
        digest.update(data)
        n += len(data)
    print(n, digest.hexdigest(), flush=True)
else:
    s.bind((sys.stdin.readline().strip(), 0))
    s.connect((address, port))
    r = random.Random(seed)
    digest, n = hashlib.sha256(), 0
    while n < size:
        data = r.randbytes(min(size - n, r.choice([1, 50, 1000, 3000, 65536, 200000])))
        s.sendall(data)
        digest.update(data)
        n += len(data)
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
    print(n, digest.hexdigest(), flush=True)
"""

DATAGRAMS = r"""
import random, socket, sys, time
role, family, address, port, count, seed = sys.argv[1], *sys.argv[2:4], *map(int, sys.argv[4:])
s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
r = random.Random(seed)
SEGMENT = 103  # UDP_SEGMENT
def datagram(i, size):
    return i.to_bytes(4, "big") + random.Random(i).randbytes(size - 4)
if role == "server":
    s.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: room for all of them
    s.bind((address, port))
    print("ready", flush=True)
    got, wrong = 0, 0
    try:
        while got < count:
            s.settimeout(3 if got else 30)
            data = s.recv(65536)
            got += 1
            wrong += data != datagram(int.from_bytes(data[:4], "big"), len(data))
    except TimeoutError:
        pass
    print(got, wrong, flush=True)
else:
    s.bind((sys.stdin.readline().strip(), 0))
    i = 0
    while i < count:
        size, n = r.randint(5, 1200), min(r.randint(1, 40), count - i)
        last = r.randint(5, size)
        parts = [datagram(i + k, size if k < n - 1 else last) for k in range(n)]
        s.setsockopt(socket.SOL_UDP, SEGMENT, size)
        s.sendto(b"".join(parts), (address, port))
        i += n
        time.sleep(0.004)
"""


def talk_between(program, client, server, amount, port):
    """One transfer from the first (host, address) to the second; what either said last."""
    (here, source), (there, target) = client, server
    common = ("6" if ":" in target else "4", target, port, amount, 7)
    listens = there.spawn(f"talk-{port}", "/usr/bin/python3", "-c", program, "server", *common)
    wait_for(lambda: "ready" in listens.log() or not listens.running(), "the server to listen")
    sends = here.run("/usr/bin/python3", "-c", program, "client", *common, text=source + "\n",
                     timeout=120)
    wait_for(lambda: not listens.running(), "the server to end", 120)
    return sends.stdout.split(), listens.log().split()[1:]


def talk(pair, program, source, version, amount, port):
    """One transfer from `source` to the other side; what either said last."""
    client, server = ((pair.host(side), INNER[side][version]) for side in (source, other(source)))
    return talk_between(program, client, server, amount, port)


def stats_of(pair, side):
    return pair.peers[side].cli("stats").stdout


def transfers(pair, joined=True):
    """TCP and UDP in both directions, both families: every byte arrives as it was sent."""
    both_up(pair)
    for port, (source, version) in enumerate([("left", 0), ("right", 0), ("left", 1), ("right", 1)],
                                             start=7100):
        sent, received = talk(pair, TALK, source, version, 8_000_000, port)
        assert sent == received and int(sent[0]) == 8_000_000, f"TCP: {sent}, {received}"
        _, received = talk(pair, DATAGRAMS, source, version, 2000, port)
        story(f"UDP from {source}: {received[0]} of 2000, {received[1]} wrong")
        # charon's queues are short.
        enough = 1900 if pair.sides["right"].kind == "latchkey" else 200
        assert int(received[0]) > enough and received[1] == "0", f"UDP: {received}"
    lengths = [f.length for f in pair.capture.stop(whole=False) if f.kind == "esp"]
    story(f"the longest message had {max(lengths)} bytes")
    assert (max(lengths) > 10000) == joined, max(lengths)
    for side in ("left", "right"):
        if pair.sides[side].kind == "latchkey":
            stats = stats_of(pair, side)
            assert not re.search(r"AUTH:|MALFORMED_INNER:|REPLAY:", stats), stats
            assert re.search(r"offload-refused: 0\b", stats), stats


def alone(pair):
    """Without UDP_SEGMENT and super-packets each message is one packet."""
    transfers(pair, joined=False)


def switch(*keys):
    return {"daemon": {key: "no" for key in keys}}


TABLE = [
    ("all of it", transfers, {}, L),
    ("no tun_checksum", transfers, switch("tun_checksum"), L),
    ("no tun_tso", transfers, switch("tun_tso"), L),
    ("no tun_uso", transfers, switch("tun_uso"), L),
    ("no udp_gro", transfers, switch("udp_gro"), L),
    ("no udp_gso", alone, switch("udp_gso"), L),
    ("none of it", alone, switch("tun_checksum", "udp_gso", "udp_gro"), L),
    ("bare ESP", alone, {"connection": {"encap": "no"}}, L),
    ("with charon", transfers, {}, C),
]


def test_of(what, scenario, more, right):
    name = named(L, right, f"offload, {what}")

    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), replace(L, **more),
                  right if right.kind == "charon" else replace(right, **more),
                  together=True) as pair:
            scenario(pair)
    return name, test


TESTS = [test_of(*row) for row in TABLE]
