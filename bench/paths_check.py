#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/paths counts what a frame carries right, says what its README says, and refuses what
it cannot do. usage: paths_check.py PROGRAM README"""

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


def program():
    """bench/paths as a module."""
    loader = importlib.machinery.SourceFileLoader("bench_paths", PROGRAM)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_paths", loader))
    loader.exec_module(module)
    return module


def test_frame():
    """A segment of 1,000 bytes: by itself; in ESP, which pads 1,054 bytes to 1,056; in UDP."""
    frame_of = program().frame_of
    assert frame_of(1000, protected=False) == 1066
    assert frame_of(1000, protected=True) == 14 + 20 + 8 + 8 + 1056 + 16
    assert frame_of(1000, protected=True, udp=True) == frame_of(1000, protected=True) + 8
    assert frame_of(1448, protected=False) == 1514


def test_report():
    """Of figures that are known: 90 % of what two links allow; and its keys are those of the
    README."""
    bench = program()
    options = bench.parse(["--runs", "2", "--rates", "100,50"])
    ours, other, _ = bench.SYSTEMS
    runs = [{"mbit_s": rate, "mss": 1000, "frame": 1250, "path_bytes": [30, 10]}
            for rate in (100, 116)]
    report = bench.report_of({ours: runs, other: [{"mbit_s": 75, "path_bytes": [1, 1]}]},
                             {"tcp": "reason"}, options)
    figure = report["systems"]["latchkey"]
    assert figure["mbit_s"] == 108 and figure["allowed_mbit_s"] == 120, figure
    assert figure["of_allowed"] == 0.9 and figure["of_rates"] == 0.72, figure
    assert figure["path_share"] == [0.75, 0.25], figure
    assert "of_allowed" not in report["systems"]["mptcp"], report
    found = {key.replace("systems.latchkey.", "systems.NAME.").replace("absent.tcp", "absent.NAME")
             for key in paths(report) if "mptcp" not in key and key != "systems.latchkey"}
    assert found == documented(README, "paths"), found ^ documented(README, "paths")


def test_wrong_options():
    for words in (("--runs", "0"), ("--rates", "1,2,3,4"), ("--rates", "0"), ("--only", "kind"),
                  ("--delays", "1,2,3"), ("--omit", "-1"), ("--buffers", "-1")):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode and done.stderr and not done.stdout, done


sys.exit(run((test.__name__, test) for test in (test_frame, test_report, test_wrong_options)))
