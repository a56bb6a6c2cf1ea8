#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the source tree to its rules: who includes whom, what carries what, what is never used.

usage: check.py SOURCE_ROOT BUILD_ROOT

Each rule is one function from a tree ({path: text}) to a list of violations. Beside it stands a
sample that breaks it, and a rule that does not reject its sample fails: a rule that cannot fail
would hold nothing.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tap"))
from pytap import Skip, diag, run  # noqa: E402

SOURCE, BUILD = (os.path.realpath(p) for p in (sys.argv[1:3] + [".", "build"])[:2])
ROOMS = ("base", "dataplane", "drivers", "control", "api")
SKIPPED_DIRS = re.compile(r"(^|/)(build[^/]*|\.git|__pycache__)(/|$)")

# Who may include whom, first match wins: (whose file, what it may name, beside its own folder).
INCLUDE_TABLE = [
    (r"base/", [r"base/"]),
    (r"dataplane/", [r"base/", r"dataplane/"]),
    (r"drivers/", [r"base/", r"drivers/",
                   r"dataplane/(driver|packet|pktvec|pool|crypto/(aead|device|inline))\.h$"]),
    (r"control/", [r"base/", r"control/", r"dataplane/dataplane\.h$"]),
    (r"api/(host|helper)/", [r"base/"]),
    (r"api/engine/", [r"base/", r"control/(engine|puzzle|radius)\.h$", r"control/conf/conf\.h$",
                      r"dataplane/dataplane\.h$", r"drivers/\w+\.h$"]),
    (r"api/include/", []),
    (r"api/embed/", [r"base/", r"api/(engine|include)/", r"drivers/\w+\.h$",
                     r"api/(app/server|client/backend|host/socket_look)\.h$",
                     r"dataplane/(driver|packet|pktvec|pool)\.h$"]),
    (r"api/examples/", []),
    (r"api/fetch/", [r"base/", r"api/engine/fetcher\.h$"]),
    (r"api/token/", [r"base/", r"api/engine/signer\.h$", r"control/(engine|conf/conf)\.h$"]),
    (r"api/tls/", [r"base/"]),
    (r"api/(vici|app)/", [r"base/", r"api/(engine|tls)/"]),
    (r"api/client/", [r"base/", r"api/app/proto\.h$", r"api/include/"]),
    (r"api/remote/", [r"base/", r"api/app/frame\.h$", r"api/client/backend\.h$", r"api/include/",
                      r"api/tls/"]),
    (r"api/cli/", [r"base/", r"api/vici/proto\.h$", r"api/client/internal\.h$", r"api/include/"]),
    (r"api/[^/]+$", [r"base/", r"api/(engine|fetch|token|host|vici|app)/"]),
    (r"(tests|bench)/", [r""]),
]

# A library's headers are seen in one place each: (header, who may include it).
LIBRARY_TABLE = [
    (r"urcu", r"base/rcu[^/]*$"),
    (r"uv\.h$", r"api/((vici|app)/|[^/]+$)"),
    (r"curl/", r"api/fetch/"),
    (r"p11-kit/", r"(api/token|tests/api)/"),
    (r"libmnl/|nftables/", r"api/(host|helper)/"),
    (r"intel-ipsec-mb\.h$", r"(dataplane/crypto|bench)/"),
    (r"libdeflate\.h$", r"(dataplane/ipcomp\.c$|tests/dataplane/|bench/)"),
    (r"openssl/", r"((control|dataplane/crypto|drivers/dpdk|base|tests|bench|api/(tls|token))/"
                  r"|api/cli/keygen\.c$)"),
    (r"sodium", r"(base|control|dataplane|tests|bench|api/token)/"),
    (r"jansson\.h$", r"(api|bench|tests)/"),
    (r"pcap", r"(drivers|tests)/"),
    (r"rte_", r"drivers/dpdk/"),
]


# --- the tree ------------------------------------------------------------------------------------

