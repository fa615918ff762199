# SPDX-License-Identifier: MIT
"""Servers that are measured: started, waited for, looked at, and ended, whatever happens to the one who measures."""
import atexit
import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.request

from place import CPUS, DIRECTORY, ENVIRONMENT, Failed
from listener import free_port  # noqa: F401

alive = []


def child(cpus):
    """For a process that is not to outlive this one; it begins with SIGINT ignored."""
    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if cpus:
            os.sched_setaffinity(0, cpus)
    return prepare


class Server:
    """argv: the command; port: where it listens; metrics: where it tells its counters, or None."""

    def __init__(self, argv, port, metrics=None):
        self.argv, self.port, self.metrics_port = argv, port, metrics
        self.log = tempfile.TemporaryFile("w+", errors="replace", dir=DIRECTORY)
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                     stderr=self.log, cwd=DIRECTORY, env=ENVIRONMENT,
                                     start_new_session=True, preexec_fn=child(CPUS.servers))
        alive.append(self)

    def wait_until_serving(self, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.proc.poll() is None:
            try:
                urllib.request.urlopen("http://127.0.0.1:%d/" % self.port, timeout=seconds).read()
                return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise Failed("does not serve: " + self.last_words())

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def last_words(self):
        lines = [line for line in self.output().splitlines() if line.strip()]
        return " ".join(lines[-2:])[-300:] or "status %s" % self.proc.returncode

    def counters(self):
        """All that its metrics say: {"exits_total": 17.0, ...}; {} if it has none."""
        if not self.metrics_port:
            return {}
        text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.metrics_port,
                                      timeout=10).read().decode()
        return {k: float(v) for k, v in re.findall(r"^kvmserver_(\S+) (\S+)$", text, re.M)}

    def rss_kib(self):
        """Resident memory of all its processes; pages that they share count once for each."""
        total = 0
        for pid in tree(self.proc.pid):
            try:
                with open("/proc/%d/status" % pid) as f:
                    total += int((re.search(r"VmRSS:\s+(\d+)", f.read()) or [0, 0])[1])
            except OSError:
                pass
        return total

    def stop(self):
        if self in alive:
            alive.remove(self)
            self.proc.terminate()
            try:
                self.proc.wait(15)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(self.proc.pid, signal.SIGKILL)  # and its children
            except ProcessLookupError:
                pass
            self.proc.wait()

    def __enter__(self):
        return self.wait_until_serving()

    def __exit__(self, *unused):
        self.stop()


def tree(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                    todo += map(int, f.read().split())
        except OSError:
            pass
    return found


def stop_all():
    for server in list(alive):
        server.stop()


atexit.register(stop_all)
