# SPDX-License-Identifier: MIT
"""Clients that do half of what they should: none of them keeps the others waiting."""
import contextlib
import fcntl
import socket
import struct
import termios
import time

from client import Client
from listener import free_port
from server import Server, metrics_of
from setting import source, suite
from suite import Failed

HALF_BODY = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n"
BIG = 3000000  # more than is waited for
CROWD = 1000


def server(*options):
    address = "127.0.0.1:%d" % free_port()
    s = Server(["/usr/bin/python3", source("upload.py"), "@PORT@"], "-e", "-w", "1", "--metrics", address,
               *options)
    s.value = lambda name: metrics_of(address)[1][name]
    return s


def expect(s, what, **wanted):
    """A request is counted when the fork is ready for the next one."""
    for name, value in wanted.items():
        end = time.monotonic() + 10
        while (got := s.value(name + "_total")) < value and time.monotonic() < end:
            time.sleep(0.01)
        if got != value:
            raise Failed("%s: %s is %g, not %g" % (what, name, got, value))


def check(what, got, wanted):
    if got != wanted:
        raise Failed("%s: %r, not %r" % (what, got, wanted))


def small(s):
    """A client that tells of each few bytes that it has taken."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", s.port))
    return sock


def fills(sock):
    """What nobody reads has come, and no more does."""
    had, there, since = 0, 0, time.monotonic()
    while not there or time.monotonic() < since + 1:
        time.sleep(0.05)
        there = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]
        had, since = there, since if there == had else time.monotonic()


def serves_beside(text, *options):
    """A crowd that sends that, by each one's number."""
    with server("-t", "2", "--max-stall-time", "20", "--max-request-time", "20", *options) as s:
        crowd = [s.connect() for _ in range(CROWD)]
        for i, sock in enumerate(crowd):
            sock.sendall(text(i))
        for i in range(1, 11):
            s.expect(b"here\n")
            expect(s, "a crowd of strangers", requests=i, stalled=0, timeouts=0)
        for sock in crowd:
            sock.close()


