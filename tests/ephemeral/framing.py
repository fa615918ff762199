# SPDX-License-Identifier: MIT
"""Where requests and responses begin and end."""
import time

from client import NEXT, Client
from programs import built
from runtimes import find
from server import Server, c_server
from setting import source, suite
from suite import Failed


@suite.test()
def framing():
    """Requests in pieces, in a row, with bodies, and responses of every kind, on one connection."""
    with c_server() as s, Client(s.connect()) as client:
        def check(what, status=200, body=b"4\n", **more):
            got = client.response(**more)
            if got != (status, body):
                raise Failed("%s: %r\n%s" % (what, got, s.output()))
        client.send(b"GET / HTTP/1.1\r\n\r\n" * 20)
        for i in range(20):
            check("pipelined %d" % i)
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234")
        time.sleep(0.1)
        client.send(b"56789GET / HTTP/1.1\r\nX: ")
        check("body in pieces")
        client.send(b"y\r\n\r\n")
        check("the head behind it")
        client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    b"HEAD / HTTP/1.1\r\n\r\nGET /long HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        check("chunked")
        check("HEAD", body=b"", bodiless=True)
        check("long", body=b"x" * 3145728)
        check("after them all")
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 12000\r\nExpect: 100-continue\r\n\r\n")
        if b" 100 " not in client.head():
            raise Failed("no 100 Continue")
        client.send(b"z" * 12000)
        check("expected")
        client.send(b"GET /close HTTP/1.1\r\n\r\n")
        check("close")
        if not client.ended():
            raise Failed("it does not close: %r" % client.data)
        s.stop()


@suite.test()
def early_answers():
    """A response before the end of the request: the rest is read, if it comes, but not waited for."""
    with Server([find("node"), source("count.js"), "@PORT@"], "-e", "-w", "3",
                "--max-request-time", "20", "--max-stall-time", "0") as s:
        with Client(s.connect()) as client:
            for _ in range(3):
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
                if client.response() != (200, b"4\n"):
                    raise Failed("no early answer")
                for _ in range(10):
                    client.send(b"x" * 300000)
                    time.sleep(0.02)
            if client.get() != (200, b"4\n"):
                raise Failed("the connection did not stay")
        silent = Client(s.connect())
        silent.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
        start = time.monotonic()
        s.expect(b"4\n")
        if silent.response() != (200, b"4\n") or not silent.ended() or \
                time.monotonic() - start > 10:
            raise Failed("the fork is held")
        s.stop()


@suite.test()
def refused_uploads():
    """A client that is still sending gets the response all the same."""
    with c_server("--max-request-time", "1") as s:
        for path, status in (("/fault", 502), ("/spin", 504)):
            with Client(s.connect()) as client:
                client.send(b"POST %s HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" % path.encode())
                try:
                    for _ in range(30):
                        client.send(b"x" * 15000)
                        time.sleep(0.05)
                except OSError as e:
                    raise Failed("cannot send: %s\n%s" % (e, s.output()))
                if client.response()[0] != status or not client.ended():
                    raise Failed("%s: no response" % path)
        s.expect(b"4\n")
        s.stop()


@suite.test()
def long_heads():
    """Longer than what is looked at in the lobby."""
    with Server(["/usr/bin/python3", source("count_http.py"), "@PORT@"], "-e", "-w", "3") as s:
        with Client(s.connect()) as client:
            for _ in range(2):
                if client.get(headers="X: %s\r\nY: %s\r\n" % ("x" * 30000, "y" * 30000)) != \
                        (200, b"4\n"):
                    raise Failed("wrong answer\n" + s.output())
        s.stop()


@suite.test()
def upgrade():
    """101: the connection is the program's until it ends."""
    with c_server() as s:
        with Client(s.connect()) as client:
            client.send(b"GET /upgrade HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst")
            if b" 101 " not in client.head():
                raise Failed("no 101")
            for word in b"first", b"second", b"GET / HTTP/1.1\r\n\r\n":
                if word != b"first":
                    client.send(word)
                if client.take(len(word)) != word:
                    raise Failed("no echo")
        s.expect(b"4\n")
        s.stop()


@suite.test()
def not_http():
    """Another protocol lasts until the connection ends; the program may speak first."""
    with Server([built("first"), "@PORT@"], "-e", "--server-first") as s:
        for _ in range(3):
            with s.connect() as sock, sock.makefile("rwb") as f:
                if f.readline() != b"hello 1\n":
                    raise Failed("no greeting")
                f.write(b"\x16\x03 something\n")
                f.flush()
                if f.readline() != b"\x16\x03 something\n":
                    raise Failed("no echo")
        s.stop()


@suite.test()
def http_only():
    """What is not HTTP does not reach the program, with --http-only."""
    with c_server("--http-only") as s:
        for text in b"\0", b"HELO x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            with Client(s.connect()) as client:
                client.send(text)
                if client.response() != (400, b"Bad Request\n") or not client.ended():
                    raise Failed("%r was let in" % text)
        s.expect(b"4\n")
        s.stop()


UNCLEAR = (b"FOO / HTTP/1.1\r\n\r\n", b"QUERY / HTTP/1.1\r\nHost: a\r\n\r\n",
           b"GET / HTTP/1.1\r\nX@y(z): 1\r\n\r\n", b"GET / HTTP/1.1\r\nX: a\1b\r\n\r\n",
           b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
           b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")


@suite.test()
def one_request_per_fork():
    """Whatever a request looks like: the next one on its connection has a fork of its own, or none."""
    with c_server() as s:
        for text in UNCLEAR + (b"\0", b"HELO x\r\n"):
            with Client(s.connect()) as client:
                if text not in UNCLEAR and client.get() != (200, b"4\n"):
                    raise Failed("no answer")
                client.send(text + NEXT)
                if client.response() != (400, b"Bad Request\n") or not client.ended():
                    raise Failed("%r was let in" % text)
        for text in b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"GET /odd HTTP/1.1\r\n\r\n":
            with Client(s.connect()) as client:
                client.send(text + NEXT)
                if client.response() != (200, b"4\n") or not client.ended():
                    raise Failed("%r: there is a second answer" % text)
        with Client(s.connect()) as client:
            client.send(b"GET /odd-long HTTP/1.1\r\n\r\n")
            time.sleep(0.5)  # the program cannot send it all until we read
            if client.response() != (200, b"x" * 3145728) or not client.ended():
                raise Failed("a response of which the end is not known is cut short")
        s.expect(b"4\n")
        s.stop()


@suite.test()
def slow_bodies():
    """A body of some length that comes slowly does not hold a fork either."""
    with c_server("--max-request-time", "2") as s, Client(s.connect()) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 12000\r\n\r\n")
        for _ in range(12):
            client.send(b"x" * 1000)
            time.sleep(0.2)
            s.expect(b"4\n")
        if client.response() != (200, b"4\n"):
            raise Failed("wrong answer")
        s.stop()
