# SPDX-License-Identifier: MIT
"""Load: wrk, for any time from a tenth of a second on.

wrk waits for each answer before it sends the next request on a connection (a closed loop), so a server that stalls is
asked less: *coordinated omission*. wrk fills in what it would have sent during answers that took more than twice the
mean interval. Its clock starts when the connection is there and ends with the last byte of the answer; making the
connection is in the requests per second only.
"""
import os
import re
import signal
import subprocess
import time

from place import BENCH, CPUS, ENVIRONMENT, Failed
from runtimes import find
from servers import child

FIELDS = ("avg", "p50", "p90", "p99", "max", "requests", "duration", "connect", "read", "timeout",
          "status")


def command(port, clients, keep):
    argv = [find("wrk"), "-t1", "-c%d" % clients, "-d120s", "--timeout", "30s",
            "-s", os.path.join(BENCH, "programs", "report.lua")]
    if not keep:
        argv += ["-H", "Connection: close"]
    return [*argv, "http://127.0.0.1:%d/" % port]


FEWEST = 3  # requests that say anything


def load(server, seconds, clients=1, keep=True):
    """{"avg", "p50", ..., "rate", "rss_kib"}: microseconds, requests per second, KiB in the middle of it. Who is too slow
    for the time gets more.
    """
    for seconds in (seconds, 5 * seconds, 20 * seconds):
        result = once(server, seconds, clients, keep)
        if result["requests"] >= FEWEST:
            break
    check(result, keep)
    return result


def once(server, seconds, clients, keep):
    proc = subprocess.Popen(command(server.port, clients, keep), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env=ENVIRONMENT, preexec_fn=child(CPUS.load))
    try:
        time.sleep(seconds / 2)
        rss = server.rss_kib()
        time.sleep(seconds / 2)
        text = end(proc)
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()
    found = re.search(r"^RESULT (.*)$", text, re.M)
    if not found:
        raise Failed("wrk: " + text.strip()[-200:])
    result = dict(zip(FIELDS, map(float, found.group(1).split())))
    result["rate"] = result["requests"] / max(result["duration"] / 1e6, 1e-6)
    result["rss_kib"] = rss
    return result


def end(proc):
    """SIGINT makes wrk say what it has; while it starts it ignores that, as it was told to."""
    for _ in range(300):
        proc.send_signal(signal.SIGINT)
        try:
            return proc.communicate(timeout=0.2)[0]
        except subprocess.TimeoutExpired:
            pass
    raise Failed("wrk does not end")


def check(result, keep):
    if not result["requests"]:
        raise Failed("no request was answered")
    # To wrk an answer that ends its connection and does not say so is a read error.
    if result["connect"] or result["timeout"] or result["status"] or \
            result["read"] and (keep or result["read"] > result["requests"] + 8):
        raise Failed("%(requests)d answers; failed: connect %(connect)d, read %(read)d, "
                     "timeout %(timeout)d, status %(status)d" % result)