def read_tree(root):
    """Every text file that git knows or would add; without git, every file on disk."""
    listed = None
    if shutil.which("git") and os.path.exists(os.path.join(root, ".git")):
        done = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                              capture_output=True, text=True, check=False)
        listed = done.stdout.splitlines() if done.returncode == 0 else None
    if listed is None:
        listed = [os.path.relpath(os.path.join(folder, name), root)
                  for folder, _, names in os.walk(root) for name in names]
    tree = {}
    for path in listed:
        if SKIPPED_DIRS.search(path) or not os.path.isfile(os.path.join(root, path)):
            continue
        with open(os.path.join(root, path), "rb") as file:
            data = file.read()
        if b"\0" not in data:
            tree[path] = data.decode("utf-8", errors="replace")
    return tree


def c_files(tree, suffixes=(".c", ".h"), rooms=ROOMS + ("tests", "bench")):
    return {path: text for path, text in tree.items()
            if path.endswith(suffixes) and path.startswith(tuple(r + "/" for r in rooms))}


def code_only(text):
    """The text with comments and string contents blanked, line numbers kept."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return '"' + " " * (len(found) - 2) + '"' if found[0] == '"' else found
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", blank, text,
                  flags=re.DOTALL)


def find_lines(tree, pattern, excuse=None):
    """path:line of each match in code; a line with the excuse in it or just above is let through."""
    found = []
    for path, text in tree.items():
        original = text.splitlines()
        for number, line in enumerate(code_only(text).splitlines(), 1):
            if not re.search(pattern, line):
                continue
            around = " ".join(original[max(0, number - 2):number])
            if not (excuse and re.search(excuse, around)):
                found.append(f"{path}:{number}: {original[number - 1].strip()}")
    return found


# --- the rules -----------------------------------------------------------------------------------

def includes(text):
    return [(number, match.group(1), match.group(2))
            for number, line in enumerate(text.splitlines(), 1)
            if (match := re.match(r"\s*#\s*include\s*([<\"])([^>\"]+)", line))]


def rule_include_table(tree):
    bad = []
    for path, text in c_files(tree).items():
        allowed = next((names for who, names in INCLUDE_TABLE if re.match(who, path)), [])
        own = os.path.dirname(path) + "/"
        for number, kind, name in includes(text):
            if kind != '"':
                continue
            if not name.startswith(own) and not any(re.match(a, name) for a in allowed):
                bad.append(f"{path}:{number}: may not include {name}")
            elif not re.match(r"(base|dataplane|drivers|control|api|tests|bench)/", name):
                bad.append(f"{path}:{number}: {name} is not relative to the root")
    return bad


def rule_library_table(tree):
    bad = []
    for path, text in c_files(tree, rooms=ROOMS).items():
        for number, _, name in includes(text):
            for header, who in LIBRARY_TABLE:
                if re.match(header, name) and not re.match(who, path):
                    bad.append(f"{path}:{number}: {name} belongs to {who}")
    return bad


def flags_of(library):
    """What a library's headers want; None where they are not installed."""
    done = subprocess.run(["pkg-config", "--cflags", library], capture_output=True, text=True,
                          check=False) if shutil.which("pkg-config") else None
    return done.stdout.split() if done and done.returncode == 0 else None


def compile_alone(item):
    path, text = item
    more = flags_of("libdpdk") if "#include <rte_" in text else \
        flags_of("p11-kit-1") if "#include <p11-kit/" in text else []
    if more is None:
        return None
    done = subprocess.run(
        [shutil.which("cc") or "gcc", "-fsyntax-only", "-std=gnu17", "-D_GNU_SOURCE", "-Wall",
         "-Wextra", "-Werror", "-Wno-unused", "-I", SOURCE, "-I", os.path.join(SOURCE, "api/include"), *more, "-x", "c", "-"],
        cwd="/", input=text.replace("#pragma once", ""), capture_output=True, text=True, check=False)
    return f"{path}: {done.stderr.splitlines()[0]}" if done.returncode else None


def rule_headers_compile_alone(tree):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = pool.map(compile_alone, c_files(tree, (".h",)).items())
    return [bad for bad in results if bad]


def format_differs(item):
    path, text = item
    done = subprocess.run(["clang-format", "--style=file", "--assume-filename",
                           os.path.join(SOURCE, path)],
                          input=text, capture_output=True, text=True, check=True)
    if done.stdout == text:
        return None
    pairs = zip(text.splitlines() + [""], done.stdout.splitlines() + [""])
    number = next((i for i, (a, b) in enumerate(pairs, 1) if a != b), 1)
    return f"{path}:{number}: is not as clang-format makes it"


