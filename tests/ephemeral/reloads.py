# SPDX-License-Identifier: MIT
"""SIGHUP: another master takes over, with its sockets, while requests go on."""
import os
import signal
import socket
import tempfile
import threading
import time

from client import Client, careful
from listener import PATIENCE, free_port
from programs import built
from runtimes import find
from server import Server
from setting import source, suite
from suite import Failed


@suite.test()
def reload():
    """SIGHUP: another master, while requests go on; and one that fails."""
    with Server([find("python3"), source("word.py"), "@PORT@", "@DIR@/word"], "-e", "-w", "3", "-t",
                "2", files=[("word", "one\n")]) as s:
        wrong, stop = [], []

        def requests():
            with Client(s.connect()) as client:
                while not stop and not wrong:
                    got = client.get()
                    if got not in ((200, b"one 4\n"), (200, b"two 4\n")):
                        wrong.append(got)
        thread = threading.Thread(target=careful(requests, wrong))
        thread.start()
        s.expect(b"one 4\n")
        with open(os.path.join(s.directory, "word"), "w") as f:
            f.write("two\n")
        s.expect(b"one 4\n")
        fds = s.fds()
        s.proc.send_signal(signal.SIGHUP)
        s.wait_until(lambda: s.raw().count(b" loaded. ") == 2)
        time.sleep(1.5)
        for _ in range(5):
            s.expect(b"two 4\n")
        os.unlink(os.path.join(s.directory, "word"))
        s.proc.send_signal(signal.SIGHUP)
        s.wait_until(lambda: b"not reloaded, serving on" in s.raw())
        s.expect(b"two 4\n")
        stop.append(True)
        thread.join()
        if wrong:
            raise Failed("%r\n%s" % (wrong, s.output()))
        s.wait_until(lambda: s.fds() <= fds + 8)  # destroyed in the background
        s.proc.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        s.stop()


@suite.test()
def reload_with_a_unix_socket():
    """A program that does not remove the path first gets the socket of the one before it."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")

        def ask(want=b"4\n", where="/"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                got = Client(sock).get(where)
                if got != (200, want):
                    raise Failed("%s on the unix socket: %r" % (where, got))
        with Server([built("epoll"), "@PORT@", path], "-e", "-w", "3", "-t", "2") as s:
            inode, wrong, stop = os.stat(path).st_ino, [], []

            def asks():
                while not stop and not wrong:
                    ask()
            thread = threading.Thread(target=careful(asks, wrong))
            thread.start()
            for i in range(2, 5):  # it goes from hand to hand
                s.proc.send_signal(signal.SIGHUP)
                s.wait_until(lambda: s.raw().count(b" loaded. ") == i or wrong)
                time.sleep(1.2)  # workers change over
                ask(b"2\n", "/listeners")
                s.expect(b"4\n")
            stop.append(True)
            thread.join()
            if wrong or os.stat(path).st_ino != inode:
                raise Failed("%r\n%s" % (wrong, s.output()))
            # A path that is somebody else's by now is not ours to take.
            os.unlink(path)
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
                s.proc.send_signal(signal.SIGHUP)
                s.wait_until(lambda: b"not reloaded, serving on" in s.raw())
            s.expect(b"4\n")
            s.stop()


TWO_PORTS = '''
import select, socket
listeners = [socket.create_server(("127.0.0.1", int(p))) for p in open("ports").read().split()]
def text(s):
    body = b"%d\\n" % s.getsockname()[1]
    return b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body
while True:
    for listener in select.select(listeners, [], [])[0]:
        connection = listener.accept()[0]
        while connection.recv(4096):
            connection.sendall(text(listener))
'''


@suite.test()
def reload_with_listeners_in_another_order():
    """A connection stays one to the address at which it was accepted."""
    ports = [free_port(), free_port()]
    with Server(["/usr/bin/python3", "@DIR@/two.py"], "-e",
                files=[("two.py", TWO_PORTS), ("ports", "%d %d" % tuple(ports))]) as s:
        clients = [Client(socket.create_connection(("127.0.0.1", port), PATIENCE))
                   for port in ports]
        for times in 1, 2, 3:
            for port, client in zip(ports, clients):
                if client.get() != (200, b"%d\n" % port):
                    raise Failed("the wrong socket")
            with open(os.path.join(s.directory, "ports"), "w") as f:
                f.write("%d %d" % tuple(ports if times % 2 == 0 else ports[::-1]))
            s.proc.send_signal(signal.SIGHUP)
            s.wait_until(lambda: s.raw().count(b" loaded. ") > times)
        with open(os.path.join(s.directory, "ports"), "w") as f:
            f.write("%d" % ports[0])
        s.proc.send_signal(signal.SIGHUP)
        s.wait_until(lambda: s.raw().count(b" loaded. ") > 4)
        if clients[1].get() != (503, b"Service Unavailable\n") or not clients[1].ended():
            raise Failed("served where the program does not listen")
        if clients[0].get() != (200, b"%d\n" % ports[0]):
            raise Failed("the one that is left is gone")
        s.stop()
