# SPDX-License-Identifier: BSD-2-Clause
"""placement.py: which placement of the two processors a run had, told by its brackets.

A virtual machine's processors are moved about by its host: siblings of one core, two cores of one
cache, two caches. Nothing says so but the time a cache line takes. The bare round trips of all runs
are sorted into classes relative to each other; the usual class is the densest one beyond what
siblings take.
"""
import statistics

# Faster than that: two threads of one core, which take 50; two cores of one cache take 85 to 118, as their clocks are.
SIBLINGS_NS = 75
FAR = 1.4  # times the usual: two caches
AGREE = 1.12  # a run's two brackets differ by less


class Placement:
    def __init__(self):
        self.brackets = []
        self._floor = None

    def seen(self, *brackets):
        self.brackets += brackets
        self._floor = None

    def floor(self):
        """The usual bare round trip: the middle of the densest stretch of a factor 1.25."""
        if self._floor is None:
            self._floor = self._densest()
        return self._floor

    def _densest(self):
        values = sorted(v for v in self.brackets if v >= SIBLINGS_NS) or sorted(self.brackets)
        best = []
        for i, low in enumerate(values):
            inside = [v for v in values[i:] if v <= low * 1.25]
            if len(inside) > len(best):
                best = inside
        return statistics.median(best) if best else 0

    def class_of(self, value):
        floor = self.floor()
        if value < SIBLINGS_NS <= floor:
            return "siblings"
        if value > floor * FAR:
            return "far"
        return "usual" if value > floor / FAR else "near"

    def usual(self, before, after):
        return self.class_of(before) == self.class_of(after) == "usual" and \
            max(before, after) < min(before, after) * AGREE

    def describe(self):
        classes = [self.class_of(v) for v in self.brackets]
        count = {c: classes.count(c) for c in ("usual", "siblings", "near", "far") if c in classes}
        return f"bare round trip {self.floor():.0f} ns where it is usual; brackets: " + \
            ", ".join(f"{n} {c}" for c, n in count.items())
