# SPDX-License-Identifier: BSD-2-Clause
"""coherence.py: the benchmark of contention: its sessions, and the records their "run" lines make."""
import os
import re
import statistics
import sys
from collections import namedtuple

from outside import cpu_seconds
from runs import Collection
from session import BUILD, CPUS, Session, app, process

# How many instances of which kind, and on which CPUs: instance i runs on CPU i modulo their number.
Team = namedtuple("Team", "kind count cpus")

TOP_UPS = 5
ROUNDS = 9
MS = 10  # a run's length; longer where instances take turns on a CPU, which take milliseconds
MS_CROWDED = 100
SESSION_SECONDS = 1800
# What taking turns on a CPU does to, one way or another: hand-over, throughput, readers, requests.
CROWD_LOADS = ("handover-40", "record-40", "reads-99", "counter-flight")


def crowded(team):
    return team.count > len(team.cpus)


def describe(team):
    kind = {"app-vm": "app VMs", "process": "processes"}[team.kind]
    a_cpu = f"{team.count // len(team.cpus)} a CPU" if crowded(team) else "one a CPU"
    return f"{team.count} {kind}, {a_cpu}"


def configuration(team, arguments):
    """The team's instances for an `isthmus up`, and its options."""
    program = os.path.abspath(f"{BUILD}/bench/coherence")
    words = [f"of={team.count}", f"crowded={int(crowded(team))}", *arguments]
    members = [(f"i{i}", team.cpus[i % len(team.cpus)]) for i in range(team.count)]
    if team.kind == "process":
        return [process(name, [cpu], [program, *words]) for name, cpu in members], ["--no-kvm"]
    return [app(name, cpu, program + ".app", words) for name, cpu in members], []


class Contention(Collection):
    """Runs by (case, team). A run knows its session and round, so that runs of one round compare."""

    def __init__(self):
        super().__init__()
        self.sessions = 0
        self.reasons = {}  # strategy -> why it cannot be in app VMs

    def session(self, team, rounds, ms, cases=()):
        self.sessions += 1
        arguments = [f"rounds={rounds}", f"ms={ms}"]
        if cases:
            arguments.append("cases=" + ",".join(cases))
        instances, options = configuration(team, arguments)
        seen = {}
        cpu = pids = begin = None
        with Session(instances, options, SESSION_SECONDS) as session:
            for line in session.lines():
                if "begin case=" in line:
                    pids = pids or [session.instance_pid(f"i{i}") for i in range(team.count)]
                    begin = sum(map(cpu_seconds, pids))
                elif "end case=" in line:
                    cpu = sum(map(cpu_seconds, pids)) - begin
                elif self.add(line, team):
                    self.finish(line, team, cpu, seen)
                elif skip := re.search(r"skip strategy (\S+): (.*)", line):
                    self.reasons[skip.group(1)] = skip.group(2)
                else:
                    print(line, file=sys.stderr)

    def finish(self, line, team, cpu, seen):
        """What the line does not say of the run it tells of."""
        case = re.search(r"case=(\S+)", line).group(1)
        run = self.runs[case, team][-1]
        seen[case] = seen.get(case, 0) + 1
        run |= {"cpu": cpu, "round": (self.sessions, seen[case])}
        if run["torn"] or run["wrong"]:
            raise RuntimeError(f"{case}, {describe(team)}: the result is wrong: {line}")

    def kept(self, case, team):
        """Where instances take turns on a CPU, a line's way is nothing beside a turn: every run counts."""
        return self.runs.get((case, team), []) if crowded(team) else super().kept(case, team)

    def record(self, case, team):
        kept, every = self.kept(case, team), self.runs[case, team]
        load, strategy = case.split("/")
        record = {"bench": "coherence", "case": case, "load": load, "strategy": strategy,
                  "instances": team.kind, "count": team.count, "cpus": len(team.cpus),
                  "pinning": f"instance i on CPU i mod {len(team.cpus)} of " + ", ".join(map(str, team.cpus)),
                  "unit": every[0]["unit"], "n": int(sum(r["n"] for r in kept)),
                  "runs_kept": len(kept), "runs_discarded": len(every) - len(kept)}
        # In a run too short for a single hand-over there is nothing to take a percentile of.
        runs = [r for r in kept if record["unit"] == "M/s" or r["samples"]]
        if not runs:
            return record | dict.fromkeys(("min", "p50", "p99", "p999", "floor_p50", "ratio",
                                           "exits_per_op"))
        value = "rate" if record["unit"] == "M/s" else "p50"
        middle = {key: statistics.median(r[key] for r in runs)
                  for key in ("rate", "p99", "p999", "max", "wait50", "wait99", "wait999", "fair")}
        values = [r[value] for r in runs]
        record |= {"min": min(values), "p50": statistics.median(values), "p50_min": min(values),
                   "p50_max": max(values), "rate": middle["rate"], "fairness": middle["fair"],
                   "p99": None, "p999": None}
        if value == "p50":
            record |= {key: middle[key] for key in ("p99", "p999")}
        if value == "p50" and not load.startswith("alone"):
            record |= {"max": middle["max"], "samples": int(sum(r["samples"] for r in runs))}
        if load.startswith("handover"):
            record |= {f"wait_{p}": middle[f"wait{p[1:]}"] for p in ("p50", "p99", "p999")}
        return record | self.compared(load, team, runs) | self.spent(load, runs)

    def compared(self, load, team, runs):
        """With the floor: the plain section of the same round, or the bare lines around the run."""
        bare = [(r["before"] + r["after"]) / 2 for r in runs]
        more = {"bracket_p50": statistics.median(bare)}
        if runs[0]["unit"] == "M/s":  # operations a bare round trip
            floors, ratios = bare, [r["rate"] * b / 1000 for r, b in zip(runs, bare)]
        elif load.startswith("alone"):
            plain = {r["round"]: r["p50"] for r in self.kept(f"{load}/plain", team)}
            pairs = [(r["p50"], plain[r["round"]]) for r in runs if r["round"] in plain]
            floors, ratios = [p for _, p in pairs], [mine / p for mine, p in pairs]
            if pairs:
                more["over_floor_ns"] = statistics.median(mine - p for mine, p in pairs)
        else:  # one way
            floors = [b / 2 for b in bare]
            ratios = [r["p50"] / f for r, f in zip(runs, floors)]
        if not ratios:
            return more | {"floor_p50": None, "ratio": None}
        return more | {"floor_p50": statistics.median(floors), "ratio": statistics.median(ratios),
                       "ratio_min": min(ratios), "ratio_max": max(ratios)}

    @staticmethod
    def spent(load, runs):
        """CPU time and exits. What one instance does alone is over before that can be told."""
        ops = sum(r["n"] for r in runs)
        known = all(r["exits"] >= 0 for r in runs) and ops
        spent = {"exits_per_op": sum(r["exits"] for r in runs) / ops if known else None}
        if not load.startswith("alone"):
            spent |= {"cpu_ns_per_op": statistics.median(r["cpu"] * 1e9 / max(r["n"], 1) for r in runs),
                      "cpus_burnt": statistics.median(r["cpu"] * 1e9 / r["ns"] for r in runs)}
        return spent


