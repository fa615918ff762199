# SPDX-License-Identifier: MIT
"""Measure it against what users would pick instead: script/bench [OPTION...]

Everything runs side by side and takes turns. Writes bench/results/DATE-HOST.json, and from it docs/benchmarks.md and its
charts (not with --quick).

  script/bench                        5 to 15 minutes
  script/bench --quick                a minute: few contenders, short loads
  script/bench --report FILE          docs/benchmarks.md from a result
  script/bench --compare A.json B.json    what got worse from A to B; several of a side: A1.json,A2.json
Exit status 1: --check or --compare found something worse.
"""
import argparse
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))
import bounds  # noqa: E402
import contenders  # noqa: E402
import micro  # noqa: E402
import place  # noqa: E402
import report  # noqa: E402
import scaling  # noqa: E402
import stats  # noqa: E402
from programs import PROGRAMS  # noqa: E402


class Options:
    """What depends on --quick. Times in seconds."""

    def __init__(self, args):
        self.build = os.path.abspath(args.build)
        self.kvmserver = contenders.kvmserver_of(args.build)
        self.rounds = args.rounds or (2 if args.quick else 8)
        self.slice = 0.3 if args.quick else 0.5
        self.slice8 = 0.3
        self.warmup = 1000  # with 200 V8 is still compiling, in every request then
        self.sections = ["calls", "faults", "resets", "machines",
                         "sizes=4" if args.quick else "sizes=%d" % largest_image(),
                         "forks=10" if args.quick else "forks=500"]
        self.storage_calls = 500 if args.quick else 5000
        self.connections = (1, 100) if args.quick else (1, 10, 100, 1000, 10000)
        self.idle_forks = (1, 4) if args.quick else (1, 10, 100)
        self.programs = args.programs or list(PROGRAMS)

    def rows(self, key, quick):
        """All of one program, of the others what bounds.json is about."""
        return None if not quick or key == "c-epoll" else {"native-new", "ephemeral"}


def largest_image():
    """MiB that can be filled, frozen and left over."""
    available = int(place.field("/proc/meminfo", "MemAvailable").split()[0]) // 1024
    return max(1, min(1024, available // 4))


def say(text):
    print(text, flush=True)


def measure(args):
    options = Options(args)
    host = place.describe(options.kvmserver)
    host["name"] = args.host or place.nickname(host)
    start = time.monotonic()
    result = {"schema": 1, "date": time.strftime("%Y-%m-%d"), "host": host, "quick": args.quick,
              "options": {"rounds": options.rounds, "slice": options.slice,
                          "warmup": options.warmup}, "rows": [], "calls": {}, "micro": [], "scaling": []}
    for key in options.programs:
        result["rows"] += contenders.measure(PROGRAMS[key], options.rows(key, args.quick), options, say)
        if not args.quick:
            profile(key, options, result["calls"])
    if not args.programs:
        result["micro"] = micro.measure(options, say)
        result["scaling"] = scaling.measure(options, say)
    result["seconds"] = round(time.monotonic() - start)
    result["host"]["load_after"] = round(os.getloadavg()[0], 1)
    return result


def profile(key, options, found):
    try:
        found[key] = contenders.calls(PROGRAMS[key], options)
    except (place.Failed, place.Skip, OSError) as e:
        say("  profile: not available: %s" % e)


def save(result, output):
    path = output or os.path.join(HERE, "results", "%s-%s%s.json" % (
        result["date"], result["host"]["name"], "-quick" if result["quick"] else ""))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as f:
        json.dump(rounded(result), f, indent=1)
        f.write("\n")
    say("written: " + os.path.relpath(path))


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float("%.5g" % value) if isinstance(value, float) else value


def read(paths):
    found = []
    for path in paths.split(","):
        with open(path) as f:
            found.append(json.load(f))
    return found


def compare(old, new):
    table, counted = stats.compare(read(old), read(new))
    worse = False
    for name, before, after, p, verdict in table + counted:
        if verdict:
            worse |= verdict == "worse"
            say("%-6s %-48s %10.4g -> %10.4g  (%+.0f %%, p %.4f)" % (
                verdict, name, before, after, (after / before - 1) * 100 if before else 0, p))
    say("%d figures and %d counters compared" % (len(table), len(counted)))
    return int(worse)


def check(result, options):
    beyond, n = bounds.check(result, lambda key: contenders.measure(
        PROGRAMS[key], {"native-new", "ephemeral"}, options, say))
    for line in beyond:
        say("worse: " + line)
    missing = [r for r in result["rows"] if "missing" in r]
    for row in missing:
        say("missing: %s/%s: %s" % (row["program"], row["row"], row["missing"]))
    say("%d counters within their bounds, %d beyond, %d rows missing" % (
        n - len(beyond), len(beyond), len(missing)))
    return int(bool(beyond or missing or not n))


def parse():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute")
    parser.add_argument("--build", default=os.path.join(place.ROOT, "build"), metavar="DIR")
    parser.add_argument("--rounds", type=int, metavar="N", help="turns of each contender (8)")
    parser.add_argument("--host", metavar="NAME", help="in the file's name (the processor)")
    parser.add_argument("--output", metavar="FILE", help="write the result there")
    parser.add_argument("--check", action="store_true", help="counters against bench/bounds.json")
    parser.add_argument("--write-bounds", action="store_true", help="make bench/bounds.json from it")
    parser.add_argument("--report", metavar="FILE", help="only write docs/benchmarks.md from FILE")
    parser.add_argument("--compare", nargs=2, metavar=("A.json", "B.json"))
    parser.add_argument("programs", nargs="*", metavar="PROGRAM",
                        help="only these, and no parts: " + ", ".join(PROGRAMS))
    return parser.parse_args()


def main():
    args = parse()
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, lambda *unused: sys.exit(1))
    if args.compare:
        return compare(*args.compare)
    if args.report:
        report.write(read(args.report)[0])
        return 0
    result = measure(args)
    save(result, args.output)
    if args.write_bounds:
        bounds.write(result)
    elif not args.quick and not args.programs and not args.output:
        report.write(result)
    say("%d s" % result["seconds"])
    return check(result, Options(args)) if args.check else 0


if __name__ == "__main__":
    sys.exit(main())
