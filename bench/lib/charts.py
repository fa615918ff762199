# SPDX-License-Identifier: MIT
"""Charts: gnuplot's SVG, into docs/benchmarks/. Each takes its data from a result, and is left out if that has none."""
import os
import shutil
import subprocess

from place import ROOT
from stats import median

DIRECTORY = os.path.join(ROOT, "docs", "benchmarks")
COLOURS = ("#4477aa", "#66ccee", "#ee6677", "#bbbbbb", "#228833")
HEAD = """set terminal svg size 760,400 dynamic background "white" font "sans-serif,12"
set output "%s"
set key top left
set grid ytics lc rgb "#dddddd"
set title "%s"
set ylabel "%s"
"""


def gnuplot(name, title, ylabel, script):
    os.makedirs(DIRECTORY, exist_ok=True)
    path = os.path.join(DIRECTORY, name + ".svg")
    got = subprocess.run(["gnuplot"], input=HEAD % (path, title, ylabel) + script, text=True,
                         capture_output=True)
    if got.returncode:
        raise RuntimeError("gnuplot: " + got.stderr.strip()[-300:])
    return name


def series(entries, name):
    """[(x, median)]"""
    return sorted((m["x"], median(m["rounds"])) for m in entries
                  if m["name"] == name and "rounds" in m)


def lines(name, title, xlabel, ylabel, what, logarithmic="xy"):
    """what: [(label, [(x, y)])]"""
    what = [(label, points) for label, points in what if points]
    if not what:
        return None
    data = "".join("$d%d << EOD\n%s\nEOD\n" % (
        i, "\n".join("%g %g" % p for p in points if p[0] > 0)) for i, (_, points) in enumerate(what))
    plots = ", ".join('$d%d with linespoints lw 2 pt 7 ps 0.6 lc rgb "%s" title "%s"' % (
        i, COLOURS[i], label) for i, (label, _) in enumerate(what))
    return gnuplot(name, title, ylabel, "%s\nset xlabel \"%s\"\n%splot %s\n" % (
        "set logscale " + logarithmic if logarithmic else "", xlabel, data, plots))


def latency(result, programs):
    """Bars: the median of each program, four ways, logarithmic."""
    ways = (("native-new", "native"), ("machine-new", "machine"), ("ephemeral", "-e"))
    rows = {(r["program"], r["row"]): r["rounds"] for r in result["rows"] if r.get("rounds")}
    data = ["%s" % " ".join(['"%s"' % p.title] + [
        "%g" % median([x["p50"] for x in rows[p.key, key]]) if (p.key, key) in rows else "NaN"
        for key, _ in ways]) for p in programs if (p.key, "native-new") in rows]
    if not data:
        return None
    plots = ", ".join('$d using %d:xtic(1) lc rgb "%s" title "%s"' % (i + 2, COLOURS[i], label)
                      for i, (_, label) in enumerate(ways))
    return gnuplot("latency", "Median, one client, new connections", "us",
                   "set style data histogram\nset style fill solid\nset logscale y\n"
                   "set xtics rotate by -15\n$d << EOD\n%s\nEOD\nplot %s\n" % (
                       "\n".join(data), plots))


def draw(result, programs):
    """[(name, what it shows)]; empty if there is no gnuplot."""
    if not shutil.which("gnuplot"):
        return []
    m, s = result["micro"], result["scaling"]
    drawn = [
        (latency(result, programs), "Median latency of one client with new connections"),
        (lines("reset", "Reset, and a memcpy of as many pages", "pages changed", "us", [
            ("reset", series(m, "reset")), ("memcpy", series(m, "memcpy"))]),
         "A reset beside a memcpy of the pages that were changed"),
        (lines("fork", "Fork of an image", "image, MiB", "us", [
            ("fork", series(m, "fork")), ("its first run", series(m, "fork-first-run"))]),
         "Making a fork, by the size of the image"),
        (lines("forks", "Many forks on one image of 64 MiB", "forks", "us", [
            ("making one", series(m, "forks-made")),
            ("request and reset", series(m, "forks-request"))]), "Forks that exist on one image"),
        (lines("workers", "C server with -e, four clients for each worker", "workers", "requests/s",
               [("-e", series(s, "workers"))], ""), "Throughput, by workers"),
        (lines("connections", "C server with -e, one client and silent ones", "connections", "us", [
            ("p50", series(s, "connections-p50"))]),
         "Median of one client while others are connected and silent"),
    ]
    return [(name, what) for name, what in drawn if name]
