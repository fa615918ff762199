# SPDX-License-Identifier: MIT
"""What a request can do to its program has no consequence for others."""
import concurrent.futures
import os
import random
import resource
import threading
import time

from client import Client, careful, load
from server import c_server
from setting import suite
from suite import Failed


@suite.test()
def every_end_is_answered():
    """What a request does to its program has an answer, and no consequence."""
    with c_server("--max-request-time", "3", "--max-request-memory", "64") as s:
        for path, status in (("/fault", 502), ("/abort", 502), ("/exit", 502), ("/spin", 504),
                             ("/memory", 507), ("/stack", 502)):
            got = s.get(path)
            if got[0] != status:
                raise Failed("%s: %r, not %d\n%s" % (path, got, status, s.output()))
            s.expect(b"4\n")
        with Client(s.connect()) as client:
            client.send(b"GET /silent HTTP/1.1\r\n\r\n")
            if not client.ended():
                raise Failed("a program that closes without an answer gets one: %r" % client.data)
        s.expect(b"4\n")
        s.stop()


@suite.test()
def nothing_stays():
    """Threads, descriptors, output, and what was done to the listening socket."""
    with c_server("-t", "2") as s:
        s.expect(b"4\n")
        fds = s.fds()
        for path in ("/threads", "/fds", "/unlisten", "/shut", "/over", "/options", "/output"):
            for _ in range(3):
                s.expect(b"4\n", path)
                s.expect(b"4\n")
        s.wait_until(lambda: s.fds() <= fds + 8)
        s.stop()


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))


@suite.test()
def descriptors_for_all():
    """A request that takes all descriptors there are leaves others theirs."""
    with c_server("-t", "2", preexec=few_descriptors) as s:
        for path in "/bomb", "/bomb":
            bomb = threading.Thread(target=s.get, args=(path,))
            bomb.start()
            time.sleep(0.5)
            for _ in range(5):
                s.expect(b"4\n", "/open")
            if not bomb.is_alive():
                raise Failed("others are served when it is over")
            bomb.join()
        s.stop()


# What a request can do to its program, the answers that it may get (two where a busy machine needs
# the whole time limit), and how many of 400 such requests do it. The limit is long enough for good
# requests on a machine that is busy with other things, too.
BAD = {"/fault": ({502}, 72), "/abort": ({502}, 72), "/exit": ({502}, 72), "/stack": ({502}, 50),
       "/unlisten": ({200}, 50), "/over": ({200}, 50), "/memory": ({507, 504}, 10),
       "/shut": ({200, 504}, 6), "/fds": ({200, 504}, 6), "/threads": ({200, 504}, 6),
       "/print": ({504}, 2), "/bomb": ({504, 200}, 2), "/spin": ({504}, 1), "/breed": ({504}, 1)}
BAD_RATE = 100  # a second
BAD_WORKERS = 8


def bad_requests(s, seconds, wrong):
    """That many a second, whatever becomes of them; how many a second it really were."""
    paths = [path for path, (_, share) in BAD.items() for _ in range(share)]
    random.Random(1).shuffle(paths)

    def one(path):
        got = s.get(path)[0]
        if got not in BAD[path][0]:
            wrong.append((path, got))
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        for i in range(seconds * BAD_RATE):
            time.sleep(max(0, begin + i / BAD_RATE - time.monotonic()))
            pool.submit(careful(lambda path=paths[i % len(paths)]: one(path), wrong))
        return seconds * BAD_RATE / (time.monotonic() - begin)


def all_workers_serve(s, n):
    """Each has a connection at the same time."""
    clients = [Client(s.connect()) for _ in range(n)]
    for client in clients:
        client.send(b"GET /upgrade HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    try:
        for client in clients:
            if b" 101 " not in client.head():
                raise Failed("no 101")
        for client in clients:
            client.send(b"here")
        return all(client.take(4) == b"here" for client in clients)
    except (Failed, OSError):  # --max-request-time
        return False
    finally:
        for client in clients:
            client.sock.close()


@suite.test()
def bad_among_good():
    """Bad requests, a hundred a second, and good ones: all are answered as they should be."""
    reader, writer = os.pipe()  # nobody reads what programs print
    with c_server("-t", "%d" % BAD_WORKERS, "--max-request-memory", "16", "--max-request-time",
                  "2", preexec=lambda: os.dup2(writer, 1)) as s:
        s.wait_until(lambda: all_workers_serve(s, BAD_WORKERS))
        fds, wrong, bad = s.fds(), [], []
        seconds = 60 if suite.args.long else 4
        thread = threading.Thread(target=careful(
            lambda: bad.append(bad_requests(s, seconds, wrong)), wrong))
        thread.start()
        good = load(s, "4", connections=2, seconds=seconds)
        thread.join()
        if wrong:
            raise Failed("%d wrong: %r\n%s" % (len(wrong), wrong[:20], s.output()))
        print("# bad-among-good: %d good and %d bad requests/s" % (good / seconds, bad[0]),
              flush=True)
        s.expect(b"4\n")
        s.wait_until(lambda: all_workers_serve(s, BAD_WORKERS))
        s.wait_until(lambda: s.fds() <= fds + 2 * BAD_WORKERS)  # destroyed in the background
        s.stop()
    os.close(reader)
    os.close(writer)


@suite.test()
def work_after_the_response():
    with c_server("--max-request-time", "30") as s:
        with Client(s.connect()) as client:
            for _ in range(3):
                if client.get("/work") != (200, b"4\n"):
                    raise Failed("wrong answer")
                if client.get() != (200, b"4\n"):
                    raise Failed("wrong answer after it")
        s.stop()
