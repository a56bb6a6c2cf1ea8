#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whether bench/dpdk runs and every packet arrives. usage: dpdk_check.py PROGRAM MODULE"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tap"))
from pytap import run  # noqa: E402

PROGRAM, MODULE = sys.argv[1:3]


def figures(*options):
    done = subprocess.run([PROGRAM, "--module", MODULE, "--runs", "3", "--turns", "16", *options],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^ +(\d+) +(\d+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+)$", done.stdout, re.M)


def check(*options):
    rows = figures(*options)
    assert [row[0] for row in rows] == ["64", "512", "1400"], rows
    for _, cycles, _, together, ceiling, _ in rows:
        assert 0 < int(ceiling) < int(cycles) and float(together) > 0, rows


def test_wrong_option():
    done = subprocess.run([PROGRAM, "--runs", "0"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2, done


sys.exit(run([("bare ESP", check), ("ESP in UDP", lambda: check("--udp")),
              ("a wrong option", test_wrong_option)]))
