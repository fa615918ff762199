# SPDX-License-Identifier: MIT
"""The parts by themselves: bench/micro.c, a call that is answered inside the guest, storage calls.

Every run of bench/micro.c is one round, and measures the host's own operations as well: each figure is also given as
a multiple of one of those, of the same round.
"""
import os
import re
import subprocess

from place import BENCH, CPUS, DIRECTORY, ENVIRONMENT, Failed, Skip
from servers import child

# name: (what it is, the host's operation it is compared with)
NAMES = {
    "getppid": ("a system call of the host: getppid(2)", None),
    "pipe-ping-pong": ("a byte to another process and back, by pipes", None),
    "fork-wait": ("fork(2), exit, waitpid(2)", None),
    "host-fault": ("first write to a page, natively", None),
    "memcpy-page": ("memcpy of a page", None),
    "exit": ("exit: out of the guest and back", "getppid"),
    "call-out": ("system call that leaves the guest: getppid(2)", "getppid"),
    "call-inside": ("system call answered inside the guest: read(2), from Python", "read-native"),
    "read-native": ("the same read(2) from Python, natively", None),
    "page-new": ("first write to a page", "host-fault"),
    "page-again": ("first write to a page that was given back", "host-fault"),
    "frozen-page-first": ("first write to a frozen page, in a new fork", "host-fault"),
    "frozen-page-later": ("write to a frozen page, in later requests", "host-fault"),
    "machine": ("machine made, static program loaded and run until it waits", "fork-wait"),
    "machine-end": ("machine destroyed", "fork-wait"),
    "reset": ("reset", "memcpy"), "memcpy": ("memcpy of as many pages", None),
    "reset-copied": ("pages copied by the reset", None),
    "freeze": ("freeze", "fork-wait"), "fork": ("fork of an image", "fork-wait"),
    "fork-first-run": ("first run of a fork", "fork-wait"),
    "forks-made": ("forks made, each", "fork-wait"),
    "forks-memory": ("idle fork: anonymous memory of the VMM", None),
    "forks-kernel-memory": ("idle fork: memory of the host's kernel", None),
    "forks-request": ("request and reset in one of so many forks", "pipe-ping-pong"),
}
STORAGE = {"a": "storage call", "b": "storage call that asks Redis",
           "c": "Redis from the request, new connection", "d": "Redis from a process, connection kept"}
for letter, text in STORAGE.items():
    for key, place in (("", ""), ("-busy", ", while all processors are busy")):
        NAMES["storage-%s%s" % (letter, key)] = (text + place, "pipe-ping-pong")
        NAMES["storage-%s%s-p99" % (letter, key)] = (text + place + ": p99", None)
NEVER = {  # when a figure is missing, why
    "call-inside": "on this host every such call leaves the guest",
}
READS = """import os, time
fd = os.open("/usr/bin/perl", os.O_RDONLY)
for n in (1000, 20000):
    start = time.perf_counter_ns()
    for i in range(n):
        os.read(fd, 64)
    took = time.perf_counter_ns() - start
print(took / n / 1000)
"""


def run(argv, timeout=300):
    got = subprocess.run(argv, cwd=DIRECTORY, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=timeout,
                         preexec_fn=child(CPUS.servers))
    if got.returncode:
        raise Failed("%s: %s" % (os.path.basename(argv[0]), got.stderr.strip()[-300:]))
    return got


def parts(build, sections):
    """[(name, x, value, unit)] of one round."""
    directory = os.path.join(build, "bench")
    out = run([os.path.join(directory, "micro"), os.path.join(directory, "bench-guest"),
               *sections]).stdout
    return [(name, int(x), float(value), unit)
            for name, x, value, unit in (line.split() for line in out.splitlines())]


def calls_inside(kvmserver):
    python = ["/usr/bin/python3", "-c", READS]
    native = run(python).stdout
    got = run([kvmserver, "--allow-read", "--stats", "run", *python])
    inside = re.search(r"(\d+) of them answered inside", got.stderr)
    found = [("read-native", 0, float(native), "us")]
    if inside and int(inside.group(1)) > 18000:
        found.append(("call-inside", 0, float(got.stdout), "us"))
    return found


def storage(build, calls):
    """bench/storage.py's tables: the machine as it is, and busy."""
    script = os.path.join(BENCH, "storage.py")
    if not os.path.exists(script):
        raise Skip("this version of kvmserver has no storage machines")
    out = run([script, "--build", build, "--calls", str(calls)], 120).stdout
    rows = re.findall(r"^\((\w)\)\s+.*?([\d.]+)\s+([\d.]+)$", out, re.M)
    if len(rows) != 2 * len(STORAGE):
        raise Failed("bench/storage.py: " + out[-200:])
    return [("storage-" + letter + busy + suffix, 0, float(value), "us")
            for (letter, *values), busy in zip(rows, [""] * 4 + ["-busy"] * 4)
            for suffix, value in zip(("", "-p99"), values)]


def add(found, lines):
    for name, x, value, unit in lines:
        entry = found.setdefault((name, x), {"name": name, "x": x, "unit": unit, "rounds": []})
        entry["rounds"].append(value)


def measure(options, say):
    """[{"name", "x", "unit", "rounds"} or {"name", "missing"}]"""
    found, missing = {}, {}
    say("parts: %d rounds" % options.rounds)
    sources = [lambda: parts(options.build, options.sections),
               lambda: calls_inside(options.kvmserver),
               lambda: storage(options.build, options.storage_calls)]
    for number in range(options.rounds):
        for index, source in enumerate(sources):
            # Large images and hundreds of forks take long, storage.py has rounds of its own.
            if number and index == 2:
                continue
            try:
                add(found, source())
            except (Failed, Skip, OSError, subprocess.TimeoutExpired) as e:
                if index not in missing:
                    missing[index] = str(e)
                    say("  not available: %s" % e)
    groups = [[n for n in NAMES if not n.startswith(("storage", "call-inside", "read-"))],
              ["call-inside", "read-native"], [n for n in NAMES if n.startswith("storage")]]
    have = {name for name, _ in found}
    return list(found.values()) + [
        {"name": name, "x": 0, "missing": missing.get(index, NEVER.get(name, "not measured"))}
        for index, names in enumerate(groups) for name in names if name not in have]
