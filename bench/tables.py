# SPDX-License-Identifier: BSD-2-Clause
"""tables.py: records for people."""
import sys

from runs import KEPT


def figure(value, digits=None):
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def exits(value):
    return "-" if value is None else "0" if value == 0 else f"{value:.1g}" if value < 0.1 \
        else f"{value:.2f}"


def table(records, out=sys.stdout):
    head = ("case", "instances", "unit", "p50", "floor", "ratio", "p99", "p99.9", "exits/op",
            "runs")
    rows = []
    for r in records:
        few = "" if r["runs_kept"] >= KEPT or r.get("floor_p50") is None else " (few)"
        rows.append((r["case"], r["instances"], r["unit"], figure(r["p50"]),
                     figure(r["floor_p50"]), figure(r["ratio"], 2), figure(r["p99"]),
                     figure(r["p999"]), exits(r["exits_per_op"]),
                     f"{r['runs_kept']}/{r['runs_kept'] + r['runs_discarded']}{few}"))
    widths = [max(len(row[i]) for row in rows + [head]) for i in range(len(head))]
    for row in [head] + rows:
        print("  ".join(cell.ljust(w) if i < 3 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(row, widths))).rstrip(), file=out)
    for r in records:
        for kind, times in r.get("times_ours", {}).items():
            print(f"{r['case']}: {times:.2f} times as long as ours ({kind})", file=out)
        if "exits_per_million" in r:
            print(f"{r['case']}, {r['instances']}: VM exits in a million: "
                  f"{', '.join(map(str, r['exits_per_million']))}", file=out)
        if r.get("syscalls_per_op") is not None:
            print(f"{r['case']}, {r['instances']}: system calls in a million: "
                  f"{r['syscalls_per_op'] * 1e6:.0f}", file=out)


def demo(records, placement, out=sys.stdout):
    """The few figures that a newcomer wants."""
    by_case = {r["case"]: r for r in records if r["runs_kept"]}
    some = next(iter(by_case.values()), None)
    if some is None:
        print("No run was in the usual placement of the processors: try again.", file=out)
        return
    what = {"app-vm": "two virtual machines", "process": "two processes"}[some["instances"]]

    def line(label, *cells):
        print(f"  {label:<12}" + "".join(f"{cell:>16}" for cell in cells), file=out)

    print(f"\nBetween {what}, through shared memory (medians):\n", file=out)
    line("round trip", "message", "bare lines", "ratio", "99 % under")
    for size in (8, 56, 256, 4096):
        r = by_case.get(f"rtt-{size}-poll")
        if r:
            line(f"  {size:,} bytes", f"{r['p50']:,.0f} ns", f"{r['floor_p50']:,.0f} ns",
                 f"{r['ratio']:.2f}", f"{r['p99']:,.0f} ns")
    print(file=out)
    line("one way", "messages", "bytes", "bare sweep", "ratio")
    for size, label in ((8, "8 bytes"), (64, "64 bytes"), (65536, "64 KiB")):
        r = by_case.get(f"oneway-{size}-poll")
        if not r:
            continue
        per_second = r["p50"] * 1e6 if r["unit"] == "M/s" else r["p50"] * 1e9 / size
        bare = (f"{r['floor_p50']:.1f} GB/s", f"{r['ratio']:.2f}") if r["unit"] == "GB/s" \
            else ("", "")
        line("  " + label, f"{per_second / 1e6:,.2f} M/s", f"{per_second * size / 1e9:.1f} GB/s",
             *bare)
    print(file=out)
    r = by_case.get("million")
    if r and r["exits_per_op"] is not None:
        print(f"  VM exits: {r['exits_per_op'] * 1e6:,.0f} in a million round trips of 8 bytes "
              f"(the host's interrupts)", file=out)
    kept = sum(r["runs_kept"] for r in records)
    print(f"  {kept} runs; {sum(r['runs_discarded'] for r in records)} more, which the host ran on "
          f"other processors, left out", file=out)
    print(f"  {placement.describe()}", file=out)
