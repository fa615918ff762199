# SPDX-License-Identifier: MIT
"""What kvmserver counts and tells, and what must not grow."""
import os
import re
import signal
import socket
import struct
import tempfile
import time

from client import Client, load
from listener import free_port
from server import c_server, metrics_of
from setting import MORE_OPTIONS, suite
from suite import ROOT, Failed, command

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close breaks the connection off
GROWTH_KB = 4096  # a sanitizer keeps memory from being used again
# Of ten requests and one that crashes the program.
EXPECTED = {
    "requests_total": 11, "resets_total": 10, "crashed_total": 1, "forks_total": 2,
    'responses_total{status="200"}': 10, 'responses_total{status="502"}': 1,
    'phase_seconds_count{phase="guest"}': 11, "connections_total": 11, "workers": 1,
}


def check_documented(names):
    with open(os.path.join(ROOT, "docs", "reference", "serving.md")) as f:
        known = set(re.findall(r"`(\w+)(?:\{\w+\})?`", f.read()))
    for name in names:
        if re.sub(r"(_(bucket|sum|count))?(\{.*)?$", "", name) not in known:
            raise Failed("%s is not documented" % name)


@suite.test()
def metrics():
    with tempfile.TemporaryDirectory() as directory:
        for address in "127.0.0.1:%d" % free_port(), "unix:%s/metrics" % directory:
            with c_server("--metrics", address) as s:
                for _ in range(10):
                    s.expect(b"4\n")
                s.get("/fault")

                def counted():
                    values = metrics_of(address)[1]
                    return all(values.get(k) == v for k, v in EXPECTED.items())
                # A request is counted when the fork is ready for the next one.
                s.wait_until(counted, 10)
                check_documented(metrics_of(address)[1])
                if metrics_of(address, "/other")[0] != "only /metrics\n":
                    raise Failed("/other is answered")
                s.stop()


@suite.test()
def the_end_does_not_wait():
    """A client sees the end of its connection when the program closes it, and not after the reset."""
    address = "127.0.0.1:%d" % free_port()
    with c_server("--metrics", address) as s:
        def resets():
            return metrics_of(address)[1]["resets_total"]
        for _ in range(20):  # the reset comes 0.1 s later, and this machine may be busy
            before = resets()
            with Client(s.connect()) as client:
                client.send(b"GET /leave HTTP/1.1\r\nConnection: close\r\n\r\n")
                if client.response() != (200, b"4\n") or not client.ended():
                    raise Failed("wrong answer")
                early = resets() == before
            s.wait_until(lambda: resets() > before)
            if early:
                break
        else:
            raise Failed("the end always comes after the reset")
        if metrics_of(address)[1]["clients_gone_total"]:
            raise Failed("a client that has its answer is taken for one that left early")


@suite.test()
def clients_that_leave_are_told_apart():
    """From those that kvmserver turns away."""
    address = "127.0.0.1:%d" % free_port()
    with c_server("--metrics", address) as s:
        with Client(s.connect()) as client:
            client.send(b"GET /spin HTTP/1.1\r\n\r\n")
            time.sleep(0.1)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.wait_until(lambda: metrics_of(address)[1]["clients_gone_total"] == 1)
        s.wait_until(lambda: metrics_of(address)[1].get('responses_total{status="499"}') == 1)
        s.expect(b"4\n")


@suite.test()
def the_socket_of_another_is_not_taken():
    with tempfile.TemporaryDirectory() as directory:
        path = directory + "/metrics"
        with c_server("--metrics", "unix:" + path) as s:
            got = command([suite.kvmserver, "-e", "--metrics=unix:" + path, "run", "true"])
            if b"metrics: unix:%s: Address already in use" % path.encode() not in got.err or not got.status:
                raise Failed(got.describe())
            if "requests_total" not in metrics_of("unix:" + path)[1]:
                raise Failed("it is gone")
            s.proc.kill()
            s.proc.wait()
        with c_server("--metrics", "unix:" + path):
            if "requests_total" not in metrics_of("unix:" + path)[1]:
                raise Failed("what another left behind is in the way")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(directory + "/log")
            got = command([suite.kvmserver, "-e", "--metrics=unix:%s/log" % directory, "run", "true"])
            if b"log: Address already in use" not in got.err or not os.path.exists(directory + "/log"):
                raise Failed(got.describe())


