#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Python binding before an application socket with a fake engine.

usage: python_ipsec.py SOURCE_ROOT LIBRARY APP_SERVE
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import subprocess
import sys

SOURCE, LIBRARY, SERVE = sys.argv[1:4]
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(SOURCE, "tests/tap"), os.path.join(SOURCE, "api/python")]
os.environ["LATCHKEY_LIBRARY"] = LIBRARY
from pytap import run  # noqa: E402

import latchkey_ipsec as ipsec  # noqa: E402


class Server:
    def __enter__(self):
        self.process = subprocess.Popen([SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        ipsec.set_socket_path(self.process.stdout.readline().strip())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(20) == 0

    def do(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"


@contextlib.contextmanager
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", 9))
        yield sock


def fails(number, function, *arguments, **more):
    try:
        function(*arguments, **more)
    except ipsec.IpsecError as error:
        assert error.errno == number, (error, number)
        assert error.strerror, "no sentence"
        return error
    raise AssertionError("it did not fail")


def tokens():
    with Server() as server, udp() as sock:
        fails(errno.ENOENT, ipsec.of_socket, sock)
        server.do("flows", sock.getsockname()[1])
        token = ipsec.of_socket(sock)
        assert (token.private, token.integrity, token.compression) == (True, True, False)
        assert token.peer.identity == "peer.example" and token.local.identity == "own.example"
        assert token.peer.method is ipsec.Method.PUBKEY and len(token.peer.channel_binding) == 32
        assert "peer.example" in token.audit and token.policy == "gw"
        assert token == ipsec.of_socket(sock)
        assert ipsec.IToken.from_text(token.peer.export()) == token.peer
        assert token.peer.certificate is None
        mark = [(socket.SOL_SOCKET, ipsec.SO_MARK, struct.pack("=I", 0x80000007))]
        ipsec.enable_messages(sock)
        assert ipsec.of_message(mark) == token and ipsec.of_message(mark).private
        assert ipsec.of_message([]) is None
        assert ipsec.of_message([(socket.SOL_SOCKET, ipsec.SO_MARK, bytes(4))]) is None


def latches():
    with Server() as server, udp() as sock, udp() as two:
        demand = ipsec.PToken(profile="secure", peer="peer.example", tunnel=True,
                              methods=[ipsec.Method.PRESHAREDKEY])
        latch = ipsec.Latch.create(sock, demand, keep=True)
        assert latch.state is ipsec.State.LARVAL
        server.do("break")
        assert latch.state is ipsec.State.BROKEN and latch.text == "the peer is silent"
        assert ipsec.Latch.find(sock).number == latch.number
        latch.release()
        fails(errno.ENOENT, ipsec.Latch.find, sock)
        weaker = ipsec.PToken(profile="authenticated", methods=[ipsec.Method.BTNS])
        server.do("state", ipsec.State.BROKEN)
        assert fails(errno.EPROTO, ipsec.require, two, "peer.example").reason == 4
        latch = ipsec.Latch.create(sock, weaker)  # root may
        latch.release()


def connecting():
    with Server() as server, socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.socket() as sock:
        server.do("state", ipsec.State.ESTABLISHED)
        asyncio.run(ipsec.connect_async(sock, listener.getsockname(), "peer.example", timeout=5))
        sock.sendall(b"x")
        with listener.accept()[0] as there:
            assert there.recv(1) == b"x"


async def until(stream, kind):
    async for event in stream:
        if event.kind is kind:
            return event
    return None


async def watch(server, sock):
    stream = ipsec.events()
    first = asyncio.ensure_future(until(stream, ipsec.EventKind.LATCH))
    await asyncio.sleep(0)
    latch = ipsec.Latch.create(sock)
    server.do("break")
    event = await asyncio.wait_for(first, 10)
    assert event.state is ipsec.State.BROKEN and event.latch == latch.number
    assert event.text == "the peer is silent"
    server.do("ask")
    event = await asyncio.wait_for(until(stream, ipsec.EventKind.ASK), 10)
    assert event.peer.identity == "peer.example" and 0 < event.timeout <= 5
    event.accept()
    fails(errno.ENOENT, event.reject)
    server.do("restart")
    await asyncio.wait_for(until(stream, ipsec.EventKind.RECONNECTED), 10)
    await stream.aclose()


def events():
    with Server() as server, udp() as sock:
        asyncio.run(watch(server, sock))


if __name__ == "__main__":
    sys.exit(run([("tokens", tokens), ("latches", latches), ("connecting", connecting),
                  ("events, a peer to accept, a restart", events)]))
