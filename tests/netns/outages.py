# SPDX-License-Identifier: Apache-2.0
"""How long nothing arrives when a path is gone before there is another one, and when one swallows
everything in silence: printed for Latchkey, charon and the kernel's MPTCP, and asserted what holds
whatever the machine does."""

import os
import statistics
import time
from dataclasses import replace

import mptcp
import several
from handover import check_streams, gone_to
from lab import wait_for
from nets import INNER, Stream, stop_all, story
from paths import PATHS4, Download, Paths
from scenarios import PAIRINGS, both_up, ours

ROUNDS = int(os.environ.get("HANDOVER_ROUNDS", "6"))
WITHOUT = 0.2  # seconds that a host has no address
CALM = 0.4
AHEAD = 3_000_000  # bytes of a download: more than was under way when its path went
ASKS = {"connection": {"dpd_delay": "1s"}}


def again(arrivals, at):
    """Milliseconds from a moment to the first datagram that came behind it."""
    return next(came - at for _, _, came in arrivals if came > at) / 1e6


def in_words(times):
    times = sorted(times)
    return f"median {statistics.median(times):.0f} ms, worst {times[-1]:.0f} ms of {len(times)}"


def name_of(scene):
    return "-".join(scene.sides[side].kind for side in ("left", "right"))


def by_paths():
    """Two Latchkeys that agree on several paths."""
    return several.sides("failover")


def change_hard(scene, old, new):
    """The address of one path is gone before that of the other is there; returns when it was."""
    scene.path(old).lose()
    time.sleep(WITHOUT)
    there = scene.path(new).gain()
    gone_to(scene, new)
    time.sleep(CALM)
    return there


def hard(left, right, how="MOBIKE"):
    """The same IKE SA and keys, and payload again in both directions, each time."""
    def test():
        with Paths(f"hard-{how}-{left.kind}-{right.kind}", left, right, orders="delay 10ms",
                   versions=(4,)) as scene:
            for path in scene.paths:
                path.acquaint()
            scene.path(2).lose()
            both_up(scene)
            before = {side: scene.peers[side].ike_spis() for side in ours(scene)}
            streams = {side: Stream(scene, side, port=9000 + i).start()
                       for i, side in enumerate(("left", "right"))}
            time.sleep(CALM)
            moments = [change_hard(scene, 1 + n % 2, 2 - n % 2) for n in range(ROUNDS)]
            results = stop_all(streams)
            check_streams(results)
            for side, stream in streams.items():
                times = [again(stream.arrivals(), at) for at in moments]
                story(f"{name_of(scene)}: hard handover by {how}, 20 ms of round trip: from "
                      f"{side} again after {in_words(times)}")
            for side, spis in before.items():
                assert scene.peers[side].ike_spis() == spis, f"{side} has another IKE SA now"
            scene.audit({1: 100, 2: 100})
    return test


def silent(left, right):
    """The path that carries everything swallows it. Today the liveness check finds that out."""
    def test():
        with Paths(f"silent-{left.kind}-{right.kind}", replace(left, **ASKS), replace(right, **ASKS),
                   orders="delay 10ms", versions=(4,)) as scene:
            both_up(scene)
            stream = Stream(scene, "left", rate=500).start()
            time.sleep(CALM)
            at = time.time_ns()
            scene.path(1).wire.black_hole()
            gone_to(scene, 2)
            wait_for(lambda: scene.left.ping(INNER["right"][0], INNER["left"][0], count=1, wait=1,
                                             check=False), "traffic to go on")
            result = stream.stop()
            check_streams({"left": result})
            story(f"{name_of(scene)}: black hole: on the other path after "
                  f"{again(stream.arrivals(), at + 50_000_000) + 50:.0f} ms")
            assert scene.path(1).wire.counts()["left"]["swallowed"] > 0
            scene.audit({1: 100, 2: 10})
    return test


def is_sent_little(wire):
    """Next to nothing of what the right host sends by it enters a wire that swallows that."""
    before = wire.counts()["right"]["swallowed"]
    time.sleep(0.5)
    return wire.counts()["right"]["swallowed"] - before < 25


def measured(frames, new):
    """What went to an address that never answered: (packets of payload, the most bytes for one that
    had come from there by then)."""
    came = sent = payload = 0
    most = 0.0
    for frame in frames:
        if frame.source == new:
            came += frame.length
        elif frame.destination == new:
            sent += frame.length
            payload += frame.kind == "esp" and frame.length > 300
            most = max(most, sent / max(came, 1))
    return payload, most


def deaf():
    """Nothing comes back to the address that a host goes on from: it is sent payload, three bytes at
    most for each that comes from there, and then no more; until it answers."""
    with Paths("hard-deaf", *by_paths(), orders="delay 10ms", versions=(4,)) as scene:
        for path in scene.paths:
            path.acquaint()
        scene.path(2).lose()
        both_up(scene)
        wire = scene.path(2).wire
        wire.order("right blackhole on")
        streams = {"left": Stream(scene, "left", rate=100).start(),
                   "right": Stream(scene, "right", rate=2000, port=9001).start()}
        time.sleep(CALM)
        scene.path(1).lose()
        # Who sees both changes at once has never been without an address: MOBIKE takes him along, and
        # then payload waits for an answer.
        wait_for(lambda: "waiting for one" in scene.peers["left"].log(), "the loss to be noticed")
        scene.path(2).gain()
        wait_for(lambda: wire.counts()["right"]["swallowed"] > 100, "payload to the new address")
        wait_for(lambda: is_sent_little(wire), "that to end")
        frames = scene.captures[2, "right"].stop()
        payload, most = measured(frames, PATHS4[1][0])
        story(f"{payload} packets of payload to an address that does not answer, "
              f"at most {most:.2f} bytes for one")
        assert payload > 100 and most <= 3, (payload, most)
        wire.order("right blackhole off")
        gone_to(scene, 2)
        time.sleep(CALM)
        check_streams(stop_all(streams))


def silent_mptcp():
    """The same to the kernel's MPTCP: how long its connection stands still."""
    stalls = []
    for number in range(3):
        with Paths(f"silent-mptcp-{number}", orders="delay 10ms; rate 50M; queue 50ms",
                   captures=False) as scene:
            mptcp.prepare(scene)
            download = Download(scene, ends=PATHS4[0], wrapper=("mptcpize", "run"))
            wait_for(lambda: mptcp.joined(scene.left), "the second path")
            time.sleep(CALM)
            scene.path(1).wire.black_hole()
            before = download.progress()[0]
            wait_for(lambda: download.progress()[0] > before + AHEAD, "it to go on")
            # It says what is left by the path that is gone too: there must be one to end.
            scene.path(1).wire.black_hole(False)
            stalls.append(download.stop()["stall_ms"])
    story(f"MPTCP: black hole: it stood still for {in_words(stalls)}")


def rows():
    for left, right in PAIRINGS:
        kinds = f"{left.kind}-{right.kind}"
        yield f"{kinds}: one address is gone before the other is there", \
            hard(replace(left), replace(right))
        # charon looks for another path when its host's addresses change, not when nothing answers.
        if left.kind == "latchkey":
            yield f"{kinds}: a path swallows everything", silent(left, right)
    yield "several paths: one address is gone before the other is there", hard(*by_paths(), "paths")
    yield "several paths: nothing comes back to a new address", deaf
    yield "paths: one of MPTCP's swallows everything", silent_mptcp


TESTS = list(rows())
