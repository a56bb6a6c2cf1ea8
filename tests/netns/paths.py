# SPDX-License-Identifier: Apache-2.0
"""Two hosts that several wires join: each path has its own interface, addresses and translator, and a
capture of everything that goes by it."""

import json
import os
import signal
from dataclasses import replace

import messages
import stream
from capture import Capture, assert_protected
from lab import Lab, wait_for
from netlink import Netlink
from nets import INNER, Two, other, translate, wait_until_ready
from wire import Wire

# Of path 1, 2, 3: the left host and the right one.
PATHS4 = [("192.0.2.1", "192.0.2.2"), ("198.51.100.1", "198.51.100.2"),
          ("203.0.113.1", "203.0.113.2")]
PATHS6 = [(f"2001:db8:{n}::1", f"2001:db8:{n}::2") for n in (1, 2, 3)]
# What the parser of captures looks at is in front; the rest of a packet is not kept.
SNAP = 160
# Has the kernel forget every connection that it tracks: IPCTNL_MSG_CT_DELETE of nobody in particular.
FORGET = """import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
assert struct.unpack("=i", s.recv(100)[16:20]) == (0,)
"""
# A translator drops what nobody asked for, and what it cannot hand on, without a word: what it says of
# itself would be in the clear. How long a packet may be it does say.
QUIET = """table inet quiet {
 chain in {
  type filter hook input priority 0;
  iifname "outside" meta l4proto { udp, esp } drop
 }
 chain out {
  type filter hook output priority 0;
  oifname "outside" icmp type destination-unreachable icmp code != frag-needed drop
 }
}
"""


def behind(n):
    """The left host's address behind the translator of a path, and the translator's there."""
    return f"172.16.{n}.2", f"172.16.{n}.1"


class Path:
    """One of them: number 1, 2, 3."""

    def __init__(self, scene, n, orders, rate, nat, versions):
        self.scene, self.n, self.nat, self.versions = scene, n, None, versions
        self.device = f"path{n}"
        left4, self.right4 = PATHS4[n - 1]
        self.left6 = PATHS6[n - 1][0]
        self.left4 = behind(n)[0] if nat else left4
        near = self._translator(left4) if nat else \
            (scene.left, self.device, self.addresses("left"))
        self.wire = Wire(scene.lab, str(n), near,
                         (scene.right, self.device, self.addresses("right")), orders, seed=n)
        if nat:
            translate(self.nat, "masquerade random", QUIET)
        if rate:
            self.limit(rate)

    def _translator(self, outside):
        """The left host behind one, which masquerades; returns the end that the wire gets."""
        own, inside = behind(self.n)
        self.nat = self.scene.lab.host(f"nat-{self.n}")
        self.scene.lab.link(self.scene.left, self.device, self.nat, "inside", [f"{own}/24"],
                            [f"{inside}/24"])
        self._route()
        return self.nat, "outside", [f"{outside}/24"]

    def _route(self):
        """Behind a translator the other host is not a neighbour."""
        if self.nat:
            self.scene.left.run("ip", "route", "add", PATHS4[self.n - 1][0].rsplit(".", 1)[0] + ".0/24",
                                "via", behind(self.n)[1])

    def limit(self, rate):
        """tbf on both hosts' devices; rate as tc has it ("100mbit")."""
        for host in (self.scene.left, self.scene.right):
            host.run("tc", "qdisc", "replace", "dev", self.device, "root", "tbf", "rate", rate,
                     "burst", "32kb", "latency", "50ms")

    def rebind(self):
        """The translator forgets whom it knows: the next packet comes from another port."""
        self.nat.run("/usr/bin/python3", "-c", FORGET)

    def acquaint(self):
        """The hosts know each other's link addresses for good. A wire delays ARP, too, which behind a
        router would not go by it. (A device without any address forgets: it has one of the link.)"""
        for side in ("left", "right"):
            self.scene.host(side).run("ip", "address", "add", f"169.254.{self.n}.1/32", "dev",
                                      self.device, "scope", "link")
        link = {side: self.scene.host(side).run(
            "cat", f"/sys/class/net/{self.device}/address").stdout.strip() for side in ("left", "right")}
        for side in link:
            self._introduce(side, link[other(side)])

    def _introduce(self, side, link):
        """The host knows the other one's addresses, behind this link address."""
        for address in self.addresses(other(side)):
            self.scene.host(side).run("ip", "neighbour", "replace", address.split("/")[0], "lladdr",
                                      link, "dev", self.device, "nud", "permanent")

    def renumber(self, host):
        """The left host, which has none of its addresses now, gets others the next time, with this
        number in their prefixes: 3 to 254."""
        self.left4 = f"{self.left4.rsplit('.', 1)[0]}.{host}"
        self.left6 = f"2001:db8:{self.n}::{host:x}"
        self._introduce("right", self.scene.left.run(
            "cat", f"/sys/class/net/{self.device}/address").stdout.strip())

    def addresses(self, side):
        """Of the host on this path, with their lengths."""
        four = [f"{self.left4 if side == 'left' else self.right4}/24"]
        six = [f"{self.left6 if side == 'left' else PATHS6[self.n - 1][1]}/64"]
        return (four if 4 in self.versions else []) + (six if 6 in self.versions else [])

    def leave(self, side="left"):
        """The host's interface is down and without addresses, as after a network manager."""
        host = self.scene.host(side)
        host.run("ip", "link", "set", self.device, "down")
        host.run("ip", "address", "flush", "dev", self.device)

    def lose(self, side="left"):
        """Its addresses alone go; returns when (time.time_ns()) they were gone."""
        return [self.scene.netlink(side).delete(self.device, address)
                for address in self.addresses(side)][-1]

    def gain(self, side="left", dad=False):
        """They come; returns when they could be used. dad: those of IPv6 are looked for on the link
        before. Not behind a translator, where that wants a route as well."""
        netlink = self.scene.netlink(side)
        return [(netlink.add_slowly if dad and ":" in address else netlink.add)(self.device, address)
                for address in self.addresses(side)][-1]

    def join(self, side="left"):
        """It is up, and has them again."""
        host = self.scene.host(side)
        host.run("ip", "link", "set", self.device, "up")
        host.address(self.device, *self.addresses(side))
        if side == "left":
            self._route()


