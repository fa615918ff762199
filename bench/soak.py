#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Very many ephemeral requests in a row: each response is checked, and what kvmserver holds must not grow.

Every response must be 200 with one more than the warm-up's requests: what a pristine fork answers.
At the start and at each tenth of the way: requests so far, memory (its own; with what is shared),
descriptors, threads, vCPUs, mappings, and forks made. Growth is told from the second line (each worker
has served by then) to the last.

    bench/soak.py [--build DIR] [--requests N] [--workers N] [--connections N] [--close] [NAME]

NAME: c-epoll (10,000,000 requests unless told otherwise) or deno (1,000,000), or any of --list.
Exit status 1: a response was wrong or missing, or something grew.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))
from place import ENVIRONMENT, ROOT, built  # noqa: E402
from programs import PROGRAMS as MEASURED  # noqa: E402
from runtimes import find, npm  # noqa: E402
from servers import child, free_port  # noqa: E402

TESTS = os.path.join(ROOT, "tests", "ephemeral")
WARMUP = 1000
STEPS = 10
COLUMNS = ("requests", "own_kib", "shared_kib", "fds", "threads", "vcpus", "mappings", "forks")
# What may be more in the end than it was once everything had been used.
ALLOWED = {"own_kib": 1024, "shared_kib": 1024, "fds": 8, "threads": 2, "vcpus": 2, "mappings": 16,
           "forks": 0}


def source(name):
    return os.path.join(TESTS, name)


# name: (requests, argv by the port)
PROGRAMS = {
    **{p.key: (10_000_000 if p.key == "c-epoll" else 1_000_000, p.command)
       for p in MEASURED.values() if p.key != "deno-react"},  # whose answer is no number
    "c-accept": (10_000_000, lambda port: [built("tests/ephemeral/accept.c"), str(port)]),
    "bun": (1_000_000, lambda port: [npm("bun"), source("count-bun.js"), str(port)]),
}


class Server:
    def __init__(self, name):
        self.port, self.text = free_port(), tempfile.TemporaryFile("w+")
        self.proc = subprocess.Popen(
            [os.path.join(args.build, "kvmserver"), "-e", "-t", str(args.workers), "-w",
             str(WARMUP), "--stats", "--allow-all", "run", *PROGRAMS[name][1](self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.text,
            env=ENVIRONMENT, preexec_fn=child(None))

    def output(self):
        self.text.seek(0)
        return self.text.read()

    def wait_until_loaded(self):
        end = time.monotonic() + 60
        while " loaded. " not in self.output():
            if self.proc.poll() is not None or time.monotonic() > end:
                sys.exit("soak: it does not start\n" + self.output())
            time.sleep(0.05)

    def proc_file(self, name):
        with open("/proc/%d/%s" % (self.proc.pid, name)) as f:
            return f.read()

    def totals(self):
        """The counters, by SIGUSR1: {"requests served": 17, ...}; those that are not zero."""
        seen = self.output().count("connections accepted")
        self.proc.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 10
        while self.output().count("connections accepted") == seen or \
                not self.output().endswith("\n"):
            if time.monotonic() > end:
                sys.exit("soak: SIGUSR1 is not answered\n" + self.output())
            time.sleep(0.02)
        time.sleep(0.05)
        text = self.output().rsplit("connections accepted", 1)[1]
        return {what: int(n) for n, what in re.findall(r"^ *(\d+) ([a-z].*)$", text, re.M)}

    def sample(self):
        status = self.proc_file("status")
        kib = {k: int(re.search(k + r":\s+(\d+)", status).group(1))
               for k in ("RssAnon", "RssShmem", "Threads")}
        links = []
        for fd in os.listdir("/proc/%d/fd" % self.proc.pid):
            try:
                links.append(os.readlink("/proc/%d/fd/%s" % (self.proc.pid, fd)))
            except FileNotFoundError:
                pass
        totals = self.totals()
        return dict(zip(COLUMNS, (
            totals.get("requests served", 0), kib["RssAnon"], kib["RssShmem"], len(links),
            kib["Threads"], sum("kvm-vcpu" in link for link in links),
            self.proc_file("maps").count("\n"), totals.get("forks made", 0))))

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        return self.proc.wait(30)


def load(port, seconds):
    """wrk for so long. (requests answered, what was wrong with them)."""
    argv = [find("wrk"), "-t1", "-c%d" % args.connections, "-d%d" % seconds, "--timeout", "30s"]
    if args.close:
        argv += ["-H", "Connection: close"]
    got = subprocess.run([*argv, "-s", source("same.lua"), "http://127.0.0.1:%d/" % port, "--",
                          str(WARMUP + 1)], stdout=subprocess.PIPE, text=True,
                         env=ENVIRONMENT)
    text = got.stdout
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    bad = "" if got.returncode == 0 and "wrong: 0 " in text else text
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    if errors:
        connect, read, write, timeout = map(int, errors.groups())
        # To wrk a response that ends its connection and does not say so is a read error.
        if connect or write or timeout or read and not (args.close and read <= requests):
            bad = text
    return requests, bad


def show(sample):
    print("".join("%12s" % sample[c] for c in COLUMNS), flush=True)


def soak(name):
    wanted = args.requests or PROGRAMS[name][0]
    server = Server(name)
    server.wait_until_loaded()
    print("%s: %d requests, %d workers, %d connections%s" % (
        name, wanted, args.workers, args.connections, ", a new one for each" if args.close else ""))
    print("".join("%12s" % c for c in COLUMNS))
    samples, done, bad, rate = [server.sample()], 0, "", 1000.0
    show(samples[0])
    begin = time.monotonic()
    while done < wanted and not bad and server.proc.poll() is None:
        # Short at first, to learn how fast it is.
        left = wanted - done
        seconds = max(1, round(min(left, wanted / STEPS) / rate)) if done else 2
        n, bad = load(server.port, seconds)
        rate = max(n / seconds, 1)
        done += n
        time.sleep(0.5)  # destroyed in the background
        samples.append(server.sample())
        show(samples[-1])
    seconds = time.monotonic() - begin
    status = server.stop()
    print("%d responses in %.0f s, %d/s; wrong: %s" % (done, seconds, done / seconds,
                                                       "0" if not bad else "\n" + bad))
    if bad or status:
        print("status %d\n%s" % (status, server.output()[-4000:]))
    return bool(bad or status) | grew(samples, done)


def grew(samples, done):
    first, last = samples[1], samples[-1]
    result = False
    for column, most in ALLOWED.items():
        more = last[column] - first[column]
        result |= more > most
        print("%-10s %+d%s" % (column, more, " GREW" if more > most else ""))
    # wrk gives up the responses that are under way when its time is over.
    lost = last["requests"] - done
    extra = args.connections * (len(samples) - 1)
    if not 0 <= lost <= extra:
        print("kvmserver counts %d requests, wrk %d" % (last["requests"], done))
        result = True
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--requests", type=int, help="in all (depends on the program)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--close", action="store_true", help="a new connection for each request")
    parser.add_argument("--list", action="store_true", help="the programs there are")
    parser.add_argument("name", nargs="?", default="c-epoll")
    args = parser.parse_args()
    if args.list:
        print("\n".join(PROGRAMS))
    elif args.name not in PROGRAMS:
        parser.error("no such program: " + args.name)
    else:
        sys.exit(soak(args.name))
