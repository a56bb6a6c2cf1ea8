#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stream of numbered UDP datagrams, and the count of what became of them.

usage: stream.py send SOURCE TARGET PORT RATE SIZE [COUNT [TOS]]
                                         (until SIGTERM or so many, of 0 all; prints the number sent)
       stream.py receive ADDRESS PORT [FILE]
                             (until SIGTERM and nothing comes for a tenth of a second; prints JSON;
                             FILE: what came, one by one, as it comes)

Both ends are on one machine, so that what took how long is known: each datagram says when it was
sent, and the kernel when it came.
"""

import json
import os
import signal
import socket
import struct
import sys
import time

# asm-generic/socket.h; Python does not name them.
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
HEAD = struct.Struct("!QQ")  # the number, and when it was sent (ns)
STAMP = struct.Struct("=qq")
ARRIVAL = struct.Struct("=QQQ")  # number, sent, came (time.time_ns())


def command(*words):
    """This program as a command of a host."""
    return ["/usr/bin/python3", "-B", os.path.abspath(__file__), *words]


def result_of(process):
    """What an ended one has printed."""
    return json.loads(process.log().splitlines()[-1])


def arrivals(path):
    """What a receiver has written: [(number, sent, came)] in the order in which it came."""
    with open(path, "rb") as file:
        return list(ARRIVAL.iter_unpack(file.read()))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Stop:
    """Set by SIGTERM."""

    asked = False

    @classmethod
    def arm(cls):
        def handler(*_):
            cls.asked = True
        signal.signal(signal.SIGTERM, handler)


def send(source, target, port, rate, size, count, tos):
    """pause_ms: the longest in which this program itself sent nothing. tos: of IPv4."""
    sock = socket.socket(family(target), socket.SOCK_DGRAM)
    if tos:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    sock.bind((source, 0))
    print("ready", flush=True)
    padding = b"\x5a" * (size - HEAD.size)
    sent, refused, pause, begin = 0, 0, 0, time.monotonic()
    last = time.time_ns()
    while not Stop.asked and (not count or sent < count):
        now = time.time_ns()
        try:
            sock.sendto(HEAD.pack(sent, now) + padding, (target, port))
            sent += 1
            pause, last = max(pause, now - last), now
        except OSError:  # not handed to the network: neither sent nor lost
            refused += 1
        ahead = begin + (sent + refused) / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    print(json.dumps({"sent": sent, "refused": refused, "seconds": time.monotonic() - begin,
                      "pause_ms": pause / 1e6}))


class Books:
    """What came: each number once is `seen`, and the longest time in which nothing new did."""

    def __init__(self):
        self.seen, self.repeated, self.reordered, self.highest = set(), 0, 0, -1
        self.first_sent = self.last_came = None
        self.gap, self.gap_before, self.slowest = 0, None, 0

    def note(self, number, sent, came):
        self.slowest = max(self.slowest, came - sent)
        if number in self.seen:
            self.repeated += 1
            return
        if number < self.highest:
            self.reordered += 1
        self.seen.add(number)
        self.highest = max(self.highest, number)
        if self.last_came is None:
            self.first_sent = sent
        elif came - self.last_came > self.gap:
            self.gap, self.gap_before = came - self.last_came, number
        self.last_came = came

    def result(self):
        took = (self.last_came - self.first_sent) / 1e6 if self.seen else 0
        return {"received": len(self.seen), "repeated": self.repeated,
                "reordered": self.reordered, "highest": self.highest,
                "lost": lost_runs(self.seen, self.highest), "gap_ms": self.gap / 1e6,
                "gap_before": self.gap_before, "slowest_ms": self.slowest / 1e6, "took_ms": took}


def receive(address, port, path):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644) if path else None
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    # Beyond the machine's limit, so that a slow receiver loses nothing by itself.
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind((address, port))
    sock.settimeout(0.1)
    print("ready", flush=True)
    books = Books()
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(65536, 64)
        except socket.timeout:
            if Stop.asked:
                break
            continue
        seconds, ns = STAMP.unpack(ancillary[0][2][:STAMP.size])
        arrival = *HEAD.unpack(data[:HEAD.size]), seconds * 10 ** 9 + ns
        books.note(*arrival)
        if file is not None:
            os.write(file, ARRIVAL.pack(*arrival))
    print(json.dumps(books.result()))


def lost_runs(seen, highest):
    """The numbers up to the highest that never came, as [first, last] runs."""
    runs = []
    for number in range(highest + 1):
        if number in seen:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


if __name__ == "__main__":
    Stop.arm()
    if sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]),
             *(int(sys.argv[at]) if len(sys.argv) > at else 0 for at in (7, 8)))
    else:
        receive(sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
