# SPDX-License-Identifier: MIT
"""Where a run takes place: directories, processors, and the machine in words."""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from runtimes import PATH  # noqa: E402
from suite import Failed, Skip, build_c  # noqa: E402,F401

DIRECTORY = tempfile.mkdtemp(prefix="tinykvm-bench.")
atexit.register(shutil.rmtree, DIRECTORY, True)
ENVIRONMENT = {"PATH": PATH, "HOME": DIRECTORY, "NO_COLOR": "1", "LC_ALL": "C.UTF-8",
               "DENO_NO_UPDATE_CHECK": "1", "NODE_ENV": "production",
               "DENO_DIR": os.path.join(DIRECTORY, "deno")}


class Cpus:
    """Servers and load apart where there are four processors or more; None: nobody is pinned."""

    def __init__(self):
        self.all = sorted(os.sched_getaffinity(0))
        n = len(self.all)
        cut = n - max(1, n // 4)
        self.servers = set(self.all[:cut]) if n >= 4 else None
        self.load = set(self.all[cut:]) if n >= 4 else None


CPUS = Cpus()


def built(source, *flags):
    """A C program of the benchmarks or the tests, compiled."""
    name = os.path.splitext(os.path.basename(source))[0]
    return build_c(os.path.join(ROOT, source),
                   os.path.join(ROOT, "tests", ".cache", "bench", name), ["-lpthread", *flags])


def field(path, name):
    try:
        with open(path) as f:
            found = re.search(r"^%s\s*:\s*(.*)$" % name, f.read(), re.M)
        return found.group(1).strip() if found else ""
    except OSError:
        return ""


def first_line(argv):
    try:
        got = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return (got.stdout.strip().splitlines() or [""])[0]
    except OSError:
        return ""


def describe(kvmserver):
    """The machine: nothing in it tells whose it is."""
    doctor = subprocess.run([kvmserver, "doctor"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL).stdout
    flavour = re.search(r"^  flavour\s+(\w+)", doctor, re.M)
    uname = os.uname()
    memory = re.match(r"\d+", field("/proc/meminfo", "MemTotal"))
    return {
        "processor": field("/proc/cpuinfo", "model name") or uname.machine,
        "processors": len(CPUS.all),
        "virtual": " hypervisor " in field("/proc/cpuinfo", "flags") + " ",
        "memory_mib": int(memory.group(0)) // 1024 if memory else 0,
        "kernel": "Linux " + re.match(r"[\d.]*\d", uname.release).group(0),
        "kvm": flavour.group(1) if flavour else "none",
        "pinned": CPUS.load is not None,
        "commit": first_line(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]),
        "load": round(os.getloadavg()[0], 1),
    }


def nickname(host):
    """For file names."""
    words = re.sub(r"\(\w*\)|processor|cpu|@.*", " ", host["processor"].lower())
    return "%s-%dcpu-%s" % ("-".join(re.findall(r"\w+", words)), host["processors"], host["kvm"])
