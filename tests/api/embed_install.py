#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The library as a program of somebody else's finds it: installed, compiled against by pkg-config.

usage: embed_install.py SOURCE_ROOT BUILD_ROOT
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import Skip, diag, run  # noqa: E402

SOURCE, BUILD = (os.path.realpath(p) for p in sys.argv[1:3])
PATIENCE = 20


class Installed:
    """A tree as `meson install` makes it, and programs built against it."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        self.folder = folder
        self.sh(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", self.root])
        found = [os.path.join(path, name) for path, _, names in os.walk(self.root)
                 for name in names if name == "latchkey-engine.pc"]
        assert len(found) == 1, found
        self.env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(found[0]),
                    "PKG_CONFIG_SYSROOT_DIR": self.root}
        self.libdir = os.path.dirname(os.path.dirname(found[0]))

    def sh(self, command, **more):
        done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def flags(self, package):
        return self.sh(["pkg-config", "--cflags", "--libs", package], env=self.env).split()

    def instrumented(self):
        """A library that was built with a sanitizer needs what only such a program brings."""
        library = os.path.join(BUILD, "api/embed/liblatchkey-engine.so.0")
        return re.search(r" U __(a|t|ub)san_", self.sh(["nm", "-D", library]))

    def compile(self, name, compiler="cc", language="c", package="latchkey-engine"):
        if self.instrumented():
            raise Skip("the library is built with a sanitizer")
        out = os.path.join(self.folder, name)
        self.sh([compiler, "-x", language, "-Wall", "-Wextra", "-Werror", "-o", out,
                 os.path.join(SOURCE, "api/examples", name + ".c"), "-x", "none",
                 *self.flags(package),
                 f"-Wl,-rpath,{self.libdir}"])
        return out


def two_engines(tree):
    said = tree.sh([tree.compile("two-engines")], timeout=PATIENCE)
    for line in ("A: net is up", "B: net is up", "B: 1000 bytes from side1.example",
                 "A: 1000 bytes from side2.example"):
        assert line in said.splitlines(), said


def tokens(tree):
    said = tree.sh([tree.compile("tokens")], timeout=PATIENCE)
    assert "1000 packets of one flow, each by the SA that it demanded" in said, said


def in_process(tree):
    """The calls of applications, answered by an engine of the process."""
    said = tree.sh([tree.compile("in-process")], timeout=PATIENCE)
    assert "the peer is bob.example, by psk: AES_GCM_16-" in said, said
    assert "refused: " in said, said


CONF = """
latchkey {{ port = {port} port_nat_t = {nat} }}
connections {{ gw {{
	local_addrs = 127.0.0.1
	remote_addrs = 127.0.0.1
	remote_port = {peer}
	local {{ auth = psk
		id = {me} }}
	remote {{ auth = psk
		id = {other} }}
	children {{ net {{ local_ts = 10.{a}.0.0/16
		remote_ts = 10.{b}.0.0/16 }} }}
}} }}
secrets {{ ike {{ secret = "correct horse battery staple" }} }}
"""


def free_ports(num):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(num)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Loop:
    def __init__(self, tree, program, name, ports, arguments, **conf):
        self.log = os.path.join(tree.folder, name + ".log")
        path = os.path.join(tree.folder, name + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONF.format(port=ports[0], nat=ports[1], me=name, **conf).replace(
                "} ", "}\n").replace("{ port", "{\n port").replace(" port_nat_t", "\n port_nat_t")
                .replace(" }", "\n}"))
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([program, path, str(ports[0]), str(ports[1]),
                                             *arguments], stdout=log, stderr=log)

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def wait_for(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.said():
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.said()


def own_loop(tree):
    """Two of them, by UDP: one waits, the other begins, and says goodbye when it is stopped."""
    program = tree.compile("own-loop")
    a, b, c, d = free_ports(4)
    loops = []
    try:
        loops.append(Loop(tree, program, "b.example", (c, d), [], peer=b, other="a.example", a=2,
                          b=1))
        loops.append(Loop(tree, program, "a.example", (a, b), ["gw", "net"], peer=d,
                          other="b.example", a=1, b=2))
        for loop in loops:
            loop.wait_for("net is up")
        loops[1].stop()
        loops[0].wait_for("net is down: peer-delete")
        loops[0].stop()
    except AssertionError:
        for loop in loops:
            diag(loop.said())
        raise
    finally:
        for loop in loops:
            if loop.process.poll() is None:
                loop.process.kill()


def applications(tree):
    """The examples for applications; the easy one has 20 lines."""
    for name in ("easy-client", "who-sends", "named-server"):
        program = tree.compile(name, package="latchkey")
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and f"usage: {name}" in done.stderr, done
    with open(os.path.join(SOURCE, "api/examples/easy-client.c"), encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("/*")]
    assert len(lines) <= 20, len(lines)


def application_library(tree):
    """It has its name, and needs the C library alone."""
    said = tree.sh(["readelf", "-d", "-W", os.path.join(tree.libdir, "liblatchkey.so")])
    assert re.search(r"SONAME.*\[liblatchkey\.so\.0\]", said), said
    needed = re.findall(r"NEEDED.*\[(.*?)\]", said)
    assert tree.instrumented() or all(re.match(r"lib(c|pthread)\.so|ld-linux", n)
                                      for n in needed), needed


def remote_library(tree):
    """Another host's daemon: a library of its own, which programs get by its package."""
    program = tree.compile("other-host", package="latchkey-remote")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "usage: other-host" in done.stderr, done
    done = subprocess.run([program, "127.0.0.1", "1", "/nowhere", "/nowhere", "/nowhere"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "does not answer" in done.stderr, done
    said = tree.sh(["readelf", "-d", "-W", os.path.join(tree.libdir, "liblatchkey-remote.so")])
    assert re.search(r"SONAME.*\[liblatchkey-remote\.so\.0\]", said), said
    needed = re.findall(r"NEEDED.*\[(.*?)\]", said)
    assert tree.instrumented() or all(
        re.match(r"lib(c|pthread|ssl|crypto|latchkey)\.so|ld-linux", n) for n in needed), needed


def application_header(tree):
    """Beside the engine's, as C and as C++, strictly."""
    include = os.path.join(tree.root, "usr/local/include")
    include = include if os.path.isdir(include) else os.path.join(tree.root, "usr/include")
    for language, standard in (("c", "-std=c17"), ("c++", "-std=c++17")):
        if language == "c++" and not shutil.which("g++"):
            continue
        for names in (("ipsec",), ("ipsec", "engine"), ("engine", "ipsec"), ("ipsec_remote",)):
            text = "".join(f"#include <latchkey/{name}.h>\n" for name in names)
            tree.sh(["cc", "-x", language, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                     "-fsyntax-only", "-I", include, "-"], input=text)


def header_stands_alone(tree):
    """As C and as C++, strictly."""
    include = os.path.join(tree.root, "usr/local/include")
    include = include if os.path.isdir(include) else os.path.join(tree.root, "usr/include")
    for language, standard in (("c", "-std=c17"), ("c++", "-std=c++17")):
        if language == "c++" and not shutil.which("g++"):
            diag("there is no C++ compiler: C alone")
            continue
        tree.sh(["cc", "-x", language, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                 "-fsyntax-only", "-I", include, "-"],
                input="#include <latchkey/engine.h>\n#include <latchkey/engine.h>\n"
                      "int f(void);\nint f(void)\n{\n"
                      "\tstruct ipsec_engine_params p = IPSEC_ENGINE_PARAMS;\n"
                      "\treturn (int)p.size;\n}\n" if language == "c" else
                      "#include <latchkey/engine.h>\n")


def soname(tree):
    library = os.path.join(tree.libdir, "liblatchkey-engine.so")
    said = tree.sh(["readelf", "-d", "-W", library])
    assert re.search(r"SONAME.*\[liblatchkey-engine\.so\.0\]", said), said
    needed = re.findall(r"NEEDED.*\[(.*?)\]", said)
    heavy = [name for name in needed if re.match(r"lib(uv|mnl|nftables|jansson|dpdk)", name)]
    assert not heavy, heavy


def main():
    with tempfile.TemporaryDirectory(prefix="latchkey-embed-") as folder:
        tree = Installed(folder)
        return run([(name, lambda test=test: test(tree)) for name, test in (
            ("the header stands alone, in C and C++", header_stands_alone),
            ("the library has its name and needs what it needs", soname),
            ("two engines in one process", two_engines),
            ("packets that demand a token", tokens),
            ("an event loop of one's own", own_loop),
            ("applications' calls, answered in the process", in_process),
            ("the header for applications, alone and beside the engine's", application_header),
            ("the library for applications needs nothing", application_library),
            ("programs that use it", applications),
            ("the library for another host's daemon", remote_library),
        )])


if __name__ == "__main__":
    sys.exit(main())
