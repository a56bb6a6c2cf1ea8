#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP download that is compared by hash, and the longest time in which none of it came.

usage: download.py serve ADDRESS PORT [RATE [CONTROL]]
                            (bytes a second, 0 = all; congestion control, if the kernel lets; one
                            client, then prints JSON)
       download.py fetch SOURCE ADDRESS PORT [FILE]  (until SIGTERM; prints JSON; FILE: how far it is)

The client says that it is enough by closing its half; what was under way then is still read, so that
both ends have hashed the same bytes or something went wrong.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time

from stream import family

BLOCK = 1 << 16
SO_MAX_PACING_RATE = 47  # asm-generic/socket.h


def serve(address, port, rate, control):
    """Sends numbered blocks of one chance content until the client has enough."""
    listener = socket.socket(family(address), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1)
    print("ready", flush=True)
    sock, _ = listener.accept()
    if rate:
        sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
    if control:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    enough = threading.Event()
    threading.Thread(target=lambda: (sock.recv(1), enough.set()), daemon=True).start()
    content, number, digest = random.Random(port).randbytes(BLOCK - 8), 0, hashlib.sha256()
    while not enough.is_set():
        block = number.to_bytes(8, "big") + content
        sock.sendall(block)
        digest.update(block)
        number += 1
    sock.shutdown(socket.SHUT_WR)
    print(json.dumps({"sent": number * BLOCK, "sha256": digest.hexdigest()}))


class Stall:
    """The longest time between two reads that had something."""

    def __init__(self):
        self.last = self.longest = 0
        self.at = None

    def note(self, received):
        now = time.monotonic()
        if self.last and now - self.last > self.longest:
            self.longest, self.at = now - self.last, received
        self.last = now


class Progress:
    """Bytes and the longest stall in milliseconds, in a file, ten times a second."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644) if path else None
        self.next = 0

    def note(self, received, stall):
        if self.file is not None and stall.last >= self.next:
            os.pwrite(self.file, f"{received:15d} {stall.longest * 1000:10.1f}".encode(), 0)
            self.next = stall.last + 0.1


def fetch(source, address, port, path):
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.bind((source, 0))
    sock.connect((address, port))
    signal.signal(signal.SIGTERM, lambda *_: sock.shutdown(socket.SHUT_WR))
    print("ready", flush=True)
    stall, received, digest, begin = Stall(), 0, hashlib.sha256(), time.monotonic()
    progress = Progress(path)
    while data := sock.recv(4 * BLOCK):
        stall.note(received)
        digest.update(data)
        received += len(data)
        progress.note(received, stall)
    print(json.dumps({"received": received, "sha256": digest.hexdigest(),
                      "seconds": time.monotonic() - begin, "stall_ms": stall.longest * 1000,
                      "stall_at": stall.at}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0,
              sys.argv[5] if len(sys.argv) > 5 else None)
    else:
        fetch(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] if len(sys.argv) > 5 else None)
