# SPDX-License-Identifier: Apache-2.0
"""EAP passed on to RADIUS servers: the right side is a gateway of ours, FreeRADIUS behind it knows who
the left one is."""

import re
from dataclasses import replace

from capture import assert_protected
from eap import CAROL, PASSWORD
from lab import wait_for
from nets import NETWORK, Pair
from pki import key
from pubkey import cert, root, with_cert
from scenarios import both_down, both_up

US, AAA, SILENT = "198.51.100.1", "198.51.100.2", "198.51.100.3"
SECRET = "radius secret for tests only"

# Takes requests and says nothing.
DEAF = "import socket, time\ns = socket.socket(type=socket.SOCK_DGRAM)\ns.bind(('{}', 1812))\ntime.sleep(600)"

CONFIG = """
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
max_requests = 1024
security {{
	reject_delay = 0
	status_server = no
}}
thread pool {{
	start_servers = 1
	max_servers = 4
}}
client gateway {{
	ipaddr = {client}
	secret = "{secret}"
	require_message_authenticator = yes
}}
modules {{
	files {{
		usersfile = {folder}/users
	}}
	mschap {{
	}}
	eap {{
		default_eap_type = {method}
		tls-config tls-common {{
			private_key_file = {folder}/key.pem
			certificate_file = {folder}/cert.pem
			ca_file = {folder}/ca.pem
			ecdh_curve = ""
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			fragment_size = 1024
		}}
		tls {{
			tls = tls-common
		}}
		mschapv2 {{
		}}
	}}
}}
server default {{
	listen {{
		type = auth
		ipaddr = {listen}
		port = {port}
	}}
	authorize {{
		eap
		files
	}}
	authenticate {{
		eap
		Auth-Type MS-CHAP {{
			mschap
		}}
	}}
}}
"""

# Who sees requests and has the server's secret, but is not in the middle of anything: before each
# answer of the server's he sends some of his own. Their MD5 is right, as one that was found by
# collision is; their HMAC is not there, or wrong.
FORGER = """
import hashlib, hmac, select, socket, struct
secret = {secret!r}.encode()
out = socket.socket(type=socket.SOCK_DGRAM)
out.bind(('{aaa}', 1812))
server = socket.socket(type=socket.SOCK_DGRAM)
server.connect(('127.0.0.1', 1813))
def packet(code, request, attrs):
    head = struct.pack('>BBH', code, request[1], 20 + len(attrs))
    return head + hashlib.md5(head + request[4:20] + attrs + secret).digest() + attrs
def forge(request):
    success = bytes([79, 6, 3, request[-1], 0, 4])
    failure = bytes([79, 6, 4, request[-1], 0, 4])
    no_mac = bytes([80, 18]) + bytes(16)
    for code, attrs in ((2, success), (2, success + no_mac), (3, failure), (3, no_mac + failure),
                        (11, no_mac + bytes([79, 7, 1, 1, 0, 5, 1]))):
        yield packet(code, request, attrs)
print('ready', flush=True)
while True:
    request, client = out.recvfrom(4096)
    for one in forge(request):
        out.sendto(one, client)
    server.send(request)
    while select.select([server], [], [], 1)[0]:
        out.sendto(server.recv(4096), client)
        break
"""


class Radius:
    """A host behind the right side with FreeRADIUS, and with a server that says nothing; forged: all
    that FreeRADIUS says comes after what somebody else makes up."""

    def __init__(self, pair, method="mschapv2", secret=SECRET, forged=False, name="right"):
        self.host = pair.lab.host("aaa")
        pair.lab.link(pair.host("right"), "aaa", self.host, "wire", [f"{US}/24"],
                      [f"{AAA}/24", f"{SILENT}/24"])
        folder = self.host.path("radius")
        files = {"users": f'{CAROL} Cleartext-Password := "{PASSWORD}"\n\tSession-Timeout := 3600\n'
                          .encode(),
                 "dictionary": b"", "ca.pem": root("ecdsa").cert,
                 "cert.pem": cert(root("ecdsa"), name), "key.pem": key("ecdsa", name)}
        text = CONFIG.format(folder=folder, method=method, secret=secret,
                             client="127.0.0.1" if forged else US,
                             listen="127.0.0.1" if forged else AAA, port=1813 if forged else 1812)
        for name, data in {**files, "radiusd.conf": text.encode()}.items():
            self.host.write_bytes(f"radius/{name}", data)
        self.deaf = self.host.spawn("deaf", "python3", "-c", DEAF.format(SILENT))
        self.process = self.host.spawn("radius", "freeradius", "-X", "-d", folder)
        wait_for(lambda: "Ready to process requests" in self.process.log(), "FreeRADIUS")
        if forged:
            self.forger = self.host.spawn("forger", "python3", "-u", "-c",
                                          FORGER.format(secret=secret, aaa=AAA))
            wait_for(lambda: "ready" in self.forger.log(), "who forges")


