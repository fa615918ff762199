# SPDX-License-Identifier: MIT
"""Is it slower, or is it noise? Comparing the results of runs.

What is compared is, for each row, the ratio to the native program (or to an operation of the host) measured in the same
round, so that a host that is slower today does not count; and for the references themselves nothing.

- The test is Mann and Whitney's, exact, two-sided: it asks only for the order of the values, so one round that was
  disturbed does not decide. The values are rounds; with eight files or more on each side, the medians of the files: rounds
  of one run share what is decided once in a run (where memory lies, what was compiled), which only more runs can show.
- Hundreds of rows are compared at once. Benjamini and Hochberg's procedure keeps the expected share of false alarms
  among all alarms below FALSE_ALARMS.
- A difference must also be large enough to matter: EFFECT.
- Counters are not noisy: what one request takes is compared as it is, from COUNTER_EFFECT on.
"""
import functools
import math

FALSE_ALARMS = 0.05
EFFECT = 0.10
RUNS = 8  # fewer than this cannot be told from chance among so many rows
COUNTER_EFFECT = 0.05
COUNTER_SLACK = 0.2  # of one exit, one page: what single requests of a round may add to a mean
COUNTERS = ("exits", "faults", "vcpu_ioctls", "copied_pages")


def median(values):
    values = sorted(values)
    n = len(values)
    return (values[n // 2] + values[(n - 1) // 2]) / 2 if n else float("nan")


@functools.lru_cache(maxsize=None)
def ways(n, m, u):
    """Orders of n and m values in which the second comes first u times."""
    if u < 0:
        return 0
    if not n or not m:
        return int(u == 0)
    return ways(n - 1, m, u - m) + ways(n, m - 1, u)


def mann_whitney(a, b):
    """Two-sided probability that values in so lopsided an order come from one distribution. Ties count half, and the
    half is rounded towards the middle: with ties the result is too large rather than too small.
    """
    n, m = len(a), len(b)
    if not n or not m:
        return 1.0
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    u = min(u, n * m - u)
    below = sum(ways(n, m, k) for k in range(math.ceil(u) + 1))
    return min(1.0, 2 * below / math.comb(n + m, n))


def discoveries(p_values, rate=FALSE_ALARMS):
    """Benjamini-Hochberg: for each, whether it is one."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    last = -1
    for rank, i in enumerate(order):
        if p_values[i] <= rate * (rank + 1) / len(p_values):
            last = rank
    found = [False] * len(p_values)
    for i in order[:last + 1]:
        found[i] = True
    return found


def reference_row(row):
    if row["row"] in ("native-kept", "native-new"):
        return None
    return "native-kept" if row["kept"] else "native-new"


def measures(result):
    """{name: (values, whether more is worse)} of a run, as ratios to the references of the same rounds."""
    found = {}
    rows = {(r["program"], r["row"]): r for r in result["rows"] if "rounds" in r}
    for (program, key), row in rows.items():
        base = rows.get((program, reference_row(row)))
        if not base:
            continue
        for field, worse in (("p50", True), ("p99", True), ("rate8", False)):
            values = [r[field] / b[field] for r, b in zip(row["rounds"], base["rounds"])
                      if field in r and b.get(field)]
            if values:
                found["%s/%s %s" % (program, key, field)] = (values, worse)
    parts = {(m["name"], m["x"]): m["rounds"] for m in result["micro"] if "rounds" in m}
    references = {name: reference for name, (_, reference) in names().items()}
    for (name, x), values in parts.items():
        base = parts.get((references.get(name), x)) or parts.get((references.get(name), 0))
        if base:
            found["%s(%d)" % (name, x)] = ([v / b for v, b in zip(values, base) if b], True)
    return found


def names():
    from micro import NAMES
    return NAMES


def counters(result):
    """{(program, row, counter): of one request}, medians."""
    return {(row["program"], row["row"], name):
            median([r["counters"].get(name, 0.0) for r in row["rounds"]])
            for row in result["rows"] if row.get("rounds") and "counters" in row["rounds"][0]
            for name in COUNTERS}


def values_of(results, name, by_run):
    found = [m[name] for m in map(measures, results) if name in m]
    if by_run:
        return [median(values) for values, _ in found]
    return [value for values, _ in found for value in values]


def compare(old, new):
    """Lists of results. [(name, old median, new median, p, "worse" | "better" | "")], and the same for counters."""
    first, last = measures(old[0]), measures(new[0])
    shared = [name for name in first if name in last]
    by_run = min(len(old), len(new)) >= RUNS
    sides = [(values_of(old, name, by_run), values_of(new, name, by_run)) for name in shared]
    p_values = [mann_whitney(a, b) for a, b in sides]
    table = []
    for name, (a, b), p, real in zip(shared, sides, p_values, discoveries(p_values)):
        change = median(b) / median(a) - 1 if median(a) else 0.0
        verdict = ""
        if real and abs(change) >= EFFECT:
            verdict = "worse" if (change > 0) == first[name][1] else "better"
        table.append((name, median(a), median(b), p, verdict))
    return table, compare_counters(counters(old[0]), counters(new[0]))


def compare_counters(old, new):
    table = []
    for key in old:
        if key in new:
            a, b = old[key], new[key]
            far = abs(b - a) > COUNTER_EFFECT * a + COUNTER_SLACK
            table.append(("%s/%s %s" % key, a, b, 0.0,
                          ("worse" if b > a else "better") if far else ""))
    return table
