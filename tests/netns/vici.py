# SPDX-License-Identifier: Apache-2.0
"""A small VICI client, so that either peer can be asked the same questions.

Written from the protocol's public description; it decodes a message into nested dicts and lists
of str. Blocking, one request at a time.
"""

import socket
import struct

CMD_REQUEST, CMD_RESPONSE, CMD_UNKNOWN, EVENT_REGISTER, EVENT_UNREGISTER, EVENT_CONFIRM, \
    EVENT_UNKNOWN, EVENT = range(8)
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)


class ViciError(Exception):
    """The peer does not know the command, or answered that it failed."""


def _name(text):
    raw = text.encode()
    return struct.pack("!B", len(raw)) + raw


def encode(message):
    """A dict of str, list and dict values as a VICI message."""
    out = b""
    for key, value in message.items():
        if isinstance(value, dict):
            out += struct.pack("!B", SECTION_START) + _name(key) + encode(value)
            out += struct.pack("!B", SECTION_END)
        elif isinstance(value, list):
            out += struct.pack("!B", LIST_START) + _name(key)
            for item in value:
                raw = str(item).encode()
                out += struct.pack("!BH", LIST_ITEM, len(raw)) + raw
            out += struct.pack("!B", LIST_END)
        else:
            raw = str(value).encode()
            out += struct.pack("!B", KEY_VALUE) + _name(key) + struct.pack("!H", len(raw)) + raw
    return out


class _Decoder:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        if len(part) != count:
            raise ViciError("message ends early")
        self.at += count
        return part

    def name(self):
        return self.take(self.take(1)[0]).decode()

    def value(self):
        return self.take(struct.unpack("!H", self.take(2))[0]).decode(errors="replace")

    def section(self, nested=False):
        out = {}
        while nested or self.at < len(self.data):
            kind = self.take(1)[0]
            if kind == SECTION_END and nested:
                return out
            if kind == SECTION_START:
                key = self.name()
                out[key] = self.section(nested=True)
            elif kind == KEY_VALUE:
                key = self.name()
                out[key] = self.value()
            elif kind == LIST_START:
                key, items = self.name(), []
                while self.take(1)[0] == LIST_ITEM:
                    items.append(self.value())
                out[key] = items
            else:
                raise ViciError(f"element {kind} out of place")
        return out


def decode(data):
    return _Decoder(data).section()


class Vici:
    """A connection to a daemon's VICI socket."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _send(self, kind, name, body=b""):
        packet = struct.pack("!B", kind) + _name(name) + body
        self.socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ViciError("the daemon closed the socket")
            data += part
        return data

    def _receive(self):
        packet = self._exactly(struct.unpack("!I", self._exactly(4))[0])
        kind = packet[0]
        if kind == EVENT:
            length = packet[1]
            return kind, packet[2:2 + length].decode(), decode(packet[2 + length:])
        return kind, None, decode(packet[1:]) if kind == CMD_RESPONSE else {}

    def request(self, command, message=None, events=None):
        """Sends a command; returns (its answer, the messages of the event it streamed)."""
        streamed = []
        if events:
            self._send(EVENT_REGISTER, events)
            if self._receive()[0] != EVENT_CONFIRM:
                raise ViciError(f"no event {events}")
        self._send(CMD_REQUEST, command, encode(message or {}))
        while True:
            kind, name, body = self._receive()
            if kind == EVENT:
                streamed.append((name, body))
            elif kind == CMD_RESPONSE:
                break
            else:
                raise ViciError(f"no command {command}")
        if events:
            self._send(EVENT_UNREGISTER, events)
            while self._receive()[0] == EVENT:
                pass
        return body, [message for _, message in streamed]
