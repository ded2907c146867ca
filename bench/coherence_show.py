# SPDX-License-Identifier: BSD-2-Clause
"""coherence_show.py: the records of the benchmark of contention for people: tables and a plot."""
import os
import shutil
import subprocess
import sys

from session import BUILD
from tables import exits, figure

PLOT = """\
set terminal svg size 1400,900 dynamic background "white"
set output "{output}"
set multiplot layout 2,1 title "{title}"
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8
set logscale y
set grid ytics
set key outside right
set datafile missing "-"
set xtics rotate by -20
colours = "{colours}"
set ylabel "million operations/s"
plot for [i=2:{columns}] "{rates}" using i:xtic(1) title columnheader(i) linecolor rgb word(colours, i - 1)
set ylabel "ns from release to first access"
set style histogram clustered gap 2
plot for [i=2:4] "{handovers}" using i:xtic(1) title columnheader(i)
unset multiplot
"""

# Twenty that can be told apart.
COLOURS = ("#808080 #c0c0c0 #e6194b #3cb44b #aaffc3 #4363d8 #42d4f4 #000075 #f58231 #911eb4 #f032e6 #fabed4 "
           "#9a6324 #ffe119 #808000 #000000 #469990 #dcbeff #800000 #bfef45")


def teams(records):
    """[(heading, its records)]"""
    grouped = {}
    for r in records:
        if r["count"] > r["cpus"]:
            where = f"{r['count'] // r['cpus']} a CPU"
        else:
            where = "one a CPU"
        grouped.setdefault(f"{r['count']} {r['instances']}, {where}", []).append(r)
    return grouped.items()


def columns(rows, out):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip(), file=out)


def matrix(heading, records, key, show, out):
    """Loads in lines, strategies in columns."""
    loads = list(dict.fromkeys(r["load"] for r in records))
    strategies = list(dict.fromkeys(r["strategy"] for r in records))
    cell = {(r["load"], r["strategy"]): show(r[key]) for r in records if r.get(key) is not None}
    print(f"\n{heading}", file=out)
    columns([("", *strategies)] +
            [(load, *(cell.get((load, s), "") for s in strategies)) for load in loads], out)


def latencies(records, out):
    head = ("ns", "p50", "floor", "ratio", "p99", "p99.9", "max", "wait p50", "wait p99.9", "runs")
    rows = [(r["case"], figure(r["p50"]), figure(r["floor_p50"]), figure(r["ratio"], 2), figure(r["p99"]),
             figure(r["p999"]), figure(r.get("max")), figure(r.get("wait_p50")),
             figure(r.get("wait_p999")), f"{r['runs_kept']}/{r['runs_kept'] + r['runs_discarded']}")
            for r in records]
    print(file=out)
    columns([head] + rows, out)


def table(records, out=sys.stdout):
    for heading, mine in teams(records):
        print(f"\n==== {heading} ====", file=out)
        rates = [r for r in mine if r["unit"] == "M/s"]
        matrix("million operations/s", rates, "p50", figure, out)
        matrix("operations a bare round trip", rates, "ratio", lambda v: figure(v, 2), out)
        matrix("fairness: the slowest instance's share of the fastest one's", rates, "fairness",
               lambda v: figure(v, 2), out)
        matrix("CPU, ns an operation", rates, "cpu_ns_per_op", figure, out)
        matrix("VM exits an operation", rates, "exits_per_op", exits, out)
        latencies([r for r in mine if r["unit"] == "ns"], out)


def write_columns(path, rows):
    with open(path, "w") as out:
        for row in rows:
            print(*(f'"{cell}"' if isinstance(cell, str) and cell != "-" else cell for cell in row), file=out)


def plot_team(heading, records, name):
    rates = {(r["load"], r["strategy"]): r["p50"] for r in records if r["unit"] == "M/s" and r["p50"]}
    loads = list(dict.fromkeys(load for load, _ in rates))
    strategies = list(dict.fromkeys(strategy for _, strategy in rates))
    handovers = [r for r in records if r["load"] == "handover-40" and r["p50"]]
    base = f"{BUILD}/bench/{name}"
    write_columns(base + "-rates.dat", [("load", *strategies)] +
                  [(load, *(rates.get((load, s), "-") for s in strategies)) for load in loads])
    write_columns(base + "-handover.dat", [("strategy", "p50", "p99", "p99.9")] +
                  [(r["strategy"], r["p50"], r["p99"], r["p999"]) for r in handovers])
    script = PLOT.format(output=base + ".svg", title=heading, columns=len(strategies) + 1, colours=COLOURS,
                         rates=base + "-rates.dat", handovers=base + "-handover.dat")
    if not rates or not handovers:
        return None
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return base + ".svg"


def plots(records, say):
    if not shutil.which("gnuplot"):
        say("no plot: gnuplot is not installed (Debian: gnuplot-nox)")
        return
    for heading, mine in teams(records):
        r = mine[0]
        path = plot_team(heading, mine, f"coherence-{r['instances']}-{r['count']}-on-{r['cpus']}")
        say(f"plot: {path}" if path else f"no plot of {heading}: too few runs counted")


def show(records, say):
    table(records)
    os.makedirs(f"{BUILD}/bench", exist_ok=True)
    plots(records, say)
