#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Python binding before an application socket with a fake engine.

usage: python_ipsec.py SOURCE_ROOT LIBRARY APP_SERVE
"""

import asyncio
import contextlib
import ctypes
import enum
import errno
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile

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
        # By the interface: the fake engine's has index 5.
        by = [(socket.IPPROTO_IP, 8, struct.pack("=i4s4s", index, address, address))
              for index, address in ((5, b"\x7f\0\0\1"), (6, b"\x7f\0\0\1"))]
        server.do("interface")
        assert ipsec.of_message([mark[0], by[1]]) == token
        assert ipsec.of_message([(1, 29, bytes(3)), by[0]]) == token
        assert ipsec.of_message(by[1:]) is None


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


# ---- what is declared by hand is what the header declares

HEADER = os.path.join(SOURCE, "api/include/latchkey/ipsec.h")
POINTER = r".*(\*|\bipsec_[pi]Token_t)\s*\w*$"
KINDS = [(r"void$", type(None)), (POINTER, "pointer"), (r"(const )?bool\b", ctypes.c_bool),
         (r"(uint32_t|unsigned int|socklen_t)\b", ctypes.c_uint32),
         (r"uint64_t\b", ctypes.c_uint64), (r"size_t\b", ctypes.c_size_t),
         (r"(int|enum \w+)\b", ctypes.c_int)]


def kind_in_c(text):
    for pattern, kind in KINDS:
        if re.match(pattern, text.strip()):
            return kind
    raise AssertionError(f"a type that is not known: {text}")


def kind_in_python(kind):
    if kind is None:
        return type(None)
    pointers = (ctypes.c_void_p, ctypes.c_char_p)
    return "pointer" if kind in pointers or hasattr(kind, "contents") else kind


def prototypes():
    """{name: [kind of the result, kinds of the arguments]}."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    found = {}
    for result, name, arguments in re.findall(r"^IPSEC_API ([^;(]*?)(ipsec_\w+)\(([^;]*?)\);", text,
                                              re.MULTILINE | re.DOTALL):
        if "(" not in arguments:  # no callbacks: Python has none
            arguments = [] if arguments == "void" else arguments.split(",")
            found[name] = [kind_in_c(t) for t in [result] + arguments]
    return found


def functions_are_the_headers():
    header = prototypes()
    bound = {n: f for n, f in vars(ipsec._lib).items() if n.startswith("ipsec_")}
    assert len(bound) > 25, bound
    for name, function in bound.items():
        kinds = [kind_in_python(k) for k in [function.restype, *function.argtypes]]
        assert kinds == header[name], f"{name}: {kinds}, but the header has {header[name]}"


ENUMS = [(ipsec.Method, "IPSEC_AUTH_"), (ipsec.State, "IPSEC_LATCH_"),
         (ipsec.EventKind, "IPSEC_APP_EVENT_"), (ipsec.Attr, "IPSEC_API_ATTR_"),
         (ipsec.PathNews, "IPSEC_PATH_")]
STRUCTS = [(ipsec._LatchInfo, "ipsec_latch_info", ""), (ipsec._Pair, "ipsec_pair", ""),
           (ipsec._Event, "ipsec_app_event", ""), (ipsec._Msghdr, "msghdr", "msg_")]


def expectations():
    """(C expression, its value in Python) for all enumerators, constants and members."""
    for kinds, prefix in ENUMS:
        assert issubclass(kinds, enum.IntEnum)
        yield from ((prefix + member.name, member.value) for member in kinds)
    yield from (("IPSEC_LATCH_KEEP", ipsec.KEEP), ("IPSEC_LATCH_LISTENER", ipsec.LISTENER),
                ("IPSEC_MSG_SPACE", ipsec.MSG_SPACE), ("SO_MARK", ipsec.SO_MARK))
    for struct_type, name, prefix in STRUCTS:
        yield f"sizeof(struct {name})", ctypes.sizeof(struct_type)
        for member, _ in struct_type._fields_:
            field = getattr(struct_type, member)
            yield f"offsetof(struct {name}, {prefix}{member})", field.offset
            yield f"sizeof(((struct {name} *)0)->{prefix}{member})", field.size


def numbers_are_the_headers():
    lines = [f'_Static_assert({expression} == {value}, "{expression} is not {value}");'
             for expression, value in expectations()]
    assert len(lines) > 80, lines
    for more in ([], ['_Static_assert(IPSEC_AUTH_EAP == 6, "seen to fail");']):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as file:
            file.write("\n".join(["#define _GNU_SOURCE", "#include <stddef.h>",
                                  "#include <sys/socket.h>", f'#include "{HEADER}"',
                                  *lines, *more, ""]))
            file.flush()
            done = subprocess.run(["cc", "-std=c17", "-fsyntax-only", file.name], text=True,
                                  capture_output=True, check=False)
        assert (done.returncode == 0) != bool(more), done.stderr


if __name__ == "__main__":
    sys.exit(run([("functions are declared as in the header", functions_are_the_headers),
                  ("numbers and structures are the header's", numbers_are_the_headers),
                  ("tokens", tokens), ("latches", latches), ("connecting", connecting),
                  ("events, a peer to accept, a restart", events)]))