@suite.test()
def bodies_are_waited_for():
    """No fork is taken before the last byte of a body is there."""
    with server() as s:
        for i, length in enumerate((100, 60000, 300000, 1000000)):
            with Client(s.connect()) as client:
                client.send(HALF_BODY % (length, b"") + b"x" * (length // 2))
                time.sleep(0.2)
                s.expect(b"here\n")
                expect(s, "half of %d bytes" % length, requests=3 * i + 1)
                client.send(b"x" * (length - length // 2))
                check("answer", client.response(), (200, b"%d\n" % length))
                check("kept", client.get(), (200, b"here\n"))
        with Client(s.connect()) as client:
            client.send(HALF_BODY % (BIG, b"") + b"x" * BIG)
            check("a long one", client.response(), (200, b"%d\n" % BIG))
        expect(s, "all", stalled=0, connections_expired=0)
        s.stop()


@suite.test()
def expectations():
    """100 Continue comes before a fork is taken."""
    with server() as s, Client(s.connect()) as client:
        client.send(HALF_BODY % (100000, b"Expect: 100-continue\r\n"))
        check("invitation", client.head(), b"HTTP/1.1 100 Continue")
        expect(s, "invited", requests=0)
        s.expect(b"here\n")
        client.send(b"x" * 100000)
        check("answer", client.response(), (200, b"100000\n"))
        s.stop()


@suite.test()
def stalled_clients():
    """Who has a fork and does nothing loses it, and the fork is reset, not made anew."""
    with server("--max-stall-time", "0.3") as s:
        for text, status in ((HALF_BODY % (BIG, b"") + b"x" * 100000, 408),
                             (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                              b"Content-Length: x\r\n\r\n", 400),
                             (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0),
                             (b"GET /long HTTP/1.1\r\n\r\n", 200)):
            stalled = s.value("stalled_total")
            with Client(s.connect()) as client:
                client.send(text)
                if status != 400:
                    s.wait_until(lambda: s.value("stalled_total") > stalled)
                try:
                    got = client.fill() and int(client.data.split()[1])
                    while client.fill():
                        pass
                except ConnectionResetError:
                    pass
                check("%r" % text[:20], got, status)
            s.expect(b"here\n")
        expect(s, "all", forks=2, stale=0, timeouts=0, clients_gone=0, crashed=0, stalled=3)
        check("408", s.value('responses_total{status="408"}'), 1)
        check("400", s.value('responses_total{status="400"}'), 1)
        expect(s, "all", refused=2)
        s.stop()


@suite.test()
def next_to_nothing():
    """Who sends or takes a few bytes now and then has no longer than who does nothing."""
    with server("--max-stall-time", "1", "--max-request-time", "8") as s:
        for text in (HALF_BODY % (BIG, b""), b"GET /long HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
            stalled = s.value("stalled_total")
            with Client(small(s)) as client:
                client.send(text)

                def moves():
                    with contextlib.suppress(ConnectionError):
                        if text[:1] == b"G":
                            client.sock.recv(200)
                        else:
                            client.send(b"x")
                    return s.value("stalled_total") > stalled

                s.wait_until(moves)
            s.expect(b"here\n")
        expect(s, "all", stalled=3, timeouts=0, forks=2)
        s.stop()


@suite.test()
def slow_is_not_stalled():
    """Slow clients, and a program that takes its time: longer than they may stall, all in all."""
    with server("--max-stall-time", "1.5") as s:
        with Client(s.connect()) as client:
            client.send(HALF_BODY % (BIG, b""))
            for _ in range(10):
                client.send(b"x" * (BIG // 10))
                time.sleep(0.2)
            check("slow sender", client.response(), (200, b"%d\n" % BIG))
        with Client(s.connect()) as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(b"GET /long HTTP/1.1\r\n\r\n")
            for _ in range(10):
                for _ in range(5):
                    client.fill()
                time.sleep(0.2)
            status, body = client.response()
            check("slow reader", (status, len(body)), (200, 8000000))
        s.expect(b"here\n", "/sleep")
        expect(s, "all", stalled=0)
        s.stop()


@suite.test()
def last_words():
    """A tunnel's client may say nothing for long, but not for ever when it has said it all."""
    with server("--max-stall-time", "0.3", "--max-request-time", "30") as s:
        with Client(s.connect()) as client:
            client.send(b"GET /switch HTTP/1.1\r\n\r\n")
            check("switched", client.head()[:12], b"HTTP/1.1 101")
            time.sleep(1)
            expect(s, "silent", stalled=0)
            client.sock.shutdown(socket.SHUT_WR)
            check("ended", client.fill(), False)
        s.expect(b"here\n")
        expect(s, "all", stalled=1, timeouts=0, clients_gone=0, forks=1)
        s.stop()


@suite.test()
def crowd_of_half_bodies():
    """They wait where no fork is, whatever they claim."""
    with server("--max-waiting-memory", "16") as s:
        crowd = [s.connect() for _ in range(CROWD)]
        for i, sock in enumerate(crowd):
            length = (1000, 60000, 100000, 1000000)[i % 4]
            sock.sendall(HALF_BODY % (length, b"") + b"x" * 500)
        for i in range(1, 11):
            s.expect(b"here\n")
            expect(s, "a crowd of half bodies", requests=i, stalled=0)
        if not s.value("connections_expired_total"):
            raise Failed("nobody makes room")
        for sock in crowd:
            sock.close()
        s.stop()


@suite.test()
def crowd_of_strangers():
    """Those who speak something else get one of two forks; the other is for requests."""
    serves_beside(lambda i: HALF_BODY % (BIG, b"") if i % 2 else b"\x16\x03\x01\x02\x00")


@suite.test()
def crowd_before_all():
    """Without a warm-up it is they who show that this is HTTP."""
    serves_beside(lambda _: HALF_BODY % (BIG, b""), "-w", "0")


@suite.test()
def crowd_and_one_worker():
    """With one worker they have a spare one, made for the first of them; one after the other."""
    with server("-t", "1", "--max-stall-time", "60", "--max-request-time", "60",
                "--max-waiting-body", "0") as s:
        s.expect(b"here\n")
        expect(s, "no need yet", requests=1, forks=1)
        check("workers", s.value("workers"), 1)
        crowd = [Client(s.connect()) for _ in range(CROWD // 10)]
        for client in crowd:
            client.send(HALF_BODY % (100, b""))
        for i in range(2, 12):
            for client in crowd:
                client.send(b"x")
            s.expect(b"here\n")
            expect(s, "they drip", requests=i, stalled=0, timeouts=0)
        s.wait_until(lambda: s.value("workers") == 2)
        for client in crowd:
            client.send(b"x" * 90)
        for client in crowd:
            check("its turn", client.response(), (200, b"100\n"))
        expect(s, "all", requests=11 + len(crowd), stalled=0, timeouts=0, forks=2)
        s.stop()


@suite.test()
def never_readers():
    """Who does not read counts as one of those who may take long."""
    with server("-t", "2", "--max-stall-time", "20", "--max-request-time", "20") as s:
        with Client(s.connect()) as reader:
            reader.send(b"GET /long HTTP/1.1\r\n\r\n")
            s.expect(b"here\n")
            fills(reader.sock)
            crowd = [s.connect() for _ in range(CROWD // 10)]
            for sock in crowd:
                sock.sendall(HALF_BODY % (BIG, b""))
            for i in range(2, 12):
                s.expect(b"here\n")
                expect(s, "others", requests=i, stalled=0, timeouts=0)
            status, body = reader.response()
            check("it reads", (status, len(body)), (200, 8000000))
        for sock in crowd:
            sock.close()
        s.stop()
