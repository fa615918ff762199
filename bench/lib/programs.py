# SPDX-License-Identifier: MIT
"""The programs, and for each the usual ways to isolate its requests.

A way is (key, label, what it keeps apart, command): the command is a function of the port. Functions, as finding and
building programs can fail, which is then said in place of the numbers.
"""
import os

from place import BENCH, ROOT, built
from runtimes import go_program, npm, npm_directory

TESTS = "tests/ephemeral/"
ISOLATED_VM = "isolated-vm@7.0.1"  # its compiled part comes with it; to build it would need headers
REACT = "react-dom@19.3.1"


def test(name):
    return os.path.join(ROOT, TESTS, name)


def own(name):
    return os.path.join(BENCH, "programs", name)


def deno(script, *args):
    return [npm("deno"), "run", "--allow-net", "--allow-read", "--allow-env", script, *args]


def deno_cached(script, *args):
    return [npm("deno"), "run", "--allow-read", "--allow-env", script, *args]


def react():
    return npm_directory(REACT)


def process(argv):
    return lambda port: [built("bench/programs/isolate.c"), str(port), *argv()]


def contexts(kind, *modules):
    return lambda port: [npm("node-24"), own("contexts.js"), str(port), kind,
                         *[module() for module in modules]]


class Program:
    def __init__(self, key, title, command, ways=()):
        self.key, self.title, self.command, self.ways = key, title, command, ways


FORK = "process, same memory"
PROGRAMS = {p.key: p for p in (
    Program("c-epoll", "C, epoll", lambda port: [built(TESTS + "epoll.c"), str(port)], (
        ("fork", "fork(2) per request", FORK, process(lambda: [])),)),
    Program("deno", "Deno, hello", lambda port: deno(test("count-deno.js"), str(port)), (
        ("process", "process per request", "process", process(lambda: deno_cached(own("once.js")))),)),
    Program("deno-react", "Deno, React", lambda port: deno(own("react.js"), str(port), react()), (
        ("process", "process per request", "process",
         process(lambda: deno_cached(own("react-once.js"), react()))),)),
    Program("node", "Node, http", lambda port: [npm("node-24"), test("count.js"), str(port)], (
        ("vm", "node:vm, context per request", "names only", contexts("vm")),
        ("isolated-vm", "isolated-vm, isolate per request", "heap",
         contexts("isolate", lambda: npm_directory(ISOLATED_VM, "--ignore-scripts"))),
        ("worker", "worker_threads, thread per request", "heap", contexts("worker")),
        ("workerd", "workerd", "nothing: one isolate", lambda port: [
            npm("workerd"), "serve", own("workerd.capnp"),
            "--socket-addr", "http=127.0.0.1:%d" % port]))),
    Program("python", "Python, asyncio",
            lambda port: ["/usr/bin/python3", test("count_asyncio.py"), str(port)], (
                ("process", "process per request", "process",
                 process(lambda: ["/usr/bin/python3", own("once.py")])),)),
    Program("go", "Go, net/http", lambda port: [go_program(test("count.go")), str(port)]),
)}
