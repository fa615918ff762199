# SPDX-License-Identifier: MIT
"""What clients and the server do with a connection (ways.Client, deeds.c): families of cases that are
thought out, and random_case(), which makes one from a seed.
"""
import random

IN, PRI, OUT, ERR, HUP, RDHUP, ET, ONESHOT = 1, 2, 4, 8, 0x10, 0x2000, 1 << 31, 1 << 30
ADD, DEL, MOD = 1, 2, 3
OOB, PEEK, TRUNC, DONTWAIT, WAITALL = 1, 2, 0x20, 0x40, 0x100
CTL_IN = "ctl:%d:%d" % (ADD, IN)


class Case:
    """
    steps: the client's; lines: of the server's log; everywhere: not only with forks; breaks: the client's end is
    a reset, so that what it got is nothing to compare.
    """

    def __init__(self, name, steps, mode="level", lines=1, everywhere=True, breaks=False):
        self.name, self.steps, self.mode = name, steps, mode
        self.lines, self.everywhere, self.breaks = lines, everywhere, breaks
        # Behind the end of what the program sends the connection may break: whether the client sees that is luck.
        self.ends = not any(b"shutdown:" in step[1] for step in steps if step[0] == "send")


def data(n):
    return bytes(65 + i * 11 % 26 for i in range(n))


def deeds(*words):
    """The line that begins a tunnel."""
    return b"\1 " + ",".join(words).encode() + b"\n"


def tunnel(name, words, *steps, there=b"", mode="level", small=False, **more):
    """small: a buffer for what comes that is soon full."""
    first = [("small", 4096)] * small
    return Case(name, [*first, ("send", deeds(*words) + there), *steps], mode=mode, **more)


def request(path="/http", body=b"", headers="", close=False):
    length = "Content-Length: %d\r\n" % len(body) if body else ""
    return ("%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n" % (
        "POST" if body else "GET", path, length, headers,
        "Connection: close\r\n" if close else "")).encode() + body


def http(name, steps, **more):
    return Case(name, steps, lines=0, **more)


def waits(events):
    """Registered so, what is told again and again, and behind a call that leaves."""
    return ["ctl:%d:%d" % (ADD, events), "wait:0", "wait:0", "leave", "wait:0", "read:3", "wait:0",
            "ctl:%d:%d" % (MOD, events), "wait:0", "read:100", "wait:0", "leave", "wait:0",
            "ctl:%d:0" % DEL, "wait:0"]


def reading(long):
    sizes = list(range(0, 12)) + [4095, 4096, 16383, 16384, 16385, 40000]
    for n in sizes:
        for mode in "level", "edge", "poll", "unix-level":
            yield tunnel("read %d" % n, ["read:5", "read:%d" % n, "recv:3:%d" % PEEK, "read:7",
                                         "waiting", "recv:50000:%d" % DONTWAIT, "read:5",
                                         "recv:1:%d" % PEEK, "waiting"],
                         there=data(n), mode=mode)
    for flags in PEEK, DONTWAIT, PEEK | DONTWAIT, WAITALL | DONTWAIT, TRUNC, PEEK | TRUNC, \
            TRUNC | DONTWAIT, WAITALL | PEEK:
        for kind in "recv", "recvfrom", "recvmsg":
            for n in 0, 1, 20, 30000:
                yield tunnel("%s %x %d" % (kind, flags, n),
                             ["%s:%d:%d" % (kind, size, flags) for size in (0, 5, 10, 4096)],
                             there=data(n))
    for n, size in (1, 1), (3, 5), (8, 1), (8, 4000), (0, 0), (2, 0):
        yield tunnel("readv %d %d" % (n, size), ["readv:%d:%d" % (n, size)] * 3 + ["read:9"],
                     there=data(40))
    yield tunnel("all that is wanted", ["recv:20:%d" % WAITALL, "read:100"],
                 ("sleep", 0.02), ("send", data(30)[10:]), there=data(10), mode="accept")
    yield tunnel("faults", ["bad", "read:4", "bad", "wait:0", "read:9"], there=data(9))
    yield tunnel("flags", ["flags", "nonblock:0:1", "flags", "nonblock:1:0", "flags", "read:3",
                           "nonblock:0:0", "flags", "nonblock:1:1", "flags", "read:9", "read:9"],
                 there=data(9))


