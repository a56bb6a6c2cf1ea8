# SPDX-License-Identifier: Apache-2.0
"""L11 with the kernel's own MPTCP: a connection to bob has a second pair of addresses, which bob
announces and mallory has taken. Each pair has a latch of its own, and the second one, too, is
bob's or nobody's."""

import json
import os

from lab import wait_for
from nets import story
from theft import HERE, THERE, Stage

ALSO = "10.2.0.2"
PORT = 10
PYTHON = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../api/python")

SERVE = f"""
import socket, sys, threading
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
s.bind(("0.0.0.0", {PORT}))
s.listen(50)
print("ready", flush=True)
def serve(c):
    while c.recv(2000):
        c.sendall(sys.argv[1].encode())
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""

ASK = f"""
import json, socket, sys, time
import latchkey_ipsec as ipsec
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP)
s.bind(("{HERE}", 0))
if len(sys.argv) > 1:
    ipsec.connect(s, ("{THERE}", {PORT}), profile="secure", peer=sys.argv[1])
else:
    s.connect(("{THERE}", {PORT}))
def peer(pair):
    try:
        return ipsec.of_socket(s, pair).peer.identity
    except OSError as e:
        return None
def latched(pair):
    try:
        return ipsec.Latch.find(s, pair=pair).state.name
    except OSError as e:
        return None
heard = {{}}
while True:
    s.sendall(b"who is there?")
    name = s.recv(100).decode()
    heard[name] = heard.get(name, 0) + 1
    pairs = ipsec.pairs(s)
    print(json.dumps({{"heard": heard, "pairs": {{
        p.remote[0]: (peer(p), latched(p)) for p in pairs}}}}), flush=True)
    time.sleep(0.1)
"""

COUNT = f"""table ip count {{
 chain in {{
  type filter hook input priority 0
  ip daddr {ALSO} tcp dport {PORT} counter
 }}
 chain out {{
  type filter hook output priority 0
  ip daddr {ALSO} tcp dport {PORT} tcp flags & (syn | ack) == syn counter
 }}
}}
"""


def counted(host, chain):
    rules = json.loads(host.run("nft", "-j", "list", "chain", "ip", "count", chain).stdout)
    return sum(e["counter"]["packets"] for rule in rules["nftables"] if "rule" in rule
               for e in rule["rule"]["expr"] if "counter" in e)


class Client:
    def __init__(self, stage, name, *peer):
        self.process = stage.host.spawn(
            name, "env", f"LATCHKEY_SOCKET={stage.peer.run_dir}/latchkey.app",
            f"LATCHKEY_LIBRARY={stage.peer.bin}/client/liblatchkey.so.0", f"PYTHONPATH={PYTHON}",
            "/usr/bin/python3", "-c", ASK, *peer)

    def said(self):
        lines = self.process.log().splitlines()
        return json.loads(lines[-1]) if lines else {"heard": {}, "pairs": {}}

    def hears(self, name, more=5):
        before = self.said()["heard"].get(name, 0)
        wait_for(lambda: self.said()["heard"].get(name, 0) >= before + more,
                 f"answers from {name}")


def several_pairs(stage):
    """Both can serve it; what bob says of his other address is followed here."""
    for name, host in stage.hosts.items():
        host.run("ip", "mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4")
        host.run("nft", "-f", host.write("count.nft", COUNT))
        if name != "here":
            server = host.spawn("serves", "/usr/bin/python3", "-c", SERVE, name)
            wait_for(lambda s=server: "ready" in s.log(), f"{name} to listen")
    stage.hosts["bob"].run("ip", "mptcp", "endpoint", "add", ALSO, "dev", "lo", "signal")


def test_pairs():
    with Stage("theft-pairs", "ca", also=ALSO) as stage:
        mallory = stage.hosts["mallory"]
        several_pairs(stage)
        stage.peers["mallory"].up("also")
        wait_for(lambda: len(stage.peer.children()) == 2, "mallory to have bob's other address")
        nothing = Client(stage, "nothing")
        nothing.hears("bob")
        wait_for(lambda: counted(mallory, "in") > 0, "the second pair to come to mallory")
        nothing.process.stop()
        stolen, asked = counted(mallory, "in"), counted(stage.host, "out")
        latched = Client(stage, "latched", "bob.example")
        latched.hears("bob")
        assert latched.said()["pairs"][THERE] == ["bob.example", "ESTABLISHED"], latched.said()
        wait_for(lambda: counted(stage.host, "out") >= asked + 2, "the second pair to be tried")
        assert counted(mallory, "in") == stolen, "the latched connection's pair came to mallory"
        stage.peers["bob"].up("also")
        wait_for(lambda: latched.said()["pairs"].get(ALSO, [None])[0] == "bob.example",
                 "bob to have the second pair")
        assert counted(mallory, "in") == stolen, "the latched connection's pair came to mallory"
        # Each breaks alone.
        stage.hosts["bob"].run("ip", "address", "del", f"{THERE}/32", "dev", "lo")
        latched.hears("bob")
        said = latched.said()
        assert set(said["heard"]) == {"bob"}, said
        story(f"mallory was sent {stolen} packets of the second pair where nothing was required "
              f"and none where bob was, who had {said['pairs']}")


TESTS = [("L11 theft: each pair of an MPTCP connection", test_pairs)]