def with_floor(cases):
    """A section compares with the plain one of its round."""
    return sorted(set(cases) | {c.split("/")[0] + "/plain" for c in cases if c.startswith("alone")})


def contend(collection, teams, rounds, top_ups, ms, loads, say):
    for team in teams:
        length = MS_CROWDED if crowded(team) and ms == MS else ms
        say(f"{describe(team)}: {rounds} rounds of {length} ms a case")
        collection.session(team, rounds, length, loads)
        cases = [case for case, who in collection.runs if who == team]
        for _ in range(top_ups):
            wanting = collection.wanting(cases, team)
            if not wanting:
                break
            say(f"{describe(team)}: again, for {len(wanting)} cases that ran in other placements")
            collection.session(team, rounds, length, with_floor(wanting))


def run(teams, quick, say, loads=()):
    collection = Contention()
    if not os.path.exists("/dev/kvm"):
        say("no /dev/kvm: processes only")
        teams = [t for t in teams if t.kind == "process"]
    contend(collection, teams, 3 if quick else ROUNDS, 0 if quick else TOP_UPS, 5 if quick else MS, loads,
            say)
    for strategy, reason in collection.reasons.items():
        say(f"app VMs: no {strategy}: {reason}")
    say(collection.placement.describe())
    return collection.records()


def pairs():
    return [Team(kind, 2, tuple(CPUS)) for kind in ("app-vm", "process")]


def crowds(say):
    """Four and eight instances: one a CPU where there are so many, and taking turns on two."""
    every = sorted(os.sched_getaffinity(0))
    teams = []
    for count in (4, 8):
        for kind in ("app-vm", "process"):
            if len(every) >= count:
                teams.append(Team(kind, count, tuple(every[:count])))
            teams.append(Team(kind, count, tuple(CPUS)))
        if len(every) < count:
            say(f"{count} instances, one a CPU: left out, this machine has {len(every)} CPUs")
    return teams
