# SPDX-License-Identifier: BSD-2-Clause
"""overcommit.py: the benchmark of the run-state page: what is done with it and without, where busy instances outnumber processors."""
import collections
import os
import re
import statistics
import sys

from session import BUILD, CPUS, Session, app, process

SECONDS = 10
GROUPS = """\
groups:
  - {name: blind, run_state: false, regions: [{name: main, size: 1M}]}
  - {name: page, run_state: true, regions: [{name: main, size: 1M}]}
instances:
"""
# ns in a section (None: pairs, over channels), ns of work between, instances
LOADS = [(None, 1000, 4), (None, 5000, 4), (None, 20000, 4), (None, 40000, 4), (None, 100000, 4),
         (1000, 1000, 4), (5000, 5000, 4), (20000, 20000, 4), (40000, 40000, 4), (100000, 100000, 4),
         (100000, 300000, 4), (300000, 100000, 4), (1000000, 3000000, 4), (20000, 20000, 8), (40000, 40000, 8)]


def players(kind, hold, work, count):
    program = os.path.abspath(f"{BUILD}/bench/overcommit")
    for i in range(count):
        # Neighbours are a pair, and on different processors: 0 and 1, then 1 and 0.
        role, cpu = ("crowd", i) if hold else (("ping", "pong")[i % 2], i + i // 2)
        words = [role, f"instances={count}", f"seconds={SECONDS}", f"work={work}"] + ([f"hold={hold}"] if hold else [])
        cpu = CPUS[cpu % len(CPUS)]
        if kind == "process":
            yield process(f"i{i}", [cpu], [program, *words], "blind, page")
        else:
            yield app(f"i{i}", cpu, program + ".app", words, "blind, page")


class Outcome:
    """What the instances say: how much in which quarter; how often the records were held, and what is in them."""

    def __init__(self, reporters):
        self.reporters = reporters
        self.quarters = collections.defaultdict(list)
        self.made, self.is_there = 0, {}

    def add(self, line):
        found = re.search(r"\b(quarters at|made|record) ?=?(\d+)(?: blind=(\d+) page=(\d+)| is (\d+))?$", line)
        if not found:
            print(line, file=sys.stderr)
        elif found[1] == "quarters at":
            self.quarters[found[2]].append((int(found[3]), int(found[4])))
        elif found[1] == "made":
            self.made += int(found[2])
        else:
            self.is_there[found[2]] = max(self.is_there.get(found[2], 0), int(found[5]))

    def pairs(self):
        """Of all of them together, the quarters in which all were there: (without, with)."""
        return [tuple(map(sum, zip(*quarter))) for quarter in self.quarters.values() if len(quarter) == self.reporters]


def measure(kind, hold, work, count):
    outcome = Outcome(count if hold else count // 2)
    with Session(players(kind, hold, work, count), ["--no-kvm"] if kind == "process" else [], groups=GROUPS) as session:
        for line in session.lines():
            outcome.add(line)
    if outcome.made != sum(outcome.is_there.values()):
        raise RuntimeError(f"sections were lost: {outcome.made} were made, the records say {outcome.is_there}")
    pairs = [p for p in outcome.pairs() if p[0]]
    if not pairs:
        raise RuntimeError("no quarter was measured")
    ratios = sorted(page / blind for blind, page in pairs)
    blind, page = (sum(p[i] for p in pairs) / (len(pairs) * 0.25) for i in (0, 1))
    # The record is always held, or all processors are always at work.
    limit = min(1e9 / hold, len(CPUS) * 1e9 / (hold + work)) if hold else None
    what = f"section-{hold // 1000}-{work // 1000}" if hold else f"pairs-{work // 1000}"
    return {"bench": "overcommit", "case": f"{what}-{count}", "instances": kind, "unit": "/s", "hold_ns": hold, "work_ns": work,
            "count": count, "n": len(pairs), "p50": page, "without": blind, "limit": limit,
            "ratio": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1]}


def show(records, out=sys.stdout):
    row = "{:<10}{:<22}{:>10}{:>12}{:>12}{:>12}{:>8}  {}"
    print(row.format("instances", "use", "work, us", "without /s", "with /s", "limit /s", "ratio", "of quarters"), file=out)
    for r in records:
        use = f"section of {r['hold_ns'] / 1000:g} us" if r["hold_ns"] else "round trip of a pair"
        limit = f"{r['limit']:,.0f}" if r["limit"] else "-"
        print(row.format(f"{r['count']} {r['instances']}", use, f"{r['work_ns'] / 1000:g}", f"{r['without']:,.0f}",
                         f"{r['p50']:,.0f}", limit, f"{r['ratio']:.2f}",
                         f"{r['ratio_min']:.2f} to {r['ratio_max']:.2f}, {r['n']} pairs"), file=out)


def run(quick, say):
    kind = "app-vm" if os.path.exists("/dev/kvm") else "process"
    records = []
    for hold, work, count in LOADS[::4] if quick else LOADS:
        say(f"overcommit: {count} instances, work {work} ns" + (f", sections {hold} ns" if hold else ", pairs"))
        records.append(measure(kind, hold, work, count))
    show(records)
    return records
