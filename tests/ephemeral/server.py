# SPDX-License-Identifier: MIT
"""kvmserver with a program that serves."""
import os
import re

from client import Client
from listener import Listener
from programs import built
from setting import MORE_OPTIONS, suite
from suite import Failed, command


class Server(Listener):
    """argv and options may have @PORT@ and @DIR@. ready: it is waited for until it serves."""

    def __init__(self, argv, *options, files=(), env=None, ready=True, allow="--allow-all",
                 preexec=None):
        super().__init__(files, env, preexec=preexec)
        self.argv = [suite.kvmserver, *MORE_OPTIONS, *map(self.fill, options), allow, "run",
                     *map(self.fill, argv)]
        self.silent = "-e" not in options and "-w" not in options and "-t" not in options
        self.ready = ready

    def is_ready(self):
        return not self.ready or (self.listens() if self.silent else self.loaded())

    def loaded(self):
        return b"\nProgram '" in b"\n" + self.raw() and b" loaded. " in self.raw()

    def faults(self):
        """Page faults so far, of all threads."""
        return int(self.stat()[7])

    def cpu_seconds(self):
        fields = self.stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stat(self):
        """From the state on."""
        with open("/proc/%d/stat" % self.proc.pid) as f:
            return f.read().rsplit(")", 1)[1].split()

    def get(self, path="/", **more):
        with Client(self.connect()) as client:
            return client.get(path, **more)

    def expect(self, wanted, path="/", status=200, **more):
        got = self.get(path, **more)
        if got != (status, wanted):
            raise Failed("%s: %r, expected %r\n%s" % (path, got, (status, wanted), self.output()))


def c_server(*options, **more):
    return Server([built("epoll"), "@PORT@"], "-e", "-w", "3", *options, **more)


def fails(argv, status, pattern, *options, **more):
    with Server(argv, *options, ready=False, **more) as s:
        s.end(status)
        if not re.search(pattern, s.output()):
            raise Failed("no %r in %s" % (pattern, s.output()))


def metrics_of(address, path="/metrics"):
    target = ["http://" + address] if address[0] == "1" else \
        ["--unix-socket", address[5:], "http://localhost"]
    got = command(["curl", "-sS", *target[:-1], target[-1] + path])
    text = got.out.decode()
    return text, {k: float(v) for k, v in re.findall(r"^kvmserver_(\S+) (\S+)$", text, re.M)}
