#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that bench/esp runs, and that its JSON is what bench/README.md says.

usage: esp_check.py ESP README [MODULE]

Short runs: the figures mean nothing here, only their presence and sense.
"""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tap"))
from pytap import Skip, run  # noqa: E402
from schema import documented, paths  # noqa: E402

SHORT = ["--runs", "3", "--packets", "1280"]


def esp(*arguments):
    return subprocess.run([ESP, *arguments], capture_output=True, text=True, timeout=120,
                          check=False)


def report(*arguments):
    done = esp("--json", *SHORT, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_case_is_reported():
    results = report("--sizes", "64,577,imix", "--alg", "aes128gcm16")["results"]
    cases = {(r["aead"], r["direction"], r["inner_bytes"]) for r in results}
    assert len(cases) == len(results) and len(results) >= 4, results
    for aead in {r["aead"] for r in results}:
        for direction in ("out", "in"):
            assert (aead, direction, 344) in cases, cases
            assert {(aead, direction, n) for n in (64, 577)} <= cases, cases
    assert "openssl" in {r["aead"] for r in results}


def test_figures_make_sense():
    data = report("--sizes", "64,1400", "--aead", "openssl")
    hertz = data["machine"]["tsc_hz"]
    assert 1e8 < hertz < 1e10, hertz
    for r in data["results"]:
        for figure in (r["path_cycles"], r["crypto_cycles"]):
            assert 0 < figure["min"] <= figure["median"] <= figure["max"], r
        median = r["path_cycles"]["median"]
        assert abs(r["mpps"] / (hertz / median / 1e6) - 1) < 1e-3, r
        assert abs(r["ratio"] / (median / r["crypto_cycles"]["median"]) - 1) < 1e-3, r
        assert r["esp_text_bytes"] % 4 == 0 and r["esp_text_bytes"] >= r["inner_bytes"] + 2, r


def test_schema_is_documented():
    data = report("--sizes", "64")
    assert data["schema"] == "latchkey-bench-esp/1", data["schema"]
    wanted = paths(data) | paths(report("--sas", "1,2"))
    known = documented(README, "esp")
    assert wanted == known, f"undocumented {sorted(wanted - known)}, stale {sorted(known - wanted)}"


def test_settings_take_effect():
    data = report("--sizes", "100", "--esn", "--udp", "--sas", "5", "--flows", "3",
                  "--cache", "128", "--window", "128", "--alg", "aes256gcm16", "--ipcomp", "text")
    assert data["settings"] == {
        "alg": "aes256gcm16", "batch": 64, "runs": 3, "packets": 1280, "sas": 5, "flows_per_sa": 3,
        "flow_cache": 128, "replay_window": 128, "latches": 0, "esn": True, "encapsulation": "udp",
        "ipcomp": "text"}, data["settings"]


def test_many_sas():
    data = report("--sas", "1,20000")
    assert not data["results"] and not data["loops"], data
    figures = {(r["num"], r["cold"]): (r["out_cycles"], r["in_cycles"]) for r in data["sas"]}
    assert list(figures) == [(1, False), (1, True), (20000, False), (20000, True)], data
    for both in figures.values():
        assert all(0 < f["min"] <= f["median"] <= f["max"] for f in both), data
    for warm, cold in zip(figures[20000, False], figures[20000, True]):
        assert cold["median"] > 1.5 * warm["median"], "drawn among 20000 and not cold"
    done = esp(*SHORT, "--sas", "201")
    assert re.search(r"^ +201 cold +\d", done.stdout, re.MULTILINE), done


def test_table_for_people():
    done = esp(*SHORT, "--sizes", "64,1400,imix")
    assert done.returncode == 0, done.stderr
    for wanted in (r"^openssl +out +64 ", r"^openssl +in +1400 ", r"^openssl +in +imix ",
                   r"TSC [\d.]+ GHz"):
        assert re.search(wanted, done.stdout, re.MULTILINE), f"{wanted}\n{done.stdout}"


def test_compressed():
    for what, shorter in (("text", True), ("random", False)):
        done = esp(*SHORT, "--sizes", "1400", "--aead", "openssl", "--ipcomp", what)
        (length,) = re.findall(r"^openssl 1400 B: (\d+) bytes of ESP$", done.stdout, re.MULTILINE)
        assert (int(length) < 1000) == shorter and int(length) < 1450, (what, done.stdout)


def test_passes_are_told_or_refused():
    with open(PASSES_H, encoding="utf-8") as file:
        passes = re.findall(r"^void (\w+)\(struct worker \*w, struct pktvec", file.read(), re.MULTILINE)
    done = esp(*SHORT, "--sizes", "64", "--aead", "openssl", "--passes")
    if done.returncode != 0:  # as built for use: nothing counts
        assert "-Dpass_cycles=true" in done.stderr and not done.stdout, done
        return
    told = dict(re.findall(r"^(\w+) +([\d.]+)$", done.stdout, re.MULTILINE))
    assert list(told) == passes, (list(told), passes)
    assert all(float(cycles) > 0 for cycles in told.values()), told
    assert float(told["out_encrypt"]) > float(told["out_path"]), told


def test_bad_arguments_are_refused():
    for arguments in (["--aead", "rot13"], ["--alg", "des"], ["--sizes", "27"], ["--sizes", "x"],
                      ["--runs", "0"], ["--sas", "0"], ["--sas", "1000001"], ["--sas", "1,x"],
                      ["--sas", ","], ["--sas", "1,2,3,4,5,6,7,8,9"], ["--cache", "63"],
                      ["--flows", "-1"], ["extra"], ["--what"],
                      ["--passes", "--json"]):
        done = esp(*arguments)
        assert done.returncode in (1, 2) and done.stderr and not done.stdout, (arguments, done)


def test_lookaside_device():
    if not MODULE:
        raise Skip("built without DPDK")
    for alg in ("aes256gcm16", "aes256-sha256"):
        results = report("--sizes", "64,1400", "--aead", "openssl", "--alg", alg,
                         "--device", "crypto_aesni_mb", "--module", MODULE)["results"]
        cases = [(r["aead"], r["inner_bytes"], r["direction"]) for r in results]
        assert cases == [(aead, size, way) for aead in ("openssl", "crypto_aesni_mb")
                         for size in (64, 1400) for way in ("out", "in")], cases
        for r in results:
            assert r["path_cycles"]["median"] > r["crypto_cycles"]["median"] / 2, r
    for arguments in (["crypto_nosuch", MODULE], ["crypto_aesni_mb", "/nonexistent.so"]):
        done = esp(*SHORT, "--device", arguments[0], "--module", arguments[1])
        assert done.returncode == 1 and arguments[arguments[0] == "crypto_aesni_mb"] in done.stderr


if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
ESP, README, MODULE = (sys.argv[1:] + [None])[:3]
PASSES_H = os.path.join(os.path.dirname(README), "..", "dataplane", "passes.h")
sys.exit(run((test.__name__, test) for test in (
    test_every_case_is_reported, test_figures_make_sense, test_schema_is_documented,
    test_settings_take_effect, test_many_sas, test_lookaside_device, test_compressed, test_table_for_people,
    test_passes_are_told_or_refused, test_bad_arguments_are_refused)))
