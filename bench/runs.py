# SPDX-License-Identifier: BSD-2-Clause
"""runs.py: "run" lines become records: the median of the runs in the usual placement."""
import re
import statistics

from placement import Placement

KEPT = 7  # runs a figure stands on, at least


def parse(line):
    """A "run" line's fields, or None."""
    found = re.search(r"\brun (case=.*)$", line)
    if not found:
        return None
    run = dict(field.split("=", 1) for field in found.group(1).split())
    return {k: v if k in ("case", "unit") else float(v) for k, v in run.items()}


class Collection:
    """Runs by (case, instances), and the records they make."""

    def __init__(self):
        self.runs = {}
        self.placement = Placement()
        self.exits = {}  # (case, instances) -> per operation, counted over a long run

    def add(self, line, instances):
        run = parse(line)
        if run is None:
            return False
        self.placement.seen(run["before"], run["after"])
        self.runs.setdefault((run["case"], instances), []).append(run)
        return True

    def kept(self, case, instances):
        return [r for r in self.runs.get((case, instances), [])
                if self.placement.usual(r["before"], r["after"])]

    def wanting(self, cases, instances):
        return [c for c in cases if len(self.kept(c, instances)) < KEPT]

    def exits_per_op(self, case, instances, runs):
        if (case, instances) in self.exits:
            return self.exits[case, instances]
        counted = [r for r in runs if r.get("exits", -1) >= 0]
        if not counted:
            return None
        return max(sum(r[side] for r in counted) for side in ("exits", "exits_peer")) / \
            sum(r["n"] for r in counted)

    def record(self, case, instances):
        runs = self.kept(case, instances)
        every = self.runs[case, instances]
        record = {"bench": "pingpong", "case": case, "instances": instances,
                  "unit": every[0]["unit"], "n": int(sum(r["n"] for r in runs)),
                  "runs_kept": len(runs), "runs_discarded": len(every) - len(runs)}
        if not runs:
            return record | dict.fromkeys(("min", "p50", "p99", "p999", "floor_p50", "ratio",
                                           "exits_per_op"))
        p50 = [r["p50"] for r in runs]
        floors = [(r["before"] + r["after"]) / 2 for r in runs]
        ratios = [a / b for a, b in zip(p50, floors)]
        if record["unit"] == "M/s":  # messages a bare round trip
            ratios = [a * b / 1000 for a, b in zip(p50, floors)]
        record |= {"min": min(r["min"] for r in runs), "p50": statistics.median(p50),
                   "p50_min": min(p50), "p50_max": max(p50),
                   "p99": statistics.median(r["p99"] for r in runs),
                   "p999": statistics.median(r["p999"] for r in runs),
                   "bracket_p50": statistics.median(floors),
                   "floor_p50": statistics.median(floors), "ratio": statistics.median(ratios),
                   "ratio_min": min(ratios), "ratio_max": max(ratios),
                   "exits_per_op": self.exits_per_op(case, instances, runs)}
        if record["unit"] == "GB/s":
            self.against_sweep(record, instances)
        return record

    def against_sweep(self, record, instances):
        """Bulk compares with the bare sweep of the same round, not with a round trip."""
        sweeps = self.runs.get(("sweep-65536", instances), [])
        mine = self.runs[record["case"], instances]
        kept = [(s["p50"], m["p50"]) for s, m in zip(sweeps, mine)
                if all(self.placement.usual(r["before"], r["after"]) for r in (s, m))]
        if kept:
            ratios = [m / s for s, m in kept]
            record |= {"floor_p50": statistics.median(s for s, m in kept),
                       "ratio": statistics.median(ratios), "ratio_min": min(ratios),
                       "ratio_max": max(ratios)}

    def records(self):
        return [self.record(*key) for key in self.runs]
