# SPDX-License-Identifier: Apache-2.0
"""The kernel's Multipath TCP over the same paths, in the clear: what bonding is compared with."""

import json
import re
import shutil
import time

from lab import wait_for
from nets import story
from paths import PATHS4, Messages, Paths
from pytap import Skip

PORT = 5201


def prepare(scene, backup=False):
    """One connection by every path: the right host says its addresses, the left one goes to each from
    the interface that leads there. backup: all but the first path wait."""
    if not shutil.which("mptcpize"):
        raise Skip("mptcpize is not installed")
    for host in (scene.left, scene.right):
        host.sysctl("net.mptcp.enabled", 1)
        host.run("ip", "mptcp", "limits", "set", "subflows", 8, "add_addr_accepted", 8)
    for path in scene.paths[1:]:
        scene.right.run("ip", "mptcp", "endpoint", "add", path.right4, "dev", path.device, "signal",
                        *["backup"] * backup)


def joined(host):
    """How many further paths a connection of this host has got."""
    shown = host.run("nstat", "-asz", "MPTcpExtMPJoinSynAckRx").stdout
    return int(re.search(r"MPJoinSynAckRx\s+(\d+)", shown).group(1))


def iperf(scene, seconds, ends, wrapper=(), omit=1, control=None):
    """One TCP connection from the left host to the right one: {"mbit_s": of payload, after `omit` s,
    "mss": payload of a packet, by the connection's own word}. control: of congestion, or the
    kernel's default."""
    local, remote = ends
    # At every address: a further path of MPTCP goes to another one.
    scene.right.spawn("iperf3-server", *wrapper, "iperf3", "-s", "-1", "-p", PORT)
    wait_for(lambda: scene.right.run("ss", "-Hltn", "sport", "=", f":{PORT}").stdout,
             "iperf3 to listen")
    client = scene.left.spawn("iperf3-client", *wrapper, "iperf3", "-c", remote, "-B", local, "-p",
                              PORT, "-t", seconds, "-O", omit, "-J",
                              *(("-C", control) if control else ()))
    wait_for(lambda: not client.running(), "iperf3 to end", seconds + omit + 60)
    answer = json.loads(client.log())
    assert "error" not in answer, answer["error"]
    return {"mbit_s": answer["end"]["sum_received"]["bits_per_second"] / 1e6,
            "mss": answer["start"].get("tcp_mss_default", 0)}


def mptcp_baseline(scene, seconds=5, omit=1, control=None):
    """Mbit/s of one connection by all paths of `scene`. The scene has no daemons."""
    prepare(scene)
    before = joined(scene.left)
    result = iperf(scene, seconds, PATHS4[0], wrapper=("mptcpize", "run"), omit=omit,
                   control=control)
    wanted = len(scene.paths) - 1
    found = joined(scene.left) - before
    # The connection that iperf3 has for itself joins as well.
    assert found == 2 * wanted, f"{found} further paths, {2 * wanted} expected"
    return result["mbit_s"]


def carried(scene):
    """Bytes from the left host by each path."""
    return [path.wire.counts()["left"]["out_len"] for path in scene.paths]


def baseline(count):
    def test():
        with Paths(f"mptcp-{count}", count=count, rates=["20mbit"] * count, captures=False) as scene:
            alone = iperf(scene, 2, PATHS4[0])["mbit_s"]
            before = carried(scene)
            result = mptcp_baseline(scene, seconds=2)
            by = [now - was for now, was in zip(carried(scene), before)]
            story(f"{count} paths of 20 Mbit/s: TCP {alone:.1f} Mbit/s, MPTCP {result:.1f} Mbit/s")
            # What stood in the queues when counting began comes on top: 50 ms of two seconds.
            assert 0 < alone < 22 and result < 22 * count, (alone, result)
            assert min(by) > sum(by) / 20, f"a path has next to nothing: {by}"
    return test


def second_waits():
    """Messages by the first path alone while it carries; when it swallows everything they go on by the
    second one, and none is lost."""
    with Paths("mptcp-backup", orders="delay 5ms", captures=False) as scene:
        prepare(scene, backup=True)
        messages = Messages(scene, 200, 1000, ends=PATHS4[0], wrapper=("mptcpize", "run"))
        wait_for(lambda: joined(scene.left), "the second path")
        before = carried(scene)
        wait_for(lambda: carried(scene)[0] - before[0] > 100_000, "messages by the first path")
        assert carried(scene)[1] - before[1] < 10_000, (before, carried(scene))
        begin = time.time_ns()
        scene.path(1).wire.black_hole()
        wait_for(lambda: all(messages.newest(side)[0] > begin + 1e9 for side in ("left", "right")),
                 "messages of a second later")
        scene.path(1).wire.black_hole(False)
        counted = messages.stop()
        for side in ("left", "right"):
            came = messages.arrivals(side)
            assert [number for number, _, _ in came] == list(range(counted[side]["received"]))
            gap = max(b[2] - a[2] for a, b in zip(came, came[1:])) / 1e6
            story(f"to {side}: {len(came)} messages, longest gap {gap:.0f} ms")


TESTS = [(f"paths: the kernel's MPTCP by {count}", baseline(count)) for count in (2, 3)] + \
    [("paths: the kernel's MPTCP, the second waits", second_waits)]
