# SPDX-License-Identifier: Apache-2.0
"""Addresses and interfaces of a host changed by one message to its kernel, so that a scenario knows to
the microsecond when: a command takes longer to start than a handover may last."""

import ctypes
import os
import socket
import struct
import threading
import time

from lab import LIBC

CLONE_NEWNET = 0x40000000
RTM_NEWLINK, RTM_NEWADDR, RTM_DELADDR = 16, 20, 21
NLM_REQUEST, NLM_ACK, NLM_REPLACE, NLM_CREATE = 1, 4, 0x100, 0x400
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
NODAD, TENTATIVE = 2, 0x40
RTMGRP_IPV6_IFADDR = 0x100
IFF_UP = 1


def socket_in(host, *kind):
    """A socket of that host's network, for this process: it stays there, whoever uses it."""
    made = []

    def enter():
        with open(f"/proc/{host.pid}/ns/net", encoding="ascii") as space:
            if LIBC.setns(space.fileno(), CLONE_NEWNET):
                made.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
                return
        made.append(socket.socket(*kind))
    thread = threading.Thread(target=enter)  # this one alone goes there, and ends there
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


class Netlink:
    """rtnetlink of one host."""

    def __init__(self, host):
        self.host, self.number, self.indices = host, 0, {}
        self.socket = socket_in(host, socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.settimeout(10)

    def index(self, device):
        if device not in self.indices:
            shown = self.host.run("cat", f"/sys/class/net/{device}/ifindex").stdout
            self.indices[device] = int(shown)
        return self.indices[device]

    def _ask(self, kind, flags, body):
        """Sends a message; returns when (time.time_ns()) the kernel had done what it says."""
        self.number += 1
        head = struct.pack("=IHHII", 16 + len(body), kind, NLM_REQUEST | NLM_ACK | flags,
                           self.number, 0)
        self.socket.send(head + body)
        answer = self.socket.recv(4096)
        done = time.time_ns()
        error = struct.unpack("=i", answer[16:20])[0]
        if error:
            raise OSError(-error, f"{self.host.name}: {os.strerror(-error)}")
        return done

    def _address(self, kind, flags, device, address, dad=False):
        text, bits = address.split("/")
        version = socket.AF_INET6 if ":" in text else socket.AF_INET
        raw = socket.inet_pton(version, text)
        body = struct.pack("=BBBBI", version, int(bits), 0, 0, self.index(device)) + \
            attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)
        if version == socket.AF_INET6 and not dad:
            body += attribute(IFA_FLAGS, struct.pack("=I", NODAD))
        return self._ask(kind, flags, body)

    def add(self, device, address):
        return self._address(RTM_NEWADDR, NLM_CREATE | NLM_REPLACE, device, address)

    def add_slowly(self, device, address):
        """One of IPv6 that the kernel looks for on the link first; returns when it could be used, as
        the kernel tells everybody."""
        watch = socket_in(self.host, socket.AF_NETLINK, socket.SOCK_RAW, 0)
        watch.settimeout(10)
        watch.bind((0, RTMGRP_IPV6_IFADDR))
        self._address(RTM_NEWADDR, NLM_CREATE | NLM_REPLACE, device, address, dad=True)
        raw = socket.inet_pton(socket.AF_INET6, address.split("/")[0])
        while True:
            data = watch.recv(8192)
            now = time.time_ns()
            kind, flags = struct.unpack_from("=H", data, 4)[0], data[18]
            if kind == RTM_NEWADDR and raw in data and not flags & TENTATIVE:
                watch.close()
                return now

    def delete(self, device, address):
        return self._address(RTM_DELADDR, 0, device, address)

    def up(self, device, on=True):
        return self._ask(RTM_NEWLINK, 0, struct.pack("=BBHiII", 0, 0, 0, self.index(device),
                                                     IFF_UP if on else 0, IFF_UP))
