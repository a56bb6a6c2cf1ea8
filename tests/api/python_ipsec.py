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

    def asked(self):
        """What was said of paths last: act, name, number, ends, priority, weight."""
        print("asked", file=self.process.stdin, flush=True)
        line, done = self.process.stdout.readline(), self.process.stdout.readline()
        assert done == "done\n"
        return line.split()


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


def paths():
    """M10: each call says what it is for, and its errors what is wrong; what is known of each path."""
    with Server() as server:
        server.do("paths", 0)
        for function, arguments, said in (
                (ipsec.path_add, ("gw", "192.0.2.1", "192.0.2.2", 4, 9),
                 "add gw 0 192.0.2.1 192.0.2.2 4 9"),
                (ipsec.path_add, ("gw", "2001:db8::1"), "add gw 0 2001:db8::1 - 0 1"),
                (ipsec.path_remove, ("gw", 7), "remove gw 7 - - 0 1"),
                (ipsec.path_move, ("gw", 7), "soft gw 7 - - 0 1"),
                (ipsec.path_move, ("peer.example", 65535, True), "hard peer.example 65535 - - 0 1"),
                (ipsec.path_prefer, ("gw", 8), "prefer gw 8 - - 0 1")):
            number = function(*arguments)
            assert number == (3 if function is ipsec.path_add else None), number
            assert server.asked() == said.split(), (server.asked(), said)
        asyncio.run(ipsec.path_move_async("gw", 6, hard=True))
        assert server.asked()[:3] == ["hard", "gw", "6"]
        for function, *arguments in ((ipsec.path_remove, "gw", 0), (ipsec.path_move, "gw", 65536),
                                     (ipsec.path_prefer, "", 1),
                                     (ipsec.path_add, "gw", "192.0.2.1", None, 256)):
            fails(errno.EINVAL, function, *arguments)
        server.do("paths", 1)
        assert fails(errno.ENOENT, ipsec.path_move, "gw", 7).strerror == "it is so"
        first, second = ipsec.paths()
        assert (first.number, first.state) == (1, ipsec.PathState.ACTIVE)
        assert (first.connection, first.peer) == ("gw", "peer.example")
        assert first.decides and first.udp and (first.priority, first.weight) == (2, 7)
        assert first.local == ("192.0.2.1", 4500) and first.remote == ("192.0.2.2", 4500)
        assert (first.rtt, first.loss, first.mtu, first.rate) == (0.0205, 0.015, 1400, 1250000)
        assert (first.rx_packets, first.rx_bytes) == (4, 400)
        assert (first.tx_packets, first.tx_bytes) == (5, 1 << 40)
        assert (second.number, second.state) == (2, ipsec.PathState.ASKED)
        assert not second.decides and second.rtt is second.loss is second.mtu is second.rate is None


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
    server.do("moves")
    event = await asyncio.wait_for(until(stream, ipsec.EventKind.PATH), 10)
    assert event.news is ipsec.PathNews.MOVED and (event.path, event.path_from) == (2, 1)
    assert event.connection == "gw" and event.local == ("192.0.2.1", 4500)
    assert event.remote == ("192.0.2.2", 4500)
    server.do("restart")
    await asyncio.wait_for(until(stream, ipsec.EventKind.RECONNECTED), 10)
    await stream.aclose()


def events():
    with Server() as server, udp() as sock:
        asyncio.run(watch(server, sock))


# ---- what is declared by hand is what the header declares

HEADER = os.path.join(SOURCE, "api/include/latchkey/ipsec.h")
POINTER = r".*(\*|\bipsec_[pi]Token_t)\s*\w*$"
CALLBACK = r"void \(\*\w+\)\((.*)\)$"  # of functions that tell of each thing
KINDS = [(r"void$", type(None)), (POINTER, "pointer"), (r"(const )?bool\b", ctypes.c_bool),
         (r"(uint32_t|unsigned int|socklen_t)\b", ctypes.c_uint32),
         (r"uint64_t\b", ctypes.c_uint64), (r"size_t\b", ctypes.c_size_t),
         (r"(int|enum \w+)\b", ctypes.c_int)]


def kind_in_c(text):
    callback = re.match(CALLBACK, text.strip())
    if callback:
        return [kind_in_c(t) for t in ["void", *split(callback[1])]]
    for pattern, kind in KINDS:
        if re.match(pattern, text.strip()):
            return kind
    raise AssertionError(f"a type that is not known: {text}")


def kind_in_python(kind):
    if kind is None:
        return type(None)
    if hasattr(kind, "_argtypes_"):
        return [kind_in_python(k) for k in [kind._restype_, *kind._argtypes_]]
    pointers = (ctypes.c_void_p, ctypes.c_char_p)
    return "pointer" if kind in pointers or hasattr(kind, "contents") else kind


def split(arguments):
    """At the commas that are in no brackets."""
    return re.findall(r"(?:[^,()]|\([^()]*\))+", arguments)


def prototypes():
    """{name: [kind of the result, kinds of the arguments]}."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    found = {}
    for result, name, arguments in re.findall(r"^IPSEC_API ([^;(]*?)(ipsec_\w+)\(([^;]*?)\);", text,
                                              re.MULTILINE | re.DOTALL):
        arguments = [] if arguments == "void" else split(" ".join(arguments.split()))
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
         (ipsec.PathNews, "IPSEC_PATH_"), (ipsec.PathState, "IPSEC_PATH_")]
STRUCTS = [(ipsec._LatchInfo, "ipsec_latch_info", ""), (ipsec._Pair, "ipsec_pair", ""),
           (ipsec._Event, "ipsec_app_event", ""),
           (ipsec._PathInfo, "ipsec_path_info", ""), (ipsec._Msghdr, "msghdr", "msg_")]


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
                  ("tokens", tokens), ("latches", latches), ("connecting", connecting), ("paths", paths),
                  ("events, a peer to accept, a restart", events)]))
