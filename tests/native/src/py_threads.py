# SPDX-License-Identifier: MIT
"""Threads: locks, conditions, queues, pools, asyncio with threads, signals, daemons at exit."""
import asyncio
import concurrent.futures
import hashlib
import queue
import signal
import socket
import sys
import threading
import time
import zlib

N = 8


def counters():
    lock, total = threading.Lock(), [0]

    def add():
        for _ in range(20000):
            with lock:
                total[0] += 1
    threads = [threading.Thread(target=add) for _ in range(N)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("counted", total[0])


def turns():
    cond, turn = threading.Condition(), [0]

    def take(me):
        for _ in range(200):
            with cond:
                cond.wait_for(lambda: turn[0] % 4 == me)
                turn[0] += 1
                cond.notify_all()
    threads = [threading.Thread(target=take, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("turns", turn[0])
    barrier, order = threading.Barrier(N), queue.Queue()

    def meet():
        for k in range(50):
            order.put((k, barrier.wait() >= 0))
    threads = [threading.Thread(target=meet) for _ in range(N)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    met = [order.get() for _ in range(50 * N)]
    print("met", all(ok for _, ok in met), sorted(k for k, _ in met) == [k // N for k in range(50 * N)])


def pools():
    data = bytes(range(256)) * 4000
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        # Both let go of the interpreter's lock: threads really run beside each other.
        sums = list(pool.map(lambda i: hashlib.sha256(data * (i % 3 + 1)).hexdigest()[:8], range(24)))
        packed = list(pool.map(lambda i: len(zlib.compress(data, i)), range(1, 10)))
        print(sums, packed)
        failed = pool.submit(lambda: 1 // 0)
        print(repr(failed.exception()))
        slow = [pool.submit(time.sleep, 0.05) for _ in range(N)]
        done, _ = concurrent.futures.wait(slow, timeout=10)
        print(len(done))


def sockets():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            for _ in range(20):
                peer, _ = listener.accept()
                threading.Thread(target=echo, args=(peer,)).start()

        def echo(peer):
            with peer:
                while data := peer.recv(4096):
                    peer.sendall(data)

        def ask(i):
            with socket.create_connection(listener.getsockname()) as s:
                s.sendall(b"%d " % i * 5000)
                s.shutdown(socket.SHUT_WR)
                got = b""
                while data := s.recv(65536):
                    got += data
                return got == b"%d " % i * 5000
        server = threading.Thread(target=serve)
        server.start()
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            print("echoed", all(pool.map(ask, range(20))))
        server.join()


async def loop():
    running = asyncio.get_running_loop()
    results = await asyncio.gather(*(asyncio.to_thread(lambda i=i: (time.sleep(0.01), i * i)[1])
                                     for i in range(12)))
    print(results)
    event = asyncio.Event()
    threading.Timer(0.02, lambda: running.call_soon_threadsafe(event.set)).start()
    await asyncio.wait_for(event.wait(), 10)
    caught = asyncio.Event()
    running.add_signal_handler(signal.SIGUSR1, caught.set)
    threading.Thread(target=signal.raise_signal, args=(signal.SIGUSR1,)).start()
    await asyncio.wait_for(caught.wait(), 10)
    print("signal in the loop")
    async with asyncio.timeout(10) if hasattr(asyncio, "timeout") else asyncio.Lock():
        await asyncio.sleep(0)


def signals():
    seen = []
    signal.signal(signal.SIGUSR2, lambda *_: seen.append(threading.current_thread() is threading.main_thread()))
    t = threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR2))
    t.start()
    t.join()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    print(seen, signal.sigwait([signal.SIGALRM]).name)


def churn():
    ran = [0]
    for _ in range(500):
        t = threading.Thread(target=lambda: ran.__setitem__(0, ran[0] + 1))
        t.start()
        t.join()
    # An interpreter switches threads 200 times a second by itself; a spinner must not stop it.
    stop = threading.Event()

    def spin():
        while not stop.is_set():
            pass
    spinner = threading.Thread(target=spin)
    spinner.start()
    time.sleep(0.05)
    stop.set()
    spinner.join()
    local = threading.local()
    local.x = 1
    print("churned", ran[0], threading.active_count())


counters()
turns()
pools()
sockets()
asyncio.run(loop())
signals()
churn()
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
threading.Thread(target=lambda: (time.sleep(0.05), print("the last thread ends"))).start()
print("main ends")
sys.exit(6)