def writing(long):
    for mode in "level", "accept", "unix-level":
        for n in 0, 1, 100, 4096, 16384, 16385, 60000:
            yield tunnel("write %d" % n, ["write:5", "write:%d" % n, "send:%d:0" % n,
                                          "send:%d:%d" % (n, DONTWAIT), "flushed", "write:1"],
                         mode=mode)
        for n, size in (1, 1), (3, 5), (8, 1), (8, 4000), (0, 0), (2, 0):
            yield tunnel("writev %d %d" % (n, size), ["writev:%d:%d" % (n, size)] * 3 +
                         ["sendmsg:%d:0" % size, "sendmsg:%d:%d" % (size, DONTWAIT), "write:2"],
                         mode=mode)
        for total, piece in (10000, 7), (1 << 20, 1000), (1 << 20, 65536), (4 << 20, 100000):
            yield tunnel("give %d by %d" % (total, piece), ["give:%d:%d" % (total, piece)],
                         mode=mode)
        yield tunnel("to a slow reader", ["give:1000000:9999"], ("slowly", 30000, 0.001), mode=mode)
    for size in 1, 4096, 100000:
        yield tunnel("a small buffer, %d" % size, ["option:6:%d" % size, "write:3",
                                                   "give:300000:5000", "flushed", "write:1"])
    # Natively the listener's window is the connection's; the other end here is the same.
    yield tunnel("no room", ["option:6:4096", "write:10", "stuff:3000", "ctl:%d:%d" % (ADD, OUT | ET),
                             "wait:0", "poll:%d:0" % OUT, "select", "await_event:%d" % OUT, "close"],
                 ("sleep", 0.4), everywhere=False, breaks=True)
    yield tunnel("many small ones", ["write:%d" % (i % 5) for i in range(150)])


