# SPDX-License-Identifier: Apache-2.0
"""What latchkeyd does by itself: loads again, comes back, and stays closed when a peer is lost."""

import signal
import time
from dataclasses import replace

from capture import assert_protected
from lab import Lab, wait_for
from nets import INNER, OUTER4, Pair, Side, section
from peers import Latchkey

ICMP = 1
# A silent peer is given up within two seconds instead of a minute.
IMPATIENT = {"connection": {"dpd_delay": "1s"},
             "daemon": {"retransmit_timeout": "1s", "retransmit_tries": 2}}


def ping(pair, **options):
    return pair.left.ping(INNER["right"][0], INNER["left"][0], **options)


def way_out(pair):
    """A route by which inner traffic would leave in the clear, if it were let."""
    pair.left.run("ip", "route", "add", "default", "via", OUTER4["right"])


def assert_nothing_leaked(pair):
    """Only ESP and IKE, beside what the dead host's kernel says about its closed port."""
    frames = [f for f in pair.capture.stop()
              if not (f.protocol == ICMP and f.source == OUTER4["right"])]
    assert_protected(frames, "wire")


def test_reload():
    """A broken file changes nothing; a good one is put in force, and SAs stay."""
    with Pair("daemon-reload", Side(), Side()) as pair:
        peer = pair.peers["left"]
        peer.up("net")
        before = peer.spis()
        with open(peer.conf, encoding="utf-8") as file:
            good = file.read()
        pair.left.write("latchkey.conf", good + "connections { gw { proposalz = none } }\n")
        peer.process.send(signal.SIGHUP)
        wait_for(lambda: peer.said("did you mean 'proposals'"), "the fault to be named")
        wait_for(lambda: peer.said("the old configuration stays in force"), "that it is kept")
        assert peer.spis() == before
        more = section("connections", {"gw": {"children": {"more": {
            "local_ts": "10.1.0.0/24", "remote_ts": "10.9.0.0/24", "start_action": "trap"}}}})
        pair.left.write("latchkey.conf", good + more + "\n")
        peer.process.send(signal.SIGHUP)
        wait_for(lambda: "10.9.0.0/24" in
                 pair.left.run("ip", "route", "show", "table", "4301").stdout, "the new child's route")
        assert peer.spis() == before, "the reload touched SAs"
        ping(pair)
        pair.left.write("latchkey.conf", good)
        peer.process.send(signal.SIGHUP)
        wait_for(lambda: "10.9.0.0/24" not in
                 pair.left.run("ip", "route", "show", "table", "4301").stdout, "the route to go")
        ping(pair)


def test_lost_peer_stays_closed():
    """A peer that falls silent: its traffic is stopped, not sent in the clear, until `down`."""
    with Pair("daemon-lost", Side(**IMPATIENT), Side()) as pair:
        way_out(pair)
        pair.peers["left"].up("net")
        ping(pair)
        pair.peers["right"].kill()
        wait_for(lambda: not pair.peers["left"].sas(), "the peer to be given up", seconds=30)
        ping(pair, count=3, wait=1, check=False)
        shown = pair.peers["left"].cli("show").stdout
        assert "answer" in shown, f"show does not say why:\n{shown}"
        assert_nothing_leaked(pair)
        pair.peers["left"].cli("down", "gw", check=False)
        wait_for(lambda: "10.2.0.0" not in
                 pair.left.run("ip", "route", "show", "table", "4301").stdout, "the policy to go")


def test_expired_child_stays_closed():
    """A child whose lifetime ends without a re-key: its traffic is stopped as well."""
    left = Side(child={"rekey_time": "0s", "life_time": "12s"})
    with Pair("daemon-expired", left, Side()) as pair:
        way_out(pair)
        pair.peers["left"].up("net")
        ping(pair)
        wait_for(lambda: not pair.peers["left"].children(), "the child's end", seconds=60)
        ping(pair, count=3, wait=1, check=False)
        assert pair.peers["left"].said("its lifetime is over")
        assert_nothing_leaked(pair)
        pair.peers["left"].cli("down", "gw", check=False)
        wait_for(lambda: "10.2.0.0" not in
                 pair.left.run("ip", "route", "show", "table", "4301").stdout, "the policy to go")


