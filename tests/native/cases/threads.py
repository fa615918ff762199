# SPDX-License-Identifier: MIT
"""Runtimes of many threads with their default settings: Node, Deno, Bun, Go, Java, Python."""
import json
import os
import shutil
import subprocess

from runtimes import CACHE, find, go_build, go_program, npm
from suite import Failed, cut

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.join(HERE, "..", "src")
PY = "/usr/bin/python3"
EVERYWHERE = ("http", "crypto", "zlib", "files", "wasm", "workers")
# Every runtime does everything with --slow; without, each kind of engine and of work has its turn.
QUICK = {("node-20", "http"), ("node-20", "zlib"), ("node-24", "crypto"), ("node-24", "workers"),
         ("node-24", "wasm"), ("node-24", "files"), ("deno", "wasm"), ("deno", "http"), ("bun", "http"), ("bun", "wasm")}
# Deno's caches are no output: what is in them when it ends depends on how fast its threads were.
ENV = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "HOME": os.path.join(CACHE, "home")}
VARYING = [(rb"0x[0-9a-f]{6,}", b"0xX"), (rb"\b\d+\.\d+ (sec|s)\b", b"T")]


def register(cases):
    javascript(cases)
    go(cases)
    java(cases)
    python(cases)


def copy(directory, *names):
    for name in names:
        shutil.copyfile(os.path.join(SRC, name), os.path.join(directory, os.path.basename(name)))


def engine(name):
    return [npm(name)] + (["run", "--allow-all"] if name == "deno" else [])


def program(cases, runtime, name, argv=(), timeout=200, slow=False, **step):
    """A case: one of src/rt run by one of runtimes.NPM."""
    def setup(directory):
        copy(directory, "rt/" + name)
        if name == "bun.ts":
            copy(directory, "rt/part.ts")
        return [cases.Step(*engine(runtime), name, *argv, env=ENV, **step)]
    case = "%s-%s" % (runtime, os.path.splitext(name)[0])
    cases.add(case, setup=setup, timeout=timeout, slow=slow, status=step.pop("status", 0))


def one_liners(cases, name, *lines, status=0):
    def setup(unused):
        return [cases.Step(*[npm(name)] + list(line), env=ENV, mask=VARYING) for line in lines]
    cases.add(name + "-one-liners", setup=setup, status=status)


def javascript(cases):
    for runtime in ("node-20", "node-24", "deno", "bun"):
        for name in EVERYWHERE:
            program(cases, runtime, name + ".mjs", slow=(runtime, name) not in QUICK)
    for runtime in ("node-20", "node-24"):
        program(cases, runtime, "node.mjs", stdin=b"two\nlines\n", status=1, slow=runtime == "node-20")
        one_liners(cases, runtime, ["-e", "0"], ["-p", "process.version"], ["-e", "process.exit(7)"],
                   ["-e", "throw new Error('x')"], ["-e", "process.kill(process.pid, 'SIGTERM')"],
                   ["-e", "process.abort()"], ["absent.js"])
    uuid = (rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"UUID")
    program(cases, "deno", "deno.ts", status=3, mask=[uuid])
    one_liners(cases, "deno", ["eval", "0"], ["eval", "console.log(Deno.version)"], ["eval", "Deno.exit(7)"],
               ["eval", "throw new Error('x')"], ["run", "absent.ts"],
               ["eval", "const x: number = 1; console.log(x)"])
    program(cases, "bun", "bun.ts", status=9)
    one_liners(cases, "bun", ["-e", "0"], ["-e", "console.log(Bun.version)"], ["-e", "process.exit(7)"],
               ["-e", "throw new Error('x')"], ["absent.ts"])


def go(cases):
    source = os.path.join(SRC, "rt", "threads.go")
    cases.add("go-threads", setup=lambda unused: [cases.Step(go_program(source))], status=2, timeout=120)
    cases.add("go-threads-pie", setup=lambda unused: [cases.Step(go_build(
        source, "threads-pie", ["-buildmode=pie"]), mask=VARYING)], status=2, timeout=120, slow=True)

    def compiler(directory):
        copy(directory, "rt/threads.go")
        root = subprocess.run([find("go"), "env", "GOROOT"], stdin=subprocess.DEVNULL,
                              capture_output=True, check=True).stdout.decode().strip()
        tools = os.path.join(root, "pkg", "tool", "linux_amd64")
        return [cases.Step(find("go"), "version"), cases.Step(find("gofmt"), "-l", "threads.go"),
                cases.Step(os.path.join(tools, "asm"), "-V"),
                cases.Step(os.path.join(tools, "compile"), "-p", "strings", "-o", "strings.o", "-c", "2",
                           os.path.join(root, "src", "container", "list", "list.go"))]
    cases.add("go-compiler", setup=compiler, timeout=120, slow=True)


def java(cases):
    def compiled(directory):
        """Compiled natively, once for all sides: what is compared is what runs."""
        copy(directory, "rt/Threads.java")
        done = subprocess.run([find("javac"), "Threads.java"], cwd=directory, stdin=subprocess.DEVNULL,
                              capture_output=True)
        if done.returncode:
            raise Failed("javac: " + cut(done.stderr))
        return [cases.Step(find("java"), "Threads")]

    def compiler(directory):
        copy(directory, "rt/Threads.java")
        return [cases.Step(find("javac"), "Threads.java"), cases.Step(find("java"), "-version"),
                cases.Step(find("java"), "Absent")]
    # One at a time: a JVM locks /tmp/hsperfdata_USER/PID, and guests have the same process id.
    cases.add("java-threads", setup=compiled, status=5, timeout=300, group="java")
    cases.add("java-javac", setup=compiler, timeout=300, slow=True, group="java")


def python(cases):
    def threads(directory):
        copy(directory, "py_threads.py")
        return [cases.Step(PY, "py_threads.py")]
    cases.add("python-threads", setup=threads, status=6, timeout=120)
    for module, names in STARTED.items():
        cases.add("python-started-by-" + module, setup=started(cases, module, names), timeout=60)


# Tests of Python's suite that are left out (python-exclusions.txt) since all they do is start
# another interpreter: what they would start is a case here.
STARTED = {
    "test_signal": ["PendingSignalsTests", "test_siginterrupt_on", "test_without_siginterrupt", "WakeupSignalTests",
                    "WakeupSocketSignalTests", "test_keyboard_interrupt_exit_code"],
    "test_threading": ["AtexitTests", "SubinterpThreadingTests", "ThreadJoinOnShutdown",
                       "ThreadingExceptionTests", "test_final*", "test_import_from_another_thread",
                       "test_join_nondaemon_on_shutdown", "test_locals_at_exit",
                       "test_main_thread_during_shutdown"],
}


def started(cases, module, names):
    def setup(unused):
        done = subprocess.run([PY, os.path.join(SRC, "py_record.py"), "test." + module, *names],
                              stdin=subprocess.DEVNULL, capture_output=True, check=True)
        steps = [cases.Step(*argv, mask=VARYING) for argv in json.loads(done.stdout)
                 if not any(word in argv[-1] for word in ("os.fork", "subprocess"))]
        if len(steps) < 10:
            raise Failed("only %d programs found" % len(steps))
        return steps
    return setup