@suite.test()
def counts_agree_with_the_load():
    """What is counted is what wrk sent and got, and both ways of asking say the same."""
    address = "127.0.0.1:%d" % free_port()
    with c_server("-t", "2", "--metrics", address) as s:
        requests = load(s, "4") + load(s, "4", more=("-H", "Connection: close"))
        bad = {"/fault": 3, "/exit": 2}
        for path, n in bad.items():
            for _ in range(n):
                s.get(path)

        def quiet():
            before = metrics_of(address)[1]["requests_total"]
            time.sleep(0.3)
            return metrics_of(address)[1]["requests_total"] == before
        s.wait_until(quiet, 20)
        got = metrics_of(address)[1]
        served, ended = got["requests_total"], sum(bad.values())
        # Of each load's eight connections one request may have been under way when it ended.
        if not requests + ended <= served <= requests + ended + 16:
            raise Failed("%d requests of wrk and %d bad ones, %d counted" % (requests, ended, served))
        statuses = {k: v for k, v in got.items() if k.startswith("responses_total")}
        buckets = [v for k, v in got.items() if "phase_seconds_bucket" in k and "guest" in k]
        for what, good in (
                ("each has a status", sum(statuses.values()) == served),
                ("502", statuses.get('responses_total{status="502"}') == ended),
                ("200", statuses.get('responses_total{status="200"}', 0) >= requests),
                ("ended or reset", got["resets_total"] + got["crashed_total"] +
                 got["clients_gone_total"] + got["stale_total"] >= served),
                ("forks", got["forks_total"] == 2 + got["crashed_total"] +
                 got["clients_gone_total"] + got["stale_total"]),
                ("guest", got['phase_seconds_count{phase="guest"}'] == served),
                ("reset", got['phase_seconds_count{phase="reset"}'] == served),
                ("wait", got['phase_seconds_count{phase="wait"}'] == served),
                ("buckets go up", buckets == sorted(buckets) and buckets[-1] == served),
                ("exits", got["exits_total"] >= served),
                ("calls by name", got["syscalls_total"] == sum(
                    v for k, v in got.items() if k.startswith(("left_calls", "inside_calls")))),
                ("accept4", got.get('inside_calls_total{call="accept4"}', 0) >=
                 requests * (not MORE_OPTIONS)),
                ("memory", got['private_bytes{worker="0"}'] > 0 and
                 got['hot_pages{worker="1"}'] > 0)):
            if not good:
                raise Failed("%s: %r" % (what, got))
        s.proc.send_signal(signal.SIGUSR1)
        s.wait_until(lambda: b"mean time, reset" in s.raw())
        for pattern in (r"^ +%d requests served$" % served, r"^ +%d with status 502$" % ended,
                        r"^ +\d+\.\d exits for each request$", r"^ +\d+ pages that each reset looks at",
                        r"^ +\d+\.\d{3} ms mean time, guest, half within [\d.]+ ms, 99 % within "):
            if not re.search(pattern, s.output(), re.M):
                raise Failed("no %r in %s" % (pattern, s.output()))
        s.stop()


@suite.test()
def steady_state_counters():
    """A reset copies few pages, and a request makes no ioctl but KVM_RUN and one for the FPU."""
    with c_server("--stats") as s:
        for _ in range(50):
            s.expect(b"4\n")
        time.sleep(0.3)
        s.proc.send_signal(signal.SIGUSR1)
        s.wait_until(lambda: b"requests served" in s.raw())
        text = s.output()

        def number(what):
            found = re.search(r"(\d+) " + what, text)
            return int(found.group(1)) if found else 0
        if number("requests served") != 50 or number("forks made") != 1:
            raise Failed(text)
        exits, calls = number("times that programs left"), number("system calls of programs")
        if number("ioctls on vCPUs") > 60 or number("pages put back") > 50 * 40 or \
                exits > calls + 10:
            raise Failed("more than expected\n" + text)
        faults = s.faults()
        for _ in range(100):
            s.expect(b"4\n")
        if s.faults() > faults + 80:
            raise Failed("%d page faults of kvmserver" % (s.faults() - faults))
        s.stop()


@suite.test()
def access_log():
    with c_server("-v") as s:
        s.get("/some?query=1")
        s.get("/fault")
        s.wait_until(lambda: b"/fault" in s.raw())
        for pattern in (r'127\.0\.0\.1:\d+ "GET /some\?query=1" 200 40 bytes, worker 0, guest [\d.]+ ms, '
                        r'reset [\d.]+ ms', r'"GET /fault" 502 '):
            if not re.search(pattern, s.output()):
                raise Failed("no %r in %s" % (pattern, s.output()))
        s.stop()


@suite.test()
def no_growth():
    """Thousands of requests: memory, descriptors and vCPUs stay what they are."""
    with c_server("-t", "2") as s:
        load(s, "4")
        rss, fds = s.memory_kb("RssAnon"), s.fds()
        load(s, "4")
        load(s, "4")
        s.wait_until(lambda: s.fds() <= fds + 8)
        if s.memory_kb("RssAnon") > rss * 1.05 + GROWTH_KB:
            raise Failed("%d KiB, then %d" % (rss, s.memory_kb("RssAnon")))
        s.stop()
