# SPDX-License-Identifier: Apache-2.0
"""Programs that use <latchkey/ipsec.h>, the examples among them, with their peers' names: on two
hosts with a tunnel between, as root and as a user who is nobody in particular."""

import os
import re

from capture import Capture
from lab import wait_for
from nets import INNER, Pair, Side
from scenarios import both_up

NOBODY = "65534"


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


TESTS = [
    ("D4 applications: who sent each datagram", who_sends),
    ("A3 applications: the easy way", easy_way(None)),
    ("A3 applications: the easy way, as nobody in particular", easy_way(NOBODY)),
    ("B5 applications: another name is refused", another_name),
    ("B5 applications: a server for another name", another_server),
]
