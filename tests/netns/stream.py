#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stream of numbered UDP datagrams, and the count of what became of them.

usage: stream.py send SOURCE TARGET PORT RATE SIZE      (until SIGTERM; prints the number sent)
       stream.py receive ADDRESS PORT                   (until SIGTERM; prints JSON)
"""

import json
import signal
import socket
import struct
import sys
import time

SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python does not name it


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


def send(source, target, port, rate, size):
    sock = socket.socket(family(target), socket.SOCK_DGRAM)
    sock.bind((source, 0))
    padding = b"\x5a" * (size - 8)
    sent, refused, begin = 0, 0, time.monotonic()
    while not Stop.asked:
        try:
            sock.sendto(struct.pack("!Q", sent) + padding, (target, port))
            sent += 1
        except OSError:  # not handed to the network: neither sent nor lost
            refused += 1
        ahead = begin + (sent + refused) / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    print(json.dumps({"sent": sent, "refused": refused, "seconds": time.monotonic() - begin}))


def receive(address, port):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    # Beyond the machine's limit, so that a slow receiver loses nothing by itself.
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((address, port))
    sock.settimeout(0.1)
    seen, repeated, reordered, highest = set(), 0, 0, -1
    while not Stop.asked:
        try:
            number = struct.unpack("!Q", sock.recv(65536)[:8])[0]
        except socket.timeout:
            continue
        if number in seen:
            repeated += 1
        elif number < highest:
            reordered += 1
        seen.add(number)
        highest = max(highest, number)
    print(json.dumps({"received": len(seen), "repeated": repeated, "reordered": reordered,
                      "highest": highest, "lost": lost_runs(seen, highest)}))


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
    print("ready", flush=True)
    if sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
