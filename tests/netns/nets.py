# SPDX-License-Identifier: Apache-2.0
"""The networks and configurations that scenarios are made of.

Every scenario has a left and a right host. Outer addresses are documentation addresses; each host
owns inner ones on its loopback interface, which lie in its traffic selectors.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field

import stream
from capture import WHOLE, Capture
from lab import Lab, wait_for
from peers import KINDS
from pytap import diag

INNER = {"left": ("10.1.0.1", "fd00:1::1"), "right": ("10.2.0.1", "fd00:2::1")}
NETWORK = {"left": ("10.1.0.0/24", "fd00:1::/64"), "right": ("10.2.0.0/24", "fd00:2::/64")}
OUTER4 = {"left": "192.0.2.1", "right": "192.0.2.2"}
OUTER6 = {"left": "2001:db8::1", "right": "2001:db8::2"}
# Behind a translator the right host is elsewhere, and the left one has a private address.
NAT_LEFT, NAT_INSIDE, NAT_OUTSIDE, NAT_RIGHT = "172.16.0.2", "172.16.0.1", "203.0.113.1", \
    "203.0.113.2"
FAR_INSIDE, FAR_RIGHT = "172.17.0.1", "172.17.0.2"  # where the right one has a translator too
PSK = "a pre-shared key for tests only"


@dataclass
class Side:
    """One side's configuration; what is not said is the same on both sides."""

    kind: str = "latchkey"
    psk: str = PSK
    proposals: str = "aes256gcm16-prfsha256-x25519"
    esp_proposals: str = "aes256gcm16"
    local_ts: str = ""
    remote_ts: str = ""
    start_action: str = "none"
    connection: dict = field(default_factory=dict)  # further keys of the connection
    child: dict = field(default_factory=dict)  # and of the child
    children: dict = field(default_factory=dict)  # and further children: their keys
    connections: dict = field(default_factory=dict)  # further connections, before this one
    daemon: dict = field(default_factory=dict)  # and of our daemon's own section
    files: dict = field(default_factory=dict)  # credentials: name below the configuration -> bytes
    secrets: dict = field(default_factory=dict)  # further secrets
    authorities: dict = field(default_factory=dict)  # authorities, for ours
    charon: dict = field(default_factory=dict)  # and of charon's strongswan.conf
    pools: dict = field(default_factory=dict)  # and its pools


def other(name):
    return "right" if name == "left" else "left"


def section(name, content, depth=0):
    """A nested dict as the configuration grammar's text."""
    tab = "\t" * depth
    lines = [f"{tab}{name} {{"]
    for key, value in content.items():
        if isinstance(value, dict):
            lines.append(section(key, value, depth + 1))
        else:
            lines.append(f"{tab}\t{key} = {value}")
    return "\n".join(lines + [f"{tab}}}"])


def configuration(name, side, local_outer, remote_outer):
    """The swanctl.conf text of one side."""
    child = {"local_ts": side.local_ts or ",".join(NETWORK[name]),
             "remote_ts": side.remote_ts or ",".join(NETWORK[other(name)]),
             "esp_proposals": side.esp_proposals, "start_action": side.start_action,
             "mode": "tunnel", **side.child}
    connection = {"version": "2", "local_addrs": local_outer, "remote_addrs": remote_outer,
                  "proposals": side.proposals,
                  "local": {"auth": "psk", "id": f"{name}.example"},
                  "remote": {"auth": "psk", "id": f"{other(name)}.example"},
                  **side.connection,
                  "children": {"net": child, **{more: {**child, **keys}
                                                for more, keys in side.children.items()}}}
    secret = {"id-1": connection["local"].get("id", f"{name}.example"),
              "id-2": connection["remote"].get("id", f"{other(name)}.example"),
              "secret": f'"{side.psk}"'}
    more = {key: {**connection, **keys} for key, keys in side.connections.items()}
    text = section("connections", {**more, "gw": connection}) + "\n"
    text += section("secrets", {"ike-gw": secret, **side.secrets}) + "\n"
    if side.pools:
        text += section("pools", side.pools) + "\n"
    if side.authorities:
        text += section("authorities", side.authorities) + "\n"
    if side.kind == "latchkey":
        text += section("latchkey", {"interface": "latchkey0", **side.daemon}) + "\n"
    return text


