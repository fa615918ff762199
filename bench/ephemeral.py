#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a request costs: natively, in a machine, and with a fork that is reset after each.

For each server: the median latency of one client, with a connection that stays open and with a new one
for each request, and the throughput of eight clients and one worker; then, with -e, what the counters say of one
request, what the first one of a fresh fork takes, and what an idle fork costs (its share of memory when there are 50
more: anonymous memory of kvmserver, and memory of the host's kernel, which is /proc/meminfo's and so includes whatever
else happened meanwhile). First of all, resets beside memcpy (bench/reset.c). The programs are those of
tests/ephemeral.

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
    def __init__(self, argv, port, err=None):
        self.port = port
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=err or log, cwd=directory,
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
    print("  one request: %.1f exits, %.2f of them page faults, %.2f interruptions, "
          "%.2f vCPU ioctls but KVM_RUN, "
          "%.0f pages put back (%.0f looked at in vain), reset %.0f us, %.2f reset by force" % (
              of("exits_total") / n, of("faults_total") / n,
              (of("exits_total") - of("syscalls_total") - of("faults_total")) / n,
              of("vcpu_ioctls_total") / n, pages, of("equal_pages_total") / n,
              of('phase_seconds_sum{phase="reset"}') / n * 1e6, of("stale_total") / n))
    print("  memory of the fork alone: %.0f KiB; kvmserver's anonymous memory: %d KiB" % (
        after['private_bytes{worker="0"}'] / 1024, rss), flush=True)


def rss_anon(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))


FORKS = 50


def kernel_memory():
    """KiB that the host's kernel holds for processes: the least of some looks, as others come and go."""
    names = ("SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "VmallocUsed", "Percpu")
    least = None
    for _ in range(5):
        with open("/proc/meminfo") as f:
            values = dict(re.findall(r"^(\w+):\s+(\d+)", f.read(), re.M))
        now = sum(int(values.get(name, 0)) for name in names)
        least = now if least is None else min(least, now)
        time.sleep(0.1)
    return least


def idle_forks(argv, port):
    """Each with its worker: a VM, its memory slots and dirty ring, tables of pages, a thread."""
    found = []
    for forks in (1, 1 + FORKS):
        base = kernel_memory()
        with Running([argv[0], "-t", str(forks), *argv[1:]], port) as server:
            found.append((kernel_memory() - base, rss_anon(server.proc.pid)))
    (kernel, rss), (more_kernel, more_rss) = found
    print("  idle fork: %.0f KiB of kvmserver's anonymous memory, kernel memory of an idle fork: "
          "%.0f KiB" % ((more_rss - rss) / FORKS, (more_kernel - kernel) / FORKS), flush=True)


def first_requests(argv, port):
    """A fork after a request that it died of is as good as a new one: none has served before."""
    with tempfile.TemporaryFile("w+") as err:
        with Running([argv[0], "-v", *argv[1:]], port, err):
            for _ in range(20):
                urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=60).read()
        err.seek(0)
        took = [float(n) for n in re.findall(r"guest ([\d.]+) ms", err.read())]
    print("  requests of a fresh fork: first %.2f ms, second %.2f ms, then %.2f ms (median)" % (
        took[0], took[1], sorted(took[2:])[len(took[2:]) // 2]), flush=True)


def resets():
    print("resets of pages of which each has one word changed", flush=True)
    subprocess.run([os.path.join(args.build, "bench", "reset"),
                    os.path.join(args.build, "bench", "dirty")], check=True)


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
    forks = [*vm, "-e", "-w", str(args.warmup), "run", *program]
    first_requests(forks, port)
    idle_forks(forks, port)


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
resets()
for wanted in args.names or PROGRAMS:
    bench(wanted)