def telling(long):
    modes = IN, OUT, IN | OUT, IN | RDHUP, PRI, 0
    for mode in "level", "edge", "poll", "accept", "unix-level":
        for how in 0, ET, ONESHOT, ET | ONESHOT:
            for events in modes:
                yield tunnel("events %x" % (events | how), ["nonblock:1", *waits(events | how)],
                             there=data(20), mode=mode)
    for how in 0, ET, ONESHOT:
        # What was sent is not acknowledged; more can be sent all the same.
        for later in [], ["leave"]:
            yield tunnel("unacknowledged %x" % how,
                         ["nonblock:1", "write:12000", "nap:20",
                          "ctl:%d:%d" % (ADD, IN | OUT | how), "wait:0", *later, "wait:0", "leave", "wait:0",
                          "ctl:%d:%d" % (MOD, IN | OUT | how), "read:4", *later, "wait:0", "poll:5:0",
                          "select", "leave", "wait:0", "go"],
                         ("go",), there=data(10), small=True)
    for n in 16000, 20000, 40000:
        # "Less than was asked for" means that there was no more (epoll(7)): then it waits for an edge.
        yield tunnel("an edge for %d" % n,
                     ["nonblock:1", "ctl:%d:%d" % (ADD, IN | ET), "leave", "wait:0", "leave",
                      "read:10000", "read:%d" % n, "wait:0"], there=data(n))
    for how in 0, ET, ONESHOT:
        yield tunnel("news %x" % how,
                     ["nonblock:1", "ctl:%d:%d" % (ADD, IN | how), "wait:0", "go", "await:20",
                      "wait:0", "wait:0", "read:4", "wait:0", "go", "await:30", "wait:0",
                      "read:100", "wait:0"], ("go",), ("send", data(10)), ("go",),
                     ("send", data(10)), there=data(10))
        yield tunnel("at the end %x" % how,
                     ["ctl:%d:%d" % (ADD, IN | OUT | RDHUP | how), "wait:0", "go",
                      "await_event:%d" % RDHUP, "wait:0", "read:4", "wait:0", "poll:%d:0" % (IN | RDHUP),
                      "read:100", "read:100", "wait:0", "write:4", "shutdown:1", "poll:1:0",
                      "wait:0", "read:1", "close"], ("go",), ("shut",), there=data(10))
    for events in IN, OUT, IN | OUT, IN | RDHUP:
        yield tunnel("poll %x" % events, ["poll:%d:0" % events, "select", "read:3",
                                          "poll:%d:5" % events, "read:90", "poll:%d:0" % events,
                                          "select", "shutdown:1", "poll:%d:0" % events, "select"],
                     there=data(20))
    for more in [], ["waiting"], ["leave", "poll:%d:0" % IN, "select"]:
        for how in 0, ET, ONESHOT:
            # Nothing was said of it to the host's epoll before, nor to the shim of what has come since.
            yield tunnel("all read, then more %x" % how,
                         ["nonblock:1", "read:10", "go", "await:20", *more, "ctl:%d:%d" % (ADD, IN | how), "wait:0",
                          "read:100", "wait:0", "read:1"],
                         ("go",), ("send", data(10)), there=data(10))
    yield tunnel("more than is given, all read",
                 ["nonblock:1", "leave", "read:16000", "read:383", CTL_IN, "wait:0", "read:9999", "wait:0"], there=data(20000))
    for mode in "level", "unix-level":
        yield tunnel("other bits", ["ctl:%d:%d" % (ADD, 0x200), "wait:0", "ctl:%d:%d" % (MOD, 0x27df), "wait:0",
                                    "leave", "wait:0", "read:9", "wait:0"], there=data(9), mode=mode)
    yield tunnel("few at a time", [CTL_IN, "wait:0:1", "wait:0:1", "wait:5:3", "wait:0:-1",
                                   "wait:0:1"], there=data(2))
    yield tunnel("wrong", ["ctl:9:1", "ctl:%d:1" % MOD, "ctl:%d:1" % DEL, CTL_IN, CTL_IN,
                           "ctl:%d:%d" % (ADD, 1 << 28), "ctl:%d:%d" % (MOD, 1 << 28 | IN), "wait:0",
                           "ctl:%d:%d" % (MOD, 0xffffffff), "wait:0", "ctl:%d:1" % DEL,
                           "ctl:%d:1" % DEL], there=data(2))
    yield tunnel("closed while it is registered", [CTL_IN, "wait:0", "close", "wait:0", "read:1",
                                                   CTL_IN, "wait:0", "close"], there=data(2))


def comes(what, n):
    """What the client does once it has the answer, and the deed that waits for that: n bytes have come then."""
    return {"more": ([("send", data(10))], ["await:%d" % (n + 10)]),
            "end": ([("shut",)], ["await_event:%d" % RDHUP]),
            "urgent": ([("urgent", b"!")], ["await_event:%d" % PRI]),
            "both": ([("send", data(10)), ("shut",)], ["await:%d" % (n + 10), "await_event:%d" % RDHUP])}[what]


def answering(long):
    """
    What the client sends because of what the program has sent: that goes out before anything else of the same run
    is done (src/machine/early.c), so the client is often there first.
    """
    for mode in "level", "edge", "poll", "accept", "unix-level":
        for what in "more", "end", "both", "urgent":
            if mode == "unix-level" and what == "urgent":
                continue
            steps, there = comes(what, 20)
            for taken in [], ["read:3"], ["read:20"], ["read:30"]:
                yield tunnel("%s behind poll" % what,
                             ["nonblock:1", "poll:5:0", "select", *taken, "go", *there, "poll:%d:0" % (IN | RDHUP),
                              "select", "read:3", "read:100", "poll:5:0", "read:1"],
                             ("go",), *steps, there=data(20), mode=mode)
                for events in [e | how for e in (IN, IN | OUT, IN | RDHUP | PRI)
                               for how in (0, ET, ONESHOT, ET | ONESHOT)]:
                    yield tunnel("%s behind %x" % (what, events),
                                 ["nonblock:1", "ctl:%d:%d" % (ADD, events), "wait:0", *taken, "go", *there,
                                  "wait:0", "wait:0", "read:3", "wait:0", "ctl:%d:%d" % (MOD, events), "wait:0",
                                  "read:100", "wait:0", "ctl:%d:%d" % (MOD, events), "leave", "wait:0", "read:1"],
                                 ("go",), *steps, there=data(20), mode=mode)


