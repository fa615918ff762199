# SPDX-License-Identifier: MIT
"""Sockets that programs listen on: several, of unix, and too many."""
import os
import select
import socket
import tempfile
import time

from client import Client
from listener import PATIENCE
from programs import built
from server import Server, fails
from setting import suite
from suite import Failed


@suite.test()
def unix_socket_and_two_listeners():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        with Server([built("epoll"), "@PORT@", path], "-e", "-w", "3", "-t", "2") as s:
            def both():
                s.expect(b"4\n")
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    with Client(sock) as client:
                        for _ in range(3):
                            if client.get() != (200, b"4\n"):
                                raise Failed("wrong answer on the unix socket")
            for _ in range(5):
                both()
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                client = Client(sock)
                for piece in b"GET /listen", b"ers HTTP/1.1\r\n", b"\r\n":
                    client.send(piece)
                    time.sleep(0.05)
                if client.response() != (200, b"2\n"):
                    raise Failed("a request in pieces on the unix socket")
            s.stop()


@suite.test()
def unix_socket_is_full():
    """Of small writes, before the request is complete: its program gets what there is, and makes room."""
    with tempfile.TemporaryDirectory() as directory:
        for threads, at_a_time in ("1", 1), ("2", 1), ("2", 100):
            path = os.path.join(directory, "%s-%d" % (threads, at_a_time))
            with Server([built("epoll"), "@PORT@", path], "-e", "-w", "3", "-t", threads) as s:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.settimeout(PATIENCE)
                    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Filler: %s\r\n" % (b"y" * 70) * 20 + b"\r\n"
                    for i in range(0, len(head), at_a_time):
                        if not select.select([], [sock], [], PATIENCE / 4)[1]:
                            raise Failed("no room behind %d bytes" % i)
                        sock.send(head[i:i + at_a_time])
                    if Client(sock).response() != (200, b"4\n"):
                        raise Failed("wrong answer")
                s.stop()


@suite.test()
def too_many_listeners():
    program = ("import selectors, socket\nwait = selectors.DefaultSelector()\n"
               "for _ in range(65):\n    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
               "    wait.register(s, selectors.EVENT_READ)\nwait.select()\n")
    fails(["/usr/bin/python3", "-c", program], 125, r"listens on more than 64 sockets", "-e")
