# SPDX-License-Identifier: Apache-2.0
"""The application interface by TLS: programs on the left host ask the right one's daemon, ours and
what Python's ssl makes of the description."""

import os
import time

import pki
from applications import HERE, LATCHED, Users, example, open_to_all
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, configuration
from peers import Latchkey
from scenarios import both_up

PORT = "4505"
BETWEEN = 0.2  # calls: of one address so many may come in a second, and a log has so many lines
USERS = {"monitor": "read_all", "operator": "admin", "guest": None}


def named(name):
    return f"C=CH, O=Latchkey, CN={name}"


class Asked(Users):
    """The right host's daemon may be asked by USERS, whose files the left host has."""

    def __init__(self, name):
        callers, server = pki.Authority("callers"), pki.Authority("servers")
        issued = server.issue(named("right"), OUTER4["right"], pki.key("ecdsa", "right"),
                              "--flag", "serverAuth")
        self.callers = callers
        users = {user: {"id": f'"{named(user)}"', **({"rights": rights} if rights else {})}
                 for user, rights in USERS.items()}
        network = {"addresses": OUTER4["right"], "port": PORT, "certificate": "right.pem",
                   "key": "right.key", "ca": "callers.pem", "users": users}
        files = {"x509/right.pem": issued, "private/right.key": pki.key("ecdsa", "right"),
                 "x509ca/callers.pem": callers.cert}
        Pair.__init__(self, name, Side(start_action="trap"),
                      Side(start_action="trap", daemon={"app": {"network": network}}, files=files))
        for peer in self.peers.values():
            open_to_all(peer.run_dir)
        self.left.write_bytes("servers.pem", server.cert)
        for user in (*USERS, "stranger"):
            self.issue(user, callers, user)
        self.issue("pretender", pki.Authority("callers of others"), "operator")

    def issue(self, file, authority, user):
        own = pki.key("ecdsa", file)
        self.left.write_bytes(f"{file}.pem", authority.issue(named(user), None, own, "--flag",
                                                             "clientAuth"))
        self.left.write_bytes(f"{file}.key", own)

    def ask(self, user, *words, check=True):
        """By our library."""
        time.sleep(BETWEEN)
        files = [self.left.path(f"{user}.pem"), self.left.path(f"{user}.key"),
                 self.left.path("servers.pem")]
        done = self.left.run(example("other-host"), OUTER4["right"], PORT, *files, *words,
                             check=check)
        return done.stdout + done.stderr

    def load(self):
        """What self.sides says by now."""
        self.right.write("latchkey.conf", configuration("right", self.sides["right"],
                                                        *self.outers["right"]))
        self.peers["right"].cli("load")

    def stay(self, user):
        """A caller that stays until he is cut off."""
        process = self.left.spawn(user, "/usr/bin/python3", "-c", SPEAK, OUTER4["right"], PORT,
                                  self.left.folder, user, "TLSv1_3", "stay")
        wait_for(lambda: "hello" in process.log(), f"{user} to be there")
        return process

    def speak(self, *how):
        """By Python's ssl."""
        time.sleep(BETWEEN)
        return self.left.run("/usr/bin/python3", "-c", SPEAK, OUTER4["right"], PORT,
                             self.left.folder, *how).stdout


# A frame is a length and a message of api/app/proto.h. Says what came of HELLO.
SPEAK = """
import socket, ssl, struct, sys
address, port, folder, user, version = sys.argv[1:6]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(folder + "/servers.pem")
context.maximum_version = getattr(ssl.TLSVersion, version)
if user != "nobody":
    context.load_cert_chain(f"{folder}/{user}.pem", f"{folder}/{user}.key")
def read(s, length):
    data = b""
    while len(data) < length:
        part = s.recv(length - len(data))
        if not part:
            raise OSError("the end")
        data += part
    return data
def ask(s, verb):
    message = struct.pack(">HBBHHI", 0x4c6b, 1, 0, verb, 0, 7)
    s.sendall(struct.pack(">H", len(message)) + message)
    answer = read(s, struct.unpack(">H", read(s, 2))[0])
    magic, _, flags, _, code, number = struct.unpack_from(">HBBHHI", answer)
    assert (magic, number) == (0x4c6b, 7), answer
    attrs, at = {}, 12
    while at < len(answer):
        kind, length = struct.unpack_from(">HH", answer, at)
        attrs[kind & 0x7fff] = answer[at + 4:at + 4 + length]
        at += 4 + length
    return code, attrs
try:
    with socket.create_connection((address, int(port)), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=address) as s:
            code, attrs = ask(s, 1)
            print("hello", code, s.version(), s.session.has_ticket if s.session else False)
            if sys.argv[6:]:
                sys.stdout.flush()
                print("over", s.recv(1))
            print("run", ask(s, 19)[0], "latch", ask(s, 4)[0])
except (ssl.SSLError, OSError) as e:
    print("refused", getattr(e, "reason", None) or e)
"""

OK, PERM = 0, 4


def listening(host):
    return {line.split()[3] for line in host.run("ss", "-H", "-tln").stdout.splitlines()}


