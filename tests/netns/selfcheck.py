# SPDX-License-Identifier: Apache-2.0
"""The harness proved on itself: two charons, and checks that must fail when they should."""

from capture import assert_protected
from lab import Lab, wait_for
from nets import INNER, Pair, Side, Stream


def charon(**more):
    return Side(kind="charon", **more)


def test_charon_to_charon():
    """The whole harness without a line of ours: tunnel, ping, stream, re-key, capture."""
    with Pair("charon-charon", charon(), charon()) as pair:
        pair.peers["left"].up("net")
        pair.ping_all()
        before = pair.peers["left"].spis()
        stream = Stream(pair, "left").start()
        pair.peers["left"].rekey(child="net")
        wait_for(lambda: pair.peers["left"].spis() and not
                 before & pair.peers["left"].spis(), "new SPIs")
        stream.wait(100)
        stream.stop()
        pair.peers["left"].down(ike="gw")
        wait_for(lambda: not pair.peers["right"].sas(), "the other side to forget")
        assert_protected(pair.capture.stop(), "wire", at_least=100)


def test_a_clear_packet_is_noticed():
    with Pair("clear-noticed", charon(), charon()) as pair:
        pair.peers["left"].up("net")
        pair.ping_all(versions=(4,))
        pair.left.run("ip", "route", "add", INNER["right"][0], "dev", "wire", "src",
                      INNER["left"][0])
        pair.left.run("ip", "rule", "add", "pref", "1", "lookup", "main")
        pair.left.ping(INNER["right"][0], INNER["left"][0], check=False)
        try:
            assert_protected(pair.capture.stop(), "wire")
        except AssertionError as noticed:
            assert "in the clear" in str(noticed), noticed
            return
        raise AssertionError("a clear packet went unnoticed")


def test_a_lost_datagram_is_counted():
    with Pair("loss-counted", charon(), charon()) as pair:
        pair.peers["left"].up("net")
        stream = Stream(pair, "left").start()
        stream.wait(100)
        pair.right.nft("table inet t {\n chain i {\n  type filter hook prerouting priority -300;\n"
                       "  iifname \"wire\" udp dport 4500 udp length > 300 counter drop\n }\n}\n")
        wait_for(lambda: "packets 0 " not in pair.right.run("nft", "list", "table", "inet", "t").stdout,
                 "one to be dropped")
        pair.right.run("nft", "delete", "table", "inet", "t")
        stream.wait(100)
        result = stream.stop()
        assert result["lost"] and result["received"] < result["sent"], result


def test_a_log_is_of_its_process():
    """A word that an earlier process of the same name said does not answer for the next one."""
    lab = Lab("log-of-process")
    try:
        host = lab.host("only")
        for text, other in (("first", "second"), ("second", "first")):
            process = host.spawn("same", "echo", text)
            wait_for(lambda process=process, text=text: text in process.log(), f"{text} to be said")
            assert other not in process.log(), process.log()
    finally:
        lab.close()


TESTS = [
    ("harness: charon to charon, whole life", test_charon_to_charon),
    ("harness: a packet in the clear is noticed", test_a_clear_packet_is_noticed),
    ("harness: a lost datagram is counted", test_a_lost_datagram_is_counted),
    ("harness: a log is of its process", test_a_log_is_of_its_process),
]
