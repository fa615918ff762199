#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a request costs: natively, in a machine, and with a fork that is reset after each.

For each server: the median latency of one client, with a connection that stays open and with a new one
for each request, and the throughput of eight clients and one worker; then, with -e, what the counters say of one
request. The programs are those of tests/ephemeral.

    bench/ephemeral.py [--build DIR] [--seconds N] [--warmup N] [NAME...]
"""
import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = os.path.join(ROOT, "tests", "ephemeral")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from runtimes import PATH, find, go_program, npm  # noqa: E402
from suite import build_c  # noqa: E402


def source(name):
    return os.path.join(TESTS, name)


def built(name):
    return build_c(source(name + ".c"),
                   os.path.join(ROOT, "tests", ".cache", "ephemeral", name), ["-lpthread"])


PROGRAMS = {
    "c-epoll": lambda: [built("epoll")],
    "c-accept": lambda: [built("accept")],
    "node": lambda: [find("node"), source("count.js")],
    "deno": lambda: [npm("deno"), "run", "--allow-net", source("count-deno.js")],
    "bun": lambda: [npm("bun"), source("count-bun.js")],
    "python": lambda: ["/usr/bin/python3", source("count_asyncio.py")],
    "go": lambda: [go_program(source("count.go"))],
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wrk(port, clients, *headers):
    argv = [find("wrk"), "-t1", "-c%d" % clients, "-d%d" % args.seconds, "--latency"]
    for header in headers:
        argv += ["-H", header]
    text = subprocess.run([*argv, "http://127.0.0.1:%d/" % port], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", text).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit], rate


class Running:
    def __init__(self, argv, port):
        self.port = port
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=log, cwd=directory,
                                     env={"PATH": PATH, "HOME": directory, "NO_COLOR": "1",
                                          "DENO_NO_UPDATE_CHECK": "1"})

    def __enter__(self):
        end = time.monotonic() + 120
        while time.monotonic() < end and self.proc.poll() is None:
            try:
                # Answered: that is, warmed up.
                urllib.request.urlopen("http://127.0.0.1:%d/" % self.port, timeout=120).read()
                return self
            except OSError:
                time.sleep(0.05)
        sys.exit("it does not serve: see %s" % log.name)

    def __exit__(self, *unused):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()


def metrics(port):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port).read().decode()
    return {k: float(v) for k, v in re.findall(r"^kvmserver_(\S+) (\S+)$", text, re.M)}


def report(before, after, rss):
    def of(name):
        return after.get(name, 0) - before.get(name, 0)
    n = of("requests_total")
    pages = of("copied_pages_total") / n
    print("  one request: %.1f exits, %.2f of them faults, %.2f vCPU ioctls but KVM_RUN, "
          "%.0f pages put back (%.0f looked at in vain), reset %.0f us, %.2f reset by force" % (
              of("exits_total") / n, (of("exits_total") - of("syscalls_total")) / n,
              of("vcpu_ioctls_total") / n, pages, of("equal_pages_total") / n,
              of('phase_seconds_sum{phase="reset"}') / n * 1e6, of("stale_total") / n))
    print("  memory of the fork alone: %.0f KiB; kvmserver's anonymous memory: %d KiB" % (
        after['private_bytes{worker="0"}'] / 1024, rss), flush=True)


def rss_anon(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))


def measure(kind, argv, port):
    with Running(argv, port) as server:
        kept = wrk(port, 1)[0]
        new = wrk(port, 1, "Connection: close")[0]
        rate = wrk(port, 8)[1]
        print("  %-10s %8.0f us %8.0f us %9.0f/s" % (kind, kept, new, rate), flush=True)
        return rss_anon(server.proc.pid)


def measure_ephemeral(argv, port, metrics_port):
    """With one worker a client's next connection may wait for the reset, with two it does not."""
    measure("-e -t 2", [argv[0], "-t", "2", *argv[1:]], port)
    with Running(argv, port) as server:
        before = metrics(metrics_port)
        kept = wrk(port, 1)[0]
        after = metrics(metrics_port)
        new = wrk(port, 1, "Connection: close")[0]
        rate = wrk(port, 8)[1]
        print("  %-10s %8.0f us %8.0f us %9.0f/s" % ("-e", kept, new, rate))
        report(before, after, rss_anon(server.proc.pid))


def bench(name):
    program, port, metrics_port = PROGRAMS[name](), free_port(), free_port()
    program = [*program, str(port)]
    vm = [os.path.join(args.build, "kvmserver"), "--allow-all"]
    print("%s\n  %-10s %11s %11s %11s" % (name, "", "kept", "new", "8 clients"))
    measure("native", program, port)
    measure("machine", [*vm, "-w", str(args.warmup), "run", *program], port)
    measure_ephemeral([*vm, "-e", "-w", str(args.warmup), "--metrics",
                       "127.0.0.1:%d" % metrics_port, "run", *program], port, metrics_port)


parser = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--build", default=os.path.join(ROOT, "build"))
parser.add_argument("--seconds", type=int, default=3, help="of each load")
parser.add_argument("--warmup", type=int, default=1000)
parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
args = parser.parse_args()
args.build = os.path.abspath(args.build)
directory = tempfile.mkdtemp(prefix="tinykvm-bench.")
log = open(os.path.join(directory, "log"), "w")
for wanted in args.names or PROGRAMS:
    bench(wanted)
