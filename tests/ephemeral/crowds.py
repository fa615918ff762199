# SPDX-License-Identifier: MIT
"""Clients that are many, slow, gone or silent, and descriptors or messages that nobody is left for."""
import os
import re
import resource
import socket
import time

from client import NEXT, Client
from listener import PATIENCE
from server import c_server
from setting import suite
from suite import Failed


@suite.test()
def slow_clients():
    """A thousand that send nothing, or little by little, are in nobody's way."""
    with c_server("-t", "2") as s:
        before = sorted(timed(s) for _ in range(50))[45]
        crowd = [s.connect() for _ in range(800)]
        for i, sock in enumerate(crowd):
            if i % 2:
                sock.sendall(b"GET /")
        slower = sorted(timed(s) for _ in range(50))[45]
        # What they send at last is complete.
        for i, sock in enumerate(crowd[:40]):
            sock.sendall((b" HTTP/1.1\r\n" if i % 2 else b"GET / HTTP/1.1\r\n"))
        for sock in crowd[:40]:
            sock.sendall(b"\r\n")
        for sock in crowd[:40]:
            with Client(sock) as client:
                if client.response() != (200, b"4\n"):
                    raise Failed("a slow request has a wrong answer")
        print("# slow-clients: %.1f ms, then %.1f ms" % (before * 1e3, slower * 1e3), flush=True)
        if slower > before * 3 + 0.05:
            raise Failed("requests took %.1f ms, now %.1f" % (before * 1e3, slower * 1e3))
        for sock in crowd[40:]:
            sock.close()
        s.expect(b"4\n")
        s.stop()


def timed(s):
    start = time.monotonic()
    s.expect(b"4\n")
    return time.monotonic() - start


@suite.test()
def idle_clients_are_dropped():
    with c_server("--max-idle-time", "1") as s:
        silent, begun, kept = (Client(s.connect()) for _ in range(3))
        begun.send(b"GET / HT")
        kept.get()
        for client in silent, begun, kept:
            client.sock.settimeout(20)
            if not client.ended():
                raise Failed("an idle connection gets %r" % client.data)
        s.expect(b"4\n")
        s.stop()


@suite.test()
def nobody_reads_messages():
    """Standard error is a pipe that is full: requests go on, and what was lost is said later."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    with c_server("-t", "2", ready=False, preexec=lambda: os.dup2(writer, 2)) as s:
        s.wait_until(s.listens)
        for _ in range(4):
            if s.get("/fault")[0] != 502:
                raise Failed("no 502")
            s.expect(b"4\n")
        while len(os.read(reader, 1 << 20)) == 1 << 20:
            pass
        s.get("/fault")
        text = os.read(reader, 1 << 20)
        if not re.match(rb"kvmserver: \d+ messages lost: .*\nkvmserver: .*SIGSEGV", text):
            raise Failed("it says %r" % text)
        s.stop()
    os.close(reader)
    os.close(writer)


@suite.test()
def descriptors_run_out():
    """More clients than descriptors: those that wait too long go, and the others are served."""
    with c_server("--max-idle-time", "1", preexec=eighty_descriptors) as s:
        crowd = [s.connect() for _ in range(100)]
        time.sleep(0.5)
        start = time.monotonic()
        with Client(s.connect()) as client:
            if client.get() != (200, b"4\n"):
                raise Failed("wrong answer")
        print("# descriptors-run-out: %.1f s" % (time.monotonic() - start), flush=True)
        for sock in crowd:
            sock.close()
        s.expect(b"4\n")
        s.stop()


@suite.test()
def no_fork_for_a_while():
    """A fork that cannot be replaced: that is said once, and tried until it succeeds."""
    with c_server() as s:
        limits = resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE)
        with Client(s.connect()) as client:
            if client.get() != (200, b"4\n"):
                raise Failed("wrong answer")
            resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            if client.get("/fault")[0] != 502:
                raise Failed("no error response")
        s.wait_until(lambda: b"cannot make a fork" in s.raw())
        time.sleep(1)
        resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE, limits)
        s.expect(b"4\n")
        if s.raw().count(b"cannot make a fork") != 1 or s.raw().count(b"made a fork") != 1:
            raise Failed(s.output())
        s.stop()


@suite.test()
def the_oldest_makes_room():
    """More clients than descriptors: those who have waited longest go, others are served at once."""
    with c_server(preexec=eighty_descriptors) as s, Client(s.connect()) as busy:
        crowd = []
        start = time.monotonic()
        for _ in range(50):
            crowd += [s.connect() for _ in range(2)]
            if busy.get() != (200, b"4\n"):
                raise Failed("the one that is in use went")
        s.expect(b"4\n")
        if time.monotonic() - start > 10:
            raise Failed("it takes %.1f s" % (time.monotonic() - start))
        crowd[0].settimeout(PATIENCE)
        if crowd[0].recv(1):
            raise Failed("it sends something")
        crowd[-1].sendall(NEXT)
        if Client(crowd[-1]).response() != (200, b"4\n"):
            raise Failed("the last one is not served")
        for sock in crowd:
            sock.close()
        s.stop()


@suite.test()
def urgent_data():
    """It is counted by the kernel and not seen by us: nothing spins, and others are served."""
    with c_server() as s, Client(s.connect()) as client:
        client.send(b"GET / HT")
        time.sleep(0.2)
        client.sock.send(b"x", socket.MSG_OOB)
        before = s.cpu_seconds()
        time.sleep(2)
        used = s.cpu_seconds() - before
        s.expect(b"4\n")
        if used > 0.5:
            raise Failed("%.2f s of CPU time in 2 s" % used)
        s.stop()


def eighty_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))


@suite.test()
def client_leaves():
    """A client that goes away while its request runs does not keep the fork."""
    with c_server("--max-request-time", "30") as s:
        for _ in range(3):
            sock = s.connect()
            sock.sendall(b"GET /spin HTTP/1.1\r\n\r\n")
            time.sleep(0.3)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
            start = time.monotonic()
            s.expect(b"4\n")
            if time.monotonic() - start > 10:
                raise Failed("it takes %.1f s" % (time.monotonic() - start))
        s.stop()