def gateway(servers=None, remote=None, secret=SECRET):
    """The right side: servers by name in their order, each at its address."""
    servers = servers or {"main": AAA}
    side = with_cert("right", "latchkey")
    side.connection["remote"] = {"auth": "eap-radius", "eap_id": "%any", **(remote or {})}
    side.connection["remote"] = {k: v for k, v in side.connection["remote"].items() if v}
    return replace(side, secrets={f"radius-{name}": {"id": name, "secret": f'"{secret}"'}
                                  for name in servers},
                   daemon={"radius": {"retransmit_timeout": "1s", "retransmit_tries": "2",
                                      "servers": {name: {"address": address}
                                                  for name, address in servers.items()}}})


def by_password(kind, secret=PASSWORD):
    client = with_cert("left", kind)
    client = replace(client, files={"x509ca/0.pem": root("ecdsa").cert},
                     secrets={"eap-carol": {"id": CAROL, "secret": f'"{secret}"'}})
    client.connection["local"] = {"auth": "eap-mschapv2", "id": CAROL}
    return client


def by_tls(kind, **local):
    """Without aaa_id the server's certificate is to be of whom the client knows as the gateway."""
    return with_cert("left", kind, local={"auth": "eap-tls", **local})


def heeds_the_time(pair):
    """The client knows that its proof holds for the server's Session-Timeout (RFC 4478)."""
    left = pair.peers["left"]
    if pair.sides["left"].kind == "charon":
        said = re.search(r"received AUTH_LIFETIME of (\d+)s", left.log())
    else:
        said = re.search(r"asked again who it is in (\d+)s", left.cli("sas").stdout)
    assert said and 3000 < int(said[1]) <= 3600, said or left.log()


def whole(pair, radius, name=CAROL, method="mschapv2"):
    """Up, traffic, who the gateway says that the client is, an IKE SA re-keyed, down."""
    both_up(pair)
    pair.ping_all(versions=(4,))
    if name == CAROL:
        heeds_the_time(pair)
    right = pair.peers["right"]
    assert name in right.cli("show").stdout, right.cli("show").stdout
    assert f"remote authentication: eap ({method})\n" in right.cli("sas").stdout, right.cli("sas").stdout
    assert right.cli_json("show")["sas"][0]["remote-eap-method"] == method
    assert f"EAP: '{name}'" in right.swanctl("--list-sas").stdout, right.swanctl("--list-sas").stdout
    before = pair.peers["left"].ike_spis()
    pair.peers["left"].rekey(ike="gw")
    wait_for(lambda: pair.peers["left"].ike_spis() and
             not before & pair.peers["left"].ike_spis(), "a new IKE SA")
    pair.ping_all(versions=(4,))
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=4)
    assert "Access-Accept" in radius.process.log(), "the server accepted nobody"
    for side, peer in pair.peers.items():
        assert PASSWORD not in peer.log() and SECRET not in peer.log(), f"{side} logs a secret"


def everything(client, server):
    """All IPv4 traffic of the gateway is to be protected: what goes to the server, too."""
    server.child.update({"local_ts": f"{NETWORK['right'][0]},{US}/32", "remote_ts": "0.0.0.0/0",
                         "start_action": "trap"})
    client.child.update({"local_ts": "0.0.0.0/0", "remote_ts": f"{NETWORK['right'][0]},{US}/32"})
    return client, server


def whole_by_tls(pair, radius):
    whole(pair, radius, "left.example", "tls")