def ending(long):
    for first in range(-1, 4):
        for second in range(-1, 4):
            yield tunnel("shutdown %d %d" % (first, second),
                         ["nonblock:1", CTL_IN, "read:3", "shutdown:%d" % first, "wait:0", "read:3",
                          "shutdown:%d" % second, "poll:5:0", "read:3", "write:3", "read:30", "close",
                          "close", "read:1", "write:1"], there=data(8))
    for later in [], ["leave"]:
        yield tunnel("half-closed", ["nonblock:1", "go", "await_event:%d" % RDHUP, *later,
                                     "poll:%d:0" % (IN | RDHUP), "read:4", "waiting", "read:9",
                                     "read:1", "write:5", "read:1", "recv:1:%d" % PEEK,
                                     "waiting", "poll:%d:0" % (IN | OUT | RDHUP)],
                     ("go",), ("shut",), there=data(8))
        yield tunnel("half-closed, all read before", ["nonblock:1", "read:20", "go",
                                                      "await_event:%d" % RDHUP, *later, "read:4",
                                                      "write:5", "shutdown:1", "read:1"],
                     ("go",), ("shut",), there=data(8))
        yield tunnel("we first", ["nonblock:1", "write:3", "shutdown:1", *later, "await:18", "read:5",
                                  "read:20", "write:1", "await_event:%d" % RDHUP, "read:1", "close"],
                     ("take", 3), ("sleep", 0.01), ("send", data(10)), ("shut",), there=data(8))
    yield tunnel("both ends shut", ["go", "await_event:%d" % RDHUP, "read:30", "read:3", "close"],
                 ("go",), ("shut", 2), there=data(8))
    yield tunnel("twins", ["dup", "write:2", "read:2", "swap", "write:2", "read:2", "nonblock:1",
                           "swap", "flags", CTL_IN, "wait:0", "close", "wait:0", "swap", "read:1",
                           "write:3", "shutdown:1", "write:1", "close", "write:1"], there=data(10))
    yield tunnel("a twin that goes", ["dup", "undup", "read:2", "write:3", "dup", "swap", "read:2",
                                      "undup", "read:2", "write:1", "close", "close"], there=data(9))
    yield tunnel("another number", ["dup2:20", "read:2", "dup2:300", "read:2", "write:1",
                                    "dup2:-1", "close", "dup2:20"], there=data(9))
    yield tunnel("not all is read", ["write:5", "read:3"], there=data(100))
    for which in range(12):
        for value in -1, 0, 1, 5, 40000:
            if (which, value) == (6, -1):
                continue  # a fork's buffers are not as large as they please
            yield tunnel("option %d %d" % (which, value),
                         ["option:%d:%d" % (which, value), "read:3", "write:3",
                          "option:%d:1" % which, "read:1"],
                         there=data(20), mode="unix-level" if value == 5 else "level")
    yield tunnel("names", ["names", "accept:0", "accept:12345", "accept:%d" % (1 << 11), "names",
                           "shutdown:1", "names"])
    yield tunnel("two threads", ["thread", "read:3", "write:3"], there=data(9))


def urgent(long):
    look = ["poll:%d:0" % (IN | PRI), "select", "recv:5:%d" % OOB, "read:100", "recv:5:%d" % OOB,
            "poll:%d:0" % (IN | PRI), "read:100"]
    for inline in 0, 1:
        for events in IN, IN | PRI, PRI | ET:
            for before in 0, 10:
                yield tunnel("urgent %d %x %d" % (inline, events, before),
                             ["nonblock:1", "option:11:%d" % inline, "go", "await_event:%d" % PRI,
                              "ctl:%d:%d" % (ADD, events), "wait:0", "read:4", "wait:0", *look,
                              "wait:0"],
                             ("go",), ("urgent", data(1)), there=data(before))
        for how in 0, ET:
            # It is read, and where it was is still a mark at which read(2) stops.
            yield tunnel("read before what comes first %d %x" % (inline, how),
                         ["nonblock:1", "option:11:%d" % inline, "ctl:%d:%d" % (ADD, IN | how), "go",
                          "await_event:%d" % PRI, "nap:50", "wait:0", "recv:1:%d" % OOB, "read:100", "read:100",
                          "read:100", "wait:0"],
                         ("go",), ("urgent", b"!"), ("send", data(10)), there=data(10))
        yield tunnel("bytes behind it %d" % inline,
                     ["nonblock:1", "option:11:%d" % inline, "go", "nap:50", *look, *look],
                     ("go",), ("urgent", b"!"), ("send", data(10)), there=data(10))


