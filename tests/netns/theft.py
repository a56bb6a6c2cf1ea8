# SPDX-License-Identifier: Apache-2.0
"""Theft of a flow: bob and mallory are both authenticated, by certificates of one authority or by
nothing but their keys, and mallory takes bob's inner address when bob is away. What is latched
does not go to mallory, nor come from there; what is not, does."""

import json
import os

from capture import Capture
from content import program
from lab import Lab, wait_for
from nets import Scene, section, story
from peers import KINDS
from pki import Authority, key, public

HERE = "10.1.0.1"
THERE = "10.2.0.1"
PEERS = ("bob", "mallory")
OUTER = {"bob": ("192.0.2.1", "192.0.2.2"), "mallory": ("198.51.100.1", "198.51.100.2")}
ESTABLISHED, BROKEN = 2, 3

ANSWER = """
import socket, sys, threading, time
name = sys.argv[1].encode()
address = sys.argv[2]
def tcp():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 9))
    s.listen(50)
    def serve(c):
        try:
            while c.recv(2000):
                c.sendall(name + b" it is\\n")
        except OSError:
            pass
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
threading.Thread(target=tcp, daemon=True).start()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((address, 9))
print("ready", flush=True)
def unasked():
    while True:
        for port in sys.argv[4:]:
            try:
                s.sendto(name + b" it is", (sys.argv[3], int(port)))
            except OSError:
                pass
        time.sleep(0.05)
threading.Thread(target=unasked, daemon=True).start()
while True:
    _, who = s.recvfrom(2000)
    s.sendto(name + b" it is", who)
"""


def ours(auth, addresses, daemon):
    remote = {"auth": "pubkey", "id": "*.example", "cacerts": "ca.pem"} if auth == "ca" else \
        {"auth": "btns", "id": "%any"}
    local = {"auth": "pubkey", "id": "here.example"}
    local["certs" if auth == "ca" else "pubkeys"] = "here.pem"
    return section("connections", {"anybody": {
        "version": "2", "remote_addrs": "%any", "unique": "never", "local": local,
        "remote": remote, "children": {"net": {
            "local_ts": f"{HERE}/32",
            "remote_ts": ",".join(f"{address}/32" for address in addresses)}}}}) \
        + "\n" + section("latchkey", {"interface": "latchkey0", **daemon}) + "\n"


def theirs(name, auth, there, also=None):
    local = {"auth": "pubkey", "id": f"{name}.example"}
    remote = {"auth": "pubkey", "id": "here.example"}
    if auth == "ca":
        local["certs"], remote["cacerts"] = f"{name}.pem", "ca.pem"
    else:
        local["pubkeys"], remote["pubkeys"] = f"{name}.pem", "here.pem"
    return section("connections", {"net": {
        "version": "2", "local_addrs": OUTER[name][1], "remote_addrs": OUTER[name][0],
        "local": local, "remote": remote, "children": {
            child: {"local_ts": f"{address}/32", "remote_ts": f"{HERE}/32"}
            for child, address in (("net", there), ("also", also)) if address}}}) + "\n" + \
        section("latchkey", {"interface": "latchkey0"}) + "\n"


class Stage(Scene):
    """Us, bob and mallory, each of them on a wire of its own; apart: with addresses of their own;
    also: both have this address as well, by another Child SA; unasked: our ports that mallory sends
    answers to without end."""

    def __init__(self, name, auth, apart=False, also=None, unasked=(), **daemon):
        self.lab = Lab(name)
        self.there = there = {peer: f"10.2.0.{2 if apart and peer == 'mallory' else 1}" for peer in PEERS}
        try:
            self.host = self.lab.host("here")
            self.host.address("lo", f"{HERE}/32")
            self.host.sysctl("net.ipv4.tcp_syncookies", 2)
            self.peers, self.hosts = {}, {"here": self.host}
            self.authority = Authority("theft")
            for name in PEERS:
                host = self.hosts[name] = self.lab.host(name)
                self.lab.link(self.host, f"wire-{name}", host, "wire", [f"{OUTER[name][0]}/24"],
                              [f"{OUTER[name][1]}/24"])
                host.address("lo", *(f"{a}/32" for a in (there[name], also) if a))
                host.spawn("answers", "/usr/bin/python3", "-c", ANSWER, name, there[name],
                           HERE, *(unasked if name == "mallory" else ()))
            self.credentials(auth)
            for name in PEERS:
                self.peers[name] = KINDS["latchkey"](self.hosts[name],
                                                       theirs(name, auth, there[name], also))
            addresses = sorted({*there.values(), *([also] if also else [])})
            self.peer = KINDS["latchkey"](self.host, ours(auth, addresses, daemon))
            self.peer.start()
            for peer in self.peers.values():
                peer.start()
            self.peers["bob"].up("net")
            wait_for(self.peer.children, "bob's Child SA")
        except BaseException:
            self.close(failed=True)
            raise

    def credentials(self, auth):
        keys = {name: key("ed25519", name) for name in ("here", *PEERS)}
        for name, host in self.hosts.items():
            host.write_bytes(f"private/{name}.pem", keys[name])
            if auth == "ca":
                host.write_bytes("x509ca/ca.pem", self.authority.cert)
                host.write_bytes(f"x509/{name}.pem", self.authority.issue(
                    f"C=CH, O=Latchkey, CN={name}", f"{name}.example", keys[name]))
            else:
                for known in (name, "here"):
                    host.write_bytes(f"pubkey/{known}.pem", public(keys[known]))

    def client(self, name, kind, port, *more):
        return Client(self.host.spawn(
            name, program("latched"), kind, HERE, port, THERE, 9, *more,
            env={"LATCHKEY_SOCKET": f"{self.peer.run_dir}/latchkey.app"}))


