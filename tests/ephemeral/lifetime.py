# SPDX-License-Identifier: MIT
"""How serving begins, with or without a warm-up, and how it ends."""
import json
import signal

from client import Client
from listener import free_port
from programs import built
from server import Server, c_server, fails, metrics_of
from setting import suite
from suite import Failed


@suite.test()
def programs_that_do_not_serve():
    fails(["sleep", "100"], 1, r"not ready to serve after 2 s \(--max-boot-time\): it has no "
          r"listening socket\nkvmserver:   thread 2 \(sleep\) waits in clock_nanosleep", "-e",
          "--max-boot-time", "2")
    fails(["sh", "-c", "while :; do :; done"], 1, r"thread 2 \(sh\) runs", "-e",
          "--max-boot-time", "0.5")
    fails(["sh", "-c", "exit 7"], 7, r"", "-e")
    fails(["true"], 0, r"ended before it was ready to serve", "-e")
    fails(["sh", "-c", "kill -SEGV $$"], 139, r"killed by SIGSEGV", "-e")
    fails(["/nonexistent/program"], 127, r"nonexistent", "-e")
    fails([built("epoll"), "@PORT@"], 124, r"stopped: 0.7 s are over \(--max-time\)", "-e",
          "--max-time", "0.7")


@suite.test()
def warm_up_fails():
    program = [built("epoll"), "@PORT@"]
    fails(program, 1, r"warm-up request 1 of 5 failed: no complete response in time", "-e", "-w",
          "5", "--warmup-path", "/spin", "--max-request-time", "0.5")
    fails(program, 3, r"", "-e", "-w", "5", "--warmup-path", "/exit")
    fails(program, 1, r"warm-up request \d of 20 failed: what came back is no HTTP response", "-e",
          "-w", "20", "--warmup-concurrency", "4", "--warmup-path", "/silent")
    fails(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "@PORT@"], 1,
          r"warm-up request 1 of 5 failed: status 404", "-e", "-w", "5", "--warmup-path", "/none")


@suite.test()
def warm_up_without_isolation():
    """-w alone: the program goes on as it is; -t alone: copies that count for themselves."""
    with Server([built("epoll"), "@PORT@"], "-w", "100", "--warmup-concurrency", "4") as s:
        s.expect(b"101\n")
        s.expect(b"102\n")
        s.stop(143)
    with Server([built("epoll"), "@PORT@"], "-t", "2") as s:
        seen = [int(s.get()[1]) for _ in range(20)]
        if len(seen) - len(set(seen)) > 10 or max(seen) < 10:
            raise Failed("%r" % seen)
        s.stop()


@suite.test()
def nobody_in_between():
    """A client that comes while the program starts is served afterwards, by a pristine fork."""
    with Server([built("epoll"), "@PORT@"], "-e", "-w", "5", "--warmup-path", "/slow",
                ready=False) as s:
        s.wait_until(s.listens)
        with Client(s.connect()) as client:
            if client.get() != (200, b"6\n"):
                raise Failed("it was served by the master")
            if not s.loaded():
                raise Failed("it was served too early")
        s.stop()


@suite.test()
def stop_finishes_requests():
    address = "127.0.0.1:%d" % free_port()
    with c_server("--metrics", address) as s, Client(s.connect()) as client:
        client.send(b"GET /slow HTTP/1.1\r\n\r\n")
        s.wait_until(lambda: metrics_of(address)[1]["connections_total"] == 1)
        s.proc.send_signal(signal.SIGTERM)
        if client.response() != (200, b"4\n") or not client.ended():
            raise Failed("the request under way was not answered")
        s.end(0)


@suite.test()
def configuration():
    config = {"ephemeral": True, "warmup": 3, "threads": 2, "allow-all": True}
    with Server([built("epoll"), "@PORT@"], "-c", "@DIR@/config.json", "-e",
                files=[("config.json", json.dumps(config))]) as s:
        s.expect(b"4\n")
        if "vm=2 ephemeral" not in s.output():
            raise Failed(s.output())
        s.stop()