def breaking(long):
    """The client breaks the connection off; what the program had before, it has."""
    after = [["read:3", "read:30", "read:3", "write:3", "write:3"],
             ["write:3", "write:3", "read:30"], ["recv:3:%d" % PEEK, "option:8:0", "read:3"],
             [CTL_IN, "wait:0", "read:3", "wait:0", "poll:5:0"], ["shutdown:1", "read:3"],
             ["poll:5:0", "select", "waiting", "names", "close", "close"],
             ["option:8:0", "option:8:0", "read:9", "write:9", "send:9:%d" % DONTWAIT]]
    for words in after:
        for n in 0, 8:
            for first in [], ["ctl:%d:%d" % (ADD, IN | OUT | ET), "wait:0"]:
                if first and CTL_IN in words:
                    continue
                yield tunnel("reset before %s" % words[0],
                             ["nonblock:1", *first, "go", "await_event:0", *words],
                             ("go",), ("reset",), there=data(n), breaks=True)
    # The error is the program's: kvmserver, which looks for the next chunk, does not take it.
    chunk = b"11170\r\n" + data(70000) + b"\r\n"
    head = request("/take:%d:9999,await_event:0,read:50,read:5", headers="Transfer-Encoding: chunked\r\n")
    there = len(head.split(b"\n", 1)[1] + chunk)
    yield Case("reset between two chunks", [("send", head % there + chunk), ("sleep", 0.4), ("reset",)], breaks=True)
    good = request(body=data(300), close=True)
    for n in 0, 1, 20, len(good) - 1, len(good):
        yield http("reset after %d bytes" % n, [("send", good[:n]), ("reset",)], breaks=True)
        yield http("good beside it", [("send", good)])
    big = request("/http?body=8000000", body=data(3000000), close=True)
    for n in 1000000, 2999999, len(big):
        yield http("reset after %d bytes" % n, [("send", big[:n]), ("reset",)], breaks=True)
        yield http("good beside it", [("send", good)])
    for n in 1, 100, 100000, 4000000:
        yield http("reset in the response, %d" % n,
                   [("send", request("/http?body=8000000")), ("take", n), ("reset",)], breaks=True)
        yield http("good beside it", [("send", good)])


def pipelining(long):
    for mode in "level", "accept", "edge", "unix-level":
        for n in range(2, 21):
            many = [request("/http?n=%d&read=%d&body=%d" % (i, (n * i) % 40, 100 * i),
                            body=data(i * 37 % 200), close=i == n - 1) for i in range(n)]
            yield http("%d at once" % n, [("send", b"".join(many))], mode=mode)
    two = request("/http?a", body=data(30)) + request("/http?b", close=True)
    for mode in "level", "accept":
        for i in range(1, len(two)):
            yield http("split at %d" % i, [("split", two, i)], mode=mode)
    for size in 1, 2, 7:
        yield http("in drops of %d" % size, [("drip", two, size)])


def keeping(long):
    """Several requests of a connection, one after the other."""
    for mode in "level", "accept", "edge", "poll", "unix-level":
        steps, n = [], 0
        for i in range(8):
            steps += [("send", request("/http?read=%d&write=%d&body=%d" % (3 * i, 50 * i, 1000 * i),
                                       body=data(i * 99 % 500), close=i == 7)),
                      ("take", n + 1000 * i + 50), ("sleep", 0.002)]
            n += 1000 * i + 50
        yield http("8 of a connection", steps, mode=mode)
        yield http("half-closed", [("send", request("/http?body=5000")), ("shut",)], mode=mode)
        yield http("half-closed behind two", [("send", request("/http?a") + request("/http?b")),
                                              ("shut",)], mode=mode)


