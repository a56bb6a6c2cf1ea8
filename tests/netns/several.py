# SPDX-License-Identifier: Apache-2.0
"""One SA over several paths at once: two Latchkeys that have agreed on it."""

import errno
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time

from lab import wait_for
from nets import NETWORK, Side, Stream, other, stop_all, story
from paths import PATHS4, PATHS6, Download, Paths
from scenarios import agree, both_up

RATE = 1000
SETTLE = 1.0
ALIVE = ("ACTIVE", "STANDBY")
PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../api/python")


def sections(count, priorities=(), version=4):
    """The connection's keys for so many paths."""
    ends = PATHS4 if version == 4 else PATHS6
    return {f"path{n}": {"local_addr": ends[n - 1][0], "remote_addr": ends[n - 1][1],
                         "priority": priorities[n - 1] if priorities else 0}
            for n in range(1, count + 1)}


def sides(policy, count=2, priorities=(), version=4):
    """The left one decides about paths, and the right one sends by the same policy."""
    decides = Side(connection={"path_policy": policy,
                               "paths": sections(count, priorities, version)})
    return decides, Side()


def states(peer):
    """{number of a path: state} of the peer's one IKE SA."""
    sas = peer.established()
    return {n: path["state"] for n, path in sas[0].get("paths", {}).items()} if sas else {}


def all_alive(scene, count):
    for side, peer in scene.peers.items():
        wait_for(lambda peer=peer: len(states(peer)) == count
                 and all(state in ALIVE for state in states(peer).values()),
                 f"{side} to have {count} paths that carry: {states(peer)}")


def streams(scene):
    return {side: Stream(scene, side, rate=RATE, port=9000 + i).start()
            for i, side in enumerate(("left", "right"))}


def results_of(running, what):
    results = stop_all(running)
    for side, r in results.items():
        story(f"{what}: from {side}: {r['sent'] - r['received']} of {r['sent']} lost, "
              f"{r['repeated']} repeated, longest gap {r['gap_ms']:.0f} ms "
              f"(the sender's own: {r['pause_ms']:.0f} ms)")
        assert r["repeated"] == 0, f"{side}: repeated: {r}"
    return results


def unchanged(scene, before):
    for side, peer in scene.peers.items():
        assert peer.ike_spis() == before[side], f"{side} has another IKE SA now"
        assert "re-keyed" not in peer.log()
    wait_for(lambda: agree(scene), "both sides to hold the same Child SAs")


def carried_by(frames):
    """The IP protocols that ESP went by, on all paths: 17 is UDP, 50 is ESP itself."""
    return {f.protocol for seen in frames.values() for f in seen if f.kind == "esp"}


def black_hole():
    """The first path swallows everything without a word, and what goes by it goes by the second."""
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-hole", left, right, orders="delay 5ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        running = streams(scene)
        time.sleep(SETTLE)
        scene.path(1).wire.black_hole()
        for peer in scene.peers.values():
            wait_for(lambda peer=peer: states(peer).get("2") == "ACTIVE", "the second path")
        time.sleep(SETTLE)
        scene.path(1).wire.black_hole(False)
        for peer in scene.peers.values():
            wait_for(lambda peer=peer: states(peer).get("1") == "ACTIVE", "the first path again")
        time.sleep(SETTLE)
        for r in results_of(running, "a black hole").values():
            assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
        unchanged(scene, before)
        assert carried_by(scene.audit({1: 500, 2: 500})) == {17}


def addresses_go():
    """The first path's address goes and comes again under a download: it goes on, by the same SA."""
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-go", left, right, orders="delay 5ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        running, download = streams(scene), Download(scene, rate=2_000_000)
        for _ in range(2):
            time.sleep(SETTLE)
            scene.path(1).leave()
            wait_for(lambda: list(states(scene.peers["right"]).values()) == ["ACTIVE"],
                     "the right host to have one path")
            time.sleep(SETTLE)
            scene.path(1).join()
            all_alive(scene, 2)
        time.sleep(SETTLE)
        results_of(running, "an address that goes and comes")
        got = download.stop()
        story(f"download: {got['received']} bytes right, longest stall {got['stall_ms']:.0f} ms")
        unchanged(scene, before)
        scene.audit({1: 500, 2: 500})


