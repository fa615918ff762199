# SPDX-License-Identifier: MIT
"""The same server in several ways, and a client that does the same with each: what came of it."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from suite import ROOT, Failed, build_c, cut, SANITIZER_MARKS  # noqa: E402

CACHE = os.path.join(ROOT, "tests", ".cache", "fast")
PATIENCE = 12
building = threading.Lock()
FILES = 0, 100, 4096, 20000  # sizes of file0, ...: in each server's directory
TAKEN = 98  # exit status of a server whose port somebody else has
# Options before "run"; None: without a machine. Requests that wait long are meant to.
SLOW = ["--allow-all", "-e", "-t", "1", "--max-stall-time", "60", "--max-request-time", "60"]
WAYS = {
    "native": None,
    "plain": ["--allow-all"],
    "slow": [*SLOW, "--no-fast-path"],
    "fast": SLOW,
}


def program(name, *others):
    """A program of this directory, from several files."""
    target = os.path.join(CACHE, name)
    with building:
        return build(name, target, others)


def build(name, target, others):
    sources = [os.path.join(HERE, n) for n in others]
    headers = [os.path.join(HERE, n) for n in os.listdir(HERE) if n.endswith(".h")]
    if os.path.exists(target) and \
            os.path.getmtime(target) < max(map(os.path.getmtime, sources + headers)):
        os.unlink(target)
    return build_c(os.path.join(HERE, name + ".c"), target, [*sources, "-lpthread"])


class Way:
    """A server in one of the WAYS; its mode says how it waits for connections (server.c)."""

    def __init__(self, kvmserver, way, argv, mode, options=()):
        self.name, self.mode = way, mode
        self.directory = tempfile.mkdtemp(prefix="tinykvm-fast.")
        self.argv = argv
        if WAYS[way] is not None:
            # Where only root can write: a program that is mapped from elsewhere is given no files.
            inside = "/usr/bin/" + os.path.basename(argv[0])
            volume = "--volume=%s:%s" % (os.path.realpath(argv[0]), inside)
            self.argv = [kvmserver, *WAYS[way], *options, volume, "run", inside, *argv[1:]]
        self.seen = 0
        for i, size in enumerate(FILES):
            with open(os.path.join(self.directory, "file%d" % i), "wb") as f:
                f.write(bytes(97 + k * 7 % 26 for k in range(size)))

    def __enter__(self):
        self.out = open(os.path.join(self.directory, "out"), "w+b")
        try:
            for attempts in range(5):
                self.start()
                if self.proc.poll() != TAKEN:
                    return self
            raise Failed("no port is free")
        except BaseException:
            self.__exit__(None)
            raise

    def start(self):
        """It listens, or has ended as its port was taken."""
        if self.mode.startswith("unix-"):
            self.where = os.path.join(self.directory, "socket")
        else:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.where = str(s.getsockname()[1])
        argv = [w.replace("@WHERE@", self.where) for w in self.argv]
        self.proc = subprocess.Popen(argv, cwd=self.directory, stdin=subprocess.DEVNULL,
                                     stdout=self.out, stderr=self.out, start_new_session=True)
        up = self.answers if self.name in ("native", "plain") else self.is_loaded
        self.wait_until(lambda: self.proc.poll() == TAKEN or up())

    def __exit__(self, kind, *unused):
        if self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        text = self.output()
        self.out.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        if SANITIZER_MARKS.search(text) and not kind:
            raise Failed("the VMM reported a bug of its own\n" + cut(text))

    def output(self):
        with open(self.out.name, "rb") as f:
            return f.read()

    def wait_until(self, condition, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not condition():
            if self.proc.poll() not in (None, TAKEN):
                raise Failed("%s ended with %d\n%s" % (self.name, self.proc.returncode,
                                                       cut(self.output())))
            if time.monotonic() > end:
                raise Failed("%s: timed out\n%s" % (self.name, cut(self.output())))
            time.sleep(0.01)

    def is_loaded(self):
        return b" loaded. " in self.output()

    def answers(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self):
        if self.mode.startswith("unix-"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(self.where)
            return sock
        sock = socket.create_connection(("127.0.0.1", int(self.where)), PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def logged(self, wanted, seconds):
        """The lines of the log since this was asked last; as many as wanted, if they come."""
        end = time.monotonic() + seconds
        while True:
            lines = [line[1:] for line in self.output()[self.seen:].split(b"\n")[:-1]
                     if line.startswith(b"@")]
            if len(lines) >= wanted or time.monotonic() > end:
                self.seen = os.path.getsize(self.out.name)
                return b"\n".join(lines).decode("utf-8", "replace")
            time.sleep(0.001)

    def stop(self):
        """As it must end; not for those without a machine."""
        if WAYS[self.name] is None or self.name == "plain":
            return
        self.proc.send_signal(signal.SIGTERM)
        if self.proc.wait(PATIENCE):
            raise Failed("%s ended with %d\n%s" % (self.name, self.proc.returncode,
                                                   cut(self.output())))


class Client:
    """Does steps, (name, arguments...), and keeps all that comes."""

    def __init__(self, sock):
        self.sock, self.got, self.signs, self.end = sock, b"", 0, ""
        self.most, self.pause = 1 << 16, 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def do(self, steps):
        broken = False
        try:
            broken = self.try_to(lambda: [getattr(self, "do_" + n)(*a) for n, *a in steps])
            while not self.end:
                broken |= self.try_to(self.fill)
        except socket.timeout:
            self.end = "nothing comes"
        return self.got, "reset" if broken else self.end

    @staticmethod
    def try_to(deed):
        """True if the connection turned out to be broken; what had come before can still be read."""
        try:
            deed()
            return False
        except (ConnectionResetError, BrokenPipeError):
            return True

    def fill(self):
        if self.pause:
            time.sleep(self.pause)
        data = self.sock.recv(self.most)
        self.got += data
        if not data:
            self.end = "end"

    def do_send(self, data):
        self.sock.sendall(data)

    def do_split(self, data, *where):
        """In several pieces, with time between them."""
        for begin, end in zip((0, *where), (*where, len(data))):
            self.sock.sendall(data[begin:end])
            time.sleep(0.002)

    def do_drip(self, data, size):
        for i in range(0, len(data), size):
            self.sock.sendall(data[i:i + size])
            time.sleep(0.0005)

    def do_go(self):
        """Until the server says so."""
        self.signs += 1
        while self.got.count(b"!") < self.signs and not self.end:
            self.fill()

    def do_urgent(self, data):
        self.sock.send(data, socket.MSG_OOB)

    def do_shut(self, how=socket.SHUT_WR):
        self.sock.shutdown(how)

    def do_sleep(self, seconds):
        time.sleep(seconds)

    def do_slowly(self, most, pause):
        self.most, self.pause = most, pause

    def do_small(self, size):
        """A small buffer for what comes; before anything is sent."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def do_take(self, n):
        while len(self.got) < n and not self.end:
            self.fill()

    def do_reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.end = "mine"
