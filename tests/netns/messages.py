#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Numbered messages each way on one TCP connection, and when each came.

usage: messages.py serve ADDRESS PORT RATE SIZE FILE
       messages.py connect SOURCE ADDRESS PORT RATE SIZE FILE
                             (until SIGTERM at either end; then both print JSON; FILE: what came)

FILE has what came, one by one, as stream.py writes it, and grows as it comes: so whoever looks knows
how old the newest message was. What was kept back on the way comes in order, and all at once.
"""

import json
import os
import socket
import sys
import threading
import time

from stream import ARRIVAL, HEAD, Stop, family


class Sender(threading.Thread):
    """A message each tick. pause_ms: the longest in which it sent nothing and was not held up by the
    connection."""

    def __init__(self, sock, rate, size):
        super().__init__(daemon=True)
        self.sock, self.rate, self.padding = sock, rate, b"\x5a" * (size - HEAD.size)
        self.sent = self.pause = 0

    def run(self):
        begin = last = time.monotonic()
        while not Stop.asked:
            self.pause = max(self.pause, time.monotonic() - last)
            self.sock.sendall(HEAD.pack(self.sent, time.time_ns()) + self.padding)
            last = time.monotonic()
            self.sent += 1
            time.sleep(max(0, begin + self.sent / self.rate - last))
        self.sock.shutdown(socket.SHUT_WR)


def receive(sock, size, path):
    """Until the other end has said all; returns how many came."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    rest, expected = b"", 0
    while data := sock.recv(1 << 16):
        now, rest, new = time.time_ns(), rest + data, b""
        whole = len(rest) - len(rest) % size
        for at in range(0, whole, size):
            number, sent = HEAD.unpack_from(rest, at)
            assert number == expected, (number, expected)
            new += ARRIVAL.pack(number, sent, now)
            expected += 1
        rest = rest[whole:]
        os.write(file, new)
    assert not rest, "a part of a message"
    return expected


def play(sock, rate, size, path):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sender = Sender(sock, rate, size)
    sender.start()
    received = receive(sock, size, path)
    Stop.asked = True
    sender.join()
    print(json.dumps({"sent": sender.sent, "received": received, "pause_ms": sender.pause * 1000}))


def serve(address, port, rate, size, path):
    # It stays: further paths of MPTCP come to it.
    listener = socket.create_server((address, int(port)), family=family(address))
    print("ready", flush=True)
    sock, _ = listener.accept()
    play(sock, int(rate), int(size), path)


def connect(source, address, port, rate, size, path):
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.bind((source, 0))
    sock.connect((address, int(port)))
    print("ready", flush=True)
    play(sock, int(rate), int(size), path)


if __name__ == "__main__":
    Stop.arm()
    {"serve": serve, "connect": connect}[sys.argv[1]](*sys.argv[2:])
