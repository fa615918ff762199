#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What running in a machine costs: programs natively and under kvmserver, side by side.

Each program is run natively and in the machine in turn, several times, on one processor; what is
compared is the fastest run of each (the least disturbed), and beside it the medians and the CPU time.

    bench/native.py [--build DIR] [--rounds N] [NAME...]
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# With an argument it waits for the end of its input.
HELLO = """#include <unistd.h>
int main(int argc, char **argv)
{
	char c;

	return write(1, "hello\\n", 6) != 6 || (argc > 1 && read(0, &c, 1));
}
"""

# name: what to run, in a directory with a file "data" of 256 MiB and the program "hello".
PROGRAMS = {
    "python-loop": ["/usr/bin/python3", "-c",
                    "s = 0\nfor i in range(20_000_000): s += i * i & 0xff\nprint(s)"],
    "sha256sum": ["/usr/bin/sha256sum", "data"],
    "gzip-9": ["/usr/bin/gzip", "-9c", "text"],
    "hello": ["./hello"],
    "node": [shutil.which("node") or "node", "-e", "0"],
    "deno": [os.environ.get("DENO") or shutil.which("deno") or "deno", "eval", "0"],
}


def once(argv, directory):
    """Seconds and CPU seconds of one run."""
    start = time.monotonic()
    proc = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(proc.pid, 0)
    seconds = time.monotonic() - start
    if status:
        sys.exit("%s: status %d" % (" ".join(argv), status))
    return seconds, usage.ru_utime + usage.ru_stime


def memory(vm, directory):
    """KiB that kvmserver occupies while it runs a static hello: at most, and in private memory."""
    proc = subprocess.Popen(vm + ["./hello", "wait"], cwd=directory, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    proc.stdout.readline()
    with open("/proc/%d/status" % proc.pid) as f:
        status = dict(line.split(":", 1) for line in f)
    proc.stdin.close()
    proc.wait()
    return int(status["VmHWM"].split()[0]), int(status["RssAnon"].split()[0])


def prepare(directory):
    with open(os.path.join(directory, "data"), "wb") as f:
        for i in range(256):
            f.write(bytes((i * j) & 0xff for j in range(1024)) * 1024)
    with open(os.path.join(directory, "text"), "wb") as f:
        for i in range(600000):
            f.write(b"line %d of some text that packs well, %x\n" % (i, i * 2654435761 & 0xffffffff))
    source = os.path.join(directory, "hello.c")
    with open(source, "w") as f:
        f.write(HELLO)
    subprocess.run(["gcc", "-static", "-O1", "-o", os.path.join(directory, "hello"), source],
                   check=True, stdin=subprocess.DEVNULL)


def measure(argv, vm, directory, rounds):
    runs = ([], [])
    once(argv, directory)
    once(vm + argv, directory)
    for _ in range(rounds):
        runs[0].append(once(argv, directory))
        runs[1].append(once(vm + argv, directory))
    return runs


def report(name, native, vm):
    best = [min(r[0] for r in side) for side in (native, vm)]
    median = [statistics.median(r[0] for r in side) for side in (native, vm)]
    cpu = [min(r[1] for r in side) for side in (native, vm)]
    print("%-12s %10.1f %10.1f %8.3f %8.3f %8s %+9.1f" % (
        name, best[0] * 1e3, best[1] * 1e3, best[1] / best[0], median[1] / median[0],
        "%.3f" % (cpu[1] / cpu[0]) if cpu[0] > 0.05 else "-", (best[1] - best[0]) * 1e3),
        flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("names", nargs="*", choices=[[], *PROGRAMS], metavar="NAME")
    args = parser.parse_args()
    vm = [os.path.join(os.path.abspath(args.build), "kvmserver"), "--allow-all", "run"]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("%-12s %10s %10s %8s %8s %8s %9s" % (
        "program", "native ms", "vm ms", "ratio", "medians", "CPU", "more ms"), flush=True)
    with tempfile.TemporaryDirectory(prefix="tinykvm-bench.") as directory:
        prepare(directory)
        os.environ.update(DENO_NO_UPDATE_CHECK="1", DENO_DIR=os.path.join(directory, "deno"))
        for name in args.names or [name for name, argv in PROGRAMS.items() if argv[0][0] in "./"]:
            rounds = args.rounds * 10 if name == "hello" else args.rounds
            report(name, *measure(PROGRAMS[name], vm, directory, rounds))
        print("kvmserver with a static hello: %d KiB resident at most, %d KiB of it private" %
              memory(vm, directory))


main()