def interfaces():
    """Paths that are named by their interfaces: one follows when its address is another one."""
    left, right = sides("failover", priorities=(0, 1))
    left.connection["paths"] = {
        "first": {"interface": "path1"},
        "second": {"interface": "path2", "remote_addr": PATHS4[1][1], "priority": 1}}
    with Paths("several-interfaces", left, right, orders="delay 5ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        running = streams(scene)
        time.sleep(SETTLE)
        scene.path(2).lose()
        scene.left.address("path2", PATHS4[1][0][:-1] + "9/24")
        wait_for(lambda: [path["remote"] for path in by_number(scene.peers["right"]).values()
                          if path["state"] == "STANDBY"] == [PATHS4[1][0][:-1] + "9[4500]"],
                 "the second path to begin at the new address")
        scene.peers["left"].cli("path", "move", "gw", PATHS4[1][0][:-1] + "9")
        wait_for(lambda: len(active(scene.peers["right"])) == 1 and
                 active(scene.peers["right"]) != [1], "the second path to have the traffic")
        time.sleep(SETTLE)
        for r in results_of(running, "an interface with another address").values():
            assert r["sent"] - r["received"] < RATE // 10, f"packets were lost: {r}"
        unchanged(scene, before)
        scene.audit({1: 500, 2: 500})


def link_goes_down():
    """The first path's link goes down under a download, its address stays: the other host is reached by the
    second one before it could be missed, and the first one has it again when the link is up."""
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-link", left, right, orders="delay 5ms", captures=False) as scene:
        both_up(scene)
        all_alive(scene, 2)
        before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        running = streams(scene)
        time.sleep(SETTLE)
        scene.path(1).wire.host.run("ip", "link", "set", "left", "down")
        for peer in scene.peers.values():
            wait_for(lambda peer=peer: active(peer) == [2], "the second path")
        assert scene.peers["left"].said("the link of path 1 is down")
        assert sorted(by_number(scene.peers["left"])) == [1, 2], "the path is another one now"
        time.sleep(SETTLE)
        scene.path(1).wire.host.run("ip", "link", "set", "left", "up")
        for peer in scene.peers.values():
            wait_for(lambda peer=peer: active(peer) == [1], "the first path again")
        time.sleep(SETTLE)
        for r in results_of(running, "a link that goes down").values():
            assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
        unchanged(scene, before)


def duplicate():
    """Each packet by two paths that lose a fifth each: about a twenty-fifth is lost, and none is twice."""
    left, right = sides("duplicate")
    for side in (left, right):
        side.connection["encap"] = "no"
    with Paths("several-duplicate", left, right, orders="delay 5ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        for n in (1, 2):
            scene.path(n).wire.order("loss 20%")
        running = streams(scene)
        for stream in running.values():
            stream.wait(3000)
        for side, r in results_of(running, "duplicate").items():
            assert r["sent"] - r["received"] < r["sent"] * 0.08, f"{side}: {r}"
        assert carried_by(scene.audit({1: 1000, 2: 1000})) == {50}


ACKNOWLEDGES = 128  # shorter than this is ESP of a TCP segment without payload; a control message is longer


def acknowledged_by(frames):
    """{path: acknowledgements from the left host by it}, from two seconds after its first packet on."""
    mine = {n: [f for f in frames[n, "left"] if f.kind == "esp" and f.source == PATHS4[n - 1][0]]
            for n in (1, 2)}
    begin = min(f.time for seen in mine.values() for f in seen) + 2
    return {n: sum(f.length < ACKNOWLEDGES and f.time > begin for f in seen)
            for n, seen in mine.items()}


def spray():
    """One TCP connection by both paths, packet by packet, byte by byte right; what acknowledges it goes by
    the quicker one alone."""
    left, right = sides("spray")
    with Paths("several-spray", left, right, orders=["delay 5ms", "delay 20ms"]) as scene:
        both_up(scene)
        all_alive(scene, 2)
        download = Download(scene, rate=2_000_000)
        time.sleep(5)
        got = download.stop()
        story(f"spray: {got['received']} bytes right, longest stall {got['stall_ms']:.0f} ms")
        by = acknowledged_by(scene.audit({1: 500, 2: 500}))
    story(f"acknowledgements: {by[1]} by the first path, {by[2]} by the second")
    assert by[1] > 100 and by[2] <= by[1] // 10, f"acknowledgements wait for the second path: {by}"


EF = 46  # RFC 3246
MARKED = 9001  # UDP to this port is marked EF by the host that sends it
SIZES = {"plain": 300, "marked": 600, "child": 900}
LONGER = 200  # what ESP and the outer header add, at most


def kind_of(frame):
    """Whose datagram it must be, by its length; None: none of a stream."""
    return next((kind for kind, size in SIZES.items() if size < frame.length < size + LONGER), None)


def ways(frames):
    """{(side that sent, kind): {path: ESP packets}}; a class that is not kept is an error."""
    seen = {}
    for side in ("left", "right"):
        for n in (1, 2):
            mine = PATHS4[n - 1][side == "right"]
            for frame in frames[n, side]:
                kind = kind_of(frame)
                if frame.kind != "esp" or frame.source != mine or not kind:
                    continue
                seen.setdefault((side, kind), {1: 0, 2: 0})[n] += 1
                assert (frame.tos >> 2 == EF) == (kind == "marked"), f"another class: {frame}"
    return seen


def own_ways():
    """A class and a child go by the second path, all else by the first."""
    left, right = sides("failover", priorities=(0, 1))
    for side, name in ((left, "left"), (right, "right")):
        side.local_ts, side.remote_ts = NETWORK[name][0], NETWORK[other(name)][0]
        side.children["six"] = {"local_ts": NETWORK[name][1], "remote_ts": NETWORK[other(name)][1]}
    left.children["six"]["path"] = "path2"
    left.connection["paths"]["path2"]["dscp"] = "ef"
    right.connection["paths"] = {"second": {"local_addr": PATHS4[1][1], "dscp": "ef, af41"}}
    with Paths("several-ways", left, right, orders="delay 5ms") as scene:
        for host in (scene.left, scene.right):
            host.nft("table ip classes {\n chain out {\n  type filter hook output priority mangle;\n"
                     f"  udp dport {MARKED} ip dscp set ef\n }}\n}}\n")
        both_up(scene)
        both_up(scene, "six")
        all_alive(scene, 2)
        running = {(side, kind): Stream(scene, side, rate=200, size=SIZES[kind], port=port + i,
                                        version=version).start()
                   for i, side in enumerate(("left", "right"))
                   for kind, port, version in (("plain", 9100, 4), ("child", 9110, 6))}
        marked = {(side, "marked"): Stream(scene, side, rate=200, size=SIZES["marked"],
                                           port=MARKED).start() for side in ("left", "right")}
        time.sleep(2 * SETTLE)
        for stream in (running | marked).values():
            stream.sender.stop(signal.SIGTERM)
        seen = ways(scene.audit({1: 500, 2: 500}))
    for (side, kind), by in sorted(seen.items()):
        story(f"{kind} from {side}: {by[1]} packets by the first path, {by[2]} by the second")
        mine = 1 if kind == "plain" else 2
        assert by[mine] > 200 and by[3 - mine] == 0, f"{kind} from {side}: {by}"
    assert len(seen) == 6, seen


def tagged():
    """Two children, one with a tag on both sides: under traffic what is tagged goes by the second path by
    one command, and is back with the rest by another; the rest stays where it is. Of a tag that only one
    side gives nothing moves."""
    left, right = sides("failover", priorities=(0, 1))
    for side, name in ((left, "left"), (right, "right")):
        side.local_ts, side.remote_ts = NETWORK[name][0], NETWORK[other(name)][0]
        side.child["path_tag"] = f"of-{name}"
        side.children["six"] = {"local_ts": NETWORK[name][1], "remote_ts": NETWORK[other(name)][1],
                                "path_tag": "voice"}
    with Paths("several-tagged", left, right, orders="delay 5ms", captures=False) as scene:
        both_up(scene)
        both_up(scene, "six")
        all_alive(scene, 2)
        decider = scene.peers["left"]
        refused(decider, 4, "no child of gw that is up has path_tag = nobody",
                "path", "move", "--tag", "nobody", "gw", "2")
        refused(decider, 6, "the peer refuses it: it has no such SAs",
                "path", "move", "--tag", "of-left", "gw", "2")
        refused(scene.peers["right"], 5, "the peer decides about the paths of gw",
                "path", "move", "--tag", "voice", "gw", "2")
        seen = []
        for words in (["--tag", "voice", "gw", "2"], ["--tag", "voice", "gw", PATHS4[0][0]]):
            scene.begin_captures()
            decider.cli("path", "move", *words)
            time.sleep(SETTLE / 2)
            running = {(side, kind): Stream(scene, side, rate=200, size=SIZES[kind], port=port + i,
                                            version=version).start()
                       for i, side in enumerate(("left", "right"))
                       for kind, port, version in (("plain", 9100, 4), ("child", 9110, 6))}
            time.sleep(2 * SETTLE)
            stop_all(running)
            seen.append(ways(scene.audit({1: 300})))
        assert active(decider) == [1], "all of it was moved"
    for step, mine in zip(seen, (2, 1)):
        assert len(step) == 4, step
        for (side, kind), by in sorted(step.items()):
            story(f"{kind} from {side}: {by[1]} packets by the first path, {by[2]} by the second")
            to = mine if kind == "child" else 1
            assert by[to] > 200 and by[3 - to] == 0, f"{kind} from {side}: {by}"


BY_PROGRAM = """
import asyncio, latchkey_ipsec as ipsec, sys
third = sys.argv[1]

async def moved_to(number):
    async for event in news:
        if event.news is ipsec.PathNews.MOVED and event.path == number:
            return event

async def main():
    global news
    ipsec.paths()
    news = ipsec.events()
    waiting = asyncio.ensure_future(moved_to(3))
    await asyncio.sleep(0.1)
    assert [(p.number, p.state.name) for p in ipsec.paths()] == [(1, "ACTIVE"), (2, "STANDBY")]
    number = ipsec.path_add("gw", third, priority=5, remote=sys.argv[2])
    assert number == 3, number
    while ipsec.paths()[2].state is not ipsec.PathState.STANDBY:
        await asyncio.sleep(0.05)
    await ipsec.path_move_async("gw", number)
    event = await asyncio.wait_for(waiting, 10)
    assert (event.connection, event.local[0], event.path_from) == ("gw", third, 1), vars(event)
    now = {p.number: p for p in ipsec.paths()}
    assert now[3].state is ipsec.PathState.ACTIVE and now[3].local == (third, 4500), vars(now[3])
    assert 0.009 < now[3].rtt < 1 and now[3].priority == 0 and now[3].decides, vars(now[3])
    ipsec.path_prefer("gw", 2)
    ipsec.path_remove("gw", 1)
    assert [p.number for p in ipsec.paths()] == [2, 3]
    for what in (lambda: ipsec.path_move("gw", 1), lambda: ipsec.path_move("nobody", 1)):
        try:
            what()
        except ipsec.IpsecError as error:
            print(error.errno, error.strerror)

asyncio.run(main())
"""


def by_a_program():
    """Paths are added, used, preferred and removed by a Python program, which is told of it."""
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-program", left, right, count=3, orders="delay 5ms", captures=False) as scene:
        both_up(scene)
        all_alive(scene, 2)
        decider = scene.peers["left"]
        done = scene.left.run(
            "env", f"LATCHKEY_SOCKET={decider.run_dir}/latchkey.app",
            f"LATCHKEY_LIBRARY={decider.bin}/client/liblatchkey.so.0", f"PYTHONPATH={PYTHON}",
            "/usr/bin/python3", "-B", "-c", BY_PROGRAM, *PATHS4[2])
        said = done.stdout.splitlines()
        assert len(said) == 2 and all(line.startswith(f"{errno.ENOENT} ") for line in said), done
        for peer in scene.peers.values():
            wait_for(lambda peer=peer: active(peer) == [2], "the preferred path")
        assert sorted(by_number(decider)) == [2, 3]


def translator():
    """The second path has a translator, which maps anew under load."""
    left, right = sides("failover", priorities=(1, 0))
    left.connection["paths"]["path2"]["local_addr"] = "172.16.2.2"
    with Paths("several-nat", left, right, orders="delay 5ms", nat=(2,)) as scene:
        both_up(scene)
        all_alive(scene, 2)
        running = streams(scene)
        time.sleep(SETTLE)
        scene.path(2).rebind()
        time.sleep(2 * SETTLE)
        for r in results_of(running, "a translator that maps anew").values():
            assert r["sent"] - r["received"] < RATE, f"it did not go on: {r}"
        scene.audit({2: 500})


def by_number(peer):
    """{number: path} of what `latchkey paths` tells of the peer's one IKE SA."""
    return {path["number"]: path for path in peer.cli_json("paths", "gw")["paths"]}


def handovers(peer):
    """(from, to) of each that happened so far, by the paths' numbers."""
    return [(event.get("from", 0), event["number"])
            for event in peer.cli_json("paths", "gw")["events"] if event["event"] == "moved"]


def active(peer):
    return [n for n, path in by_number(peer).items() if path["state"] == "ACTIVE"]


def refused(peer, code, text, *words):
    done = peer.cli(*words, check=False)
    assert done.returncode == code and text in done.stderr, (words, done)


def refusals(scene):
    """What cannot be is said in a sentence."""
    left, right = scene.peers["left"], scene.peers["right"]
    refused(left, 4, "nothing called 'nobody' is up", "path", "move", "nobody", "1")
    refused(left, 4, "has no path 9", "path", "move", "gw", "9")
    refused(left, 4, "has no path at 192.0.2.77", "path", "remove", "gw", "192.0.2.77")
    refused(left, 1, "is no address of this host", "path", "add", "gw", "--local", "192.0.2.77")
    refused(left, 1, "is path 1 of gw already", "path", "add", "gw", "--local", PATHS4[0][0])
    refused(right, 5, "the peer decides", "path", "move", "gw", "1")


def refused_by_peer(scene):
    """What the peer does not want is taken back, and not said again when addresses change."""
    decider = scene.peers["left"]
    refused(decider, 6, "the peer refuses it: one of the addresses cannot be", "path", "add", "gw",
            "--local", PATHS4[2][0], "--remote", "203.0.113.77")
    wait_for(lambda: sorted(by_number(decider)) == [1, 2], "the path to be taken back")
    scene.left.address("path3", "203.0.113.99/24")
    time.sleep(SETTLE)
    assert decider.log().count("refuses what was said") == 1, "it was said again"
    assert sorted(by_number(decider)) == [1, 2], by_number(decider)


def top(peer, end, columns=80):
    """What `latchkey top` draws on a terminal until it has drawn twice and is told to end: q, or a
    signal. The terminal is as it was then."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    before, drawn = termios.tcgetattr(its), b""
    with subprocess.Popen([os.path.join(peer.bin, "latchkey"), "--run-dir", peer.run_dir, "top"],
                          stdin=its, stdout=its, stderr=its, start_new_session=True) as process:
        while drawn.count(b"\033[H") < 2:
            drawn += os.read(ours, 65536)
        assert termios.tcgetattr(its) != before, "keys are not read as they are pressed"
        if end == "q":
            os.write(ours, b"q")
        else:
            process.send_signal(end)
        assert process.wait(10) == 0, process
        drawn += os.read(ours, 65536)
        assert termios.tcgetattr(its) == before, "the terminal is another one"
    os.close(ours)
    os.close(its)
    assert drawn.startswith(b"\033[?1049h\033[?25l") and drawn.endswith(b"\033[?25h\033[?1049l"), drawn
    screen = drawn.split(b"\033[H")[2].split(b"\033[J")[0].decode()
    return [line.replace("\033[K", "") for line in screen.split("\r\n")]


def shows(lines, columns):
    """The fourth path has the traffic and the first one waits; it all fits."""
    assert all(len(line) <= columns for line in lines) and len(lines) <= 24, lines
    rows = {line.split()[1]: line.split() for line in lines if line.startswith("gw ")}
    assert sorted(rows) == ["1", "2", "4"], rows
    return rows["4"][2] == "ACTIVE" and rows["1"][2] == "STANDBY" and \
        all(float(rows["4"][n]) > float(rows["1"][n]) for n in (3, 4)) and \
        any("path 4 has the traffic, after" in line for line in lines)


def looked_at(peer):
    """The live view: each path with what it carries, and the last handovers, in the columns there are."""
    for end, columns in (("q", 80), (signal.SIGINT, 60), (signal.SIGTERM, 200)):
        wait_for(lambda end=end, columns=columns: shows(top(peer, end, columns), columns),
                 "the view to show the fourth path")
    once = peer.cli("top", "--once", "gw").stdout
    assert "\033" not in once and "path 4 has the traffic, after path " in once, once


def in_order(wanted, seen):
    """All that is wanted was seen, in this order: a busy machine may have given a path up between."""
    rest = iter(seen)
    return all(one in rest for one in wanted)


def by_hand():
    """Under streams, by commands: a path is added, has the traffic, gives it back, and goes; a path that
    the configuration wants is taken away. Neither is undone by addresses that come and go."""
    left, right = sides("failover", priorities=(0, 1))
    with Paths("several-hand", left, right, count=3, orders="delay 5ms") as scene:
        both_up(scene)
        all_alive(scene, 2)
        before = {side: peer.ike_spis() for side, peer in scene.peers.items()}
        decider, follower = scene.peers["left"], scene.peers["right"]
        refusals(scene)
        refused_by_peer(scene)
        running = streams(scene)
        decider.cli("path", "add", "gw", "--local", PATHS4[2][0], "--remote", PATHS4[2][1],
                    "--priority", "5", "--weight", "7")
        all_alive(scene, 3)
        # The one that was refused had number 3, which is never given again.
        third = by_number(decider)[4]
        assert (third["local"], third["priority"], third["weight"], third["state"]) == \
            (f"{PATHS4[2][0]}[4500]", 5, 7, "STANDBY"), third
        assert {path["encap"] for path in by_number(decider).values()} == {"udp"}
        assert third["rtt-us"] > 9000 and third["loss-permille"] == 0, third
        for words, now in ((("move", "gw", "4"), 4), (("prefer", "gw", PATHS4[1][0]), 2),
                           (("move", "gw", PATHS4[2][0]), 4)):
            decider.cli("path", *words)
            for peer in (decider, follower):
                wait_for(lambda peer=peer, now=now: active(peer) == [now], f"path {now} alone")
            time.sleep(SETTLE)
        for peer in (decider, follower):
            assert in_order([1, 4, 2, 4], [to for _, to in handovers(peer)]), handovers(peer)
        third = by_number(decider)[4]
        assert third["priority"] == 0 and third["tx-packets"] > RATE < third["rx-packets"], third
        looked_at(decider)
        decider.cli("path", "remove", "gw", "2")
        wait_for(lambda: sorted(by_number(follower)) == [1, 4], "the second path to be gone")
        # An address comes, and one goes and comes: what was said by hand stands.
        scene.path(1).lose()
        wait_for(lambda: sorted(by_number(decider)) == [4], "the first path to be gone")
        scene.path(1).gain()
        all_alive(scene, 2)
        assert {p["local"].split("[")[0] for p in by_number(decider).values()} == \
            {PATHS4[0][0], PATHS4[2][0]}, by_number(decider)
        wait_for(lambda: active(decider) == [4], "the fourth path to have the traffic still")
        decider.cli("path", "remove", "gw", PATHS4[2][0])
        for peer in (decider, follower):
            wait_for(lambda peer=peer: [p["local"] for p in by_number(peer).values()] ==
                     [f"{PATHS4[0][peer is follower]}[4500]"], "the first path alone")
        time.sleep(SETTLE)
        for r in results_of(running, "paths by hand").values():
            assert r["sent"] - r["received"] < RATE // 10, f"packets were lost: {r}"
        unchanged(scene, before)
        scene.audit({1: 500, 2: 500, 3: 500})


TESTS = [
    ("several paths: a black hole", black_hole),
    ("several paths: addresses go and come", addresses_go),
    ("several paths: a link goes down", link_goes_down),
    ("several paths: by their interfaces", interfaces),
    ("several paths: each packet by all", duplicate),
    ("several paths: one connection by two", spray),
    ("several paths: classes and children by their own", own_ways),
    ("several paths: what is tagged goes by another", tagged),
    ("several paths: a translator on one of them", translator),
    ("several paths: by hand", by_hand),
    ("several paths: by a program", by_a_program),
]
