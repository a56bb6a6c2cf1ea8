# SPDX-License-Identifier: Apache-2.0
"""A host that has several paths to another one, and changes between them under load."""

import re
import time
from dataclasses import replace

from lab import wait_for
from nets import Side, Stream, stop_all, story
from paths import PATHS4, PATHS6, Download, Paths
from roaming import hosts_of
from scenarios import CHARON, LATCHKEY, PAIRINGS, agree, both_up, ours
from soft import Lateness

RATE = 500
CHARON_SECONDS = 120  # it gives a path up when its requests are not answered for long
SETTLE = 1.0
# What may be missing of two moves by word. By MOBIKE charon loses some, as it makes its SAs anew.
# Without, who answers may send by the new SA what comes before its answer has been read. To that comes
# what a machine that stood still made later (Lateness).
LOST = {("charon", True): RATE // 5, ("charon", False): RATE // 10, ("latchkey", False): RATE // 10}


def may_lose(kind, mobike, late_ms):
    """How many datagrams of two moves by word."""
    few = LOST.get((kind, mobike), 0)
    return few + 2 * RATE * late_ms / 1000 if few else 0


def by(scene, side, n):
    """The pairs of addresses of path n as this side sees them: which version it takes is its own."""
    left, right = PATHS4[n - 1]
    pairs = {(scene.path(n).left4 if side == "left" else left, right)}
    if not scene.path(n).nat:
        pairs.add(PATHS6[n - 1])
    return pairs if side == "left" else {pair[::-1] for pair in pairs}


def gone_to(scene, n, seconds=CHARON_SECONDS):
    """Both sides' IKE SA goes by path n."""
    for side, peer in scene.peers.items():
        wait_for(lambda peer=peer, side=side: hosts_of(peer) in by(scene, side, n),
                 f"{side} to go by path {n}", seconds)


def tell(scene, what, results):
    kinds = "-".join(scene.sides[side].kind for side in ("left", "right"))
    for side, result in results.items():
        story(f"{kinds}: {what}: from {side}: {result['sent'] - result['received']} of "
              f"{result['sent']} lost, longest gap {result['gap_ms']:.0f} ms before "
              f"{result['gap_before']} (the sender's own: {result['pause_ms']:.0f} ms)")


def check_streams(results):
    """What holds today: what is under way when a path goes is lost, nothing comes twice."""
    for side, result in results.items():
        assert result["repeated"] == 0, f"{side}: repeated: {result}"
        last = result["sent"] - 1 - result["highest"]
        assert last < RATE, f"{side}: the last {last} are missing: it did not go on"


def there_and_back(scene):
    """The left host's first interface goes with its addresses, then, when it is back, the second."""
    both_up(scene)
    before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
    streams = {side: Stream(scene, side, rate=RATE, port=9000 + i).start()
               for i, side in enumerate(("left", "right"))}
    download = Download(scene, rate=2_000_000)
    time.sleep(SETTLE)
    for old, new in ((1, 2), (2, 1)):
        scene.path(old).leave()
        gone_to(scene, new)
        time.sleep(SETTLE)
        scene.path(old).join()
        time.sleep(SETTLE)
    results = stop_all(streams)
    tell(scene, "two moves by MOBIKE", results)
    fetched = download.stop()
    story(f"download: {fetched['received']} bytes right, longest stall {fetched['stall_ms']:.0f} ms")
    check_streams(results)
    for side in ours(scene):
        assert scene.peers[side].ike_spis() == before[side], f"{side} has another IKE SA now"
    wait_for(lambda: agree(scene), "both sides to hold the same Child SAs")
    frames = scene.audit({1: 500, 2: 500})
    return frames


def esp_sources(frames, n):
    """The addresses that ESP on a path came from, at the right end."""
    return {f.source for f in frames[n, "right"] if f.kind == "esp"}


def moves(left, right):
    def test():
        with Paths(f"handover-{left.kind}-{right.kind}", left, right,
                   orders="delay 5ms") as scene:
            frames = there_and_back(scene)
            for n in (1, 2):
                for place in (0, 1):
                    assert esp_sources(frames, n) & {PATHS4[n - 1][place], PATHS6[n - 1][place]}
    return test


def through_translator(left, right):
    def test():
        with Paths(f"handover-nat-{left.kind}-{right.kind}", left, right, orders="delay 5ms",
                   nat=(2,)) as scene:
            there_and_back(scene)
    return test


def rebound(left, right):
    """The translator of the first path forgets its mapping under load: the same path, another port."""
    def test():
        with Paths(f"rebound-{left.kind}-{right.kind}", left, right, orders="delay 5ms",
                   nat=(1,)) as scene:
            both_up(scene)
            streams = {side: Stream(scene, side, rate=RATE, port=9000 + i).start()
                       for i, side in enumerate(("left", "right"))}
            time.sleep(SETTLE)
            for _ in range(3):
                scene.path(1).rebind()
                time.sleep(SETTLE)
            results = stop_all(streams)
            tell(scene, "three mappings forgotten", results)
            check_streams(results)
            ports = set(re.findall(r"the peer is at 192\.0\.2\.1\[(\d+)\] now",
                                   scene.peers["right"].log()))
            assert len(ports) > 1, f"the peer's ports were {ports}"
            scene.audit({1: 500})
    return test


def by_word(right, mobike):
    """The left host goes to its second path and back as it is told, while the first is still there: the
    peer knows of one path only, and nothing is lost."""
    word = "yes" if mobike else "no"
    left = Side(connection={"mobike": word})
    right = replace(right, connection={**right.connection, "mobike": word, "remote_addrs": "%any"})

    def test():
        name = f"by-word-{right.kind}-{'mobike' if mobike else 'anew'}"
        with Paths(name, left, right, orders="delay 5ms", versions=(4,)) as scene:
            both_up(scene)
            peer, late = scene.peers["left"], Lateness()
            before = peer.ike_spis()
            streams = {side: Stream(scene, side, rate=RATE, port=9000 + i).start()
                       for i, side in enumerate(("left", "right"))}
            for n in (2, 1):
                time.sleep(SETTLE)
                here, there = PATHS4[n - 1]
                peer.cli("path", "move", "gw", here, *([] if mobike else ["--remote", there]))
                gone_to(scene, n, 20)
                wait_for(lambda: all(len(p.established()) == 1 for p in scene.peers.values()),
                         "one IKE SA on both sides")
            time.sleep(SETTLE)
            results = stop_all(streams)
            tell(scene, f"told to go, {'by MOBIKE' if mobike else 'made anew'}", results)
            may = may_lose(right.kind, mobike, late.stop())
            for side, r in results.items():
                lost = r["sent"] - r["received"]
                assert r["repeated"] == 0 and lost <= may, (side, r, may)
            assert (peer.ike_spis() == before) == mobike
            wait_for(lambda: agree(scene), "both sides to hold the same Child SAs")
            scene.audit({1: 500, 2: 500})
    return test


def a_leak_is_noticed():
    """The audit of the paths fails for one packet in the clear on a path that is not the first."""
    with Paths("leak-noticed", count=2) as scene:
        scene.left.ping(PATHS4[1][1], count=1)
        try:
            scene.audit()
        except AssertionError as noticed:
            assert "path 2" in str(noticed) and "in the clear" in str(noticed), noticed
            return
        raise AssertionError("a packet in the clear went unnoticed")


def rows():
    yield "paths: a packet in the clear on one is noticed", a_leak_is_noticed
    for left, right in PAIRINGS:
        kinds = f"{left.kind}-{right.kind}"
        yield f"{kinds}: from one path to the other and back", moves(replace(left), replace(right))
        yield f"{kinds}: from one path to another behind a translator", \
            through_translator(replace(left), replace(right))
    for right in (CHARON, replace(LATCHKEY, connection={"multiple_interfaces": "no"})):
        for what, mobike in (("told to go, by MOBIKE", True), ("told to go, without MOBIKE", False)):
            yield f"latchkey-{right.kind}: {what}", by_word(right, mobike)
    left, right = PAIRINGS[0]
    yield "latchkey-latchkey: a translator's mapping is forgotten", rebound(left, right)


TESTS = list(rows())
