#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that bench/dpdk runs, that every packet arrives, that its JSON is what bench/README.md says,
and what it makes of its peers, which are scripts here.

usage: dpdk_check.py PROGRAM MODULE README
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tap"))
from pytap import run  # noqa: E402
from schema import documented, paths  # noqa: E402

# What a peer does: keeps its arguments and files for the test, says its text, and waits to be told.
PEER = """#!/usr/bin/python3
import shutil, sys, time
with open(sys.argv[0] + ".args", "w") as file:
    file.write("\\n".join(sys.argv[1:]))
for argument in sys.argv[1:]:
    for begin, name in (("--vdev=net_pcap0,rx_pcap=", "pcap"), ("-f", "cfg")):
        if argument.startswith(begin):
            shutil.copy(argument[len(begin):].split(",")[0], sys.argv[0] + "." + name)
sys.stdout.write({text!r})
sys.stdout.flush()
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""
# Three seconds at three, two and one million, sealed and clear: one million a second.
SECGW_SAYS = "".join(f"Packets sent: 7\nTotal packets sent: {n:15d}\n"
                     for n in (2000000, 5000000, 7000000, 8000000))
# Two ports; the first second counts for nothing.
TESTPMD_SAYS = "".join(f"  Rx-pps:  5  Rx-bps: 1\n  Tx-pps: {n:9d}  Tx-bps: 0\n"
                       for n in (1, 2, 7000000, 9000000, 3000000, 3000000, 8000000, 8000000))


def bench(*options):
    return subprocess.run([PROGRAM, "--module", MODULE, "--runs", "3", "--turns", "16", *options],
                          capture_output=True, text=True, timeout=100, check=False)


def report(*options):
    done = bench("--json", *options)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def peer(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(PEER.format(text=text))
    os.chmod(path, 0o755)
    return path


def check_table(*options):
    done = bench(*options)
    assert done.returncode == 0, done
    rows = re.findall(r"^ +(\d+) +(\d+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+)$", done.stdout, re.M)
    assert [row[0] for row in rows] == ["64", "512", "1400"], rows
    for _, cycles, _, together, ceiling, _ in rows:
        assert 0 < int(ceiling) < int(cycles) and float(together) > 0, rows


def test_bare():
    check_table()


def test_udp():
    check_table("--udp")


def test_figures_make_sense():
    data = report("--sizes", "100,900", "--udp", "--aead", "openssl")
    assert data["settings"] == {
        "alg": "aes256gcm16", "aead": "openssl", "batch": 64, "runs": 3, "turns": 16, "flows": 8,
        "replay_window": 1024, "peer_seconds": 3, "encapsulation": "udp"}, data["settings"]
    assert [r["inner_bytes"] for r in data["results"]] == [100, 900], data
    for r in data["results"]:
        for figure in (r["cycles"], r["mpps"], r["io_cycles"]):
            assert 0 < figure["min"] <= figure["median"] <= figure["max"], r
        assert r["io_cycles"]["median"] < r["cycles"]["median"], r
        assert r["secgw_mpps"] is r["secgw_ratio"] is r["testpmd_mpps"] is None, r


def test_peers():
    with tempfile.TemporaryDirectory() as folder:
        secgw, testpmd = peer(folder, "secgw", SECGW_SAYS), peer(folder, "pmd", TESTPMD_SAYS)
        data = report("--sizes", "100", "--runs", "1", "--turns", "64", "--seconds", "1", "--secgw",
                      secgw, "--testpmd", testpmd)
        with open(secgw + ".args", encoding="ascii") as file:
            arguments = file.read()
        with open(secgw + ".pcap", "rb") as file:
            capture = file.read()
        with open(secgw + ".cfg", encoding="ascii") as file:
            conf = file.read()
        with open(testpmd + ".args", encoding="ascii") as file:
            null = file.read()
        left = [name for name in re.findall(r"latchkey-bench-\w+", arguments)
                if os.path.exists("/tmp/" + name)]
    wanted, known = paths(data), documented(README, "dpdk")
    assert wanted == known, f"undocumented {sorted(wanted - known)}, stale {sorted(known - wanted)}"
    assert data["schema"] == "latchkey-bench-dpdk/1", data["schema"]
    result = data["results"][0]
    assert abs(result["secgw_mpps"]["median"] - 1) < 1e-6, result
    assert abs(result["testpmd_mpps"]["median"] - 16) < 1e-6, result
    for name, mpps in (("secgw", 1), ("testpmd", 16)):
        ratio = result["mpps"]["median"] / mpps
        assert abs(result[f"{name}_ratio"]["median"] / ratio - 1) < 1e-4, result
    assert len(capture) == 24 + 8 * (16 + 114), len(capture)
    assert struct.unpack_from("<II", capture, 32) == (114, 114), capture[:64]
    assert re.search(r"^sa in 5 .*^sa out 5 ", conf, re.M | re.S), conf
    assert "-w1024" in arguments and "--vdev=net_null1,size=114" in null, (arguments, null)
    assert not left, left


def test_peer_that_says_nothing():
    with tempfile.TemporaryDirectory() as folder:
        for options in (["--secgw", peer(folder, "secgw", "Total packets sent: 0\n")],
                        ["--testpmd", peer(folder, "pmd", "")], ["--secgw", folder + "/none"]):
            done = bench("--sizes", "64", "--seconds", "1", *options)
            assert done.returncode == 1 and done.stderr and not done.stdout, done


def test_bad_arguments_are_refused():
    for options in (["--runs", "0"], ["--sizes", "27"], ["--sizes", "64,"], ["--turns", "x"],
                    ["--seconds", "61"], ["--secgw", "true", "--udp"], ["extra"]):
        done = bench(*options)
        assert done.returncode == 2 and done.stderr and not done.stdout, (options, done)


if len(sys.argv) != 4:
    sys.exit(__doc__)
PROGRAM, MODULE, README = sys.argv[1:]
sys.exit(run((test.__name__, test) for test in (
    test_bare, test_udp, test_figures_make_sense, test_peers, test_peer_that_says_nothing,
    test_bad_arguments_are_refused)))
