#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/workers runs, and both numbers of workers carry something. usage: workers_check.py
PROGRAM"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tap"))
from pytap import run  # noqa: E402

PROGRAM = sys.argv[1]


def bench(*options):
    return subprocess.run([PROGRAM, *options], capture_output=True, text=True, timeout=60,
                          check=False)


def test_both_carry():
    done = bench("--runs", "1", "--ms", "50")
    told = re.search(r"1 worker ([\d.]+) million a second, 2 workers ([\d.]+), ratio ([\d.]+)",
                     done.stdout)
    assert done.returncode == 0 and told, done
    one, two, ratio = map(float, told.groups())
    assert one > 0 and two > 0 and abs(two / one - ratio) < 0.02, told.groups()


def test_wrong_option():
    done = bench("--runs", "0")
    assert done.returncode and done.stderr and not done.stdout, done


sys.exit(run((test.__name__, test) for test in (test_both_carry, test_wrong_option)))
