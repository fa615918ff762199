# SPDX-License-Identifier: MIT
"""The contenders of each program, measured side by side: all servers run at the same time, and in each round each row
has its turn, in an order that changes from round to round.

A row is a server and how it is asked: over one connection, or a new one for each request, by so many clients; then by
eight for the throughput.
"""
import os
import random
import re

from load import load
from place import Failed, Skip
from servers import Server, free_port

KEPT, NEW = True, False
WORKERS = {"ephemeral": 1, "ephemeral-2": 2}


class Row:
    def __init__(self, key, label, isolation, server, keep, clients=1, throughput=True):
        self.key, self.label, self.isolation, self.server = key, label, isolation, server
        self.keep, self.clients, self.throughput = keep, clients, throughput


COMMON = (
    Row("native-kept", "native, connection kept", "none", "native", KEPT),
    Row("native-new", "native, new connections", "none", "native", NEW),
    Row("machine-kept", "machine, connection kept", "machine, all requests", "machine", KEPT),
    Row("machine-new", "machine, new connections", "machine, all requests", "machine", NEW),
    Row("ephemeral", "`-e`, 1 worker", "machine per request", "ephemeral", NEW),
    Row("ephemeral-2", "`-e`, 2 workers, 2 clients", "machine per request", "ephemeral-2", NEW, 2),
    Row("ephemeral-kept", "`-e`, connection kept", "machine per request", "ephemeral", KEPT),
    Row("ephemeral-untailed", "`-e`, 2 workers, 1 client: the reset not waited for",
        "machine per request", "ephemeral-2", NEW, 1, False),
)


def rows_of(program):
    rows = list(COMMON)
    for key, label, isolation, _ in program.ways:
        rows.append(Row(key, label, isolation, key, NEW))
        if program.key == "node":  # they need no new connection
            rows.append(Row(key + "-kept", label + ", connection kept", isolation, key, KEPT))
    return rows


def start(program, name, kvmserver, warmup):
    port = free_port()
    vm = [kvmserver, "--allow-all", "-w", str(warmup)]
    if name == "native":
        server = Server(program.command(port), port)
    elif name == "machine":
        server = Server([*vm, "run", *program.command(port)], port)
    elif name in WORKERS:
        metrics = free_port()
        server = Server([*vm, "-e", "-t", str(WORKERS[name]), "--metrics",
                         "127.0.0.1:%d" % metrics, "run", *program.command(port)], port, metrics)
    else:
        command = next(way[3] for way in program.ways if way[0] == name)
        server = Server(command(port), port)
    return server.wait_until_serving()


def start_all(program, rows, options, say):
    """{name: server}, {name: why not}"""
    servers, missing = {}, {}
    for name in dict.fromkeys(row.server for row in rows):
        try:
            servers[name] = start(program, name, options.kvmserver, options.warmup)
            if name not in WORKERS:  # theirs are frozen as the warm-up left them
                for keep in (KEPT, NEW):
                    if name != "fork" and name != "process" or not keep:
                        load(servers[name], options.slice, 1, keep)
        except (Failed, Skip, OSError) as e:
            missing[name] = str(e)
            if name in servers:
                servers.pop(name).stop()
            say("  %s: not available: %s" % (name, e))
    return servers, missing


def per_request(before, after):
    """How much of each counter a request took."""
    requests = after.get("requests_total", 0) - before.get("requests_total", 0)
    if not requests:
        return {}
    found = {}
    for name, value in after.items():
        if name.endswith("_total") or name.startswith("phase_seconds_sum"):
            short = name.replace("_total", "").replace('phase_seconds_sum{phase="', "seconds-")
            found[short.rstrip('"}')] = (value - before.get(name, 0)) / requests
    return found


def measure_row(row, server, options):
    before = server.counters()
    got = load(server, options.slice, row.clients, row.keep)
    counters = per_request(before, server.counters())
    found = {k: got[k] for k in ("avg", "p50", "p90", "p99", "max", "requests", "rss_kib")}
    found["rate"] = got["rate"]
    if counters:
        found["counters"] = counters
    if row.throughput:
        many = load(server, options.slice8, 8, row.keep)
        found["rate8"], found["p99_8"] = many["rate"], many["p99"]
        found["rss_kib"] = max(found["rss_kib"], many["rss_kib"])
    return found


def measure(program, wanted, options, say):
    """The rows of a program; wanted: their keys, None: all."""
    rows = [row for row in rows_of(program) if wanted is None or row.key in wanted]
    say("%s: %d contenders, %d rounds" % (program.title, len(rows), options.rounds))
    servers, missing = start_all(program, rows, options, say)
    rounds = {row.key: [] for row in rows}
    order = random.Random(program.key)
    try:
        for _ in range(options.rounds):
            for row in order.sample(rows, len(rows)):
                if row.server in missing:
                    continue
                try:
                    rounds[row.key].append(measure_row(row, servers[row.server], options))
                except (Failed, OSError) as e:
                    missing[row.server] = "%s; %s" % (e, servers[row.server].last_words())
                    say("  %s: not available: %s" % (row.server, missing[row.server]))
    finally:
        for server in servers.values():
            server.stop()
    return [{"program": program.key, "row": row.key, "label": row.label, "isolation": row.isolation,
             "clients": row.clients, "kept": row.keep,
             **({"missing": missing[row.server]} if row.server in missing
                else {"rounds": rounds[row.key]})} for row in rows]


def count_calls(program, options, loads):
    """(requests on new connections to a plain machine, {system call: how often})"""
    port = free_port()
    server = Server([options.kvmserver, "--allow-all", "--stats", "run", *program.command(port)],
                    port)
    with server:
        requests = 1 + sum(load(server, options.slice, 1, NEW)["requests"] for _ in range(loads))
    return requests, {name: int(n) for n, name in
                      re.findall(r"^ +(\d+) (?!exits)(\w+)$", server.output(), re.M)}


def calls(program, options):
    """A profile: the system calls of one request, most frequent first. Those of the start are taken off."""
    least, before = count_calls(program, options, 0)
    most, after = count_calls(program, options, 2)
    found = {name: (n - before.get(name, 0)) / (most - least) for name, n in after.items()}
    return {name: n for name, n in sorted(found.items(), key=lambda item: -item[1]) if n >= 0.25}


def kvmserver_of(build):
    return os.path.join(os.path.abspath(build), "kvmserver")
