#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/ike counts right, its generator makes the handshakes that it tells, what is told is in
the README, and wrong options are refused. usage: ike_check.py SCRIPT GENERATOR README"""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tests", "tap"), HERE]
from pytap import run  # noqa: E402
from schema import documented, paths  # noqa: E402

SCRIPT, GENERATOR, README = sys.argv[1:]


def script():
    """bench/ike as a module, its generator the one that was built."""
    loader = importlib.machinery.SourceFileLoader("bench_ike", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_ike", loader))
    loader.exec_module(module)
    module.Latchkey.build = os.path.dirname(os.path.dirname(GENERATOR))
    return module


def test_pair():
    """So many handshakes as were asked for, with as many Child SAs or none, at both ends."""
    bench = script()
    for child in (False, True):
        got = bench.pair_once("psk", 20, child)
        assert got["handshakes"] == 20 and got["up"] == [20, 20], got
        assert got["children"] == ([20, 20] if child else [0, 0]), got
        assert got["initiator_us"] > 0 and got["responder_us"] > 0, got
        assert got["rss_after"] > got["rss_before"] > 0, got
        assert all(us > 0 for us in got["strangers_us"].values()), got


def test_pair_refused():
    """A handshake that fails is none: the secrets differ."""
    bench = script()
    text = bench.responder("psk").replace("as long as", "as short as")
    with bench.Folder() as folder:
        files = [folder.put("left", bench.initiator("psk"), {}), folder.put("right", text, {})]
        done = subprocess.run([GENERATOR, "pair", "1", *files], capture_output=True, text=True,
                              check=False)
    assert done.returncode == 1 and bench.said(done.stdout)["up"] == [0, 0], done


def test_memory():
    got = script().memory_of({"handshakes": 2000, "rss_before": 2 ** 20,
                              "rss_after": 2 ** 20 + 2000 * 6000, "seconds": 1.26,
                              "strangers_us": {"hint": 1}})
    assert got == {"ike_sas": 2000, "bytes_each": 6000, "mib": 12.4, "seconds": 1.3,
                   "strangers_us": {"hint": 1}}, got


def one(per_s, per_cpu_s):
    return {"per_s": per_s, "per_cpu_s": per_cpu_s, "generator_percent": 50, "failed": 0}


def test_ratios():
    """Each run's ratio, and not that of the medians."""
    got = script().serve_of([{"latchkey": one(20, 40), "charon": one(10, 10)},
                             {"latchkey": one(90, 90), "charon": one(30, 30)},
                             {"latchkey": one(10, 20), "charon": one(10, 20)}])
    assert got["latchkey"]["per_s"] == 20 and got["charon"]["per_cpu_s"] == 20, got
    assert got["ratio_per_s"] == {"median": 2, "min": 1, "max": 3}, got
    assert got["ratio_per_cpu_s"] == {"median": 3, "min": 1, "max": 4}, got


def test_lost():
    lost = script().lost
    assert lost({"sent": 1000, "received": 1000}) == 0 and lost({"sent": 1000, "received": 900}) == 10


def test_report():
    """Its keys are those of the README."""
    bench = script()
    flood = {"flood_per_s": 1, "flood_port": 4500, "begun": 1, "in_time_percent": 1, "p50_ms": 1,
             "p99_ms": 1, "cpu_percent": 1, "lost_in_percent": 1, "lost_out_percent": 1}
    serve = bench.serve_of([{"latchkey": one(1, 1), "charon": one(1, 1)}])
    report = {"schema": "", "machine": {"cores": 1, "kernel": ""}, "runs": 1,
              "pair": {"KIND": {"initiator_per_s": 1, "responder_per_s": 1}},
              "serve": {"KIND": {("SYSTEM" if key == "latchkey" else key): value
                                 for key, value in serve.items() if key != "charon"}},
              "flood": {"SYSTEM": {"CASE": flood}},
              "memory": bench.memory_of({"handshakes": 1, "rss_before": 1, "rss_after": 2,
                                         "seconds": 1, "strangers_us": dict.fromkeys(
                                             ("refused", "unknown", "hint", "stray"), 1)})}
    found = {path for path in paths(report) if path.count(".") == 0 or
             not path.endswith(("KIND", "SYSTEM", "CASE"))}
    assert found == documented(README, "ike"), found ^ documented(README, "ike")


def test_wrong_options():
    for words in (("--runs", "0"), ("--parts", "pair,nothing"), ("--kinds", "rsa"),
                  ("--flood-seconds", "1"), ("--systems", "nobody")):
        done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode and done.stderr and not done.stdout, done
    for words in ((), ("pair",), ("drive", "1"), ("flood", "1", "2"), ("pair", "0", "a", "b")):
        done = subprocess.run([GENERATOR, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 2 and "usage" in done.stderr and not done.stdout, done


sys.exit(run((test.__name__, test) for test in (
    test_pair, test_pair_refused, test_memory, test_ratios, test_lost, test_report,
    test_wrong_options)))