def rule_format(tree):
    if not shutil.which("clang-format"):
        raise Skip("clang-format is not installed")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [bad for bad in pool.map(format_differs, c_files(tree).items()) if bad]


def rule_must_use(tree):
    """Excused: one whose comment says "Not MUST_USE:" and why."""
    bad = []
    declaration = re.compile(r"^([^\n;{}#]*\benum err\s+(?!\(|\*)(\w+)\s*\([^;{]*?)[;{]",
                             re.MULTILINE | re.DOTALL)
    for path, text in c_files(tree, (".h",), ROOMS).items():
        code = code_only(text)
        for match in declaration.finditer(code):
            before = code[:match.start()].rstrip().rsplit("\n", 1)[-1]
            comment = text[:match.start()].rstrip().rpartition("/*")[2]
            if comment.endswith("*/") and "Not MUST_USE: " in comment:
                continue
            if match.group(1).startswith("typedef"):  # a function type: its uses are marked
                continue
            if "MUST_USE" not in match.group(1) and before.strip() != "MUST_USE":
                line = code.count("\n", 0, match.start(2)) + 1
                bad.append(f"{path}:{line}: {match.group(2)}() without MUST_USE")
    return bad


SPDX = "SPDX-License-Identifier: Apache-2.0"
NEEDS_SPDX = re.compile(r"(\.(c|h|py|sh|md|def|conf|rules|yml)|meson\.build|meson_options\.txt"
                        r"|\.clang-format)$")


def rule_spdx(tree):
    return [path for path, text in tree.items()
            if (NEEDS_SPDX.search(path) or text.startswith("#!")) and "/corpus/" not in path
            and SPDX not in "\n".join(text.splitlines()[:3])]


def rule_no_memcmp_on_secrets(tree):
    watched = {p: t for p, t in tree.items()
               if re.match(r"(control/(crypto|auth)|dataplane/crypto)/.*\.[ch]$", p)}
    return find_lines(watched, r"\b(memcmp|bcmp|strcmp|strncmp)\s*\(", r"/\* public data: \w+")


def rule_proof_only_from_auth(tree):
    watched = {p: t for p, t in c_files(tree, rooms=ROOMS).items()
               if not p.startswith("control/auth/")
               and not re.match(r"dataplane/proof\.[ch]$", p)}
    return find_lines(watched, r"\bauth_proof_new\s*\(")


def rule_nothing_executed(tree):
    """But what the user of `latchkey run` has written there."""
    watched = {p: t for p, t in c_files(tree, rooms=ROOMS).items() if p != "api/cli/run.c"}
    return find_lines(watched,
                      r"(?<![\w>.])(system|popen|exec[lv]\w*|posix_spawn\w*)\s*\(")


def rule_allocation_seam(tree):
    watched = {p: t for p, t in c_files(tree, rooms=ROOMS).items()
               if not p.startswith("base/alloc")}
    return find_lines(watched,
                      r"(?<![\w>.])(malloc|calloc|realloc|strdup|strndup|v?asprintf)\s*\(",
                      r"/\* system allocator: \w+")


def rule_architecture_is_true(tree):
    """ARCHITECTURE.md tells the way by functions: each `name()` is one that is defined."""
    text = tree.get("ARCHITECTURE.md", "")
    code = "\n".join(c_files(tree, rooms=ROOMS).values())
    return [f"ARCHITECTURE.md: there is no {name}()"
            for name in sorted(set(re.findall(r"`(\w+)\(\)`", text)))
            if not re.search(rf"^[\w \t*]+[ *]{name}\(", code, re.MULTILINE)]


# Spelt so that this file does not match itself.
STANDS_ALONE = [r"\.\./sha[r]ed", r"/tmp/l[k]/", r"(?i)\bthe b[r]ief\b", r"/wor[k]/",
                r"(?i)co-autho[r]ed-by", r"(?i)generated w[i]th",
                r"https?://(?!www\.apache\.org|www\.rfc-editor\.org|www\.iana\.org"
                # What is nobody's: this host, documentation's names and addresses.
                r"|127\.|10\.|192\.0\.2\.|[\w.]*\bexample\b|a:b@)[\w.]+"]


