# SPDX-License-Identifier: MIT
"""Bounds of what one request may take: bench/bounds.json, by flavour of KVM. Times are noise, these are not."""
import json
import os

from place import BENCH
from stats import counters

PATH = os.path.join(BENCH, "bounds.json")
ROWS = ("ephemeral",)
# Measured, and this much more: garbage collectors and timers come at odd times.
FACTOR, MORE = 1.15, 0.5


def read():
    if not os.path.exists(PATH):
        return {}
    with open(PATH) as f:
        return json.load(f)


def write(result):
    """Bounds from a result; those of the other flavour stay."""
    bounds = read()
    mine = bounds.setdefault(result["host"]["kvm"], {})
    for (program, row, name), value in counters(result).items():
        if row in ROWS:
            mine.setdefault(program, {})[name] = round(value * FACTOR + MORE, 1) if value else 0.1
    with open(PATH, "w") as f:
        json.dump(bounds, f, indent="\t", sort_keys=True)
        f.write("\n")


def check(result):
    """(lines about what is beyond its bound, how many were compared)"""
    mine = read().get(result["host"]["kvm"], {})
    beyond, n = [], 0
    for (program, row, name), value in counters(result).items():
        bound = mine.get(program, {}).get(name)
        if row in ROWS and bound is not None:
            n += 1
            if value > bound:
                beyond.append("%s: %.2f %s for each request, at most %.1f" % (
                    program, value, name, bound))
    return beyond, n