def translate(host, how, more=""):
    """What the host forwards to its device "outside" has this device's address there."""
    host.sysctl("net.ipv4.ip_forward", 1)
    host.nft("table ip nat {\n chain post {\n  type nat hook postrouting priority 100;\n"
             f"  oifname \"outside\" {how}\n }}\n}}\n" + more)


class Scene:
    """Hosts in self.lab that are there within `with`; of a failed scenario the files are kept."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(failed=kind is not None)

    def close(self, failed):
        if failed:
            folder = os.environ.get("LATCHKEY_LOGS", "/tmp/latchkey-netns")
            where = os.path.join(folder, self.lab.name)
            self.lab.keep(where)
            diag(f"files of the failed scenario: {where}")
        self.lab.close()


class Two(Scene):
    """The left and the right host in self.lab, and the daemons of self.sides on them, which know each
    other by self.outers: of each side (local, remote)."""

    build = None

    def give_inner(self):
        for side in ("left", "right"):
            self.host(side).address("lo", f"{INNER[side][0]}/32", f"{INNER[side][1]}/128")

    def peer_of(self, side):
        """What self.sides says, not yet started."""
        host = self.host(side)
        text = configuration(side, self.sides[side], *self.outers[side])
        for name, data in self.sides[side].files.items():
            host.write_bytes(name, data)
        if self.sides[side].kind == "latchkey":
            return KINDS["latchkey"](host, text, self.build)
        return KINDS[self.sides[side].kind](host, text, self.sides[side].charon)

    def start(self):
        for peer in self.peers.values():
            peer.start()

    def host(self, side):
        return {"left": self.left, "right": self.right}[side]

    def ping_all(self, versions=(4, 6), **options):
        """Pings between the inner addresses, in both directions."""
        for version in versions:
            index = 0 if version == 4 else 1
            for side in ("left", "right"):
                self.host(side).ping(INNER[other(side)][index], INNER[side][index], **options)


class Pair(Two):
    """Two hosts, a daemon on each, and a capture of the wire between them."""

    def __init__(self, name, left, right, nat=False, outer="ip4", start=True, build=None,
                 snap=WHOLE, together=False):
        self.lab = Lab(name)
        self.sides = {"left": left, "right": right}
        self.build = build
        try:
            self.left, self.right = self.lab.host("left"), self.lab.host("right")
            self.outers = self._wire_nat(nat == "double") if nat else \
                self._wire(OUTER6 if outer == "ip6" else OUTER4, together)
            self.give_inner()
            self.capture = Capture(self.right, "wire", snap=snap)
            self.peers = {side: self.peer_of(side) for side in ("left", "right")}
            if start:
                self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def _wire(self, outer, together):
        bits = 64 if ":" in outer["left"] else 24
        self.lab.link(self.left, "wire", self.right, "wire",
                      [f"{outer['left']}/{bits}"], [f"{outer['right']}/{bits}"], together=together)
        return {"left": (outer["left"], outer["right"]), "right": (outer["right"], outer["left"])}

    def _wire_nat(self, double):
        """The left host behind a translator; if double, the right one behind another."""
        nat = self.nat = self.lab.host("nat")
        self.lab.link(self.left, "wire", nat, "inside", [f"{NAT_LEFT}/24"], [f"{NAT_INSIDE}/24"])
        far, device = (self.lab.host("far"), "outside") if double else (self.right, "wire")
        self.lab.link(nat, "outside", far, device, [f"{NAT_OUTSIDE}/24"], [f"{NAT_RIGHT}/24"])
        self.left.run("ip", "route", "add", "default", "via", NAT_INSIDE)
        translate(nat, "masquerade random")
        if not double:
            return {"left": (NAT_LEFT, NAT_RIGHT), "right": (NAT_RIGHT, NAT_OUTSIDE)}
        self.lab.link(far, "inside", self.right, "wire", [f"{FAR_INSIDE}/24"], [f"{FAR_RIGHT}/24"])
        self.right.run("ip", "route", "add", "default", "via", FAR_INSIDE)
        translate(far, "masquerade", "table ip in {\n chain pre {\n"
                  "  type nat hook prerouting priority -100;\n  iifname \"outside\" "
                  f"udp dport {{ 500, 4500 }} dnat to {FAR_RIGHT}\n }}\n}}\n")
        return {"left": (NAT_LEFT, NAT_RIGHT), "right": (FAR_RIGHT, NAT_OUTSIDE)}


LOOK_SECONDS = 0.02  # how often an ended stream is looked at
DRAIN_LOOKS = 50  # how often without news until it is over


class Stream:
    """A numbered UDP stream from one side's inner address, or that of `ends`, to the other's."""

    def __init__(self, pair, source, rate=1000, size=333, port=9000, version=4, ends=None, tos=0):
        self.size = size
        ends = ends or INNER
        index = 0 if version == 4 else 1
        target = other(source)
        addresses = ends[source][index], ends[target][index]
        tag = f"{source}-{port}"
        self.arrivals_path = pair.host(target).path(f"arrivals-{tag}")
        self.receiver = pair.host(target).spawn(
            f"stream-receive-{tag}",
            *stream.command("receive", addresses[1], port, self.arrivals_path))
        self.sender_host = pair.host(source)
        self.command = stream.command("send", *addresses, port, rate, size, 0, tos)
        self.tag = tag
        self.sender = None

    def start(self):
        wait_until_ready(self.receiver)
        self.sender = self.sender_host.spawn(f"stream-send-{self.tag}", *self.command)
        wait_until_ready(self.sender)
        return self

    def arrived(self):
        """How many have come so far."""
        return os.stat(self.arrivals_path).st_size // stream.ARRIVAL.size

    def wait(self, number, seconds=60):
        """Until so many more have come."""
        wanted = self.arrived() + number
        wait_for(lambda: self.arrived() >= wanted, f"{number} datagrams of {self.tag}", seconds)

    def end(self):
        """Nothing more is sent; what is under way may come until stop()."""
        self.sender.stop(signal.SIGTERM)

    def stop(self):
        """Ends the stream; returns what stream.py says of both ends."""
        self.end()
        sent = stream.result_of(self.sender)
        self._drain(sent["sent"])
        self.receiver.stop(signal.SIGTERM)
        assert sent["sent"] > 0, "the stream sent nothing"
        return {**sent, **stream.result_of(self.receiver)}

    def _drain(self, sent):
        """Until all have come, or none has come for a second in which this program did not itself
        stand still."""
        came, quiet = self.arrived(), 0
        while came < sent and quiet < DRAIN_LOOKS:
            time.sleep(LOOK_SECONDS)
            before, came = came, self.arrived()
            quiet = quiet + 1 if came == before else 0

    def arrivals(self):
        """Of a stream that has ended: [(number, sent, came)], the times as time.time_ns() has them."""
        return stream.arrivals(self.arrivals_path)


def stop_all(streams):
    """Ends all streams of {key: stream} at once; returns {key: what Stream.stop() does}."""
    for stream_of in streams.values():
        stream_of.end()
    return {key: stream_of.stop() for key, stream_of in streams.items()}


def wait_until_ready(process):
    wait_for(lambda: "ready" in process.log() or not process.running(), process.name)
    assert process.running(), process.log()


def story(text):
    """One line of progress."""
    diag(text)
    sys.stdout.flush()
