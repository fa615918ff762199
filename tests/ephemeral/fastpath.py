# SPDX-License-Identifier: MIT
"""The fast path beside the slow one, and what a request costs with it."""
import os
import re
import socket
import sys
import time

from client import Client
from listener import PATIENCE, free_port
from programs import built, files, programs
from server import Server, metrics_of
from setting import MORE_OPTIONS, source, suite
from suite import Failed

# src/guest/layout.h: the pages that it shares with programs.
SHIM_PAGES = 0x7fffc00c0000
UNUSUAL = ("small-reads", "vectors", "names", "options", "events", "faults", "endings",
           "after-shutdown", "long", "upload", "half-closed", "threads", "all-there", "urgent",
           "others", "files", "sendfiles", "polls", "selects", "messages", "once", "identity")
TEXTS = [("text", "a text that is read in parts\n"), ("long", "0123456789" * 5000)]
# Of these the fast path answers some in the course of all that.
INSIDE = ("accept4", "close", "epoll_ctl", "epoll_wait", "fstat", "getegid", "geteuid", "getgid", "getpid", "getppid",
          "gettid", "getuid", "ioctl", "lseek", "newfstatat", "poll", "ppoll", "pread64", "pselect6", "read", "readv",
          "recvmsg", "sched_yield", "select", "sendfile", "sendmsg",
          "sendto")


