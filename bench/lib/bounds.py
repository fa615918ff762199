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


def check(result, again=None):
    """(lines about what is beyond its bound, how many were compared).

    again(program): its rows, measured once more, with an image made anew. An image may be frozen in the middle of
    something, a garbage collector's work for example, which every request then repeats; what the code does worse is in
    every image. So the least of five counts.
    """
    mine = read().get(result["host"]["kvm"], {})
    found = {(program, name): value for (program, row, name), value in counters(result).items()
             if row in ROWS and name in mine.get(program, {})}

    def beyond():
        return [key for key, value in found.items() if value > mine[key[0]][key[1]]]
    for _ in range(4 if again else 0):
        for program in sorted({program for program, _ in beyond()}):
            for (_, row, name), value in counters({"rows": again(program)}).items():
                if row in ROWS and (program, name) in found:
                    found[program, name] = min(found[program, name], value)
    return ["%s: %.2f %s for each request, at most %.1f" % (
        key[0], found[key], key[1], mine[key[0]][key[1]]) for key in beyond()], len(found)
