# SPDX-License-Identifier: MIT
"""HTTP clients: one as raw as the tests need it, and wrk."""
import re

from listener import PATIENCE
from runtimes import PATH, find
from setting import duration, source
from suite import Failed, command

NEXT = b"GET / HTTP/1.1\r\n\r\n"


class Client:
    """HTTP on a socket, as raw as the tests need it."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def fill(self):
        got = self.sock.recv(1 << 16)
        self.data += got
        return bool(got)

    def head(self):
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                raise Failed("the connection ended: %r" % self.data)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head

    def response(self, bodiless=False):
        """(status, body) of the next response that is no interim one."""
        head = self.head()
        status = int(head.split()[1])
        if status == 100:
            return self.response(bodiless)
        if bodiless:
            return status, b""
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length:
            return status, self.take(int(length.group(1)))
        if re.search(rb"(?i)transfer-encoding: *chunked", head):
            return status, self.chunks()
        while self.fill():
            pass
        return status, self.take(len(self.data))

    def take(self, size):
        while len(self.data) < size:
            if not self.fill():
                raise Failed("the connection ended in a body, %d of %d" % (len(self.data), size))
        body, self.data = self.data[:size], self.data[size:]
        return body

    def chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.data:
                if not self.fill():
                    raise Failed("the connection ended in a chunk")
            size, self.data = self.data.split(b"\r\n", 1)
            body += self.take(int(size, 16))
            self.take(2)
            if not int(size, 16):
                return body

    def get(self, path="/", headers="", method="GET", body=b""):
        self.send(b"%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s" % (
            method.encode(), path.encode(), headers.encode(), body))
        return self.response(method == "HEAD")

    def ended(self):
        """True if the other end closes, without more data."""
        return not self.data and not self.fill()


def load(server, wanted, connections=8, seconds=None, more=()):
    """wrk with so many connections: every answer is 200 with that body; how many there were."""
    seconds = seconds or duration()
    got = command([find("wrk"), "-t1", "-c%d" % connections, "-d%d" % seconds, "--timeout",
                   "%ds" % PATIENCE, *more, "-s", source("same.lua"),
                   "http://127.0.0.1:%d/" % server.port, "--", wanted],
                  env={"PATH": PATH, "LC_ALL": "C"}, timeout=seconds + PATIENCE)
    text = got.out.decode("utf-8", "replace")
    requests = re.search(r"(\d+) requests in", text)
    requests = int(requests.group(1)) if requests else 0
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = [int(n) for n in errors.groups()] if errors else [0] * 4
    if more and errors[1] <= requests:
        errors[1] = 0  # a response that ends its connection and does not say so
    if got.status or any(errors) or "wrong: 0 " not in text:
        raise Failed(got.describe() + "\n" + server.output())
    if requests < 8:
        raise Failed("only %d requests were answered\n%s" % (requests, text))
    return requests


def careful(function, wrong):
    def run():
        try:
            function()
        except Exception as e:
            wrong.append(("exception", repr(e)))
    return run