def refused(*words):
    """The gateway says why, and nothing is sent."""
    def scenario(pair, radius):
        assert not pair.peers["left"].up("net", check=False, timeout=60), "it came up"
        for word in words:
            wait_for(lambda word=word: re.search(word, pair.peers["right"].log()),
                     f"the gateway's log to say {word}")
        assert not any(peer.children() for peer in pair.peers.values()), "a Child SA stands"
        for frame in pair.capture.stop():
            assert frame.kind not in ("clear", "esp"), f"sent although refused: {frame}"
    return scenario


def not_wanted(pair, radius):
    """The client believes no server of that name, and goes no further."""
    assert not pair.peers["left"].up("net", check=False, timeout=60), "it came up"
    if pair.sides["left"].kind == "latchkey":
        assert "does not hold that identity" in pair.peers["left"].log(), pair.peers["left"].log()
    assert "Access-Accept" not in radius.process.log(), "the server was told enough"
    assert not any(peer.children() for peer in pair.peers.values()), "a Child SA stands"


def after_silence(pair, radius):
    """The first server says nothing: the second one is asked, and the next time at once."""
    both_up(pair)
    right = pair.peers["right"]
    assert re.search(r"RADIUS server first at 198\.51\.100\.3\[1812\] does not answer", right.log()), \
        right.log()
    pair.ping_all(versions=(4,))
    pair.peers["left"].down(ike="gw")
    both_down(pair)
    both_up(pair)
    assert right.log().count("does not answer") == 1, right.log()
    pair.ping_all(versions=(4,))


def forged(pair, radius):
    """What is forged does nothing, whatever it says: the server's own word counts."""
    whole(pair, radius)
    assert radius.forger.running(), radius.forger.log()


def nobody(pair, radius):
    """Nobody is there, not even a host that says so by ICMP; others are served meanwhile."""
    radius.process.stop()
    refused(r"no answer from the RADIUS server main at 198\.51\.100\.2\[1812\]")(pair, radius)


ROWS = [
    ("EAP-MSCHAPv2", whole, lambda k: (by_password(k), gateway()), {}),
    ("EAP-MSCHAPv2, by the name in IKE", whole,
     lambda k: (by_password(k), gateway(remote={"eap_id": None, "id": CAROL})), {}),
    ("EAP-MSCHAPv2, though all is to be protected", whole,
     lambda k: everything(by_password(k), gateway()), {}),
    ("EAP-TLS", whole_by_tls, lambda k: (by_tls(k), gateway()), {"method": "tls"}),
    ("EAP-TLS, a server of another name", whole_by_tls,
     lambda k: (by_tls(k, aaa_id="aaa.example"), gateway()), {"method": "tls", "name": "aaa"}),
    ("EAP-TLS, a server of a name that is not wanted", not_wanted,
     lambda k: (by_tls(k), gateway()), {"method": "tls", "name": "aaa"}),
    ("a wrong password", refused(f"{CAROL} is not believed by EAP: the RADIUS server main rejects it"),
     lambda k: (by_password(k, "Ar3etTnp01qlpOgc"), gateway()), {}),
    ("another secret than the server's", refused("with the same secret"),
     lambda k: (by_password(k), gateway(secret="another secret of some length")), {}),
    ("a server that says nothing, then another", after_silence,
     lambda k: (by_password(k), gateway({"first": SILENT, "second": AAA})), {}),
    ("a client that signs at once", refused("is to prove itself by EAP, and sends AUTH at once"),
     lambda k: (with_cert("left", k), gateway()), {}),
    ("no server", nobody, lambda k: (by_password(k), gateway()), {}),
    ("forged answers", forged, lambda k: (by_password(k), gateway()), {"forged": True}),
]


def test_of(name, scenario, make, kind, options):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *make(kind), start=False) as pair:
            radius = Radius(pair, **options)
            pair.start()
            scenario(pair, radius)
    return name, test


def rows():
    for kind in ("latchkey", "charon"):
        for what, scenario, make, options in ROWS:
            yield test_of(f"{kind}: by RADIUS, {what}", scenario, make, kind, options)


TESTS = list(rows())
