# SPDX-License-Identifier: MIT
"""What every test suite shares: a list of named tests, run two at a time, one result line each.

A test is a function that returns (passed), raises Failed (with what went wrong) or Skip (with
the reason).  Results are printed, and appended to the file given by --results as
"ok SUITE/NAME", "not ok SUITE/NAME" or "skip SUITE/NAME REASON": tests/lib/summary adds up
such a file.  Nothing else is a protocol between the suites and the scripts that run them.
"""
import argparse
import concurrent.futures
import errno
import fnmatch
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Failed(Exception):
    pass


class Skip(Exception):
    pass


class Outcome:
    """How a command ended. status is the exit status as a shell shows it (128+signal)."""

    def __init__(self, returncode, out, err, timed_out, seconds):
        self.status = 128 - returncode if returncode < 0 else returncode
        self.killed_by = -returncode if returncode < 0 else 0
        self.out, self.err = out, err
        self.timed_out, self.seconds = timed_out, seconds

    def describe(self):
        how = "timed out" if self.timed_out else "status %d" % self.status
        text = "%s after %.1f s" % (how, self.seconds)
        for name, data in (("stdout", self.out), ("stderr", self.err)):
            if data:
                text += "\n--- %s\n%s" % (name, cut(data))
        return text


def cut(data, limit=2000):
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    if len(text) <= limit:
        return text
    return text[:limit // 2] + "\n[... %d characters ...]\n" % (len(text) - limit) + \
        text[-limit // 2:]


def popen(argv, **more):
    """As Popen. A program just written may be "busy": another thread's child, between its fork and its
    exec, still has it open for writing.
    """
    for attempt in range(100):
        try:
            return subprocess.Popen(argv, **more)
        except OSError as e:
            if e.errno != errno.ETXTBSY or attempt == 99:
                raise
            time.sleep(0.02)


def command(argv, cwd=None, env=None, stdin=b"", timeout=60, preexec=None):
    """Run argv to its end; everything it may have started is gone afterwards.

    stdin is bytes, or an open file.  Output goes through files: a pipe's reader would keep this
    waiting for descendants, and a pipe is not what a program redirected by a shell sees.
    """
    with tempfile.TemporaryFile() as fin, tempfile.TemporaryFile() as fout, \
            tempfile.TemporaryFile() as ferr:
        if isinstance(stdin, bytes):
            fin.write(stdin)
            fin.seek(0)
            stdin = fin
        start = time.monotonic()
        proc = popen(argv, cwd=cwd, env=env, stdin=stdin, stdout=fout, stderr=ferr,
                     start_new_session=True, preexec_fn=preexec)
        timed_out = False
        try:
            proc.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            try:
                os.killpg(proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            proc.wait()
        seconds = time.monotonic() - start
        fout.seek(0)
        ferr.seek(0)
        return Outcome(proc.returncode, fout.read(), ferr.read(), timed_out, seconds)


# Go programs have "runtime errors" as well; the sanitizer's name the place.
SANITIZER_MARKS = re.compile(rb"ERROR: (Address|Leak)Sanitizer|\.[ch]:\d+:\d+: runtime error: |"
                             rb"tinykvm: internal error")


def check_vmm(outcome):
    """Fail if the VMM itself misbehaved, whatever its guest did."""
    if SANITIZER_MARKS.search(outcome.err):
        raise Failed("the VMM reported a bug of its own: " + outcome.describe())
    if outcome.killed_by:
        raise Failed("the VMM was killed by signal %d: " % outcome.killed_by + outcome.describe())


class Suite:
    def __init__(self, name, description):
        # A job in the background is started with these ignored, and programs inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.name = name
        self.tests = []
        self.lock = threading.Lock()
        self.counts = {"ok": 0, "not ok": 0, "skip": 0}
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR",
                            help="build directory to test (build)")
        parser.add_argument("--results", metavar="FILE", help="append the results to FILE")
        parser.add_argument("--jobs", type=int, default=2, metavar="N", help="tests at a time (2)")
        parser.add_argument("--slow", action="store_true", help="also the tests marked slow")
        parser.add_argument("--list", action="store_true", help="print the tests' names")
        parser.add_argument("-v", "--verbose", action="store_true", help="say what passes, too")
        parser.add_argument("--suffix", default="", help="added to the name of the suite")
        parser.add_argument("--skip", metavar="FILE", help="tests to leave out: lines NAME REASON")
        parser.add_argument("patterns", nargs="*", metavar="NAME", help="tests to run (all); *?[]")
        self.parser = parser

    def parse(self):
        self.args = self.parser.parse_args()
        self.args.build = os.path.abspath(self.args.build)
        self.kvmserver = os.path.join(self.args.build, "kvmserver")
        self.name += self.args.suffix
        self.left_out = read_reasons(self.args.skip) if self.args.skip else {}
        return self.args

    def add(self, name, function, slow=False):
        assert name not in [t[0] for t in self.tests], name
        self.tests.append((name, function, slow))

    def test(self, slow=False):
        """Decorator: the function's name, with - for _, names the test."""
        def register(function):
            self.add(function.__name__.replace("_", "-"), function, slow)
            return function
        return register

    def wanted(self):
        """The slow ones first: a long one that begins last would run alone."""
        for name, function, slow in sorted(self.tests, key=lambda test: not test[2]):
            if self.args.patterns:
                if any(fnmatch.fnmatch(name, p) for p in self.args.patterns):
                    yield name, function
            elif not slow or self.args.slow:
                yield name, function

    def record(self, result, name, seconds, detail=""):
        line = "%s %s/%s" % (result, self.name, name)
        if result == "skip":
            line += " " + detail
        with self.lock:
            self.counts[result] += 1
            if result != "ok" or self.args.verbose:
                print("%s (%.1f s)" % (line, seconds), flush=True)
            if result == "not ok":
                print("    " + detail.replace("\n", "\n    "), flush=True)
            if self.args.results:
                with open(self.args.results, "a") as f:
                    f.write(line + "\n")

    def run_one(self, name, function):
        start = time.monotonic()
        try:
            if name in self.left_out:
                raise Skip(self.left_out[name])
            function()
        except Skip as e:
            self.record("skip", name, time.monotonic() - start, str(e))
        except Failed as e:
            self.record("not ok", name, time.monotonic() - start, str(e))
        except Exception as e:
            self.record("not ok", name, time.monotonic() - start, "%s: %s" % (type(e).__name__, e))
        else:
            self.record("ok", name, time.monotonic() - start)

    def run(self):
        wanted = list(self.wanted())
        if self.args.list:
            print("\n".join(name for name, _ in wanted))
            return 0
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            for future in [pool.submit(self.run_one, *w) for w in wanted]:
                future.result()
        print("%s: %d passed, %d failed, %d skipped in %.0f s" % (
            self.name, self.counts["ok"], self.counts["not ok"], self.counts["skip"],
            time.monotonic() - start), flush=True)
        return 1 if self.counts["not ok"] or not wanted else 0


def read_reasons(path):
    """Lines "NAME REASON", # comments; used by --skip and by tests/skips.txt."""
    reasons = {}
    with open(path) as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith("#"):
                name, _, reason = line.partition(" ")
                reasons[name] = reason.strip()
    return reasons


def build_c(source, target, flags=(), compiler="gcc"):
    """Compile one test program; a program newer than its source is kept."""
    newest = max(os.path.getmtime(source), os.path.getmtime(__file__))
    if os.path.exists(target) and os.path.getmtime(target) > newest:
        return target
    os.makedirs(os.path.dirname(target), exist_ok=True)
    part = "%s.%d" % (target, threading.get_ident())
    done = subprocess.run([compiler, "-O1", "-g", "-w", "-D_GNU_SOURCE", "-I",
                           os.path.dirname(source), "-o", part, source, *flags],
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise Failed("cannot compile %s: %s" % (source, cut(done.stderr)))
    os.rename(part, target)
    return target


if __name__ == "__main__":
    sys.exit("this is a module of the test suites")
