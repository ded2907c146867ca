#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""coherence.py: the benchmark of contention gives right results under every strategy; TAP on stdout.

Each load runs under each strategy for a moment: counts add up, and no instance reads what nobody wrote. That
these checks can fail is tested too: with a wrong word in each record, every case must say so. No time is looked
at.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
from coherence import Contention, Team, configuration
from runs import parse
from session import CPUS, Session, end_on_signals
from tap import end, skip, test

SPIN = ["ttas", "ttas-packed", "ticket", "ticket-packed", "mcs", "seqlock", "doorbell"]
LIBC = ["mutex", "robust", "rwlock"]
CELLS = ["cell-reads", "cell-migratory", "cell-adaptive", "cell-replica"]
LOADS = {  # strategies beside the locks and the cells with sections
    "alone-read": ["plain"], "alone-write": ["plain"],
    "words-line": ["plain", "private", "atomic", "message", "cell-merged"],
    "words-page": ["plain", "private", "atomic", "message", "cell-merged"],
    "record-40": ["private", "message"], "record-64": ["private", "message"],
    "record-4096": ["private", "message"],
    "handover-40": ["bound"], "handover-4096": ["bound"],
    "latest": ["message", "cell-latest"],
    "reads-90": ["private", "message"], "reads-99": ["private", "message"],
    "reads-999": ["private", "message"],
    "counter": ["private", "atomic", "message"], "counter-flight": ["private", "atomic", "message"],
    "hot-4096": ["private", "message"], "hot-flight": ["private", "message"], "table": ["private", "message"],
}


def runs_of(team, *arguments):
    """{case: its run}; whatever else the instances say."""
    instances, options = configuration(team, ["rounds=1", "ms=1", "untimed=1", *arguments])
    runs, words = {}, []
    with Session(instances, options) as session:
        for line in session.lines():
            run = parse(line)
            if run:
                runs[run["case"]] = run
            elif "error" in line:
                words.append(line)
    return runs, words


def expected(team, load):
    shipped = [] if load.startswith("handover") else ["cell-delegated"]
    return LOADS[load] + SPIN + CELLS + shipped + (LIBC if team.kind == "process" else [])


def wrong(run):
    if run is None:
        return "did not run"
    if run["torn"] or run["wrong"]:
        return f"{run['torn']:.0f} torn reads, {run['wrong']:.0f} wrong words"
    return None if run["n"] > 0 else "no operation was done"


def right(team, what, least):
    try:
        runs, words = runs_of(team, f"least={least}")
    except RuntimeError as error:
        runs, words = {}, [str(error)]
    for load in LOADS:
        found = {s: wrong(runs.get(f"{load}/{s}")) for s in expected(team, load)}
        test(f"{what}: {load} comes out right in every way to share",
             [f"{s}: {why}" for s, why in found.items() if why] + words)
    known = {f"{load}/{s}" for load in LOADS for s in expected(team, load)}
    test(f"{what}: nothing ran that this test does not know", sorted(set(runs) - known))


def spoiled(team, what):
    runs, words = runs_of(team, "spoil=1", "least=100")
    cases = {f"{load}/{s}" for load in LOADS for s in expected(team, load)}
    test(f"{what}: a wrong word in the record is found at the end", words +
         sorted(c for c in cases if c not in runs or not runs[c]["wrong"]))
    # Where every word is counted up, the wrong one stays wrong, and each read meets it.
    reads = {c for c in cases if c.startswith("reads-") or c.startswith("table")}
    test(f"{what}: and by who reads it", sorted(c for c in reads if c in runs and not runs[c]["torn"]))


def line(case, unit, before, after, **values):
    fields = dict.fromkeys(("n", "rate", "min", "p50", "p99", "p999", "max", "samples", "wait50", "wait99",
                            "wait999", "fair", "ns", "exits", "torn", "wrong"), 1) | values
    return f"i0 | run case={case} unit={unit} before={before} after={after} " + \
        " ".join(f"{k}={v}" for k, v in fields.items())


def records():
    """From lines to figures: made-up runs whose figures are known."""
    team = Team("process", 2, (0, 1))
    collection = Contention()
    for rate in (10, 30, 20):
        collection.add(line("counter/ttas", "M/s", 200, 200, rate=rate), team)
    collection.add(line("counter/ttas", "M/s", 200, 500, rate=999), team)
    for number, (plain, lock) in enumerate(((2, 6), (4, 7), (3, 6))):
        for name, p50 in (("plain", plain), ("ttas", lock)):
            collection.add(line(f"alone-read/{name}", "ns", 200, 200, p50=p50), team)
            collection.runs[f"alone-read/{name}", team][-1]["round"] = (1, number)
    for p50, n in ((125, 5), (175, 5), (9e9, 0)):
        collection.add(line("handover-40/mcs", "ns", 200, 200, p50=p50, samples=n), team)
    for runs in collection.runs.values():
        for run in runs:
            run |= {"cpu": 4e-9, "n": 2, "exits": 1}
    made = {r["case"]: r for r in collection.records()}

    def same(case, **figures):
        return [f"{case}: {key} is {made[case].get(key)}, not {value}" for key, value in figures.items()
                if made[case].get(key) != value]

    test("records: the median of the runs in one placement; operations a bare round trip",
         same("counter/ttas", p50=20, ratio=4, runs_kept=3, runs_discarded=1, floor_p50=200,
              cpu_ns_per_op=2, cpus_burnt=4, exits_per_op=.5))
    test("records: a section is compared with the plain one of its round",
         same("alone-read/ttas", p50=6, over_floor_ns=3, ratio=2, floor_p50=3))
    test("records: a hand-over with one way; a run without any has no say",
         same("handover-40/mcs", p50=150, floor_p50=100, ratio=1.5, samples=10))


def main():
    end_on_signals()
    records()
    pair = {kind: Team(kind, 2, tuple(CPUS)) for kind in ("process", "app-vm")}
    four = {kind: Team(kind, 4, tuple(CPUS)) for kind in pair}
    for kind, name in (("process", "processes"), ("app-vm", "app VMs")):
        if kind == "app-vm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            skip("contention between app VMs", "no /dev/kvm")
            continue
        right(pair[kind], f"two {name}", 1000)
        spoiled(pair[kind], f"two {name}")
        right(four[kind], f"four {name} on two CPUs", 10)
    return end()


if __name__ == "__main__":
    sys.exit(main())