def rule_stands_alone(tree):
    bad = []
    for path, text in tree.items():
        if path == "LICENSE" or "/corpus/" in path or path.startswith("tests/structure/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if any(re.search(p, line) for p in STANDS_ALONE):
                bad.append(f"{path}:{number}: names something outside the repository")
    return bad


# Where the manual page tells about the keys of each scope of the table of keys.
MANUAL_SECTIONS = {
    "CONN": "connections.<conn>",
    "LOCAL": "connections.<conn>.local<suffix>, connections.<conn>.remote<suffix>",
    "REMOTE": "connections.<conn>.local<suffix>, connections.<conn>.remote<suffix>",
    "CHILD": "connections.<conn>.children.<child>",
    "SECRETS": "secrets",
    "IKE_SECRET": "secrets.ike<suffix>",
    "KEY_SECRET": "secrets.private<suffix>, secrets.rsa<suffix>, secrets.ecdsa<suffix>, "
                  "secrets.pkcs8<suffix>",
    "PATH": "connections.<conn>.paths.<path>",
    "CERT": "cert<suffix>, cacert<suffix>",
    "CACERT": "cert<suffix>, cacert<suffix>",
    "AUTHORITY": "authorities.<name>",
    "POOL": "pools.<name>",
    "DAEMON": "latchkey",
    "DPDK": "latchkey.dpdk",
    "DPDK_PORT": "latchkey.dpdk.ports.<port>",
    "RADIUS": "latchkey.radius",
    "RADIUS_SERVER": "latchkey.radius.servers.<server>",
    "APP": "latchkey.app",
    "NETWORK": "latchkey.app.network",
    "NETWORK_USER": "latchkey.app.network.users.<name>",
    "PROFILE": "latchkey.profiles.<name>",
    "LISTENER": "latchkey.listeners.<name>",
    "TOKEN_SECRET": "secrets.token<suffix>",
    "MODULE": "latchkey.pkcs11.<module>",
}
WITHOUT_EFFECT = "KEYS OF STRONGSWAN WITHOUT EFFECT"
SCOPE_OF_PARAGRAPH = {"connections.<conn>": "CONN", "local": "LOCAL", "remote": "REMOTE",
                      "children.<child>": "CHILD", "secrets": "SECRETS",
                      "authorities.<name>": "AUTHORITY", "pools.<name>": "POOL", "cacert<suffix>": "CACERT"}


def manual_keys(text):
    """What a manual page describes: ({(section, key)}, {(scope, key) said to be without effect})."""
    told, without, section, scope = set(), set(), "", ""
    for line in text.splitlines():
        if line.startswith("# "):
            section = line[2:]
        elif section == WITHOUT_EFFECT and line.strip() in SCOPE_OF_PARAGRAPH:
            scope = SCOPE_OF_PARAGRAPH[line.strip()]
        elif section == WITHOUT_EFFECT and line.startswith("\t"):
            without |= {(scope, key) for key in re.findall(r"\*([\w<>]+)\*", line)}
        elif found := re.match(r"\*([\w<>]+)\*", line):
            told.add((section, found.group(1)))
    return told, without


def rule_configuration_is_told(tree):
    """Every key stands in latchkey.conf(5), as supported or as not, and every supported one is in
    a test; the page tells of no other."""
    told, without = manual_keys(tree.get("docs/latchkey.conf.5.scd", ""))
    tests = "\n".join(text for path, text in tree.items()
                      if re.match(r"tests/(control|api)/test_\w+\.c$", path))
    bad, known = [], set()
    for macro, scope, rest in re.findall(r"^\t(SETS|FATE|INNER)_\((\w+), (.*)$",
                                         tree.get("control/conf/keys.c", ""), re.MULTILINE):
        key = re.search(r'"(\w+)"', rest).group(1)
        shown = key + ("<suffix>" if macro == "INNER" or re.match("NAMED|VALUES", rest) else "")
        if macro == "SETS" and scope != "ROOT":
            section = MANUAL_SECTIONS.get(scope, scope)
            known.add((section, shown))
            if (section, shown) not in told:
                bad.append(f"latchkey.conf(5): {section}: *{shown}* is not told")
            if not re.search(rf"\b{key}", tests):
                bad.append(f"{key} ({section}) is in no test of tests/control or tests/api")
            if (scope, shown) in without:
                bad.append(f"latchkey.conf(5): {scope} {shown} is said to be without effect")
        elif scope in SCOPE_OF_PARAGRAPH.values() and not re.search(r"\bIDLE\b", rest) and \
                (scope, shown) not in without:
            bad.append(f"latchkey.conf(5): {scope} {shown} is not told to be without effect")
    sections = set(MANUAL_SECTIONS.values())
    return bad + [f"latchkey.conf(5): {section}: there is no key {key}"
                  for section, key in sorted(told - known) if section in sections]


# What an application shall not meet (A5, A11), and names that other software owns.
NOT_FOR_APPLICATIONS = (r"(?i)\b(spi|sad|spd|xfrm\w*|pfkey\w*|nl_?attr|netlink|so_mark|fwmark"
                        r"|\w*(session|cipher|encryption|integrity)_key\w*|__u(8|16|32|64)"
                        r"|ipsec_set_policy|ipsec_dump_policy|ipsec_strerror)\b")


def rule_application_header(tree):
    """<latchkey/ipsec.h> names no SA, no key, nothing of one system; and its names are ours."""
    watched = {p: t for p, t in tree.items()
               if re.match(r"api/include/latchkey/ipsec(_\w+)?\.h$", p)}
    bad = find_lines(watched, NOT_FOR_APPLICATIONS)
    for path, text in watched.items():
        code = code_only(text)
        bad += [f"{path}: {name} does not begin with IPSEC_"
                for name in re.findall(r"^#define (\w+)|^\t(?!IPSEC_)([A-Z]\w+)(?: =|,)", code,
                                       re.MULTILINE)
                for name in name if name and not name.startswith("IPSEC_")]
        bad += [f"{path}: {name} does not begin with ipsec_"
                for name in re.findall(r"^(?:struct|enum) (\w+)", code, re.MULTILINE)
                if not name.startswith("ipsec_")]
        bad += [f"{path}: <{name}> is of one system" for _, kind, name in includes(text)
                if kind == "<" and not re.match(r"(std\w+|sys/socket|latchkey/ipsec)\.h$", name)]
    return bad


def rule_functions_are_told(tree):
    """Every function of <latchkey/ipsec.h> stands in a manual page, and those tell of no other."""
    header = "\n".join(code_only(text) for path, text in tree.items()
                       if re.match(r"api/include/latchkey/ipsec(_\w+)?\.h$", path))
    declared = set(re.findall(r"^IPSEC_API [^;(]*?\b(ipsec_\w+)\(", header, re.MULTILINE))
    pages = "\n".join(text for path, text in tree.items() if re.match(r"docs/ipsec_\w+\.3", path))
    told = set(re.findall(r"\b(ipsec_\w+)\*\(\)|\b(ipsec_\w+)\*\(_|(?<!\*)\b(ipsec_\w+)\b", pages))
    told = {name for names in told for name in names if name}
    names = {os.path.basename(p).split(".")[0] for p in tree if p.startswith("docs/ipsec_")}
    return [f"no manual page tells of {name}()" for name in sorted(declared - told)] + \
        [f"a manual page tells of {name}(), which is not there"
         for name in sorted(told - declared - names)]


def rule_commands_are_told(tree):
    """Every word of the program's table stands in latchkey(1)."""
    words = re.findall(r'^\t\{"(\w+)", "', tree.get("api/cli/main.c", ""), re.MULTILINE)
    page = tree.get("docs/latchkey.1.scd", "")
    return [f"latchkey(1) does not tell of {word}" for word in words
            if not re.search(rf"^\*{word}\*", page, re.MULTILINE)]


def rule_requirements_are_held(tree):
    """Every test and scenario that docs/requirements.md names exists, and so does every rule of
    this program."""
    page = tree.get("docs/requirements.md", "")
    programs = "\n".join(t for p, t in tree.items() if re.match(r"tests/.*\.c$", p))
    scenarios = "\n".join(t for p, t in tree.items() if re.match(r"tests/netns/.*\.py$", p))
    tests = set(re.findall(r"`(test_\w+)`", page))
    played = {word for word in re.findall(r"`([^`\n]+)`", page) if " " in word} - \
        {'tests/netns/run "TEXT"', "tests/mutants/run NUMBER"}
    ruled = re.findall(r"rule of the structure test: ([^|]*?) \|", page)
    bad = [f"docs/requirements.md: there is no {name}()" for name in sorted(tests)
           if not re.search(rf"\b{name}\(void\)", programs)]
    bad += [f"docs/requirements.md: no scenario is called '{name}'" for name in sorted(played)
            if re.sub(r"^[a-z]+-[a-z]+: ", "", name) not in scenarios]
    return bad + [f"docs/requirements.md: no rule is called '{name}'" for name in ruled
                  if name not in {rule[0] for rule in RULES}]


PLAYED_ELSEWHERE = {"certificate by hash and URL", "certificate, and OCSP within IKE",
                    "certificate, its key on a token", "EAP, by a RADIUS server"}


def rule_methods_are_told(tree):
    """docs/requirements.md has every method that tests/netns/methods.py plays, each column of it, and
    every word that a list has for one."""
    page = tree.get("docs/requirements.md", "").partition("## Methods by which")[2].partition("\n## ")[0]
    rows = {row[0]: row[1:] for row in
            (re.split(r"\s*\|\s*", line.strip("| \n")) for line in page.splitlines()
             if line.startswith("| ")) if len(row) == 5 and row[0] not in ("method", "---")}
    table = re.findall(r'^    Method\("([^"]+)"', tree.get("tests/netns/methods.py", ""), re.MULTILINE)
    words = re.findall(r'\[AUTH_METHOD_\w+\] = "([\w-]+)"', tree.get("dataplane/proof.c", ""))
    told = {re.split(r", ", row[0])[0] for row in rows.values()}
    played = {name for name, row in rows.items() if row[1].startswith("table")}
    return [f"docs/requirements.md does not tell of the method '{name}'"
            for name in table if name not in played] + \
        [f"tests/netns/methods.py does not play '{name}'"
         for name in sorted(set(rows) - set(table) - PLAYED_ELSEWHERE)] + \
        [f"docs/requirements.md: nothing is told as {word}" for word in words if word not in told]


RULES = [  # (name, rule, a tree it must reject)
    ("who includes whom", rule_include_table,
     {"dataplane/bad.c": '#include "control/engine.h"\n'}),
    ("drivers see only the packet headers", rule_include_table,
     {"drivers/bad.c": '#include "dataplane/esp.h"\n'}),
    ("includes are relative to the root", rule_include_table,
     {"tests/base/bad.c": '#include "err.h"\n'}),
    ("a library is used in its place only", rule_library_table,
     {"control/bad.c": "#include <uv.h>\n"}),
    ("DPDK is used in its module only", rule_library_table,
     {"drivers/bad.c": "#include <rte_mbuf.h>\n"}),
    ("every header compiles alone", rule_headers_compile_alone,
     {"base/bad.h": "#pragma once\nint f(struct nowhere x, uint99_t y);\n"}),
    ("formatting", rule_format, {"base/bad.c": "int main(void) { return 0; }\n"}),
    ("a function that can fail is MUST_USE", rule_must_use,
     {"base/bad.h": "MUST_USE enum err good(int a);\n\nenum err bad(int a,\n\tint b);\n"}),
    ("SPDX line", rule_spdx, {"base/bad.c": "int x;\n"}),
    ("secrets are not compared with memcmp", rule_no_memcmp_on_secrets,
     {"control/auth/bad.c": "int f(void)\n{\n\treturn memcmp(a, b, 3);\n}\n"}),
    ("only control/auth makes an auth_proof", rule_proof_only_from_auth,
     {"control/ike/bad.c": "\tp = auth_proof_new(&args);\n"}),
    ("nothing is executed", rule_nothing_executed,
     {"api/host/bad.c": '\tsystem("ip link");\n'}),
    ("allocation goes through base/alloc.h", rule_allocation_seam,
     {"control/bad.c": "\tp = malloc(4);\n"}),
    ("ARCHITECTURE.md names functions that exist", rule_architecture_is_true,
     {"ARCHITECTURE.md": "first `no_such_function()` is called\n", "base/a.c": "int f(void)\n"}),
    ("latchkey.conf(5) tells of every key, and a test has it", rule_configuration_is_told,
     {"control/conf/keys.c": '\tSETS_(CONN, VALUE, "colour", set_colour),\n'}),
    ("applications meet no SA and no system", rule_application_header,
     {"api/include/latchkey/ipsec.h": "int ipsec_f(uint32_t spi);\n"}),
    ("applications meet no system's headers", rule_application_header,
     {"api/include/latchkey/ipsec.h": "#include <linux/types.h>\n"}),
    ("applications meet names of ours alone", rule_application_header,
     {"api/include/latchkey/ipsec.h": "enum ipsec_x {\n\tPRIVACY = 1,\n};\n"}),
    ("manual pages tell of every function for applications", rule_functions_are_told,
     {"api/include/latchkey/ipsec.h": "IPSEC_API int ipsec_f(void);\n", "docs/ipsec_x.3.scd": ""}),
    ("manual pages tell of no other function", rule_functions_are_told,
     {"docs/ipsec_x.3.scd": "*ipsec_g*()\n"}),
    ("latchkey(1) tells of every command", rule_commands_are_told,
     {"api/cli/main.c": '\t{"paint", "", "it", 0, 0, run_paint},\n'}),
    ("what docs/requirements.md names exists", rule_requirements_are_held,
     {"docs/requirements.md": "| A1 | x | `test_A1_no_such_test` |\n", "tests/a.c": "f(void)"}),
    ("every method of authentication is told and played", rule_methods_are_told,
     {"tests/netns/methods.py": '    Method("by magic", {}),\n'}),
    ("every word for a method is told", rule_methods_are_told,
     {"dataplane/proof.c": '\t[AUTH_METHOD_MAGIC] = "magic",\n'}),
    ("the repository stands alone", rule_stands_alone,
     {"base/bad.c": "/* see ../" + "shared/design */\n"}),
]


# --- what was built ------------------------------------------------------------------------------

def exported(path, private=False):
    """What leaves it for programs; private: for our own libraries of the same version."""
    done = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                          check=True)
    names = [line.split()[-1] for line in done.stdout.splitlines()]
    # name@@VERSION is a library's own; name@VERSION came from one (a copy relocation such as
    # stdout@GLIBC_2.2.5), and an upper-case name alone is that of a version.
    names = [name.split("@@")[0] for name in names
             if name.endswith("@@LATCHKEY_PRIVATE") == private]
    return [name for name in names if "@" not in name and not re.match(r"[A-Z_0-9.]+$", name)]


