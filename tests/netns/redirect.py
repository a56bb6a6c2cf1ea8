# SPDX-License-Identifier: Apache-2.0
"""A gateway sends its client to another one (RFC 5685): strongSwan's redirect-active."""

from dataclasses import replace

from capture import assert_protected
from lab import wait_for
from nets import INNER, OUTER4, Pair, Side, Stream, configuration, story
from peers import KINDS, charon_version
from pytap import Skip
from scenarios import PAIRINGS, named

SPARE = {"left": "198.51.100.1", "right": "198.51.100.2"}
NAME = "gw2.example"  # what the left host calls the spare one


class Gateways(Pair):
    """The left host, and by links of their own the right one and a spare one that is like it, which has
    a name."""

    def __init__(self, name, left, right):
        super().__init__(name, replace(left, connection={"local_addrs": "%any", **left.connection}),
                         replace(right, connection={"remote_addrs": "%any", **right.connection}),
                         start=False)
        try:
            self.spare = self.lab.host("spare")
            self.lab.link(self.left, "wire2", self.spare, "wire", [f"{SPARE['left']}/24"],
                          [f"{SPARE['right']}/24"])
            self.spare.address("lo", f"{INNER['right'][0]}/32", f"{INNER['right'][1]}/128")
            names = self.left.write("names", f"{SPARE['right']} {NAME}\n")
            self.left.run("mount", "--bind", names, "/etc/hosts")
            side = self.sides["right"]
            spare = replace(side, connection={key: value for key, value in side.connection.items()
                                              if key != "redirect_to"})
            self.peers["spare"] = KINDS[side.kind](self.spare, configuration(
                "right", spare, SPARE["right"], SPARE["left"]))
            self.start()
        except BaseException:
            self.close(failed=True)
            raise


def arrived(pair, host):
    sas = pair.peers["left"].established()
    return len(sas) == 1 and sas[0]["remote-host"] == host and pair.peers["left"].children()


def up(pair):
    pair.peers["left"].up("net")
    wait_for(pair.peers["right"].children, "the child")


def redirect_active(pair, tell):
    up(pair)
    pair.left.ping(INNER["right"][0], INNER["left"][0])
    assert arrived(pair, OUTER4["right"])
    tell(pair.peers["right"])
    wait_for(lambda: arrived(pair, SPARE["right"]), "the client at the other gateway")
    wait_for(lambda: not pair.peers["right"].sas(), "the first gateway to have no SA")
    assert pair.peers["spare"].children()
    pair.left.ping(INNER["right"][0], INNER["left"][0])
    assert_protected(pair.capture.stop(), "wire", at_least=6)


def redirect_in_auth(pair, to):
    """The first gateway has neither a child nor, in the end, an IKE SA: the client is at the other one."""
    pair.peers["left"].up("net", check=False)
    wait_for(lambda: arrived(pair, SPARE["right"]), "the client at the other gateway")
    wait_for(lambda: not pair.peers["right"].sas(), "the first gateway to have no SA")
    assert f"is sent to another gateway: {to}" in pair.peers["right"].log()
    assert not pair.peers["right"].said("CHILD_UP") and pair.peers["spare"].children()
    pair.left.ping(INNER["right"][0], INNER["left"][0])


def by_swanctl(peer):
    peer.swanctl("--redirect", "--peer-ip", OUTER4["left"], "--gateway", SPARE["right"])


def by_name(peer):
    peer.swanctl("--redirect", "--peer-ip", OUTER4["left"], "--gateway", NAME)


def by_identity(peer):
    peer.swanctl("--redirect", "--peer-id", "*.example", "--gateway", SPARE["right"])


def by_latchkey(peer):
    peer.cli("redirect", "gw", SPARE["right"])


def follows(side):
    more = {"follow_redirects": "yes"} if side.kind == "latchkey" else {}
    return replace(side, connection={**side.connection, **more})


def rows():
    for left, right in PAIRINGS:
        ways = [("redirect-active", by_swanctl), ("redirect-active, by its identity", by_identity),
                ("redirect-active, to a name", by_name)]
        if right.kind == "latchkey":
            ways.append(("redirect-active, by our command", by_latchkey))
        for what, tell in ways:
            yield test_of(named(left, right, f"replay {what}"), left, right, tell)


def auth_rows():
    for left, right in PAIRINGS:
        for what, to in (("", SPARE["right"]), (", to a name", NAME)):
            if right.kind == "latchkey":
                yield auth_test_of(named(left, right, f"redirect in IKE_AUTH{what}"), left, replace(
                    right, connection={**right.connection, "redirect_to": to}), to)


def auth_test_of(name, left, right, to):
    def test():
        if left.kind == "charon" and (5, 9, 8) <= charon_version() < (5, 9, 12):
            raise Skip("strongSwan from 5.9.8 to 5.9.11 crashes when it is redirected in IKE_AUTH")
        with Gateways("redirect-auth", follows(left), right) as pair:
            redirect_in_auth(pair, to)
    return name, test


def test_of(name, left, right, tell):
    def test():
        with Gateways("redirect", follows(left), right) as pair:
            redirect_active(pair, tell)
    return name, test


def test_stays():
    """A client that is not let says so, the gateway hears it, and nothing happens."""
    with Gateways("redirect-stays", Side(), Side()) as pair:
        up(pair)
        done = pair.peers["right"].cli("redirect", "gw", SPARE["right"], check=False)
        assert done.returncode != 0 and "does not say that it follows" in done.stderr, done
        assert arrived(pair, OUTER4["right"])


def test_no_gap():
    """Between ourselves the new SAs are there before the old ones go."""
    with Gateways("redirect-gap", follows(Side()), Side()) as pair:
        up(pair)
        stream = Stream(pair, "left", rate=100, port=9100).start()
        pair.peers["right"].cli("redirect", "gw", SPARE["right"])
        wait_for(lambda: arrived(pair, SPARE["right"]), "the client at the other gateway")
        wait_for(lambda: not pair.peers["right"].sas(), "the first gateway to have no SA")
        stream.stop()
        clear = [f for f in pair.capture.stop() if f.kind == "clear"]
        story(f"{len(clear)} packets in the clear")
        assert not clear


TESTS = [*rows(), *auth_rows(), ("redirect: who is not let stays", test_stays),
         ("redirect: nothing in the clear", test_no_gap)]
