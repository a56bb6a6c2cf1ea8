# SPDX-License-Identifier: Apache-2.0
"""A benchmark's JSON against the table of its keys in bench/README.md."""

import re


def paths(value, prefix=""):
    """Every key of an object, those of lists' first items too, as a.b.c."""
    if isinstance(value, list):
        return paths(value[0], prefix) if value and isinstance(value[0], dict) else set()
    if not isinstance(value, dict):
        return set()
    names = {prefix + key for key in value}
    return names.union(*(paths(item, prefix + key + ".") for key, item in value.items()))


def documented(readme, section):
    """The keys that the tables of a section have."""
    with open(readme, encoding="utf-8") as file:
        text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", file.read(), re.M | re.S).group(1)
    return set(re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE))
