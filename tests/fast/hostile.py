# SPDX-License-Identifier: MIT
"""Programs that are after the fast path: garbage in all that it can write, leaps into the shim with any
registers, signals and steps in its middle.  Such a request may come to any end of its own; the VMM goes on, and
every other request, beside it and behind it, is answered as if it had not been.
"""
import contextlib
import random
import threading

from suite import Failed
from ways import Client, Way, program

# src/guest/layout.h: what the fast path shares with programs, and its code.
SHIM, GIVEN, ENTRY, RELOAD = 0x7fffc00c0000, 0x7fffc00f2000, 0x7fffc0001000, 0x7fffc0004000
PLACES = SHIM, GIVEN, ENTRY, RELOAD
ENTRY_SIZE, CODE_SIZE, LEAPS = 0x400, 0x2800, 16  # hostile.c: what is leapt to, and how often in one request
RELOAD_SIZE = 0x80
# What comes natively is what must come, whatever RSP, TF or a timer.
HONEST = "good/0", "alarm/0", "step/0", "stacks/1", "stacks/2", "stacks/3"


def ask(way, path):
    with Client(way.connect()) as client:
        return client.do([("send", b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())])


class Target:
    """The server with two workers, and somebody who wants good answers all the time."""

    def __init__(self, kvmserver, way="fast", seconds="60"):
        argv = [program("hostile"), "@WHERE@", *map(hex, PLACES)]
        self.way = Way(kvmserver, way, argv, "level", ["-t", "2", "--max-request-time", seconds])
        self.good = self.wrong = None
        self.answers, self.done = 0, threading.Event()

    def __enter__(self):
        self.way.__enter__()
        self.good = ask(self.way, "good/0")
        self.other = threading.Thread(target=self.want)
        if self.way.name == "native":  # which would accept the others' connections, too
            self.answers = 3
            self.done.set()
        self.other.start()
        return self

    def want(self):
        while not self.done.is_set() and not self.wrong:
            try:
                self.expect_good()
                self.answers += 1
            except (Failed, OSError) as e:
                self.wrong = e

    def expect_good(self):
        got = ask(self.way, "good/0")
        if got != self.good or len(got[0]) < 20:
            raise Failed("%r instead of %r" % (got, self.good))

    def attack(self, path):
        ask(self.way, path)
        if self.wrong or self.way.proc.poll() is not None:
            raise Failed("behind /%s: %s\n%s" % (path, self.wrong, self.way.output()[-3000:]))

    def __exit__(self, kind, *why):
        self.done.set()
        self.other.join()
        try:
            if not kind:
                self.expect_good()
                if self.wrong or self.answers < 3:
                    raise Failed("beside: %d good answers, %s" % (self.answers, self.wrong))
                self.way.stop()
        finally:
            self.way.__exit__(kind, *why)


def attacks(suite):
    """Name: (how many, and of those without --long; path for a number)."""
    def attack(paths):
        with Target(suite.kvmserver, seconds="3") as target:
            for path in paths:
                target.attack(path)

    def some(paths, few):
        chosen = list(paths) if suite.args.long else random.Random(1).sample(list(paths), few)
        return chosen if suite.args.seed is None else ["%s/%d" % (paths[0].split("/")[0],
                                                                  suite.args.seed)]

    def garbage():
        attack(some(["scribble/%d" % n for n in range(1500)], 60))

    def leaps():
        every = ENTRY_SIZE + CODE_SIZE
        attack(some(["leap/%d" % n for n in range(0, 8 * every, LEAPS)], 150))

    def reloads():
        attack(some(["reload/%d" % n for n in range(8 * RELOAD_SIZE)], 60))

    def hidden():
        """Output on a record that is refused is output: nobody's answer comes behind it as if it were not."""
        request = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
        with Target(suite.kvmserver) as target:
            for _ in range(5):
                with Client(target.way.connect()) as client:
                    got, _ = client.do([("send", request % b"hidden"), ("take", 10), ("sleep", 0.2),
                                        ("send", request % b"good/0")])
                if not got.endswith(b"ok\n") or b"hidden" not in got:
                    raise Failed("%r\n%s" % (got, target.way.output()[-2000:]))

    def honest():
        """Steps, alarms and stack pointers to nowhere change nothing."""
        with contextlib.ExitStack() as stack:
            native, slow, fast = (stack.enter_context(Target(suite.kvmserver, way))
                                  for way in ("native", "slow", "fast"))
            for path in HONEST:
                for _ in range(20 if suite.args.long else 2):
                    right = ask(native.way, path)[0]
                    for target in slow, fast:
                        got = ask(target.way, path)[0]
                        if got != right:
                            raise Failed("%s of %s: %r instead of %r\n%s" % (
                                path, target.way.name, got[:600], right[:600],
                                target.way.output()[-2000:].decode("utf-8", "replace")))
    return {f.__name__: f for f in (garbage, leaps, reloads, hidden, honest)}
