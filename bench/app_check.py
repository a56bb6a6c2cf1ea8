#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/app runs, its figures are of one another, and its SAs last. usage: app_check.py
PROGRAM BUILD"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tap"))
from pytap import Skip, run  # noqa: E402

PROGRAM, BUILD = sys.argv[1:]


def bench(*options):
    return subprocess.run([PROGRAM, "--build", BUILD, *options], capture_output=True, text=True,
                          timeout=100, check=False)


def test_hostile_ones():
    if os.geteuid() != 0:
        raise Skip("needs root to make network namespaces")
    done = bench("--runs", "1", "--ways", "flood,events,fill,big,half,fds,churn,linger", "--json")
    if "no control group" in done.stderr:
        raise Skip(done.stderr.strip())
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["schema"] == "latchkey-bench-app/1" and told["sas_same"], told
    for way, got in told["ways"].items():
        acts, connections = (int(word) for word in got["said"].split() if word.isdigit())
        cost = 100 * (1 - got["beside_per_s"] / got["spin_per_s"])
        assert abs(cost - got["cost_percent"]) < 0.2, (way, got)
        # Each is as hostile as its name: it keeps on, and who is thrown out comes again.
        assert acts > 32, (way, got)
        # One whose sockets linger is thrown out or not, as he is quicker than what closes them.
        if way != "linger":
            assert (connections > 32) == (way in ("big", "half", "fds", "churn")), (way, got)


def test_wrong_option():
    for words in (("--runs", "0"), ("--ways", "kind"), ("--percent", "0")):
        done = bench(*words)
        assert done.returncode and done.stderr and not done.stdout, done


sys.exit(run((test.__name__, test) for test in (test_hostile_ones, test_wrong_option)))