def unexpected_exports(path):
    allowed = r"(ipsec_[a-zA-Z_]+|latchkey_driver)$" if ".so" in os.path.basename(path) else r"$^"
    return [f"{path}: exports {name}" for name in exported(path) if not re.match(allowed, name)]


def test_exports():
    programs = [os.path.join(BUILD, p) for p in ("api/latchkeyd", "api/latchkey")]
    absent = [p for p in programs if not os.path.exists(p)]
    assert not absent, f"not built: {absent}"
    libraries = [os.path.join(folder, name) for folder, _, names in os.walk(BUILD)
                 for name in names if re.search(r"\.so(\.\d+)*$", name)
                 and not folder.startswith(os.path.join(BUILD, "tests"))]
    bad = [line for path in programs + libraries for line in unexpected_exports(path)]
    assert not bad, "\n".join(bad)


def test_exports_rejects():
    with tempfile.TemporaryDirectory() as folder:
        sample = os.path.join(folder, "sample.so")
        subprocess.run([shutil.which("cc") or "gcc", "-shared", "-fPIC", "-x", "c", "-", "-o",
                        sample],
                       input="void stray(void); void stray(void) {}\nvoid ipsec_fine(void);"
                             "void ipsec_fine(void) {}\n", text=True, check=True)
        bad = unexpected_exports(sample)
    assert [line.split()[-1] for line in bad] == ["stray"], bad


