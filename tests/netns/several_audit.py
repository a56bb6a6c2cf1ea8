# SPDX-License-Identifier: Apache-2.0
"""Handovers one after the other under traffic of a class, every path captured at both its ends: nothing
is in the clear by any, and each packet has the DSCP of its sender by each.

LATCHKEY_HANDOVERS: how many (else 20)."""

import os

from lab import wait_for
from nets import Stream, story
from paths import Paths
from scenarios import both_up
from several import all_alive, sides, states, unchanged
from several_transport import Hosts

COUNT = int(os.environ.get("LATCHKEY_HANDOVERS", "20"))
# Shorter than all messages about paths, of which captures keep this much and more.
RATE, SIZE, PORTS, SHORT = 200, 24, (9000, 9001), 96
EF = 46 << 2
# What the streams send is of a class of its own.
CLASS = """table inet class {
 chain out {
  type filter hook output priority -150;
  udp dport { 9000, 9001 } ip dscp set ef
  udp dport { 9000, 9001 } ip6 dscp set ef
 }
}
"""


def streams(scene, ends, version):
    for host in (scene.left, scene.right):
        host.nft(CLASS)
    return {side: Stream(scene, side, rate=RATE, size=SIZE, port=port, version=version,
                         ends=ends).start() for side, port in zip(("left", "right"), PORTS)}


def hand_over(scene):
    """From the first path to the second, and back: the address goes, and comes."""
    scene.path(1).lose()
    wait_for(lambda: list(states(scene.peers["right"]).values()) == ["ACTIVE"], "one path")
    scene.path(1).gain()
    all_alive(scene, 2)
    for side, peer in scene.peers.items():
        wait_for(lambda peer=peer: states(peer)[max(states(peer), key=int)] == "ACTIVE",
                 f"{side} to use the first path again")


def of_class(frames):
    """How many packets of the streams each path carried, all of them with their DSCP."""
    carried = {}
    for (n, _), seen in frames.items():
        classes = [f.tos for f in seen if f.kind == "esp" and f.length < SHORT]
        assert set(classes) <= {EF}, f"path {n}: {set(classes)}"
        carried[n] = carried.get(n, 0) + len(classes)
    return carried


def play(scene, ends, version):
    before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
    running = streams(scene, ends, version)
    for _ in range(COUNT // 2):
        hand_over(scene)
    for side, stream in running.items():
        r = stream.stop()
        story(f"IPv{version}, {COUNT} handovers: from {side}: {r['sent'] - r['received']} of "
              f"{r['sent']} lost, {r['repeated']} repeated, longest gap {r['gap_ms']:.0f} ms")
        assert r["repeated"] == 0 and r["received"] > r["sent"] / 2, r
    unchanged(scene, before)
    carried = of_class(scene.audit({1: 10, 2: 10}))
    assert min(carried.values()) > COUNT, carried
    story(f"packets of the class at the ends of the paths: {carried}")


def tunnel():
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-audit", left, right, orders="delay 2ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        play(scene, None, 4)


def transport(version):
    def test():
        with Hosts("audit", version, orders="delay 2ms") as scene:
            scene.begin()
            play(scene, {side: (address, address) for side, address in scene.ends.items()}, version)
    return test


TESTS = [
    ("several paths: handovers, nothing in the clear, DSCP kept", tunnel),
    ("several paths: the same in transport mode, IPv4", transport(4)),
    ("several paths: the same in transport mode, IPv6", transport(6)),
]
