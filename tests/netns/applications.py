# SPDX-License-Identifier: Apache-2.0
"""Programs that use <latchkey/ipsec.h>, the examples among them, with their peers' names: on two
hosts with a tunnel between, as root and as a user who is nobody in particular."""

import os
import re

from capture import Capture
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, other, section
from scenarios import both_up

NOBODY, OTHER = "65534", "65533"
HERE = os.path.dirname(os.path.realpath(__file__))


def example(name):
    from peers import Latchkey
    return os.path.join(Latchkey.build, "tests/api", f"example_{name}")


def open_to_all(path):
    """A user has to come to the run directory, which the tests keep closed."""
    while path not in ("/", "/tmp"):
        os.chmod(path, os.stat(path).st_mode | 0o055)
        path = os.path.dirname(path)


class Users(Pair):
    """Two hosts, and words in front of a program that name its daemon, and its user."""

    def __init__(self, name, **more):
        super().__init__(name, Side(start_action="trap", **more), Side(start_action="trap", **more))
        for peer in self.peers.values():
            open_to_all(peer.run_dir)

    def words(self, side, user=None):
        path = os.path.join(self.peers[side].run_dir, "latchkey.app")
        as_user = ("setpriv", "--reuid", user, "--regid", user, "--clear-groups") if user else ()
        return (*as_user, "env", f"LATCHKEY_SOCKET={path}")

    def spawn(self, side, name, *arguments, user=None):
        process = self.host(side).spawn(name, *self.words(side, user), example(name), *arguments)
        wait_for(lambda: "ready" in process.log(), f"{name} to be ready")
        return process

    def run(self, side, name, *arguments, user=None, check=True):
        return self.host(side).run(*self.words(side, user), example(name), *arguments, check=check)


def ended(process):
    wait_for(lambda: not process.running(), f"{process.name} to end")
    return process.log()


SEND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
s.sendto(b"a datagram", (sys.argv[2], 9300))
"""


def who_sends():
    """D4, A12: a server of nobody in particular knows who sent each datagram."""
    with Users("who-sends") as pair:
        both_up(pair)
        server = pair.spawn("right", "who-sends", "9300", "2", user=NOBODY)
        pair.left.run("/usr/bin/python3", "-c", SEND, INNER["left"][0], INNER["right"][0])
        wait_for(lambda: "says" in server.log(), "the first datagram")
        # And one that came without protection, from the host itself.
        pair.right.run("/usr/bin/python3", "-c", SEND, INNER["right"][0], INNER["right"][0])
        said = ended(server)
        assert "left.example says a datagram" in said, said
        assert "nobody that is known says a datagram" in said, said


def easy_way(user):
    """A3, B5: one call, and the peer is who he should be; nothing leaves in the clear."""
    def test():
        with Users(f"easy-{user or 'root'}") as pair:
            both_up(pair)
            # The kernel remembers nothing of a SYN; the table of latches does.
            pair.right.sysctl("net.ipv4.tcp_syncookies", 2)
            server = pair.spawn("right", "named-server", "9200", "left.example", "1", user=user)
            pair.run("left", "easy-client", INNER["right"][0], "9200", "right.example", user=user)
            said = ended(server)
            assert "left.example says hello" in said, said
    return test


def another_name():
    """B5: a peer that is somebody else is refused, with a reason, and not a packet is sent."""
    with Users("another-name") as pair:
        both_up(pair)
        pair.spawn("right", "named-server", "9200", "left.example")
        capture = Capture(pair.right, "wire", name="another-name")
        refused = pair.run("left", "easy-client", INNER["right"][0], "9200", "somebody.else",
                           check=False)
        frames = capture.stop()
        assert refused.returncode == 1, refused
        assert re.search(r"easy-client: .+", refused.stderr + refused.stdout), refused
        assert not [f for f in frames if f.kind in ("clear", "esp")], "something was sent"


def another_server():
    """A server that asks for another name takes nothing from this one."""
    with Users("another-server") as pair:
        both_up(pair)
        server = pair.spawn("right", "named-server", "9200", "somebody.else", "1")
        pair.run("left", "easy-client", INNER["right"][0], "9200", "right.example", check=False)
        said = ended(server)
        assert "refused: left.example" in said and "says" not in said, said


# A server of anybody, or of whom its listener latch lets in.
SERVE = """
import socket, sys
import latchkey_ipsec as ipsec
s = socket.socket()
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(8)
if len(sys.argv) > 3:
    latch = ipsec.Latch.listen(s, ipsec.PToken(profile="secure", peer=sys.argv[3]))
print("ready", flush=True)
while True:
    c, _ = s.accept()
    print("had", c.recv(100), flush=True)
    c.sendall(b"the answer")
    c.close()