class Client:
    def __init__(self, process):
        self.process = process

    def said(self):
        lines = self.process.log().rpartition("\n")[0].splitlines()  # the last may be cut still
        return json.loads(lines[-1]) if lines else {}

    def hears(self, name, more=10):
        before = self.said().get(name, 0)
        wait_for(lambda: self.said().get(name, 0) >= before + more, f"answers from {name}")


def theft(auth, profile, *peer):
    def test():
        with Stage(f"theft-{auth}", auth) as stage:
            clients = {
                "udp": stage.client("udp", "udp", 4001, profile, *peer),
                "tcp": stage.client("tcp", "tcp", 4002, profile, *peer),
                "tcp by itself": stage.client("tcp-itself", "tcp", 4003),
                "nothing": stage.client("nothing", "udp", 4004),
            }
            for client in clients.values():
                client.hears("bob")
            for what in ("udp", "tcp", "tcp by itself"):
                said = clients[what].said()
                assert said["peer"] if auth == "btns" else said["peer"] == "bob.example", said
            stage.peers["bob"].stop()
            wait_for(lambda: not stage.peer.children(), "bob to be gone")
            stage.peers["mallory"].up("net")
            wait_for(stage.peer.children, "mallory's Child SA")
            clients["nothing"].hears("mallory")
            stolen = clients["nothing"].said()["mallory"]
            wait_for(lambda: clients["udp"].said()["state"] == BROKEN, "the latch to break")
            for what in ("udp", "tcp", "tcp by itself"):
                assert clients[what].said()["mallory"] == 0, (what, clients[what].said())
            assert clients["udp"].said()["alerts"] > 0
            stage.peers["mallory"].stop()
            stage.peers["bob"].start()
            stage.peers["bob"].up("net")
            for what, client in clients.items():
                client.hears("bob")
                if what != "nothing":
                    assert client.said()["mallory"] == 0, (what, client.said())
            said = clients["udp"].said()
            assert said["state"] == ESTABLISHED, said
            story(f"mallory had {stolen} answers read where nothing was latched, and none where "
                  f"it was; alerts: {said['alerts']}, \"{said['text']}\"")
    return test


def mount_groups(host):
    host.run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")


