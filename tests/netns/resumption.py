# SPDX-License-Identifier: Apache-2.0
"""Session resumption (RFC 5723): a client whose network was gone comes back by its ticket, one whose
gateway was restarted by a whole handshake. charon has none of it: beside it nothing changes."""

import re

from capture import assert_protected
from judges import tshark
from lab import wait_for
from nets import Pair, Side, story
from pubkey import with_cert
from scenarios import PAIRINGS, both_down, both_up, named, ours

SA_INIT, RESUME = "34", "38"
TICKET_OPAQUE, NONCE = "16413", "40"


def watchful(side):
    """It asks whether its peer lives, gives up after some ten seconds, and a client begins again."""
    side.connection = {**side.connection, "dpd_delay": "1s", "keyingtries": "0"}
    side.daemon = {"retransmit_timeout": "1s", "retransmit_tries": 4}
    side.charon = {"retransmit_timeout": "1", "retransmit_tries": "3"}
    if side.kind == "latchkey":
        side.connection["resumption"] = "yes"
    return side


def with_secret(left, right):
    one, two = watchful(Side(left.kind)), watchful(Side(right.kind))
    one.child = {"dpd_action": "restart"}
    return one, two


def with_certificates(left, right):
    one, two = (watchful(with_cert(name, side.kind)) for name, side in
                (("left", left), ("right", right)))
    one.child = {"dpd_action": "restart"}
    return one, two


def cut(pair):
    for host in (pair.left, pair.right):
        host.nft("table inet cut {\n chain in {\n  type filter hook input priority -400;\n"
                 "  iifname \"wire\" drop\n }\n}\n")


def mend(pair):
    for host in (pair.left, pair.right):
        host.nft("delete table inet cut")


def resumed(pair):
    """How often the right side has resumed, and refused to."""
    stats = pair.peers["right"].cli_json("stats")
    flat = re.findall(r'"(ikesas-resumed|tickets-refused)": "?(\d+)', str(stats).replace("'", '"'))
    return {name: int(value) for name, value in flat}


def exchanges(pair):
    """What tshark makes of the messages in the clear: [(exchange, notifies)]."""
    rows = tshark(pair.capture.path, pair.left.path("."),
                  ["isakmp.exchangetype", "isakmp.notify.msgtype", "isakmp.nextpayload"],
                  f"isakmp.exchangetype == {SA_INIT} || isakmp.exchangetype == {RESUME}")
    return [(kind, notifies.split(","), payloads.split(",")) for kind, notifies, payloads in rows]


def comes_back(pair):
    left, right = pair.peers["left"], pair.peers["right"]
    both_up(pair)
    pair.ping_all(versions=(4,))
    before = left.ike_spis()
    cut(pair)
    wait_for(lambda: left.said("a ticket is shown"), "the client to give up", seconds=60)
    wait_for(lambda: not right.sas(), "the gateway to give up", seconds=60)
    mend(pair)
    wait_for(lambda: left.children() and right.children(), "the tunnel again", seconds=60)
    assert not before & left.ike_spis()
    assert all(peer.said(", resumed") for peer in (left, right))
    assert resumed(pair) == {"ikesas-resumed": 1, "tickets-refused": 0}, resumed(pair)
    pair.ping_all(versions=(4,))
    left.rekey(ike="gw")
    pair.ping_all(versions=(4,))
    left.down(ike="gw")
    both_down(pair)
    assert_protected(pair.capture.stop(), "wire", at_least=6)
    seen = exchanges(pair)
    shown = [row for row in seen if row[0] == RESUME]
    assert TICKET_OPAQUE in shown[0][1] and NONCE in shown[0][2], shown
    assert TICKET_OPAQUE not in shown[-1][1] and NONCE in shown[-1][2], shown
    assert len([row for row in seen if row[0] == SA_INIT]) == 2, seen
    story(f"tshark reads {len(shown)} messages of IKE_SESSION_RESUME")


def gateway_anew(pair):
    """The gateway has forgotten its keys: the ticket is refused, and all is well a moment later."""
    left, right = pair.peers["left"], pair.peers["right"]
    both_up(pair)
    right.kill()
    wait_for(lambda: left.said("a ticket is shown"), "the client to give up", seconds=60)
    right.start()
    wait_for(lambda: left.children() and right.children(), "the tunnel again", seconds=60)
    assert resumed(pair) == {"ikesas-resumed": 0, "tickets-refused": 1}, resumed(pair)
    assert right.said("it is of no key that there is")
    pair.ping_all(versions=(4,))


def beside_charon(pair):
    """Nobody gives tickets, or nobody wants them: a whole handshake, as ever."""
    both_up(pair)
    cut(pair)
    wait_for(lambda: not pair.peers["left"].children(), "the client to give up", seconds=60)
    wait_for(lambda: not pair.peers["right"].children(), "the gateway to give up", seconds=60)
    mend(pair)
    wait_for(lambda: all(peer.children() for peer in pair.peers.values()), "the tunnel again",
             seconds=90)
    pair.ping_all(versions=(4,))
    for side in ours(pair):
        assert not pair.peers[side].said("a ticket is shown")


def test_of(name, scenario, make, left, right):
    def test():
        with Pair(re.sub(r"[^a-z0-9]+", "-", name.lower()), *make(left, right)) as pair:
            scenario(pair)
    return name, test


ROWS = [("resumption: the network was gone", comes_back, with_secret),
        ("resumption: the network was gone, certificates", comes_back, with_certificates),
        ("resumption: the gateway is another process", gateway_anew, with_secret)]
TESTS = [test_of(name, scenario, make, Side(), Side()) for name, scenario, make in ROWS]
TESTS += [test_of(named(left, right, "resumption: charon has none"), beside_charon, with_secret,
                  left, right) for left, right in PAIRINGS if "charon" in (left.kind, right.kind)]