def ask_unusual(port, what, pieces=1):
    """All that comes until the connection ends."""
    size = {"upload": 1 << 20, "urgent": 100}.get(what, 0)
    body = bytes(i * 13 % 251 for i in range(size))
    text = b"POST /%s HTTP/1.1\r\nHost: some.example.org\r\nContent-Length: %d\r\n\r\n" % (
        what.encode(), len(body)) + body
    if what == "urgent":
        pieces = 2
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        for i in range(pieces):
            sock.sendall(text[len(text) * i // pieces:len(text) * (i + 1) // pieces])
            time.sleep(0.02 * (pieces > 1))
            if what == "urgent" and i == 0:
                sock.send(b"!", socket.MSG_OOB)
        if what in ("half-closed", "all-there"):
            sock.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            data = sock.recv(65536)
            if not data:
                return got
            got += data


def unusual(server):
    """What each gave, and what the program said besides."""
    answers = {what: ask_unusual(server.port, what) for what in UNUSUAL}
    server.wait_until(lambda: server.raw().count(b"close(conn): Bad") == 1)
    answers["stderr"] = server.raw()[server.raw().index(b"close(conn)"):]
    return answers


@suite.test()
def fast_and_slow():
    """What a program may do with its connection gives the same with the fast path and without."""
    address = "127.0.0.1:%d" % free_port()
    with Server([built("paths"), "@PORT@"], "-e", "--metrics", address, files=TEXTS) as fast, \
            Server([built("paths"), "@PORT@"], "-e", "--no-fast-path", files=TEXTS) as slow:
        one, other = unusual(fast), unusual(slow)
        got = metrics_of(address)[1]
        missing = [c for c in INSIDE if not got.get('inside_calls_total{call="%s"}' % c)]
        if missing and not MORE_OPTIONS:
            raise Failed("never answered inside: " + " ".join(missing))
        for what, text in one.items():
            if text != other[what]:
                raise Failed("%s differs\n%s\n%s" % (what, text[:3000], other[what][:3000]))
        if len(one["long"]) < 500000 or b"1048576 " not in one["upload"] or \
                b"end" not in one["half-closed"] or one["threads"].count(b"tick") != 10:
            raise Failed("too little came: %r" % {k: len(v) for k, v in one.items()})
        for what in "upload", "names":
            if ask_unusual(fast.port, what, 3) != one[what]:
                raise Failed("%s in pieces differs" % what)
        fast.stop()
        slow.stop()


@suite.test()
def output_does_not_wait():
    """What was sent goes out though the program makes no system call any more."""
    with Server([built("paths"), "@PORT@"], "-e", "--max-request-time", "60") as s:
        with Client(s.connect()) as client:
            client.send(b"GET /busy HTTP/1.1\r\n\r\n")
            client.head()
            if client.take(4) != b"now\n":
                raise Failed("something else came")


def segments(server):
    """How many came from the server for one request whose answer ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        while sock.recv(4096):
            pass
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int.from_bytes(info[140:144], sys.byteorder)  # tcpi_segs_in


@suite.test()
def answer_and_end_are_one_segment():
    """What the program sends last and the end of the connection go through the network once."""
    with Server([built("epoll"), "@PORT@"], "-e") as fast, \
            Server([built("epoll"), "@PORT@"], "-e", "--no-fast-path") as slow:
        counts = [min(segments(server) for _ in range(20)) for server in (fast, slow)]
        if counts[0] != counts[1] - (not MORE_OPTIONS):
            raise Failed("%d segments, %d without the fast path" % tuple(counts))


@suite.test()
def files_are_not_old():
    """While a program sees in its memory what others write, it is given no file beforehand."""
    with Server([built("paths"), "@PORT@"], "-e", "--max-request-time", "60",
                files=[("data", "-"), ("flag", "-")]) as s:
        with socket.create_connection(("127.0.0.1", s.port), PATIENCE) as sock, \
                open(s.directory + "/data", "r+b", 0) as data, open(s.directory + "/flag", "r+b", 0) as flag:
            sock.sendall(b"GET /watch HTTP/1.1\r\nHost: some.example.org\r\n\r\n")
            asked, got, more = 0, b"", True
            while more:
                more = sock.recv(4096)
                got += more
                while asked < got.count(b"?"):
                    time.sleep(0.004)
                    for file in data, flag:
                        os.pwrite(file.fileno(), b"%c" % (ord("a") + asked), 0)
                    asked += 1
        pairs = got.replace(b"?", b"").split(b"\r\n\r\n")[1].split()
        if len(pairs) != 26 or any(pair[0] != pair[1] for pair in pairs):
            raise Failed("old, or not there: %r" % pairs)


@suite.test()
def scribbling_harms_nobody():
    """Garbage in what the fast path shares with the program: its own request suffers, no other."""
    with Server([built("paths"), "@PORT@", hex(SHIM_PAGES)], "-e", files=TEXTS) as s:
        wanted = ask_unusual(s.port, "names")
        if b"signal 11, made 0\n" not in ask_unusual(s.port, "refused") and not MORE_OPTIONS:
            raise Failed("a call was made behind what was refused")
        if b"word 5\n" not in ask_unusual(s.port, "undone") and not MORE_OPTIONS:
            raise Failed("what a call had changed was not put back")
        for seed in range(200):
            try:
                ask_unusual(s.port, "scribble/%d" % seed)
            except OSError:
                pass
            if seed % 10 == 0 and ask_unusual(s.port, "names") != wanted:
                raise Failed("after %d another request suffers" % seed)
        s.stop()


# Program: system calls that leave for each request, at most (docs/internals/fastpath.md).
MOST_EXITS = {"c-epoll": 1, "c-accept": 1, "c-poll": 1, "c-select": 1, "nginx": 1, "deno": 2, "node-20": 3,
              "node-24": 3, "bun": 3, "python-asyncio": 4, "go": 6}
# Deno and Node have timers within that of their start, Bun within less.
LATER = 1.5


def calls_of_requests(server, n):
    """
    After so many requests, half of them later: exits, system calls that left by name, and exits for neither a call nor a
    fault.
    """
    for i in range(n):
        time.sleep(LATER * (i == n // 2))
        server.get(headers="Connection: close\r\n")
    server.wait_until(lambda: metrics_of(server.metrics)[1].get("requests_total") == n)
    got = metrics_of(server.metrics)[1]
    left = {k.split('"')[1]: int(v) for k, v in got.items() if k.startswith("left_calls_total")}
    return got["exits_total"], left, got["exits_total"] - got["faults_total"] - sum(left.values())


def check_exits(name, argv, most, more=files):
    """
    System calls, as the host interrupts the guest more often the more it has to do. Such an interruption may make one
    more call leave: the first behind it that would wait for another request.
    """
    n, address = 100, "127.0.0.1:%d" % free_port()
    with Server(argv(), "-e", "-w", "1000", "--metrics", address, files=more()) as s:
        s.metrics = address
        exits, left, interrupted = calls_of_requests(s, n)
        text = "%s: %.2f exits for each request, of which %s" % (
            name, exits / n, ", ".join("%s %.2f" % (call, times / n) for call, times in left.items()))
        print("# " + text, flush=True)
        if not MORE_OPTIONS and sum(left.values()) > most * n + max(interrupted, 0) + 3:
            raise Failed("%s: more than %d\n%s" % (text, most, s.output()))


def static_files(more):
    """nginx with a file to serve, and what else is configured."""
    with open(source("nginx.conf")) as f:
        text = f.read()
    text = re.sub(r"location / {.*?}", lambda m: more + "root @DIR@;", text)
    return [("nginx.conf", text), ("index.html", "hello\n")]


@suite.test()
def exits_of_a_request():
    """The calls about a request's connection are answered inside, all but the last, which waits."""
    programs_by_name = programs()
    for name, most in MOST_EXITS.items():
        check_exits(name, programs_by_name[name][0], most)
    nginx = programs_by_name["nginx"][0]
    for what, more, most in (("kept open", "open_file_cache max=9; open_file_cache_valid 1d; ", 2),
                             ("opened", "", 3), ("opened, as Debian has it", "sendfile on; tcp_nopush on; ", 3)):
        check_exits("nginx, a file " + what, nginx, most, more=lambda more=more: static_files(more))
