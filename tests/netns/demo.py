#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one tunnel, told as a story. Run by tests/demo."""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tap")]

from capture import PROTECTED, Capture  # noqa: E402
from lab import wait_for  # noqa: E402
from nets import INNER, OUTER4, Pair, Side, Stream  # noqa: E402
from peers import Latchkey  # noqa: E402

LOAD_SECONDS = 8
NOT_OURS = "not (udp port 500 or udp port 4500 or proto 50 or arp or icmp6)"


class Story:
    """Numbered steps, each with the time it took."""

    def __init__(self):
        self.number = 0
        self.begin = time.monotonic()

    def step(self, text):
        self.number += 1
        print(f"\n[{time.monotonic() - self.begin:5.1f} s] {self.number}. {text}", flush=True)

    @staticmethod
    def tell(text):
        for line in str(text).rstrip().splitlines():
            print(f"            {line}", flush=True)


def build_up(story, pair):
    story.step("The left host asks for the tunnel: IKE_SA_INIT, IKE_AUTH, and a first Child SA")
    pair.peers["left"].up("net")
    wait_for(lambda: all(peer.children() for peer in pair.peers.values()), "both sides to be up")
    child = pair.peers["left"].children()[0]
    story.tell(f"up: SPI {child['spi-in']} in, {child['spi-out']} out; "
               f"{','.join(child['local-ts'])} === {','.join(child['remote-ts'])}")


def ping(story, pair):
    story.step("Ping through it, IPv4 and IPv6, from both ends")
    for side, far in (("left", "right"), ("right", "left")):
        for source, target in zip(INNER[side], INNER[far]):
            got = pair.host(side).ping(target, source, count=10)
            story.tell(f"{source} > {target}: {got} of 10 answered")


def iperf(pair, seconds):
    """Starts a TCP stream from left to right; the returned function waits for its result."""
    server = pair.right.spawn("iperf3-server", "iperf3", "-s", "-1", "-B", INNER["right"][0])
    wait_for(lambda: "listening" in server.log() or pair.right.run(
        "ss", "-Hltn", "sport", "=", ":5201").stdout, "iperf3 to listen")
    client = pair.left.spawn("iperf3-client", "iperf3", "-c", INNER["right"][0], "-B",
                             INNER["left"][0], "-t", seconds, "-J")

    def result():
        wait_for(lambda: not client.running(), "iperf3 to end", seconds + 30)
        answer = json.loads(client.log())
        assert "error" not in answer, answer["error"]
        return answer["end"]
    return result


def load_and_rekey(story, pair):
    story.step(f"TCP at full speed for {LOAD_SECONDS} s; meanwhile the keys of both the IKE SA and "
               "the Child SA are renewed, by either side")
    result = iperf(pair, LOAD_SECONDS)
    time.sleep(0.5)
    for side in ("left", "right"):
        for what, words in (("child", {"child": "net"}), ("ike", {"ike": "gw"})):
            peer = pair.peers[side]
            held = peer.spis if what == "child" else peer.ike_spis
            before = held()
            peer.rekey(**words)
            wait_for(lambda held=held, before=before: held() and not before & held(), "new keys")
            story.tell(f"{side} re-keyed the {'Child' if what == 'child' else 'IKE'} SA")
            time.sleep(0.5)
    return result()


def losses(story, pair):
    story.step("A numbered UDP stream of 1,000 packets/s, with both keys renewed again under it")
    stream = Stream(pair, "left").start()
    for words in ({"child": "net"}, {"ike": "gw"}):
        time.sleep(0.7)
        pair.peers["left"].rekey(**words)
    time.sleep(1.2)
    result = stream.stop()
    story.tell(f"{result['sent']} sent, {result['received']} received, "
               f"{result['sent'] - result['received']} lost, {result['repeated']} repeated, "
               f"{result['reordered']} out of order")
    return result


def wire(story, pair, stray):
    story.step("What the wire carried, all that time")
    counts = {}
    for frame in pair.capture.stop(whole=False):
        counts[frame.kind] = counts.get(frame.kind, 0) + 1
    for frame in stray.stop():
        counts[frame.kind] = counts.get(frame.kind, 0) + 1
    names = {"esp": "ESP in UDP or IP", "ike": "IKE", "arp": "ARP", "nd": "neighbour discovery",
             "keepalive": "NAT keepalive"}
    for kind, count in sorted(counts.items(), key=lambda item: -item[1]):
        story.tell(f"{count:9,} {names.get(kind, 'IN THE CLEAR: ' + kind)}")
    if pair.capture.missed:
        story.tell(f"{pair.capture.missed:9,} more went by too fast to be captured; a second capture "
                   "of all but UDP 500 and 4500, ESP, ARP and ICMPv6 missed none")
    stray = sum(count for kind, count in counts.items() if kind not in PROTECTED)
    assert not stray, f"{stray} frames were neither ESP nor IKE"
    assert counts.get("esp", 0) > 1000 and counts.get("ike", 0) >= 4, counts


def tell(story, pair):
    # At full speed a capture of everything may miss frames; one of what should not be there cannot.
    stray = Capture(pair.right, "wire", name="stray", only=NOT_OURS)
    build_up(story, pair)
    ping(story, pair)
    tcp = load_and_rekey(story, pair)
    speed = tcp["sum_received"]["bits_per_second"] / 1e9
    story.tell(f"TCP: {speed:.2f} Gbit/s received, "
               f"{tcp['sum_sent'].get('retransmits', 0)} segments sent again")
    stream = losses(story, pair)
    story.step("latchkey show, on the left")
    story.tell(pair.peers["left"].cli("show").stdout)
    wire(story, pair, stray)
    story.step("The right host ends it")
    pair.peers["right"].down(ike="gw")
    wait_for(lambda: not pair.peers["left"].sas(), "the left host to be told")
    for peer in pair.peers.values():
        peer.stop()
    assert stream["received"] == stream["sent"], "the UDP stream lost datagrams"
    return speed, stream


def main():
    if os.geteuid() != 0:
        print("this needs root: use tests/demo", file=sys.stderr)
        return 1
    Latchkey.build = os.path.realpath(os.path.join(HERE, "..", "..", "build"))
    story = Story()
    story.step("Two hosts out of namespaces, a wire between them, a daemon on each")
    # Heads are enough to tell what a packet is.
    with Pair("demo", Side(), Side(), snap=96) as pair:
        story.tell(f"left {OUTER4['left']}, inside {' '.join(INNER['left'])}")
        story.tell(f"right {OUTER4['right']}, inside {' '.join(INNER['right'])}")
        speed, stream = tell(story, pair)
    print(f"\nDone in {time.monotonic() - story.begin:.0f} s: TCP {speed:.2f} Gbit/s, "
          f"{stream['sent'] - stream['received']} of {stream['sent']} datagrams lost "
          "while keys were renewed, nothing in the clear. All is cleaned up.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