def other_host():
    """A9: who is named sees the other host's latches and, with the right for it, has SAs made and
    deleted there; nobody else is let in, and nobody does anything for a socket."""
    with Asked("other-host") as pair:
        both_up(pair)
        # It is where it was asked for, and nowhere else.
        assert listening(pair.right) == {f"{OUTER4['right']}:{PORT}"}, listening(pair.right)
        assert not listening(pair.left), listening(pair.left)
        library = os.path.join(Latchkey.build, "api/client/liblatchkey.so.0")
        program = pair.right.spawn("latched", *pair.words("right"), f"LATCHKEY_LIBRARY={library}",
                                   f"PYTHONPATH={HERE}/../../api/python", "/usr/bin/python3", "-c",
                                   LATCHED.replace("right.example", "left.example"),
                                   INNER["right"][0], INNER["left"][0])
        wait_for(lambda: "LATCH ESTABLISHED True" in program.log(), "the latch to stand")
        listed = pair.ask("monitor")
        assert "established left.example" in listed, listed
        number = listed.split()[0]
        said = pair.ask("monitor", "delete", number, check=False)
        assert "not permitted" in said, said
        said = pair.ask("guest", check=False)
        assert "not permitted" in said, said
        pair.ask("operator", "delete", number)
        wait_for(lambda: "LATCH BROKEN True" in program.log(), "the latch to break")
        wait_for(lambda: not pair.peers["left"].children(), "the peer to have no SA")
        assert "broken left.example" in pair.ask("monitor"), pair.ask("monitor")
        pair.ask("operator", "trigger", number)
        wait_for(lambda: pair.peers["left"].children(), "the peer to have one again")
        wait_for(lambda: "established" in pair.ask("monitor"), "the latch to stand again")
        for user in ("stranger", "pretender"):
            said = pair.ask(user, check=False)
            assert "the other host's daemon refuses" in said, said


def what_python_says():
    """A9: TLS 1.3, a certificate of those who are named, and nothing less, by a client that nobody
    here wrote; one that is silent keeps nobody waiting."""
    with Asked("other-host-ssl") as pair:
        silent = pair.left.spawn("silent", "/usr/bin/python3", "-c",
                                 "import socket, time\nall = [socket.create_connection(("
                                 f"'{OUTER4['right']}', {PORT})) for _ in range(3)]\n"
                                 "print('ready', flush=True)\ntime.sleep(60)")
        wait_for(lambda: "ready" in silent.log(), "silent connections")
        for user in ("monitor", "operator", "guest"):
            said = pair.speak(user, "TLSv1_3").splitlines()
            assert said[0] == f"hello {OK} TLSv1.3 False", said
            assert said[1] == f"run {PERM} latch {PERM}", said
        # What the caller is told may be lost with what it has sent by then: the daemon says it.
        for user, version, why in (
                ("operator", "TLSv1_2", "unsupported protocol"),
                ("nobody", "TLSv1_3", "peer did not return a certificate"),
                ("stranger", "TLSv1_3", "nobody who may come has this certificate"),
                ("pretender", "TLSv1_3", "the certificate: unable to get local issuer")):
            said = pair.speak(user, version)
            assert said.startswith("refused"), (user, version, said)
            wait_for(lambda why=why: why in pair.peers["right"].log(), f"{user}: {why}")


def loaded_again():
    """A9: rights are at once what they are by now; who is not named any more is cut off; all are when
    certificates change, and come again by what holds then; without the section nobody is there."""
    with Asked("other-host-load") as pair:
        network = pair.sides["right"].daemon["app"]["network"]
        monitor, operator, guest = map(pair.stay, USERS)
        pair.load()
        pair.ask("monitor")
        assert monitor.running() and operator.running(), "the same configuration cuts callers off"
        del network["users"]["monitor"]["rights"]
        pair.load()
        assert "not permitted" in pair.ask("monitor", check=False)
        assert monitor.running() and operator.running(), "other rights cut callers off"
        del network["users"]["monitor"]
        pair.load()
        wait_for(lambda: not monitor.running(), "who is not named any more to be cut off")
        assert "daemon refuses" in pair.ask("monitor", check=False)
        assert operator.running(), "who is still named is cut off"
        pair.ask("operator")
        with open(pair.left.path("operator.pem"), "rb") as file:
            pair.right.write_bytes("x509crl/callers.crl", pair.callers.revoke(file.read()))
        network["crl"] = "callers.crl"
        pair.load()
        wait_for(lambda: not operator.running() and not guest.running(), "all to be cut off")
        assert "daemon refuses" in pair.ask("operator", check=False)
        assert "certificate revoked" in pair.peers["right"].log(), pair.peers["right"].log()
        assert pair.speak("guest", "TLSv1_3").startswith(f"hello {OK}")
        pair.sides["right"].daemon.clear()
        pair.load()
        assert not listening(pair.right), listening(pair.right)


TESTS = [
    ("A9 another host: latches are seen and acted on", other_host),
    ("A9 another host: the configuration is loaded again", loaded_again),
    ("A9 another host: what Python's ssl makes of it", what_python_says),
]
