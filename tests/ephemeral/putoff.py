# SPDX-License-Identifier: MIT
"""What a program has put off until a timer: done before it is frozen, or in no request that is short."""
import re
import signal
import time

from programs import built
from server import Server
from setting import suite
from suite import Failed


def server(first, period, *options):
    return Server([built("putoff"), "@PORT@", str(first), str(period)], "-e", "-v", *options)


def settled(s):
    """(ms waited, ms to the next timer or None)"""
    found = re.findall(r"waited for timers for (\d+) ms; the next one: (?:(\d+) ms|none)", s.output())
    if not found:
        raise Failed("it did not settle\n" + s.output())
    return int(found[-1][0]), int(found[-1][1]) if found[-1][1] else None


@suite.test()
def put_off():
    """Work of soon after the start is done when the program is frozen."""
    with server(300, 0, "--settle-time", "2") as s:
        waited, rest = settled(s)
        if not 1 <= waited or rest is not None:
            raise Failed("waited %d, rest %r" % (waited, rest))
        s.expect(b"1\n")
        s.stop()


@suite.test()
def periodic():
    """It is frozen behind an expiry, and what is due afterwards is due in no request."""
    with server(100, 250, "--settle-time", "1") as s:
        waited, rest = settled(s)
        if waited < 100 or rest is None or rest < 125:
            raise Failed("waited %d, rest %r" % (waited, rest))
        got = s.get()
        for _ in range(3):
            time.sleep(0.3)
            s.expect(got[1])
        s.stop()


@suite.test()
def not_waited_for():
    """Then it has as long to go in each request as it had when it was frozen."""
    with server(1500, 0, "--settle-time", "0") as s:
        if "waited for timers" in s.output():
            raise Failed(s.output())
        for _ in range(3):
            s.expect(b"0\n")
            time.sleep(1)
        s.stop()
    # Not soon: that is half of the limit at most.
    with server(1500, 0) as s:
        settled(s)
        s.expect(b"0\n")
        s.stop()


@suite.test()
def not_looked_at():
    """The wait is over in time, too, if timers go by without waking the program."""
    with Server([built("putoff"), "@PORT@", "0", "0", "50"], "-e", "-v", "--settle-time", "0.5",
                "--max-boot-time", "5") as s:
        waited, rest = settled(s)
        if waited < 500 or rest is None or rest > 50:
            raise Failed("waited %d, rest %r" % (waited, rest))
        s.expect(b"1\n")
        s.stop()


@suite.test()
def warm_and_settled():
    """After the warm-up, and with copies that are not reset, too."""
    with server(600, 0, "-w", "5", "-t", "2", "--settle-time", "2") as s:
        s.expect(b"1\n")
        s.stop()
    with Server([built("putoff"), "@PORT@", "300", "0"], "-t", "2", "--settle-time", "2") as s:
        s.expect(b"1\n")
        s.stop()


@suite.test()
def reloaded():
    """After SIGHUP as at the start."""
    with server(300, 0, "--settle-time", "2") as s:
        s.proc.send_signal(signal.SIGHUP)
        s.wait_until(lambda: s.output().count("waited for timers") == 2)
        s.expect(b"1\n")
        s.stop()
