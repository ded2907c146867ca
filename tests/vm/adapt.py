#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""adapt.py: the benchmark of changing patterns gives right results under every policy; TAP on stdout.

That its check can fail is tested too, and from lines to figures what is made of them. No time is looked at.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
import adapt
from session import end_on_signals
from tap import end, test

POLICIES = {"adaptive", *adapt.FIXED.values()}
PHASES = ["reads", "flight", "own", "flight", "reads", "own", "reads"]


def used(kind, size):
    """Every policy goes through every pattern, does something in each, and the words add up."""
    runs, words = adapt.lines_of(kind, f"size={size}", "ms=10")
    seen = {(r["policy"], r["phase"]): r for r in runs}
    why = [f"{policy} did not do {pattern} ({i})" for policy in sorted(POLICIES) for i, pattern in enumerate(PHASES)
           if (policy, i) not in seen or seen[policy, i]["pattern"] != pattern or not sum(seen[policy, i]["bins"])]
    why += [f"{policy}: {r['wrong']} wrong" for (policy, _), r in seen.items() if r["wrong"]]
    why += [f"{policy} was switched" for (policy, _), r in seen.items() if policy != "adaptive" and r["switches"]]
    test(f"{kind}, {size} bytes: every policy comes out right in every pattern", why + words)
    return runs


def spoiled():
    runs, words = adapt.lines_of("process", "ms=5", "spoil=1")
    test("one addition too many is found under every policy",
         words + sorted(POLICIES - {r["policy"] for r in runs if r["wrong"]}))


def line(policy, phase, pattern, bins, **more):
    fields = {"size": 40, "policy": policy, "round": 0, "phase": phase, "pattern": pattern, "wrong": 0, "before": 200,
              "after": 200, "now": 5, "switches": 0, "switched_ns": 0} | more
    return "i0 | change " + " ".join(f"{k}={v}" for k, v in fields.items()) + " bins=" + ",".join(map(str, bins))


def figures():
    """Made-up runs whose figures are known: 10 M/s are 50,000 in a bin."""
    runs = []
    for number, far in ((0, 200), (1, 200), (2, 200), (3, 900)):
        at = {"round": number, "before": far, "after": far}
        runs += [line("read-mostly", 0, "flight", [5000] * 9, **at), line("migratory", 0, "flight", [20000] * 9, **at),
                 line("delegated", 0, "flight", [1000] * 6 + [50000] * 3, **at),
                 line("adaptive", 0, "flight", [20000] * 4 + [40000, 46000, 45000, 45000, 45000], switches=1,
                      switched_ns=18000000 + number * 1000000, **at)]
    made, _ = adapt.records([adapt.parse(text) for text in runs])
    want = {"best": "delegated", "best_rate": 10, "rate": 9, "ratio": 0.9, "p50": 20, "max": 20, "n": 3, "switches": 1,
            "switched_ms": 19, "switched_max_ms": 20, "now": "delegated", "runs_kept": 3, "runs_discarded": 1}
    test("records: the best fixed policy, when the adaptive one is near it, and the placement",
         [f"{k} is {made[0].get(k)}, not {v}" for k, v in want.items() if made[0].get(k) != v])
    slow = [adapt.parse(text) for text in runs if "adaptive" not in text]
    slow += [adapt.parse(line("adaptive", 0, "flight", [40000] * 9, round=i)) for i in range(3)]
    made, _ = adapt.records([r for r in slow if r["round"] < 3])
    test("records: who never gets there has no time",
         [f"{k} is {made[0].get(k)}" for k in ("p50", "max", "switched_ms") if made[0].get(k) is not None])


def main():
    end_on_signals()
    figures()
    used("process", 4096)
    spoiled()
    if os.path.exists("/dev/kvm"):
        used("app-vm", 40)
    return end()


if __name__ == "__main__":
    sys.exit(main())