def large(long):
    for mode in "level", "accept", "unix-level":
        for read, write in (0, 0), (1000, 1000), (65536, 100000):
            how = "/http?read=%d&write=%d&body=1048576" % (read, write)
            yield http("1 MiB up and down", [("send", request(how, data(1 << 20), close=True))],
                       mode=mode)
        yield http("3 MB up", [("send", request("/http?read=30000", data(3000000), close=True))],
                   mode=mode)
        yield http("in pieces up", [("drip", request("/http", data(1500000), close=True), 20000)],
                   mode=mode)
        yield http("slowly down", [("slowly", 50000, 0.001),
                                   ("send", request("/http?body=3000000", close=True))], mode=mode)
        yield http("a small buffer", [("small", 4096), ("slowly", 10000, 0.0005),
                                      ("send", request("/http?body=30000&write=3000", close=True))],
                   mode=mode)
        yield tunnel("taken", ["take:2000000:30000", "write:3"], ("send", data(2000000)), mode=mode)
        yield tunnel("taken in small pieces", ["take:200000:100"], ("drip", data(200000), 4000),
                     mode=mode)


def held_back(long):
    """
    The program asks about its connection while the next request waits behind its own. It differs from what there is
    without kvmserver, which gives it only its own. What waits may wake the program until it has asked in vain
    (src/net/follow.c), or not.
    """
    all_read = "read:500", "read:5"
    each = [["read:30", "read:500", "read:5", "respond"],
            ["recv:500:%d" % PEEK, "read:500", "recv:5:%d" % (PEEK | DONTWAIT), "respond"],
            [CTL_IN, "wait:0", *all_read, "wait:0", "leave", "wait:0", "respond"],
            ["ctl:%d:%d" % (ADD, IN | ET), "wait:0", *all_read, "wait:0", "respond"],
            ["poll:1:0", "select", *all_read, "poll:1:0", "select", "respond"],
            ["readv:3:400", "read:1", "recvmsg:10:0", "respond"],
            ["respond", "read:10", "read:500"], ["read:20", "respond", "dup", "undup", "read:500"]]
    for i, words in enumerate(each):
        for other in each[i:]:
            one, two = (request("/" + ",".join(w), body=data(20)) for w in (words, other))
            ways = [[("send", one + two)], [("split", one + two, len(one) + 7)]]
            # Of what comes later it may be woken, or not: it comes when it comes.
            if not any(w.startswith(("wait", "poll")) for w in words):
                ways.append([("split", one + two, len(one))])
            for steps in ways:
                yield Case("%s, then %s" % (words[0], other[0]),
                           [*steps, ("take", 80), ("shut",)], lines=2, everywhere=False)


def filing(long):
    """Files that the program opens meanwhile, and what it sends of them."""
    for n in range(5):
        for size in 0, 1, 100, 4095, 4096, 4097, 30000:
            yield tunnel("file %d %d" % (n, size),
                         ["stat:%d" % n, "open:%d" % n, "fstat", "fstat:1", "pread:%d:0" % size,
                          "fread:%d" % size, "fread:%d" % size, "seek:0:1", "pread:9:%d" % size,
                          "seek:5:0", "fread:3", "seek:-2:2", "fread:9", "seek:-1:0", "seek:3:9",
                          "pread:5:-1", "fclose", "fclose", "fread:3", "read:3"], there=data(5))
            yield tunnel("sendfile %d %d" % (n, size),
                         ["open:%d" % n, "sendfile:%d:0" % size, "sendfile:%d:-1" % size, "seek:0:1",
                          "sendfile:%d:60" % size, "fread:5", "write:3", "fclose", "sendfile:3:0"])
    for words in ["put:1"], ["put:1", "leave"]:
        yield tunnel("a file that changes",
                     ["open:1", "pread:10:48", *words, "pread:10:48", "fread:60", "put:1", "read:1",
                      "pread:10:48", "fstat", "put:1:70", "fstat", "fread:60", "pread:10:48", "stat:1",
                      "put:1:100", "fread:60", "fclose", "open:1", "pread:10:48", "fclose"],
                     there=data(5))
    yield tunnel("numbers of files", ["dup", "open:1", "undup", "dup", "fclose", "dup2:12", "open:2",
                                      "swap", "fclose", "undup", "open:3", "read:2", "close",
                                      "fread:3"], there=data(5))
    yield tunnel("identity", ["identity", "read:1", "identity"], there=data(5))


