# SPDX-License-Identifier: Apache-2.0
"""Runs a table of Python tests as TAP: the plan first, every failure with its reason.

A test is a (name, callable). It passes by returning, fails by raising, and is skipped by raising
Skip with a reason.
"""

import concurrent.futures.process
import contextlib
import io
import multiprocessing
import os
import sys
import time
import traceback


class Skip(Exception):
    """The test cannot be done here; the message says why."""


def diag(text):
    """Prints text as diagnostics, never read as a result."""
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", flush=True)


def _one(number, name, test):
    begin = time.monotonic()
    try:
        test()
    except Skip as skip:
        print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        return True
    except AssertionError as failure:
        print(f"not ok {number} - {name}", flush=True)
        last = traceback.extract_tb(failure.__traceback__)[-1]
        diag(f"{last.filename}:{last.lineno}: {failure or last.line}")
        return False
    except Exception:  # a broken test is a failed test, and the rest still run
        print(f"not ok {number} - {name}", flush=True)
        diag(traceback.format_exc())
        return False
    print(f"ok {number} - {name} # {time.monotonic() - begin:.1f} s", flush=True)
    return True


_tests = []  # what a process of run() takes its tests from, by their place


def _captured(place):
    """Runs one test; returns what it printed and whether it is good."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        good = _one(place + 1, *_tests[place])
    return text.getvalue(), good


def _side_by_side(tests, jobs, prepare, waits):
    """Yields the results in order, while jobs processes run the tests, and as many more those that
    only wait."""
    def pool():
        return concurrent.futures.ProcessPoolExecutor(
            jobs, multiprocessing.get_context("fork"), prepare)

    _tests[:] = tests
    with pool() as busy, pool() as idle:
        for future in [(idle if waits(name) else busy).submit(_captured, i)
                       for i, (name, _) in enumerate(tests)]:
            text, good = future.result()
            print(text, end="", flush=True)
            yield good


def run(tests, jobs=1, prepare=None, waits=lambda name: False):
    """Runs (name, callable) pairs; returns the exit status. With the environment variable TAP_ONLY
    set, only those whose name contains its text. jobs: so many at a time, each in a process for
    which prepare() was called, and beside them as many of those of which waits(name) is true; what
    they print comes in order."""
    only = os.environ.get("TAP_ONLY", "")
    tests = [(name, test) for name, test in tests if only in name]
    print("TAP version 13")
    print(f"1..{len(tests)}", flush=True)
    if jobs > 1:
        try:
            results = list(_side_by_side(tests, jobs, prepare, waits))
        except concurrent.futures.process.BrokenProcessPool:
            print("Bail out! a process that ran tests died", flush=True)
            return 1
    else:
        results = [_one(i, name, test) for i, (name, test) in enumerate(tests, 1)]
    if not results:
        diag("no test to run")
    sys.stdout.flush()
    return 0 if results and all(results) else 1
