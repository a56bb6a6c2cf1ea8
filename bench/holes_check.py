#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/holes finds the gap around a hole, says what its README says, and refuses what it
cannot do. usage: holes_check.py PROGRAM README"""

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

PROGRAM, README = sys.argv[1:]
MS = 1_000_000


def program():
    """bench/holes as a module."""
    loader = importlib.machinery.SourceFileLoader("bench_holes", PROGRAM)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_holes", loader))
    loader.exec_module(module)
    return module


def test_gap():
    """An arrival each ms but from 100 to 180 and from 500 to 700: each hole has its own gap, also one
    that begins before what was under way has come."""
    gap = program().gap
    arrivals = [(n, n * MS, n * MS) for n in range(1000) if not 100 < n < 180 and not 500 < n < 700]
    assert gap(arrivals, 95 * MS, 400 * MS) == 80
    assert gap(arrivals, 105 * MS, 400 * MS) == 80
    assert gap(arrivals, 490 * MS, 800 * MS) == 200
    assert gap(arrivals, 800 * MS, 900 * MS) == 1


def test_goes_on():
    """What was sent before the hole says nothing, nor what it kept back, nor one direction alone."""
    goes_on = program().goes_on
    new, old, late = (101 * MS, 107 * MS), (99 * MS, 104 * MS), (101 * MS, 501 * MS)
    assert goes_on([new, new], 100 * MS, 55 * MS)
    for other in (old, late, (0, 0)):
        assert not goes_on([new, other], 100 * MS, 55 * MS), other
        assert not goes_on([other, new], 100 * MS, 55 * MS), other


def test_report():
    """Of figures that are known; and its keys are those of the README."""
    bench = program()
    options = bench.parse(["--delay", "40"])
    gaps = [[n, 300] if n == 1 else [n, n] for n in range(1, 101)]
    found = bench.Found()
    found.gaps, found.pause = gaps, 3.04
    report = bench.report_of({"latchkey": found}, options)
    figure = report["systems"]["latchkey"]
    assert report["bound_ms"] == 240, report
    assert figure["holes"] == 100 and figure["gaps"] == 200 and figure["within_bound"] == 199, figure
    assert figure["longest_ms"] == 300 and figure["p99_ms"] == 100, figure
    assert figure["pause_ms"] == 3.0, figure
    found = {key.replace("systems.latchkey.", "systems.NAME.") for key in paths(report)
             if key != "systems.latchkey"}
    assert found == documented(README, "holes"), found ^ documented(README, "holes")


def test_wrong_options():
    for words in (("--holes", "1"), ("--mptcp-holes", "1"), ("--delay", "-1"),
                  ("--only", "latchkey,nobody")):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode and done.stderr and not done.stdout, done


sys.exit(run((test.__name__, test) for test in (test_gap, test_goes_on, test_report, test_wrong_options)))