"""

ASK = """
import socket, struct, sys
import latchkey_ipsec as ipsec
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 4, 0))  # of connect() too
s.bind((sys.argv[1], 0))
try:
    to = (sys.argv[2], int(sys.argv[3]))
    if sys.argv[4] == "as it is":
        s.connect(to)
    elif sys.argv[4] == "bypass":
        ipsec.connect(s, to, profile="bypass", timeout=4)
    else:
        ipsec.connect(s, to, profile="secure", peer=sys.argv[4], timeout=4)
    s.settimeout(4)
    s.sendall(b"the question")
    print(s.recv(100))
except OSError as e:
    print("nothing:", e)
"""


def let_pass(pair, side, local, remote):
    """A policy that lets TCP pass in the clear, from now on."""
    peer = pair.peers[side]
    with open(peer.conf, "a", encoding="utf-8") as file:
        file.write(section("connections", {"open": {"children": {"tcp": {
            "mode": "pass", "start_action": "trap", "local_ts": local,
            "remote_ts": remote}}}}) + "\n")
    peer.cli("load")


def upgrade():
    """L10: where policy lets TCP pass in the clear a program has it protected for its own flow, on
    both sides, and others stay as they are. Who may configure has it the other way round."""
    here, there = INNER["left"][0], INNER["right"][0]
    with Users("upgrade") as pair:
        for side in ("left", "right"):
            network = INNER[other(side)][0].rsplit(".", 1)[0] + ".0/24"
            pair.host(side).run("ip", "route", "add", network, "via", OUTER4[other(side)], "src",
                                INNER[side][0])
        both_up(pair)
        python = {side: (*pair.words(side),
                         f"LATCHKEY_LIBRARY={pair.peers[side].bin}/client/liblatchkey.so.0",
                         f"PYTHONPATH={HERE}/../../api/python", "/usr/bin/python3", "-c")
                  for side in ("left", "right")}

        def serve(name, port, *peer):
            server = pair.right.spawn(name, *python["right"], SERVE, there, port, *peer)
            wait_for(lambda: "ready" in server.log(), f"{name} to be ready")
            return server

        def ask(port, how, answered, kinds, *before):
            capture = Capture(pair.right, "wire", name=f"upgrade-{port}")
            said = pair.left.run(*before, *python["left"], ASK, here, there, port, how).stdout
            frames = capture.stop()
            seen = {f.kind for f in frames if f.kind in ("clear", "esp")}
            assert ("the answer" in said, seen) == (answered, kinds), (how, said, seen)

        serve("of-anybody", "9400")
        ask("9400", "as it is", True, {"esp"})
        # Policy protects: past it goes who may configure, and his peer has no such policy.
        ask("9400", "bypass", False, set(), *pair.words("left", NOBODY))
        ask("9400", "bypass", False, {"clear"})
        let_pass(pair, "left", "dynamic[tcp]", f"{there}[tcp]")
        let_pass(pair, "right", f"{there}[tcp]", "dynamic[tcp]")
        ask("9400", "as it is", True, {"clear"})
        serve("of-left", "9401", "left.example")
        ask("9401", "right.example", True, {"esp"})
        # A listener's port takes nothing in the clear, and who asks for another is not answered.
        ask("9401", "as it is", False, {"clear"})
        ask("9401", "somebody.else", False, set())
        ask("9400", "as it is", True, {"clear"})


LATCHED = """
import select, socket, sys
import latchkey_ipsec as ipsec
fd = ipsec.event_fd()
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 0))
sock.connect((sys.argv[2], 9301))
latch = ipsec.Latch.create(sock, ipsec.PToken(profile="secure", peer="right.example"))
print("ready", flush=True)
while True:
    select.select([fd], [], [])
    while (event := ipsec.next_event()) is not None:
        print(event.kind.name, event.state.name, event.latch == latch.number, flush=True)
        if event.state is ipsec.State.ESTABLISHED:
            print(ipsec.of_socket(sock).peer.identity, ipsec.of_socket(sock).private, flush=True)
