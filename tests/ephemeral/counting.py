# SPDX-License-Identifier: MIT
"""Programs that count their requests, in every runtime: plainly, with -e, and with -e and a warm-up."""
import re
import signal

from client import Client, load
from listener import PATIENCE
from programs import files, programs
from runtimes import npm
from server import Server
from setting import duration, suite
from suite import Failed, command


def say_rate(what, requests):
    print("# %s: %d requests/s" % (what, requests / duration()), flush=True)


def plain(name, argv, counts, call):
    with Server(argv(), files=files()) as s:
        first = int(s.get()[1])
        for i in range(1, 4):
            s.expect(b"%d\n" % (first + i * counts))
        s.proc.send_signal(signal.SIGTERM)
        s.proc.wait(PATIENCE)


def ephemeral(name, argv, counts, call):
    """-e alone: the first request of all, every time."""
    with Server(argv(), "-e", "-t", "2" if suite.args.long else "1", files=files()) as s:
        for _ in range(4):
            s.expect(b"1\n")
        if suite.args.long:
            say_rate(name + " without a warm-up", load(s, "1"))
        s.stop()


def warm(name, argv, counts, call):
    """-e -w 10 and two workers: new connections, one that stays, and a load."""
    wanted = "11" if counts else "1"
    with Server(argv(), "-e", "-w", "10", "-t", "2", files=files()) as s:
        line = re.search(r"^Program '.*' loaded\. (\w+) vm=2 ephemeral init=\d+ms warmup=\d+ms "
                         r"rss=\d+MB$", s.output(), re.M)
        if not line or line.group(1) != call:
            raise Failed("no such start-up line with %s\n%s" % (call, s.output()))
        for _ in range(3):
            s.expect(wanted.encode() + b"\n")
        with Client(s.connect()) as client:
            for _ in range(4 if name != "php" else 1):
                got = client.get()
                if got != (200, wanted.encode() + b"\n"):
                    raise Failed("on a connection that stays: %r" % (got,))
        say_rate(name, load(s, wanted))
        if suite.args.long:
            say_rate(name + " with new connections",
                     load(s, wanted, more=("-H", "Connection: close")))
        s.expect(wanted.encode() + b"\n")
        s.stop()


for program, row in programs().items():
    for kind in plain, ephemeral, warm:
        suite.add("%s-%s" % (program, kind.__name__),
                  lambda kind=kind, program=program, row=row: kind(program, *row))


@suite.test()
def first_example():
    """As in the documentation: two curls both print 1001."""
    text = "let n = 0;\nDeno.serve({ port: @PORT@ }, () => new Response(`${++n}\\n`));\n"
    env = {"DENO_V8_FLAGS": "--predictable,--max-old-space-size=64,--max-semi-space-size=64"}
    with Server([npm("deno"), "run", "--allow-all", "local.ts"], "-e", "-t", "1", "--warmup",
                "1000", files=[("local.ts", text)], env=env) as s:
        for _ in range(2):
            got = command(["curl", "-s", "http://127.0.0.1:%d/" % s.port], timeout=PATIENCE)
            if got.status or got.out != b"1001\n":
                raise Failed(got.describe() + s.output())
        s.stop()
