# SPDX-License-Identifier: MIT
"""What becomes of it when there is more: workers, clients that are connected and do nothing, idle forks. (bench/micro.c has
forks of a small program.)
"""
import resource
import socket
import time

from load import load
from place import CPUS, Failed, Skip, field
from programs import PROGRAMS
from servers import Server, free_port


def start(kvmserver, workers, *more, program="c-epoll"):
    port, metrics = free_port(), free_port()
    return Server([kvmserver, "--allow-all", "-e", "-w", "100", "-t", str(workers), "--metrics",
                   "127.0.0.1:%d" % metrics, *more, "run", *PROGRAMS[program].command(port)],
                  port, metrics)


def worker_counts():
    n = len(CPUS.servers or CPUS.all)
    return sorted({1, 2, n} | {1 << i for i in range(n.bit_length()) if 1 << i <= n})


def workers(options):
    """Requests per second with as many workers, four clients each; all servers are there, and take turns."""
    servers = {n: start(options.kvmserver, n) for n in worker_counts()}
    rounds = {n: [] for n in servers}
    for server in servers.values():
        server.wait_until_serving()
    for _ in range(options.rounds):
        for n, server in servers.items():
            rounds[n].append(load(server, options.slice, 4 * n, False)["rate"])
    for server in servers.values():
        server.stop()
    return [{"name": "workers", "x": n, "unit": "1/s", "rounds": rounds[n]} for n in servers]


def connect(port, n, open_already):
    while len(open_already) < n:
        try:
            open_already.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        except OSError as e:
            raise Failed("only %d connections: %s" % (len(open_already), e))


def connections(options):
    """One client's median while so many others are connected and silent; and memory."""
    found = []
    idle = []
    with start(options.kvmserver, 1, "--max-idle-time=600") as server:
        try:
            for n in options.connections:
                if n + 64 > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
                    found.append({"name": "connections-p50", "x": n,
                                  "missing": "more descriptors than RLIMIT_NOFILE allows"})
                    continue
                connect(server.port, n - 1, idle)
                got = [load(server, options.slice, 1, False) for _ in range(options.rounds)]
                for name, figure, unit in (("connections-p50", "p50", "us"),
                                           ("connections-rss", "rss_kib", "KiB")):
                    found.append({"name": name, "x": n, "unit": unit,
                                  "rounds": [g[figure] for g in got]})
        finally:
            for s in idle:
                s.close()
    return found


def kernel_kib():
    """What the host's kernel holds, for everybody: the least of some looks, as others come and go."""
    names = ("SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "VmallocUsed", "Percpu")
    least = None
    for _ in range(5):
        now = sum(int((field("/proc/meminfo", name) or "0").split()[0]) for name in names)
        least = now if least is None else min(least, now)
        time.sleep(0.05)
    return least


def idle_forks(options):
    """Deno's forks that have served nothing, each with its worker: memory by the difference to one fork."""
    found, base = [], None
    for n in options.idle_forks:
        kernel = kernel_kib()
        with start(options.kvmserver, n, program="deno") as server:
            anonymous = int(field("/proc/%d/status" % server.proc.pid, "RssAnon").split()[0])
            now = (anonymous, kernel_kib() - kernel)
        base = base or now
        for name, first, last in zip(("idle-memory", "idle-kernel-memory"), base, now):
            found.append({"name": name, "x": n, "unit": "KiB", "rounds": [
                last if n == 1 else (last - first) / (n - 1)]})
    return found


def measure(options, say):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = []
    say("scaling")
    for name, part in (("workers", workers), ("connections-p50", connections),
                       ("idle-memory", idle_forks)):
        try:
            found += part(options)
        except (Failed, Skip, OSError) as e:
            say("  %s: not available: %s" % (name, e))
            found.append({"name": name, "x": 0, "missing": str(e)})
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found