"""


def events():
    """RFC 5660 ALERT: a latch stands, breaks with its SAs, and stands again; the daemon's end is
    told, and its return."""
    with Users("latch-events") as pair:
        both_up(pair)
        build = os.path.join(pair.peers["left"].bin, "client/liblatchkey.so.0")
        program = pair.left.spawn("latched", *pair.words("left"), f"LATCHKEY_LIBRARY={build}",
                                  f"PYTHONPATH={HERE}/../../api/python", "/usr/bin/python3", "-c",
                                  LATCHED, INNER["left"][0], INNER["right"][0])
        wait_for(lambda: "LATCH ESTABLISHED True" in program.log(), "the latch to stand")
        wait_for(lambda: "right.example True" in program.log(), "the peer's name")
        pair.peers["left"].kill()
        wait_for(lambda: "DISCONNECTED" in program.log(), "the daemon's end to be told")
        pair.peers["left"].start()
        wait_for(lambda: "RECONNECTED" in program.log(), "the daemon's return to be told")


# What a client may send, by api/app/proto.h; the server's code comes back.
RAW = """
import array, socket, struct, sys
path, address, remote, what = sys.argv[1:5]
verbs = {"inquire": 7, "release": 5, "trigger": 12, "delete": 11, "reauthenticate": 10}
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(path)
def ask(verb, attrs=b"", fd=None):
    message = struct.pack(">HBBHHI", 0x4c6b, 1, 0, verb, 0, 1) + attrs
    more = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd else []
    s.sendmsg([message], more)
    answer = s.recv(8192)
    return struct.unpack_from(">H", answer, 6)[0], answer[12:]
def udp(port, free=False):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if free:
        u.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
    u.bind((address, port))
    if not free:
        u.connect((remote, 9302))
    return u
def to(where):  # the peer of a socket that is not connected
    flow = bytes(17) + b"\\4" + socket.inet_aton(where) + bytes(12) + struct.pack(">HHB", 0, 9302, 17)
    return struct.pack(">HH", 14, len(flow)) + flow
if what == "hold":
    u = udp(7000)
    code, answer = ask(4, fd=u.fileno())
    print("latch", struct.unpack_from(">Q", answer, 4)[0] if code == 0 else -code, flush=True)
    sys.stdin.read()
elif what in ("create", "bound", "free"):
    u = udp(int(sys.argv[5]), what != "create")
    print("code", ask(4, to(remote) if what != "create" else b"", u.fileno())[0])
elif what == "token":
    u = udp(int(sys.argv[5]))
    print("code", ask(2, fd=u.fileno())[0])
else:
    print("code", ask(verbs[what], struct.pack(">HHQ", 7, 8, int(sys.argv[5])))[0])
"""

OK, PERM, ABSENT = 0, 4, 2
# verb: codes of another user, and of root, for a latch of nobody's in particular.
FOREIGN = {"inquire": (ABSENT, OK), "trigger": (PERM, OK), "delete": (PERM, OK),
           "reauthenticate": (PERM, None), "release": (ABSENT, OK)}


def who_may():
    """Section E, with true users: what is another's is as what is not there, and a socket of
    another network, or with an address that is not here, is nobody's."""
    with Users("who-may") as pair:
        both_up(pair)
        sock = os.path.join(pair.peers["left"].run_dir, "latchkey.app")

        def raw(user, what, *more, source=INNER["left"][0], before=()):
            as_user = pair.words("left", user)
            done = pair.left.run(*before, *as_user, "/usr/bin/python3", "-c", RAW, sock, source,
                                 INNER["right"][0], what, *more)
            return int(re.search(r"code (\d+)", done.stdout).group(1))

        holder = pair.left.spawn("holder", "setpriv", "--reuid", NOBODY, "--regid", NOBODY,
                                 "--clear-groups", "sh", "-c", 'sleep 300 | "$@"', "-",
                                 "/usr/bin/python3", "-c", RAW, sock, INNER["left"][0],
                                 INNER["right"][0], "hold")
        wait_for(lambda: "latch" in holder.log(), "a latch")
        number = holder.log().split()[1]
        assert int(number) > 0, holder.log()
        for verb, (other, root) in FOREIGN.items():
            assert raw(OTHER, verb, number) == other, verb
            assert raw(OTHER, verb, "4711") == other, f"{verb} of what is not there"
            if root is not None:
                assert raw(None, verb, number) == root, verb
        assert raw(OTHER, "create", "7001") == OK
        assert raw(OTHER, "bound", "7002") == OK
        assert raw(OTHER, "free", "7002", source="10.1.0.99") == ABSENT
        away = ("unshare", "--net", "sh", "-c", 'ip link set lo up; ip address add '
                f'{INNER["left"][0]}/32 dev lo; ip route add {INNER["right"][0]} dev lo; "$@"', "-")
        assert raw(None, "create", "7003", before=away) == ABSENT
        assert raw(None, "token", "7003", before=away) == ABSENT


TESTS = [
    ("E applications: who may do what", who_may),
    ("L applications: a latch and its events", events),
    ("L10 applications: protected where policy lets it pass, and the reverse", upgrade),
    ("D4 applications: who sent each datagram", who_sends),
    ("A3 applications: the easy way", easy_way(None)),
    ("A3 applications: the easy way, as nobody in particular", easy_way(NOBODY)),
    ("B5 applications: another name is refused", another_name),
    ("B5 applications: a server for another name", another_server),
]