class Paths(Two):
    """left and right joined by `count` paths. orders: of all wires, or a list; rates: of tbf, a list;
    nat: numbers of the paths with a translator on the left host's side, which are IPv4 only.
    Without sides there is no daemon."""

    def __init__(self, name, left=None, right=None, count=2, orders="", rates=(), nat=(),
                 versions=(4, 6), captures=True, start=True):
        self.lab, self.peers, self.captures, self.netlinks = Lab(name), {}, {}, {}
        # Whatever address leads to the other one is the one to go from.
        self.sides = {name: side and replace(side, connection={"local_addrs": "%any",
                                                               **side.connection})
                      for name, side in (("left", left), ("right", right))}
        try:
            self.left, self.right = self.lab.host("left"), self.lab.host("right")
            self.paths = [Path(self, n, orders if isinstance(orders, str) else orders[n - 1],
                               rates[n - 1] if rates else None, n in nat,
                               (4,) if n in nat else versions)
                          for n in range(1, count + 1)]
            first = self.paths[0]
            self.outers = {"left": (first.left4, first.right4),
                           "right": (first.right4, PATHS4[0][0])} if 4 in versions else \
                {"left": PATHS6[0], "right": PATHS6[0][::-1]}
            self.give_inner()
            if captures:
                self.begin_captures()
            if left:
                self.peers = {side: self.peer_of(side) for side in ("left", "right")}
            if start:
                self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def path(self, n):
        return self.paths[n - 1]

    def netlink(self, side):
        if side not in self.netlinks:
            self.netlinks[side] = Netlink(self.host(side))
        return self.netlinks[side]

    def begin_captures(self):
        """At both ends of each wire: what a wire loses was still sent. Again after audit()."""
        for path in self.paths:
            for end in ("left", "right"):
                self.captures[path.n, end] = Capture(path.wire.host, end, snap=SNAP)

    def audit(self, at_least=None):
        """Every path carried nothing but ESP, IKE and what a link needs, and at least so many ESP
        packets: {path: number}. Returns the frames: {(path, end): [...]}, seen at the wire's ends."""
        frames = {key: capture.stop() for key, capture in self.captures.items()}
        for (n, end), seen in frames.items():
            assert_protected(seen, f"path {n} at the {end} end", (at_least or {}).get(n, 0))
        return frames


