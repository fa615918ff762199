# SPDX-License-Identifier: MIT
"""Servers under test: a process that listens on a port, in a directory of its own, and is gone in the end."""
import errno
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from runtimes import PATH
from suite import Failed, SANITIZER_MARKS, cut

PATIENCE = 60  # The machine may be busy with other tests: what is slow has not failed.
# Memory that a sanitizer keeps from being used again looks like a leak.
SANITIZER = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "quarantine_size_mb=1")}


def lowest_of_clients():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        return int(f.read().split()[0])


def free_port():
    """
    None of those that the kernel gives to clients: one that connects while the server is not there yet could get
    it, or even be connected to itself.
    """
    while True:
        with socket.socket() as s:
            port = random.randrange(10000, max(11000, lowest_of_clients()))
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise


class Listener:
    """
    What is started is self.argv, and is_ready() says when it can be used. files: (name, text), in its directory.
    @PORT@ and @DIR@ stand for self.port and that directory, in what goes through fill().
    """

    def __init__(self, files=(), env=None, cwd=None, preexec=None):
        self.directory = tempfile.mkdtemp(prefix="tinykvm-server.")
        self.port = free_port()
        for name, text in files:
            path = os.path.join(self.directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(self.fill(text))
        self.env = {"PATH": PATH, "HOME": self.directory, "LC_ALL": "C.UTF-8", "NO_COLOR": "1",
                    "DENO_NO_UPDATE_CHECK": "1", **SANITIZER, **(env or {})}
        self.cwd, self.preexec = cwd or self.directory, preexec

    def fill(self, text):
        return text.replace("@PORT@", str(self.port)).replace("@DIR@", self.directory)

    def is_ready(self):
        return self.listens()

    def __enter__(self):
        self.out = open(os.path.join(self.directory, "out"), "w+b")
        self.proc = subprocess.Popen(self.argv, cwd=self.cwd, env=self.env,
                                     stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
                                     start_new_session=True, preexec_fn=self.preexec)
        try:
            self.wait_until(self.is_ready)
        except BaseException:
            self.__exit__(None)
            raise
        return self

    def __exit__(self, kind, *unused):
        if self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        bad = SANITIZER_MARKS.search(self.raw())
        text = self.output()
        self.out.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        if bad and not kind:
            raise Failed("the VMM reported a bug of its own\n" + text)

    def raw(self):
        with open(self.out.name, "rb") as f:
            return f.read()

    def output(self):
        return cut(self.raw())

    def alive(self):
        if self.proc.poll() is not None:
            raise Failed("it ended with %d\n%s" % (self.proc.returncode, self.output()))

    def wait_until(self, condition, seconds=PATIENCE, what="timed out"):
        end = time.monotonic() + seconds
        while not condition():
            self.alive()
            if time.monotonic() > end:
                raise Failed(what + "\n" + self.output())
            time.sleep(0.02)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def listens(self):
        try:
            self.connect().close()
            return True
        except ConnectionRefusedError:
            return False

    def stop(self, status=0):
        """SIGTERM ends it, with this status as a shell would show it."""
        self.alive()
        self.proc.send_signal(signal.SIGTERM)
        self.end(status)

    def end(self, status):
        try:
            got = self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("it does not end\n" + self.output())
        got = 128 - got if got < 0 else got
        if got != status:
            raise Failed("it ended with %d, not %d\n%s" % (got, status, self.output()))

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.proc.pid))

    def memory_kb(self, name):
        """VmRSS, RssAnon, ..."""
        self.alive()
        with open("/proc/%d/status" % self.proc.pid) as f:
            return int(re.search(name + r":\s+(\d+)", f.read()).group(1))
