#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""latchkeyd's arguments and --check, which touches nothing and needs no privilege.

usage: latchkeyd_check.py LATCHKEYD
"""

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import run  # noqa: E402

LATCHKEYD = sys.argv[1]
CONF = """connections {{ gw {{
	remote_addrs = 192.0.2.1
	local {{
		auth = psk
	}}
	remote {{
		auth = psk
		id = gw.example
	}}
	children {{ net {{
		remote_ts = 10.0.0.0/8, fd00::/16
		start_action = {action}
	}} }}
}} }}
"""


def latchkeyd(*words):
    return subprocess.run([LATCHKEYD, *words], capture_output=True, text=True, check=False)


def check(text):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        return latchkeyd("--check", "-c", file.name), file.name


def test_plan():
    for action, words in (("none", "when asked or by the peer"),
                          ("trap", "when a packet needs it"),
                          ("start", "at once"),
                          ("trap|start", "at once, and when a packet needs it")):
        done, _ = check(CONF.format(action=action))
        assert done.returncode == 0, done.stderr
        for wanted in ("interface latchkey0", "UDP ports 500 and 4500", "connection gw to 192.0.2.1",
                       "peer identity gw.example", f"child net: up {words};",
                       "dynamic <-> 10.0.0.0/8, fd00::/16"):
            assert wanted in done.stdout, f"{wanted} is missing:\n{done.stdout}"


def test_faults():
    done, name = check(CONF.format(action="sometimes"))
    assert done.returncode == 1 and f"{name}:12:" in done.stderr, done.stderr
    assert "connection gw" not in done.stdout
    done, name = check("connections { gw { remote_addr = 192.0.2.1\n} }\n")
    assert done.returncode == 1, done
    assert f"{name}:1:" in done.stderr and "did you mean 'remote_addrs'?" in done.stderr, done.stderr


def test_background_tells_faults():
    """Without --foreground the caller still sees what is wrong, and the status."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("connections { gw { remote_addr = 192.0.2.1\n} }\n")
        file.flush()
        done = latchkeyd("-c", file.name, "--run-dir", "/nonexistent/run")
    assert done.returncode == 1, done
    assert "did you mean 'remote_addrs'?" in done.stderr, done.stderr
    assert "could not start" in done.stderr, done.stderr


def test_missing_file():
    done = latchkeyd("--check", "-c", "/nonexistent/latchkey.conf")
    assert done.returncode == 1 and "/nonexistent/latchkey.conf" in done.stderr, done.stderr


def test_run_directory():
    """Where others could put their own socket in the place of ours nothing is started."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w") as conf:
        conf.write(CONF.format(action="none"))
        conf.flush()
        shared, plain = os.path.join(folder, "shared"), os.path.join(folder, "plain")
        os.mkdir(shared)
        os.chmod(shared, 0o1777)
        with open(plain, "w", encoding="ascii"):
            pass
        for where, why in ((shared, "everybody may write there"), (plain, "not a directory"),
                           (os.path.join(folder, 100 * "x"), "too long for a socket"),
                           (os.path.join(folder, "no", "way"), "No such file or directory")):
            # In a network of its own, should it start after all.
            alone = ["unshare", "--net"] if os.geteuid() == 0 else []
            done = subprocess.run([*alone, LATCHKEYD, "--foreground", "-c", conf.name, "--run-dir",
                                   where], capture_output=True, text=True, check=False, timeout=10)
            assert done.returncode == 1 and why in done.stderr, (where, done)


def test_arguments():
    assert latchkeyd("--version").stdout.startswith("latchkeyd ")
    assert "--run-dir DIR" in latchkeyd("--help").stdout
    for words in (["--nonsense"], ["stray"], ["-c"]):
        done = latchkeyd(*words)
        assert done.returncode == 2 and "usage:" in done.stderr, (words, done)


sys.exit(run([(name[5:].replace("_", " "), fn) for name, fn in sorted(globals().items())
              if name.startswith("test_")]))
