#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a storage call costs, beside other ways to something that stays.

    (a) a storage call
    (b) a storage call that asks Redis, over storage's own connection
    (c) Redis from the request's machine, over a new connection each time
    (d) Redis from a process of the host, over one connection

p50 and p99, on the machine as it is and while stress-ng keeps all processors busy; then what a call needs:
exits of the calling program (tests/storage/test_remote.c counts storage's: one as well), and context switches
(/proc) of the thread that makes it and of the one that serves.

    bench/storage.py [--build DIR] [--calls N]
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))
from place import DIRECTORY, ENVIRONMENT, ROOT, built  # noqa: E402
from runtimes import find  # noqa: E402
from servers import child, free_port  # noqa: E402

LIBRARY = os.path.join(ROOT, "guestlib")
ROWS = [("a", "storage call", "call"), ("b", "storage call that asks Redis", "ask"),
        ("c", "Redis, new connection each time", "fresh"),
        ("d", "Redis, one connection, no machine", "reused")]


def switches(pid):
    """Voluntary context switches of all threads."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/status" % pid):
        with open(path) as f:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))
    return total


def measure(what, calls, port):
    """(sorted times in us, context switches, exits of the calling program)"""
    own = [program, what, str(calls), str(port)]
    argv = own
    if what in ("call", "ask"):
        argv = [kvmserver, "--stats", "--allow-net", "storage", program, "storage", str(port),
                "++", "run", *own]
    elif what == "fresh":
        argv = [kvmserver, "--stats", "--allow-net", "run", *own]
    proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=child(None))
    while proc.stdout.readline() != "begin\n":
        if proc.poll() is not None:
            sys.exit(proc.stderr.read())
    before = switches(proc.pid)
    while proc.stdout.readline() != "end\n":
        if proc.poll() is not None:
            sys.exit(proc.stderr.read())
    after = switches(proc.pid)
    out, err = proc.communicate()
    exits = re.search(r"(\d+) exits", err)
    return sorted(int(n) / 1e3 for n in out.split()), after - before, \
        int(exits.group(1)) if exits else 0


def table(title, calls, port):
    print("\n%s\n%-4s%-36s%10s%10s" % (title, "", "us", "p50", "p99"))
    for letter, name, what in ROWS:
        us = measure(what, calls, port)[0]
        print("%-4s%-36s%10.1f%10.1f" % ("(%s)" % letter, name, us[len(us) // 2],
                                         us[len(us) * 99 // 100]), flush=True)


def costs(calls, port):
    few, many = measure("call", calls, port), measure("call", 3 * calls, port)
    print("\nOne storage call:\n%10.3f exits of the calling program\n"
          "%10.3f voluntary context switches, all threads" %
          ((many[2] - few[2]) / (2 * calls), many[1] / (3 * calls)))


def main():
    global kvmserver, program
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR")
    parser.add_argument("--calls", type=int, default=5000, metavar="N")
    args = parser.parse_args()
    kvmserver = os.path.join(os.path.abspath(args.build), "kvmserver")
    program = built("bench/storage.c", "-static", "-I", LIBRARY,
                    os.path.join(LIBRARY, "kvmserverguest.c"))
    port = free_port()
    redis = subprocess.Popen([find("redis-server"), "--port", str(port), "--save", "", "--bind",
                              "127.0.0.1", "--dir", DIRECTORY], preexec_fn=child(None),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(1)
    table("The machine as it is (load %.1f)" % os.getloadavg()[0], args.calls, port)
    costs(args.calls, port)
    cpus = str(len(os.sched_getaffinity(0)))
    busy = subprocess.Popen([find("stress-ng"), "--cpu", cpus, "--quiet"], env=ENVIRONMENT,
                            stdin=subprocess.DEVNULL, preexec_fn=child(None))
    try:
        time.sleep(1)
        table("All %s processors busy (stress-ng --cpu %s)" % (cpus, cpus), args.calls, port)
    finally:
        for proc in (busy, redis):
            proc.terminate()
            proc.wait()


main()