def exports_its_header(header, library):
    """What the header declares, and nothing else, leaves the library."""
    with open(os.path.join(SOURCE, "api/include/latchkey", header), encoding="utf-8") as file:
        declared = set(re.findall(r"^IPSEC_API [^;(]*?\b(ipsec_\w+)\(", file.read(), re.MULTILINE))
    found = set(exported(os.path.join(BUILD, library)))
    assert declared, "nothing is declared"
    assert declared == found, f"declared or exported alone: {sorted(declared ^ found)}"


def test_library_exports_its_header():
    exports_its_header("engine.h", "api/embed/liblatchkey-engine.so.0")


def test_D3_client_exports_its_header():
    exports_its_header("ipsec.h", "api/client/liblatchkey.so.0")


def test_what_is_private_is_in_no_header():
    private = ["ipsec_backend_fail", "ipsec_backend_use"]
    library = os.path.join(BUILD, "api/client/liblatchkey.so.0")
    assert exported(library, private=True) == private, exported(library, True)
    folder = os.path.join(SOURCE, "api/include/latchkey")
    for header in os.listdir(folder):
        with open(os.path.join(folder, header), encoding="utf-8") as file:
            assert "ipsec_backend" not in file.read(), header


def test_D3_remote_exports_its_header():
    exports_its_header("ipsec_remote.h", "api/remote/liblatchkey-remote.so.0")


