# SPDX-License-Identifier: MIT
"""docs/benchmarks.md from a result: bench/benchmarks.md.in with tables, charts, and the sentences of bench/reasons.md,
which people write, and which take their numbers from the result.
"""
import os
import re

import charts
from contenders import COMMON
from micro import NAMES
from place import BENCH, ROOT
from programs import PROGRAMS
from stats import COUNTERS, median

PAGE = os.path.join(ROOT, "docs", "benchmarks.md")
HEAD = "| contender | keeps apart | avg | p50 | to native | p90 | p99 | max | req/s | 8 clients | RSS MiB | reset KiB |"
APART = ("process", "process, same memory", "heap")


def number(value):
    if value is None or value != value:
        return ""
    if abs(value) >= 100 or value == int(value):
        return "{:,.0f}".format(value)
    return "%.1f" % value if abs(value) >= 10 else "%.2f" % value


def table(head, rows):
    cells = head.count("|") - 1
    rule = "|" + "|".join("---" if i < 2 else "---:" for i in range(cells)) + "|"
    return "\n".join([head, rule] + ["| %s |" % " | ".join(row + [""] * (cells - len(row)))
                                     for row in rows])


class Figures:
    """Medians over the rounds, by program, row and field."""

    def __init__(self, result):
        self.result = result
        self.rows = {(r["program"], r["row"]): r for r in result["rows"]}
        self.parts = {(m["name"], m["x"]): m for m in result["micro"] + result["scaling"]}

    def of(self, program, row, field):
        """Also counters of one request, "reset_us", "guest_us", and "exits_us": exits by what one costs."""
        rounds = self.rows.get((program, row), {}).get("rounds")
        if not rounds:
            return None
        if field in rounds[0]:
            return (max if field == "max" else median)([r[field] for r in rounds])
        if "counters" not in rounds[0]:
            return None
        if field == "exits_us":
            cost = self.part("exit")
            return cost and cost * self.of(program, row, "exits")
        if field not in COUNTERS and not field.endswith("_us"):
            return None
        name = {"reset_us": "seconds-reset", "guest_us": "seconds-guest"}.get(field, field)
        value = median([r["counters"].get(name, 0.0) for r in rounds])
        return value * 1e6 if field.endswith("_us") else value

    def part(self, name, x=0):
        entry = self.parts.get((name, x), {})
        return median(entry["rounds"]) if entry.get("rounds") else None


def reference(row):
    return "native-kept" if row["kept"] else "native-new"


def program_row(figures, row):
    program, key = row["program"], row["row"]
    if "missing" in row:
        return [row["label"], row["isolation"], "not available: " + row["missing"].replace("|", " ")]

    def get(field):
        return figures.of(program, key, field)
    native, p50 = figures.of(program, reference(row), "p50"), get("p50")
    pages = get("copied_pages")
    return [row["label"], row["isolation"], number(get("avg")), number(p50),
            number(p50 / native) if native else "", number(get("p90")), number(get("p99")),
            number(get("max")), number(get("rate")), number(get("rate8")),
            number(get("rss_kib") / 1024), number(pages * 4) if pages is not None else ""]


def profile(figures, program):
    """Where -e's time goes, as counters have it."""
    def get(row, field):
        return figures.of(program, row, field)
    if get("ephemeral", "exits") is None or get("native-new", "p50") is None:
        return "Without a measurement of `-e` there is no profile."
    rows = [[what, number(value), unit] for what, value, unit in (
        ("native, new connections: p50", get("native-new", "p50"), "us"),
        ("`-e`, 1 worker: p50", get("ephemeral", "p50"), "us"),
        ("in the program's machine, by kvmserver's clock (mean)", get("ephemeral", "guest_us"), "us"),
        ("exits of a request", get("ephemeral", "exits"), ""),
        ("by what an exit costs here", get("ephemeral", "exits_us"), "us"),
        ("page faults of a request", get("ephemeral", "faults"), ""),
        ("ioctls of a vCPU but KVM_RUN", get("ephemeral", "vcpu_ioctls"), ""),
        ("reset, after the answer (mean)", get("ephemeral", "reset_us"), "us"),
        ("pages copied by the reset", get("ephemeral", "copied_pages"), ""))]
    calls = figures.result.get("calls", {}).get(program)
    if calls:
        rows.append(["system calls of a request in a plain machine, new connections",
                     ", ".join("%s %s" % (number(n), name) for name, n in calls.items()), ""])
    return table("| where the time goes | | |", rows)


def ahead(figures, program):
    """Which contenders that isolate requests have a lower median than -e."""
    ours = figures.of(program, "ephemeral", "p50")
    found = []
    for row in figures.result["rows"]:
        if row["program"] == program and row["isolation"] in APART and "rounds" in row:
            theirs = figures.of(program, row["row"], "p50")
            base = figures.of(program, "ephemeral-kept", "p50") if row["kept"] else ours
            if theirs and base and theirs < base:
                found.append("%s (%s us, `-e` %s us)" % (row["label"], number(theirs), number(base)))
    if not ours:
        return ""
    return "Isolates requests, too, and has the lower median: " + "; ".join(found) + "." if found \
        else "No contender that isolates requests has a lower median."


def reasons():
    """{program: text}"""
    with open(os.path.join(BENCH, "reasons.md")) as f:
        parts = re.split(r"^## (\S+)\n", f.read(), flags=re.M)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2])))


