# SPDX-License-Identifier: BSD-2-Clause
"""adapt.py: the benchmark of changing patterns: how soon an adaptive cell is as fast as the fixed policy that fits."""
import os
import re
import statistics
import sys

from placement import Placement
from session import BUILD, CPUS, Session, app, process

BIN_MS = 5  # as in app_adapt.c
PATTERNS = {"reads": "99 % reads", "flight": "operations in flight", "own": "own words"}
FIXED = {1: "read-mostly", 2: "migratory", 5: "delegated"}
WITHIN = 0.85  # of the best fixed policy
TOGETHER = 2  # bins that count as one: a tick of the host's is nothing then
SIZES = (40, 4096)
ROUNDS = 8
MS = 150


def parse(line):
    found = re.search(r"\bchange (size=.*)$", line)
    if not found:
        return None
    fields = dict(field.split("=", 1) for field in found.group(1).split())
    return {k: v if k in ("policy", "pattern", "bins") else int(v) for k, v in fields.items()} | \
        {"bins": [int(n) for n in fields["bins"].split(",")]}


def lines_of(kind, *arguments):
    """What two instances say, as runs; and what else they say."""
    program = os.path.abspath(f"{BUILD}/bench/adapt")
    if kind == "process":
        instances = [process(f"i{i}", [cpu], [program, *arguments]) for i, cpu in enumerate(CPUS)]
    else:
        instances = [app(f"i{i}", cpu, program + ".app", arguments) for i, cpu in enumerate(CPUS)]
    runs, words = [], []
    with Session(instances, ["--no-kvm"] if kind == "process" else []) as session:
        for line in session.lines():
            run = parse(line)
            if run:
                runs.append(run)
            else:
                words.append(line)
    return runs, words


def rate(bins):
    """Million operations a second."""
    return sum(bins) / (len(bins) * BIN_MS * 1000)


def settled(run):
    """The rate in the last third of the pattern, when whatever is to change has changed."""
    bins = run["bins"]
    return rate(bins[-max(1, len(bins) // 3):])


def soon(run, best):
    """ms until the rate is within so much of the best; None: never."""
    bins = run["bins"]
    for i in range(len(bins) - TOGETHER + 1):
        if rate(bins[i:i + TOGETHER]) >= WITHIN * best:
            return i * BIN_MS
    return None


def change(rounds, phase):
    """What became of one change of pattern, over the rounds: {policy: run of that phase} each."""
    pairs = []
    for runs in rounds:
        name, best = max(((n, settled(runs[n])) for n in FIXED.values()), key=lambda pair: pair[1])
        mine = runs["adaptive"]
        pairs.append({"best": name, "best_rate": best, "rate": settled(mine), "ratio": settled(mine) / best,
                      "ms": soon(mine, best), "now": FIXED.get(mine["now"], "?"), "switches": mine["switches"],
                      "switched": mine["switched_ns"] / 1e6 if mine["switched_ns"] else None})
    reached = sorted(p["ms"] for p in pairs if p["ms"] is not None)
    switched = [p["switched"] for p in pairs if p["switched"] is not None]
    ratios = [p["ratio"] for p in pairs]
    run = rounds[0]["adaptive"]
    return {"bench": "adapt", "phase": phase, "unit": "ms", "instances": "app-vm", "n": len(pairs),
            "case": f"{run['size']}-to-{run['pattern']}-{phase}", "size": run["size"], "pattern": run["pattern"],
            "best": statistics.mode(p["best"] for p in pairs), "now": statistics.mode(p["now"] for p in pairs),
            "best_rate": statistics.median(p["best_rate"] for p in pairs),
            "rate": statistics.median(p["rate"] for p in pairs),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            "min": reached[0] if reached else None, "p50": statistics.median(reached) if reached else None,
            "p99": None, "p999": None, "max": reached[-1] if reached else None, "reached": len(reached),
            "switches": statistics.median(p["switches"] for p in pairs),
            "switched_ms": statistics.median(switched) if switched else None,
            "switched_max_ms": max(switched) if switched else None,
            "floor_p50": None, "exits_per_op": None, "runs_kept": len(pairs), "runs_discarded": 0}


def records(runs):
    """Of runs of one size. A round counts when all of it was in the usual placement."""
    placement, rounds = Placement(), {}
    for run in runs:
        placement.seen(run["before"], run["after"])
        rounds.setdefault(run["round"], []).append(run)
    kept = [r for r in rounds.values() if all(placement.usual(run["before"], run["after"]) for run in r)]
    made = []
    for phase in sorted({run["phase"] for run in runs}) if kept else []:
        of_phase = [{run["policy"]: run for run in r if run["phase"] == phase} for r in kept]
        made.append(change(of_phase, phase) | {"runs_discarded": len(rounds) - len(kept)})
    return made, placement


def show(made, out=sys.stdout):
    row = "{:<6}{:<22}{:<18}{:>8}{:>12}{:>8}{:>10}{:>14}  {}"
    print(row.format("size", "pattern", "best fixed", "M/s", "adaptive", "ratio", "switches", "switched, ms",
                     f"within {1 - WITHIN:.0%}, ms (most)"), file=out)
    for r in made:
        switched = "-" if r["switched_ms"] is None else f"{r['switched_ms']:.0f} ({r['switched_max_ms']:.0f})"
        reached = "never" if r["p50"] is None else f"{r['p50']:.0f} ({r['max']:.0f})" + \
            ("" if r["reached"] == r["n"] else f" in {r['reached']} of {r['n']}")
        print(row.format(r["size"], PATTERNS[r["pattern"]], r["best"], f"{r['best_rate']:.1f}", f"{r['rate']:.1f}",
                         f"{r['ratio']:.2f}", f"{r['switches']:.0f}", switched, reached + f", then {r['now']}"),
              file=out)


def run(quick, say):
    if not os.path.exists("/dev/kvm"):
        say("no /dev/kvm: changes of pattern are not measured")
        return []
    made = []
    for size in SIZES:
        say(f"adapt: a cell of {size} bytes, {2 if quick else ROUNDS} rounds")
        runs, words = lines_of("app-vm", f"size={size}", f"rounds={2 if quick else ROUNDS}", f"ms={MS}")
        for line in words:
            print(line, file=sys.stderr)
        wrong = [r for r in runs if r["wrong"]]
        if wrong:
            raise RuntimeError(f"the result is wrong: {wrong[0]}")
        of_size, placement = records(runs)
        made += of_size
        say(placement.describe())
    show(made)
    return made
