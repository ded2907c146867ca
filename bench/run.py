#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py: runs the benches, throws away what ran in another placement, writes results.json.

    run.py [--quick] [BENCH...]     pingpong and coherence without a name; $BUILD says where the build is
    run.py --report INSTANCES       the demo's table, from the "run" lines on stdin

docs/benchmarks.md tells the method and how to read the figures.
"""
import argparse
import json
import os
import re
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import adapt
import coherence
import coherence_show
import outside
import overcommit
import pages
from runs import KEPT, Collection
from session import BUILD, Session, end_on_signals, machine
from tables import demo, table

TOP_UPS = 5  # further sessions for cases that have fewer
RTT = [f"rtt-{size}-{mode}" for mode in ("poll", "adaptive") for size in (8, 56, 256, 4096)]
CASES = RTT + ["rtt-8-sendrecv", "rtt-56-sendrecv", "oneway-8-poll", "oneway-64-poll", "sweep-65536", "oneway-65536-poll",
               "doorbell-wake"]
RINGS = [f"rtt-{size}-{ring}" for size in (8, 56) for ring in ("rte_ring", "ck_ring", "channel")]


def pingpong_session(collection, instances, cases, rounds, **options):
    with Session.pair(instances, [f"rounds={rounds}", "cases=" + ",".join(cases)],
                      **options) as session:
        for line in session.lines():
            if not collection.add(line, instances) and re.search(r"error|pingpong:", line):
                print(line, file=sys.stderr)


def rings_session(collection, rounds):
    with Session.single([f"{BUILD}/bench/rings", str(rounds)]) as session:
        for line in session.lines():
            if not collection.add(line, "process") and re.search(r"skip|rings:", line):
                print(line)


def million(collection, instances):
    """Exits over a million round trips, in the instance that had more of them."""
    long = Collection()
    pingpong_session(long, instances, ["million"], 3)
    runs = long.runs.get(("million", instances), [])
    if not runs or runs[0]["exits"] < 0:
        return {}
    worst = [max(r["exits"], r["exits_peer"]) for r in runs]
    collection.exits["rtt-8-poll", instances] = statistics.median(worst) / runs[0]["n"]
    return {"exits_per_million": [round(exits / r["n"] * 1e6) for exits, r in zip(worst, runs)]}


def compare(records):
    """How many times longer than ours a ring takes, both in bare round trips of their own runs."""
    ratio = {(r["case"], r["instances"]): r["ratio"] for r in records}
    for record in records:
        size, _, ring = record["case"].removeprefix("rtt-").partition("-")
        if ring not in ("rte_ring", "ck_ring") or record["ratio"] is None:
            continue
        record["times_ours"] = {kind: record["ratio"] / ours for kind in ("app-vm", "process")
                                if (ours := ratio.get((f"rtt-{size}-poll", kind)))}


def pingpong(quick):
    collection = Collection()
    rounds = 3 if quick else 9
    kinds = ["process"] if not os.path.exists("/dev/kvm") else ["app-vm", "process"]
    extra = {}
    records = []
    if kinds[0] != "app-vm":
        print("no /dev/kvm: processes only", file=sys.stderr)
    for kind in kinds:
        say(f"{kind}: {len(CASES)} cases, {rounds} rounds")
        pingpong_session(collection, kind, CASES, rounds)
    say("rings: rte_ring, ck_ring, channel between two threads")
    rings_session(collection, rounds)
    for _ in range(0 if quick else TOP_UPS):
        for kind in kinds:
            cases = collection.wanting(CASES, kind)
            if "oneway-65536-poll" in cases or "sweep-65536" in cases:  # they go together
                cases = sorted(set(cases) | {"oneway-65536-poll", "sweep-65536"},
                               key=CASES.index)
            if cases:
                say(f"{kind}: again, for {len(cases)} cases that ran in other placements")
                pingpong_session(collection, kind, cases, rounds)
        if any(collection.wanting([c], "process") for c in RINGS
               if (c, "process") in collection.runs):
            say("rings: again")
            rings_session(collection, rounds)
    for kind in kinds:
        say(f"{kind}: exits over a million round trips, system calls, idle receiver")
        extra["rtt-8-poll", kind] = million(collection, kind)
        if kind == "process":
            extra["rtt-8-poll", kind] = {"syscalls_per_op": outside.syscalls_per_op()}
        records.append(outside.idle(kind, 2 if quick else 10))
    if "app-vm" in kinds:
        say("app-vm: start")
        records += outside.vm_start(10 if quick else 50)
    records = collection.records() + records
    compare(records)
    for record in records:
        record |= extra.get((record["case"], record["instances"]), {})
    say(collection.placement.describe())
    return records


BENCHES = {
    "pingpong": pingpong,
    "coherence": lambda quick: coherence.run(coherence.pairs(), quick, say),
    "pages": lambda quick: pages.run(quick, say),
    "adapt": lambda quick: adapt.run(quick, say),
    "overcommit": lambda quick: overcommit.run(quick, say),
    "coherence-crowds": lambda quick: coherence.run(coherence.crowds(say), quick, say, coherence.CROWD_LOADS),
    "coherence-crowds-all": lambda quick: coherence.run(coherence.crowds(say), quick, say),
}
USUAL = ("pingpong", "coherence", "pages")  # the others take long: by name only


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def report(instances):
    """The demo's end: passes on what is not a run, then shows what the runs say."""
    collection = Collection()
    for line in sys.stdin:
        if not collection.add(line.rstrip(), instances):
            print(line, end="", flush=True)
    if not collection.runs:
        return 1
    demo(collection.records(), collection.placement)
    return 0


def main():
    parser = argparse.ArgumentParser(prog="bench/run.py")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", choices=("app-vm", "process"))
    parser.add_argument("bench", nargs="*")
    arguments = parser.parse_args()
    end_on_signals()
    if arguments.report:
        return report(arguments.report)
    for name in arguments.bench:
        if name not in BENCHES:
            parser.error(f"no bench '{name}'; there is {', '.join(BENCHES)}")
    about = machine()
    records = []
    for name in arguments.bench or USUAL:
        records += [about | r for r in BENCHES[name](arguments.quick)]
    path = f"{BUILD}/bench/results.json"
    with open(path, "w") as out:
        json.dump(records, out, indent=1)
        out.write("\n")
    contention = [r for r in records if r["bench"] == "coherence"]
    others = [r for r in records if r["bench"] not in ("coherence", "adapt", "overcommit")]  # these have tables of their own
    if others:
        table(others)
    if contention:
        coherence_show.show(contention, say)
    print(f"{len(records)} records in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