FAMILIES = {name.replace("_", "-"): family for name, family in (
    ("reading", reading), ("writing", writing), ("telling", telling), ("answering", answering), ("ending", ending),
    ("urgent", urgent), ("breaking", breaking), ("pipelining", pipelining), ("keeping", keeping),
    ("large", large), ("filing", filing), ("held_back", held_back))}


class Maker:
    """
    A connection made by chance. Nothing in it depends on time: bytes are awaited before they are asked for, what waits
    is asked for only if there is something, and never is so much sent that it does not fit.
    """

    def __init__(self, seed, modes):
        self.chance = random.Random(seed)
        self.mode = self.chance.choice(modes)
        self.blocking = self.mode == "accept"
        self.sent = self.asked = self.written = 0
        self.shut = self.ended = False
        self.words, self.steps = [], []

    def size(self):
        most = self.chance.choice((3, 20, 300, 5000))
        return self.chance.randint(0, most)

    def reads(self):
        """With a flag against waiting, if there may be nothing to read."""
        n = self.size()
        wait = self.blocking and self.sent - self.asked <= 0 and not self.ended
        kind = self.chance.choice(("recv", "recvfrom", "recvmsg", "read", "readv"))
        flags = self.chance.choice((0, 0, 0, PEEK, DONTWAIT, PEEK | DONTWAIT, TRUNC, WAITALL))
        if wait or (self.blocking and flags & WAITALL):
            flags |= DONTWAIT
            kind = self.chance.choice(("recv", "recvfrom", "recvmsg"))
        if kind == "readv":
            pieces = self.chance.randint(1, 8)
            self.asked += n * pieces
            return "readv:%d:%d" % (pieces, n)
        self.asked += 2 * n
        return "read:%d" % n if kind == "read" else "%s:%d:%d" % (kind, n, flags)

    def writes(self):
        n = min(self.size(), (20000 - self.written) // 8)
        self.written += 8 * max(n, 0)
        if n < 0:
            return "leave"
        return self.chance.choice(("write:%d" % n, "send:%d:%d" % (n, self.chance.choice((0, DONTWAIT))),
                                   "writev:%d:%d" % (self.chance.randint(0, 8), n),
                                   "sendmsg:%d:0" % n))

    def files(self):
        """Some are longer, some shorter than what comes with an open(2)."""
        chance, n = self.chance, min(self.size(), (20000 - self.written) // 8)
        if chance.random() < 0.15 and n > 0:
            self.written += n
            return "sendfile:%d:%d" % (n, chance.choice((-1, 0, 90)))
        return chance.choice(("open:%d" % chance.randint(0, 4), "stat:%d" % chance.randint(0, 4), "fstat",
                              "fstat:1", "fread:%d" % self.size(), "fclose", "identity",
                              "pread:%d:%d" % (self.size(), self.size()),
                              "seek:%d:%d" % (self.size() - 9, chance.randint(0, 2)),
                              "put:%d" % chance.randint(1, 3)))

    def events(self):
        events = 0
        for bit in IN, IN, OUT, RDHUP, PRI, ET, ONESHOT:
            events |= bit * (self.chance.random() < 0.35)
        # What the client takes out of a unix socket is an edge each time, which comes when it comes.
        return events & ~OUT if events & ET and self.mode.startswith("unix") else events

    def other(self):
        chance = self.chance
        word = chance.choice(("ctl", "ctl", "wait", "wait", "wait", "poll", "select", "nonblock", "flags",
                              "waiting", "dup", "swap", "undup", "option", "names", "accept", "leave",
                              "leave", "bad"))
        if word == "wait" and self.shut:
            return "leave"  # the end's acknowledgement is an edge, which comes when it comes
        if word == "ctl":
            return "ctl:%d:%d" % (chance.choice((ADD, ADD, MOD, MOD, DEL)), self.events())
        if word == "wait":
            return "wait:%d:%d" % (chance.choice((0, 0, 0, 2)), chance.choice((0, 0, 1)))
        if word == "poll":
            return "poll:%d:0" % chance.choice((IN, OUT, IN | OUT, IN | RDHUP | PRI))
        if word == "nonblock":
            on = chance.random() < 0.8
            self.blocking = not on
            return "nonblock:%d:%d" % (on, chance.randint(0, 1))
        if word == "option":
            # Not those that change how much fits, or for how long something waits.
            return "option:%d:%d" % (chance.choice((0, 1, 2, 3, 4, 8, 10)), chance.randint(-1, 40))
        if word == "bad" and self.blocking:
            return "leave"
        return word

    def more_comes(self):
        """The client sends more, or ends its side, once the server says so."""
        self.words.append("go")
        self.steps.append(("go",))
        if self.chance.random() < 0.2:
            self.steps.append(("shut",))
            self.words.append("await_event:%d" % RDHUP)
            self.ended = True
        else:
            n = 1 + self.size()
            self.steps.append(("send", data(n)))
            self.sent += n
            self.words.append("await:%d" % self.sent)

    def asks(self):
        """What comes because of an answer, with what was told before and was read of it."""
        self.words.append("nonblock:1")
        self.blocking = False
        self.words.append("ctl:%d:%d" % (self.chance.choice((ADD, ADD, MOD)), self.events() | IN))
        self.words += ["wait:0"] * (not self.shut)
        if self.chance.random() < 0.6:
            self.words.append(self.reads())
        self.more_comes()
        self.words += ["wait:0"] * (not self.shut)

    def make(self, seed):
        self.sent = n = self.size()
        for _ in range(self.chance.randint(1, 40)):
            what = self.chance.random()
            if what < 0.4:
                self.words.append(self.reads())
            elif what < 0.55:
                self.words.append(self.writes())
            elif what < 0.7:
                self.words.append(self.files())
            elif what < 0.92 or self.ended or self.shut:
                self.words.append(self.other())
            elif what < 0.98:
                self.chance.choice((self.more_comes, self.asks))()
            elif not self.ended:
                self.words.append("shutdown:1")
                self.shut = True
        if self.chance.random() < 0.5:
            self.words.append("close")
        return tunnel("seed %d" % seed, self.words, *self.steps, there=data(n), mode=self.mode)


def random_http(seed, modes):
    """Requests one behind the other, in pieces that have nothing to do with where they begin."""
    chance = random.Random(seed)
    n, text, steps = chance.randint(1, 6), b"", []
    for i in range(n):
        size = chance.choice((10, 1000, 40000))
        text += request("/http?read=%d&write=%d&body=%d" % (chance.choice((0, 0, 7, 1000)),
                                                           chance.choice((0, 0, 3000)),
                                                           chance.randint(0, size)),
                        body=data(chance.randint(0, size)), close=i == n - 1)
    where = sorted(chance.randint(1, len(text)) for _ in range(chance.choice((0, 0, 1, 2, 5))))
    for begin, end in zip([0, *where], [*where, len(text)]):
        steps += [("send", text[begin:end]), ("sleep", chance.choice((0, 0.001)))]
    if chance.random() < 0.3:
        steps.append(("shut",))
    return http("seed %d" % seed, steps, mode=chance.choice(modes))


def random_case(seed, modes):
    return Maker(seed, modes).make(seed) if seed % 4 else random_http(seed, modes)


def reported(seed):
    """The same, for several clients at once: none looks at the others, and each gets its own log."""
    maker = Maker(seed, ["level"])
    case = maker.make(seed)
    words = [w[:-2] if w.startswith("wait:") and w.endswith(":1") else w for w in maker.words
             if w not in ("accept", "close") and not w.startswith("put:")]
    case.steps[0] = ("send", deeds(*words, "report") + case.steps[0][1].split(b"\n", 1)[1])
    case.lines = 0
    return case
