#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What reports and counts the tests, itself tested: a failure must not get lost on the way.

usage: selftest.py SAMPLE_PROGRAM
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pytap  # noqa: E402
from collect import Stream, Tally  # noqa: E402

SAMPLE = sys.argv[1]


def sample(only):
    environment = {**os.environ, "TAP_ONLY": only}
    return subprocess.run([SAMPLE], env=environment, capture_output=True, text=True, check=False)


def count(text, status=0):
    tally = Tally()
    stream = Stream("program", tally)
    for line in text.splitlines():
        stream.feed(line)
    stream.finish(status)
    return tally


def outcome(only, line, status):
    def test():
        done = sample(only)
        assert done.stdout.startswith("TAP version 13\n1..1\n"), done.stdout
        assert line in done.stdout, done.stdout
        assert (done.returncode == 0) == (status == 0), done.returncode
        tally = count(done.stdout, done.returncode)
        assert bool(tally.failed) == bool(status), tally.failed
    return test


def test_an_empty_table_fails():
    done = sample("no such test")
    assert "1..0" in done.stdout and done.returncode == 1, done
    assert count(done.stdout, 0).failed


def test_death_breaks_the_plan():
    done = sample("sample_dies")
    assert "1..1" in done.stdout and done.returncode != 0, done
    assert count(done.stdout, 0).failed == ["program: planned 1 test points, ran 0"]


def test_counts():
    tally = count("1..4\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP why\nok 4 - d # 0.2 s\n", 1)
    assert tally.closing_line() == "2 passed, 1 failed, 1 skipped", tally.closing_line()
    assert tally.skipped == [("program: c", "why")] and tally.exit_status() == 1


def test_bad_ends():
    assert count("1..1\nok 1 - a\n", 3).failed == ["program: ended with status 3"]
    assert count("ok 1 - a\n").failed == ["program: no plan or an empty one"]
    assert count("1..2\nok 1 - a\nBail out! broken\nok 2 - b\n").failed == ["Bail out! broken"]
    assert Tally().exit_status() == 1, "a run without a test passes"


def test_python_reporter():
    def failing():
        assert 1 == 2, "one is not two"

    def broken():
        raise KeyError("x")

    def skipping():
        raise pytap.Skip("because")

    for jobs in (1, 3):
        with redirect_stdout(io.StringIO()) as out:
            status = pytap.run([("good", lambda: time.sleep(0.2)), ("failing", failing),
                                ("broken", broken), ("skipping", skipping)], jobs)
            nothing = pytap.run([], jobs)
        text = out.getvalue()
        assert status == 1 and nothing == 1
        at = 0
        for line in ("1..4", "ok 1 - good", "not ok 2 - failing", "one is not two",
                     "not ok 3 - broken", "ok 4 - skipping # SKIP because", "no test to run"):
            assert line in text[at:], text
            at = text.index(line, at)


def test_a_process_that_dies():
    with redirect_stdout(io.StringIO()) as out:
        status = pytap.run([("good", lambda: None), ("dead", lambda: os._exit(0))], 2)
    assert status == 1 and "Bail out!" in out.getvalue(), out.getvalue()
    assert count(out.getvalue(), status).failed, "a process that died was not noticed"


def meet(folder, number):
    """A test that passes when so many of its kind run at once."""
    def test():
        with open(os.path.join(folder, str(os.getpid())), "w", encoding="ascii"):
            pass
        deadline = time.monotonic() + 20
        while len(os.listdir(folder)) < number:
            assert time.monotonic() < deadline, "they do not run at once"
            time.sleep(0.01)
    return test


def alone(folder, most):
    """A test that fails when more than so many of its kind run at once."""
    def test():
        path = os.path.join(folder, str(os.getpid()))
        with open(path, "w", encoding="ascii"):
            pass
        time.sleep(0.1)
        running = os.listdir(folder)
        os.unlink(path)
        assert len(running) <= most, running
    return test


def side_by_side(kind, number, names, idle):
    """The status of so many tests of a kind, two at a time, where so many processors are idle."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        return pytap.run([(name, kind(folder, number)) for name in names], 2,
                         waits=lambda name: name == "waits", idle=lambda: idle)


def test_idle_processors():
    """They are used, up to a number; what waits runs beside what works, and else no more than are told."""
    most = 2 * pytap.MOST
    assert side_by_side(meet, most, ["works"] * most, 1) == 0
    assert side_by_side(meet, 4, ["works", "waits", "works", "waits"], 0) == 0
    assert side_by_side(alone, 2, ["works"] * 12, 0) == 0
    assert side_by_side(alone, most, ["works"] * 3 * most, 1) == 0


def test_idleness_is_measured():
    idle = pytap.Idle()
    time.sleep(0.2)
    assert 0 <= idle() <= os.cpu_count() + 0.5


if __name__ == "__main__":
    pytap.LOOK_SECONDS = 0.01  # nobody's machine is looked at here
    sys.exit(pytap.run([
        ("a passing test", outcome("sample_passes", "ok 1 - sample_passes\n", 0)),
        ("a failing test", outcome("sample_adds", "tests/tap/sample.c", 1)),
        ("a skipped test", outcome("sample_skips", "# SKIP it is only a sample", 0)),
        ("a test without assertion",
         outcome("sample_asserts_nothing", "not ok 1 - sample_asserts_nothing", 1)),
        ("a failure is not skipped away",
         outcome("fails_then_skips", "not ok 1 - sample_fails_then_skips", 1)),
        ("all lines of a remark are one",
         outcome("sample_tells",
                 "# it printed:\n# ok 9 - not a test\n# \n# Bail out!\nok 1 - sample_tells\n", 0)),
        ("an empty table fails", test_an_empty_table_fails),
        ("a program that dies breaks its plan", test_death_breaks_the_plan),
        ("test points are counted", test_counts),
        ("bad ends are failures", test_bad_ends),
        ("the Python reporter", test_python_reporter),
        ("a process that dies is noticed", test_a_process_that_dies),
        ("tests run where processors are idle", test_idle_processors),
        ("how idle processors are is measured", test_idleness_is_measured),
    ]))