def test_run():
    """A6: a program that is linked statically, and knows nothing of IPsec: below `latchkey run` it
    has bob or nobody, also when mallory has bob's address and answers what was not asked; without, it
    has whoever is there."""
    with Stage("theft-run", "ca", unasked=("4001", "4002", "4004")) as stage:
        mount_groups(stage.host)
        run = (os.path.join(stage.peer.bin, "latchkey"), "--run-dir", stage.peer.run_dir)

        def unaware(name, port, *words):
            return Client(stage.host.spawn(name, *words, program("unaware"), HERE, port, THERE, 9))

        latched = unaware("latched", 4001, *run, "run", "--peer", "bob.example", "--")
        # sh and latchkey are killed, and what they began goes on.
        left = unaware("left", 4002, *run, "run", "--peer", "bob.example", "--", "sh", "-c",
                       '"$@" & wait', "sh")
        nothing = unaware("nothing", 4004)
        for client in (latched, left, nothing):
            client.hears("bob")
        stage.host.run("pkill", "-KILL", "-f", f"^{run[0]} .*{HERE} 4002")
        wait_for(lambda: not stage.host.run("pgrep", "-f", "^sh -c .*4002", check=False).stdout,
                 "the command to be gone")
        left.hears("bob")
        refused = stage.host.run(*run, "--timeout", "2", "run", "--peer", "nobody.example", "--",
                                 "echo", "begun", check=False)
        assert refused.returncode in (4, 6) and "begun" not in refused.stdout, refused
        assert "echo was not begun: " in refused.stderr, refused
        stage.peers["bob"].stop()
        wait_for(lambda: not stage.peer.children(), "bob to be gone")
        captures = [Capture(stage.host, f"wire-{name}", name=f"run-{name}") for name in PEERS]
        stage.peers["mallory"].up("net")
        wait_for(stage.peer.children, "mallory's Child SA")
        nothing.hears("mallory", 20)
        stolen = nothing.said()["mallory"]
        clear = [f for capture in captures for f in capture.stop() if f.kind == "clear"]
        assert not clear, clear[:3]
        nothing.hears("mallory", 20)
        for client in (latched, left):
            assert client.said()["mallory"] == 0, client.said()
        stage.peers["mallory"].stop()
        stage.peers["bob"].start()
        stage.peers["bob"].up("net")
        for client in (latched, left):
            client.hears("bob")
            assert client.said()["mallory"] == 0, client.said()
        child = stage.host.run("pgrep", "-f", f"^{program('unaware')} {HERE} 4001").stdout.strip()
        group = "/sys/fs/cgroup" + stage.host.run(
            "grep", "-o", "/.*latchkey-run-.*", f"/proc/{child}/cgroup").stdout.strip()
        assert stage.host.run("test", "-d", group, check=False).returncode == 0, group
        assert latched.process.stop() == 128 + 15
        assert stage.host.run("test", "-d", group, check=False).returncode == 1, group
        status = stage.host.run(*run, "run", "--peer", "bob.example", "--", "sh", "-c", "exit 42",
                                check=False).returncode
        assert status == 42, status
        story(f"mallory had {stolen} answers read by a program as it is, and none below "
              f"latchkey run; refused: \"{refused.stderr.strip()}\"")


NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 64; }}
http {{
 access_log off;
 server {{
  listen {here}:80;
  listen {here}:8080;
  location / {{ return 200 "from $remote_addr"; }}
 }}
}}
"""

FETCH = """
import http.client, sys
try:
    c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[3]), timeout=3,
                                   source_address=(sys.argv[2], 0))
    c.request("GET", "/")
    print(c.getresponse().read().decode())
except OSError as e:
    print("nothing:", e)
"""


def test_nginx():
    """An unmodified server, of whom only bob gets anything, though mallory is let in as a peer as
    well, and a stranger has no IPsec and no policy forbids him anything."""
    with Stage("theft-nginx", "ca", apart=True, listeners={
            "web": {"port": "80", "peer": "bob.example"}}) as stage:
        stranger = stage.hosts["stranger"] = stage.lab.host("stranger")
        stage.there["stranger"] = "203.0.113.2"
        stage.lab.link(stage.host, "wire-stranger", stranger, "wire", ["203.0.113.1/24"],
                       ["203.0.113.2/24"])
        stranger.run("ip", "route", "add", HERE, "via", "203.0.113.1")
        stage.peers["mallory"].up("net")
        wait_for(lambda: len(stage.peer.children()) == 2, "both to be up")
        conf = stage.host.write("nginx.conf", NGINX.format(folder=stage.host.folder, here=HERE))
        stage.host.spawn("nginx", "nginx", "-c", conf, "-g", "daemon off;")

        def fetch(name, port=80):
            return stage.hosts[name].run("/usr/bin/python3", "-c", FETCH, HERE, stage.there[name],
                                         str(port)).stdout.strip()

        wait_for(lambda: fetch("bob") == f"from {stage.there['bob']}", "nginx to answer bob")
        assert fetch("mallory").startswith("nothing"), "mallory was answered"
        assert fetch("stranger").startswith("nothing"), "a stranger was answered, in the clear"
        assert fetch("stranger", 8080) == "from 203.0.113.2"
        drops = stage.peer.cli_json("stats")["stats"]["data"]["drops"]
        assert drops["LATCH"]["count"] > 0, drops
        assert stage.hosts["mallory"].ping(HERE, stage.there["mallory"]) == 3
        assert fetch("bob") == f"from {stage.there['bob']}"


TESTS = [
    ("theft: certificates of one authority", theft("ca", "secure", "bob.example")),
    ("theft: a program below latchkey run", test_run),
    ("theft: nginx answers whom it is to", test_nginx),
    ("theft: peers that are their keys", theft("btns", "btns")),
]