def test_start_comes_back():
    """start_action = start: up at once, and again after the peer was killed and restarted."""
    left = replace(Side(**IMPATIENT), start_action="start", child={"dpd_action": "restart"})
    left.connection["keyingtries"] = 0
    with Pair("daemon-start", left, Side()) as pair:
        way_out(pair)
        wait_for(pair.peers["left"].children, "the tunnel without being asked")
        ping(pair)
        pair.peers["right"].kill()
        time.sleep(1)
        pair.peers["right"].start()
        wait_for(lambda: pair.peers["right"].children(), "the tunnel again", seconds=60)
        wait_for(lambda: ping(pair, count=1, wait=1, check=False), "traffic again", seconds=30)
        assert_nothing_leaked(pair)


def test_stop_waits_for_no_name():
    """A name server that does not answer keeps nobody from stopping."""
    lab = Lab("daemon-names")
    try:
        host = lab.host("only")
        for name, text in (("resolv.conf", "nameserver 192.0.2.53\noptions timeout:30\n"),
                           ("nsswitch.conf", "hosts: dns\n")):
            host.run("mount", "--bind", host.write(name, text), f"/etc/{name}")
        host.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "nowhere")
        for device in ("wire", "nowhere"):
            host.run("ip", "link", "set", device, "up")
        host.address("wire", "192.0.2.1/24")
        host.run("ip", "neigh", "add", "192.0.2.53", "lladdr", "02:00:00:00:00:01", "dev", "wire")
        auth = {"local": {"auth": "psk", "id": "a"}, "remote": {"auth": "psk", "id": "b"}}
        conf = host.write("latchkey.conf", section("connections", {"gw": {
            "remote_addrs": "gw.nowhere.example", **auth, "children": {"net": {
                "local_ts": "10.1.0.0/24", "remote_ts": "10.2.0.0/24",
                "start_action": "start"}}}}) + "\n")
        process = host.spawn("latchkeyd", f"{Latchkey.build}/api/latchkeyd", "-c", conf,
                             "--run-dir", host.path("run"), "--foreground")
        wait_for(lambda: "is ready" in process.log(), "the daemon")
        assert process.stop(seconds=20) == 0
    finally:
        lab.close()


def test_background():
    """Without --foreground: the command ends when the daemon is ready, with its keys at hand."""
    with Pair("daemon-background", Side(), Side()) as pair:
        peer = pair.peers["left"]
        peer.stop()
        done = pair.left.run(f"{peer.bin}/latchkeyd", "-c", peer.conf, "--run-dir", peer.run_dir)
        assert not done.stdout and not done.stderr, done
        peer.up("net")
        ping(pair)
        pid = pair.left.run("pgrep", "-f", f"latchkeyd -c {peer.conf}").stdout.split()
        assert len(pid) == 1, pid
        pair.left.run("kill", pid[0])
        wait_for(lambda: not pair.left.run("pgrep", "-f", f"latchkeyd -c {peer.conf}",
                                           check=False).stdout, "the daemon to end")
        assert "latchkey0" not in pair.left.run("ip", "link").stdout, "the interface stayed"


TESTS = [
    ("daemon: goes to the background", test_background),
    ("daemon: stops while a name is looked up", test_stop_waits_for_no_name),
    ("daemon: loads its configuration again", test_reload),
    ("daemon: a lost peer's traffic is stopped", test_lost_peer_stays_closed),
    ("daemon: an expired child's traffic is stopped", test_expired_child_stays_closed),
    ("daemon: start_action = start comes back", test_start_comes_back),
]