class Download:
    """A TCP connection from one side's inner address to the other's, which sends: by hash. ends:
    other addresses, of who fetches and who serves; wrapper: words in front of both programs."""

    def __init__(self, scene, to="left", port=9100, rate=0, ends=None, wrapper=(), control=""):
        self.progress_path = scene.host(to).path(f"progress-{port}")
        here, there = ends or (INNER[to][0], INNER[other(to)][0])
        program = os.path.join(os.path.dirname(stream.__file__), "download.py")
        python = [*wrapper, "/usr/bin/python3", "-B", program]
        # MPTCP's further paths go to other addresses.
        at = "0.0.0.0" if wrapper else there
        self.server = scene.host(other(to)).spawn(f"serve-{port}", *python, "serve", at, port, rate,
                                                  control)
        wait_until_ready(self.server)
        self.client = scene.host(to).spawn(f"fetch-{port}", *python, "fetch", here, there, port,
                                             self.progress_path)
        wait_until_ready(self.client)

    def progress(self):
        """(bytes, the longest stall in milliseconds) a moment ago."""
        if not os.path.exists(self.progress_path):
            return 0, 0.0
        with open(self.progress_path, encoding="ascii") as file:
            words = file.read().split()
        return (int(words[0]), float(words[1])) if len(words) == 2 else (0, 0.0)

    def stop(self, seconds=60):
        """Ends it; returns {sent, received, seconds, stall_ms, stall_at} if every byte is right."""
        self.client.send(signal.SIGTERM)
        wait_for(lambda: not self.client.running() and not self.server.running(),
                 "the download to end", seconds)
        for process in (self.client, self.server):
            assert process.outer.returncode == 0, process.log()
        got, gave = (json.loads(process.log().splitlines()[-1])
                     for process in (self.client, self.server))
        assert got["received"] == gave["sent"] and got["sha256"] == gave["sha256"], (got, gave)
        assert got["received"] > 0, got
        return {**gave, **got}


class Messages:
    """Numbered messages each way on one TCP connection that the left host begins, as Stream has
    datagrams. ends: the addresses of the left and the right host; wrapper: as Download has it."""

    def __init__(self, scene, rate, size, port=9200, ends=None, wrapper=()):
        left, right = ends or (INNER["left"][0], INNER["right"][0])
        python = [*wrapper, "/usr/bin/python3", "-B", os.path.abspath(messages.__file__)]
        self.files = {side: scene.host(side).path(f"messages-{port}-{side}")
                      for side in ("left", "right")}
        # MPTCP's further paths go to other addresses.
        at = "0.0.0.0" if wrapper else right
        self.processes = [scene.host("right").spawn(f"messages-serve-{port}", *python, "serve", at,
                                                    port, rate, size, self.files["right"])]
        wait_until_ready(self.processes[0])
        self.processes.append(scene.host("left").spawn(
            f"messages-connect-{port}", *python, "connect", left, right, port, rate, size,
            self.files["left"]))
        wait_until_ready(self.processes[1])

    def newest(self, side):
        """(when it was sent, when it came) of the newest message that has come to a side so far, as
        time.time_ns() has it."""
        size = stream.ARRIVAL.size
        with open(self.files[side], "rb") as file:
            whole = os.fstat(file.fileno()).st_size // size
            if not whole:
                return 0, 0
            file.seek((whole - 1) * size)
            return stream.ARRIVAL.unpack(file.read(size))[1:]

    def stop(self, seconds=60):
        """Ends it; returns {side: {sent, received, pause_ms}} if every message has come."""
        self.processes[1].send(signal.SIGTERM)
        wait_for(lambda: not any(one.running() for one in self.processes), "the messages to end",
                 seconds)
        for process in self.processes:
            assert process.outer.wait(5) == 0, process.log()
        right, left = (stream.result_of(process) for process in self.processes)
        assert (left["sent"], right["sent"]) == (right["received"], left["received"]), (left, right)
        return {"left": left, "right": right}

    def arrivals(self, side):
        """Of messages that have ended, as Stream.arrivals() of those that came to a side."""
        return stream.arrivals(self.files[side])
