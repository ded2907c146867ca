# SPDX-License-Identifier: BSD-2-Clause
"""pages.py: the benchmark of the page tier: what a miss costs beside bare faults, what a tenure is worth."""
import os
import re
import statistics
import subprocess
import tempfile
import time

from session import BUILD, CPUS

IMAGE = os.path.abspath(f"{BUILD}/bench/pages.app")
MEET = "{name: meet, size: 4K}"
SIZE = "2M"
GROUPS = {  # name -> its region "pages"
    "pages": f"{{name: pages, size: {SIZE}, coherence: page}}",
    "brief": f"{{name: pages, size: {SIZE}, coherence: page, tenure: 1us}}",
    "bare": f"{{name: pages, size: {SIZE}}}",
}
PATIENCE = 60


class Broker:
    """A context: an `isthmus up` of nothing but the groups, and the VMs started in it."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="isthmus-bench-")
        self.directory = self.folder.name
        lines = ["groups:"]
        for name, region in GROUPS.items():
            lines.append(f"  - {{name: {name}, vectors: 2, regions: [{MEET}, {region}]}}")
        lines.append("instances:")
        for name in ("a", "b"):
            lines.append(f"  - {{name: {name}, kind: app, image: {IMAGE}, memory: 16M, autostart: false,"
                         f" groups: [{', '.join(GROUPS)}]}}")
        with open(f"{self.directory}/c.yaml", "w") as out:
            out.write("\n".join(lines) + "\n")
        self.environment = dict(os.environ, ISTHMUS_RUNTIME_DIR=f"{self.directory}/run")
        self.up = subprocess.Popen([f"{BUILD}/isthmus", "up", "--quiet", f"{self.directory}/c.yaml"],
                                   env=self.environment)
        until = time.monotonic() + PATIENCE
        while not all(os.path.exists(f"{self.directory}/run/{g}.sock") for g in GROUPS):
            if self.up.poll() is not None or time.monotonic() > until:
                raise RuntimeError("isthmus up: no groups")
            time.sleep(0.005)
        self.vms = []
        return self

    def start(self, name, group, *words, under=()):
        program = list(under) or [f"{BUILD}/isthmus-vm"]
        command = [*program, "--name", name, "--image", IMAGE, "--memory", "16M", "--cpus",
                   str(CPUS[0 if name == "a" else 1]), "--group", f"{group}={self.directory}/run/{group}.sock",
                   "--stats", f"{self.directory}/stats.{name}", "--", words[0], group, *words[1:]]
        vm = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        self.vms.append(vm)
        return vm

    def end(self, vm):
        text = vm.communicate(timeout=PATIENCE)[0]
        if vm.returncode:
            raise RuntimeError(f"{' '.join(vm.args)}: status {vm.returncode}: {text}")
        return text

    def __exit__(self, kind, value, trace):
        for vm in self.vms:
            if vm.poll() is None:
                vm.kill()
                vm.wait()
        self.up.terminate()
        self.up.wait(PATIENCE)
        self.folder.cleanup()


def numbers(pattern, text):
    """The fields key=number of the line that has the pattern."""
    found = re.search(rf"{pattern}.*", text)
    if not found:
        raise RuntimeError(f"no '{pattern}' in: {text}")
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", found.group(0))}


def bare(kind):
    with Broker() as broker:
        text = broker.end(broker.start("b", "bare", "touch", under=[f"{BUILD}/bench/floor_pages", kind]))
        return numbers("visit", text) | numbers("floor faults", text)


def miss(before, how):
    """Pages that `before` has left, or holds; how the other one gets them."""
    with Broker() as broker:
        first = broker.start("a", "pages", before)
        if before == "own":
            broker.end(first)
        visit = numbers("visit", broker.end(broker.start("b", "pages", how)))
        if before == "hold":
            broker.end(first)
        return visit


def share(group, milliseconds):
    if group == "alone":  # in plain memory: what one of them does by itself
        return share("bare", milliseconds) / 2
    with Broker() as broker:
        sides = [broker.start(name, group, "share", str(i), str(milliseconds)) for i, name in enumerate("ab")]
        counts = [numbers("share", broker.end(side))["count"] for side in sides]
        return sum(counts) / milliseconds / 1000  # M/s


CASES = {  # name -> (how it is measured, its floor)
    "bare": (lambda: bare("free"), None),
    "bare-take": (lambda: bare("take"), None),
    "miss-free": (lambda: miss("own", "touch"), "bare"),
    "miss-take": (lambda: miss("hold", "touch"), "bare-take"),
    "miss-read": (lambda: miss("hold", "look"), "bare-take"),
}


def record(case, runs, floors):
    values = [r["p50"] for r in runs]
    out = {"bench": "pages", "case": case, "instances": "app-vm", "unit": "ns",
           "n": sum(r["n"] for r in runs), "min": min(r["min"] for r in runs),
           "p50": statistics.median(values), "p50_min": min(values), "p50_max": max(values),
           "p99": statistics.median(r["p99"] for r in runs), "p999": None, "floor_p50": None, "ratio": None,
           "exits_per_op": None, "runs_kept": len(runs), "runs_discarded": 0}
    for part in ("continue", "drop"):
        if part in runs[0]:
            out[f"{part}_p50"] = statistics.median(r[part] for r in runs)
    if floors:
        ratios = [a / b["p50"] for a, b in zip(values, floors)]
        out |= {"floor_p50": statistics.median(b["p50"] for b in floors), "ratio": statistics.median(ratios),
                "ratio_min": min(ratios), "ratio_max": max(ratios)}
    return out


def run(quick, say):
    if not os.path.exists("/dev/kvm"):
        say("no /dev/kvm: the page tier is not measured")
        return []
    rounds, length = (2, 100) if quick else (9, 500)
    say(f"pages: {rounds} rounds")
    runs = {case: [] for case in CASES}
    shared = {"alone": [], "brief": [], "pages": []}
    for _ in range(rounds):
        for case, (measured, _floor) in CASES.items():
            runs[case].append(measured())
        for group, rates in shared.items():
            rates.append(share(group, length))
    records = [record(case, runs[case], runs.get(floor)) for case, (_, floor) in CASES.items()]
    for group, case in (("brief", "share-no-tenure"), ("pages", "share")):
        rates = shared[group]
        ratios = [r / b for r, b in zip(rates, shared["alone"])]
        records.append({"bench": "pages", "case": case, "instances": "app-vm", "unit": "M/s",
                        "n": int(sum(rates) * length * 1000), "min": min(rates), "p50": statistics.median(rates),
                        "p50_min": min(rates), "p50_max": max(rates), "p99": None, "p999": None,
                        "floor_p50": statistics.median(shared["alone"]), "ratio": statistics.median(ratios),
                        "ratio_min": min(ratios), "ratio_max": max(ratios), "exits_per_op": None,
                        "runs_kept": len(rates), "runs_discarded": 0})
    return records