def undefined(path):
    done = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True,
                          check=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}


def test_module_stands_alone():
    """DPDK's module exports one symbol, and takes none of a program's own."""
    path = os.path.join(BUILD, "drivers/dpdk/latchkey-dpdk.so")
    if not os.path.exists(path):
        raise Skip("built without DPDK")
    assert exported(path) == ["latchkey_driver"], exported(path)
    ours = {name for name in undefined(path) if re.match(r"(mem|log|packet|pool|rcu)_", name)}
    assert "rte_eal_init" in undefined(path) and not ours, ours


# --- sizes: printed, not enforced ----------------------------------------------------------------

def functions(path, text):
    """(lines, path:line name) of each function: its head and both braces begin at column 0."""
    found, head = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line == "{":
            head = number
        elif line == "}" and head:
            name = next((m.group(1) for back in range(head - 2, max(-1, head - 12), -1)
                         if (m := re.match(r"\w.*?\b(\w+)\(", lines[back]))), "?")
            found.append((number - head - 1, f"{path}:{head} {name}()"))
            head = None
    return found


def show_sizes(title, sizes, think_again):
    sizes.sort(reverse=True)
    total, middle = len(sizes), sizes[len(sizes) // 2][0]
    over = sum(1 for size, _ in sizes if size > think_again)
    diag(f"{title}: {total}, median {middle} lines, {over} over {think_again}; the largest:")
    for size, name in sizes[:10]:
        diag(f"  {size:5}  {name}")


def test_sizes(tree):
    product = c_files(tree, rooms=ROOMS)
    files = [(text.count("\n"), path) for path, text in product.items()]
    bodies = [f for path, text in product.items() if path.endswith(".c")
              for f in functions(path, text)]
    assert files and bodies, "no source to measure"
    show_sizes("files", files, 600)
    show_sizes("functions", bodies, 60)


def test_sizes_counts():
    sample = "static int f(int a,\n\t     int b)\n{\n\tint x;\n\n\treturn x;\n}\n"
    assert functions("a.c", sample) == [(3, "a.c:3 f()")], functions("a.c", sample)


def main():
    tree = read_tree(SOURCE)

    def holds(rule):
        def test():
            bad = rule(tree)
            assert not bad, f"{len(bad)} places\n" + "\n".join(bad[:100])
        return test

    def rejects(rule, sample):
        def test():
            assert rule(sample), "the rule accepts its bad sample"
        return test

    tests = []
    for name, rule, sample in RULES:
        if not any(rule is done for done, _ in tests):
            tests.append((rule, (name, holds(rule))))
        tests.append((rule, (f"{name}: rejects a bad sample", rejects(rule, sample))))
    return run([test for _, test in tests] + [
        ("exported symbols", test_exports),
        ("exported symbols are the header's", test_library_exports_its_header),
        ("exported symbols of the client are its header's", test_D3_client_exports_its_header),
        ("what is for our own libraries is in no header", test_what_is_private_is_in_no_header),
        ("exported symbols of the client for other hosts are its header's",
         test_D3_remote_exports_its_header),
        ("DPDK's module exports one symbol and takes none", test_module_stands_alone),
        ("exported symbols: rejects a bad sample", test_exports_rejects),
        ("sizes", lambda: test_sizes(tree)),
        ("sizes: counts a sample right", test_sizes_counts),
    ])


if __name__ == "__main__":
    sys.exit(main())