def filled(text, figures, program):
    """{row.field} and {row.field/row.field} by their figures."""
    def value(term):
        if term.startswith("micro:"):
            return figures.part(term[6:])
        row, field = term.rsplit(".", 1)
        return figures.of(program, row, field)

    def put(found):
        values = [value(term) for term in found.group(1).split("/")]
        if None in values or len(values) == 2 and not values[1]:
            return "(not measured)"
        return number(values[0] / values[1] if len(values) == 2 else values[0])
    return re.sub(r"\{((?:micro:[\w-]+|[\w-]+\.\w+)(?:/[\w-]+\.\w+)?)\}", put, text)


def program_section(figures, program):
    rows = [r for r in figures.result["rows"] if r["program"] == program.key]
    if not rows:
        return "### %s\n\nNot measured in this run." % program.title
    behind = "#### Where we lose to native, and why: %s\n\n%s\n\n%s" % (
        program.title, profile(figures, program.key),
        filled(reasons().get(program.key, ""), figures, program.key))
    return "### %s\n\n%s\n\n%s\n\n%s" % (
        program.title, table(HEAD, [program_row(figures, row) for row in rows]),
        ahead(figures, program.key), behind)


FAMILIES = (  # tables of their own: what they depend on, and their columns
    ("pages changed", ("reset", "memcpy", "reset-copied")),
    ("image, MiB", ("freeze", "fork", "fork-first-run")),
    ("forks", ("forks-made", "forks-request", "forks-memory", "forks-kernel-memory")))


def family_table(figures, x_name, names):
    """A line for each x; in brackets by how much it is more than the host's own operation."""
    def cell(name, x):
        value, base = figures.part(name, x), NAMES[name][1]
        other = base and (figures.part(base, x) or figures.part(base))
        return number(value) + (" (%s x)" % number(value / other) if value and other else "")

    missing = [figures.parts[name, 0]["missing"] for name in names
               if "missing" in figures.parts.get((name, 0), {})]
    if missing:
        return "Not available: " + missing[0]
    columns = ["%s, %s%s" % (NAMES[name][0], unit, " (by %s)" % NAMES[name][1] if NAMES[name][1] else "")
               for name in names for unit in [next(
                   (m["unit"] for m in figures.result["micro"] if m["name"] == name), "")]]
    xs = sorted({m["x"] for m in figures.result["micro"] if m["name"] in names})
    return table("| %s | %s |" % (x_name, " | ".join(columns)),
                 [[str(x)] + [cell(name, x) for name in names] for x in xs])


def parts_table(figures):
    rows = []
    grouped = [name for _, names in FAMILIES for name in names]
    for entry in figures.result["micro"]:
        what, base = NAMES.get(entry["name"], (entry["name"], None))
        if entry["name"] in grouped:
            continue
        if "missing" in entry:
            rows.append([what, "not available: " + entry["missing"]])
            continue
        value = median(entry["rounds"])
        other = base and figures.part(base)
        rows.append([what, number(value), entry["unit"],
                     "%s x %s" % (number(value / other), base) if other else ""])
    return "\n\n".join([table("| what | median | unit | by the host's own |", rows)] +
                       [family_table(figures, *family) for family in FAMILIES])


def scaling_table(figures):
    names = {"workers": "`-e`, C server: requests/s with so many workers",
             "connections-p50": "p50 of one client with so many connections open",
             "connections-rss": "kvmserver's memory with so many connections open",
             "idle-memory": "anonymous memory of kvmserver with one idle fork of Deno; each further one",
             "idle-kernel-memory": "memory of the host's kernel for the same"}
    return table("| what | of | median | unit |", [
        [names[e["name"]], str(e["x"]), "not available: " + e["missing"], ""] if "missing" in e else
        [names[e["name"]], str(e["x"]), number(median(e["rounds"])), e["unit"]]
        for e in sorted(figures.result["scaling"], key=lambda e: (e["name"], e["x"]))])


def machine(result):
    host, options = result["host"], result["options"]
    return ("%s, %d processors%s, %s MiB of memory, %s, KVM flavour `%s`. Servers and load are %s. Load average "
            "before and after: %s, %s. Measured on %s, commit %s, in %d s: %d rounds, %.1f s for each load, %d warm-up "
            "requests.%s" % (
                host["processor"], host["processors"], " (a virtual machine)" if host["virtual"] else "",
                "{:,}".format(host["memory_mib"]), host["kernel"], host["kvm"],
                "on processors of their own" if host["pinned"] else
                "not pinned: there are too few processors, and they disturb each other",
                host["load"], host["load_after"], result["date"], host["commit"], result["seconds"],
                options["rounds"], options["slice"], options["warmup"],
                " **A `--quick` run: a check that it works, not a measurement.**"
                if result["quick"] else ""))


def page(result, drawn):
    figures = Figures(result)
    with open(os.path.join(BENCH, "benchmarks.md.in")) as f:
        text = f.read()
    pictures = dict(drawn)
    for name in re.findall(r"@chart-(\w+)@", text):
        text = text.replace("@chart-%s@" % name, "![%s](benchmarks/%s.svg)" % (pictures[name], name)
                            if name in pictures else "(No chart: no data, or no gnuplot.)")
    return text.replace("@machine@", machine(result)) \
        .replace("@rows@", ", ".join(row.label for row in COMMON)) \
        .replace("@programs@", "\n\n".join(program_section(figures, p) for p in PROGRAMS.values())) \
        .replace("@parts@", parts_table(figures)).replace("@scaling@", scaling_table(figures))


def write(result):
    text = page(result, charts.draw(result, PROGRAMS.values()))
    with open(PAGE, "w") as f:
        f.write(text)
    print("written: " + os.path.relpath(PAGE), flush=True)
