# SPDX-License-Identifier: BSD-2-Clause
"""outside.py: what is measured from outside of the instances: CPU time, system calls, starts."""
import os
import re
import subprocess
import tempfile
import time

from session import BUILD, CPUS, Session, app, process

VM_MEMORY = 16 << 20


def distribution(case, instances, unit, values, **more):
    """A record of single values, not bracketed: the placement of two processors has no part in it."""
    values = sorted(values)

    def at(part):
        return values[min(int(len(values) * part), len(values) - 1)]

    return {"bench": "pingpong", "case": case, "instances": instances, "unit": unit,
            "n": len(values), "min": values[0], "p50": at(.5), "p99": at(.99), "p999": at(.999),
            "max": values[-1], "floor_p50": None, "ratio": None, "exits_per_op": None,
            "runs_kept": len(values), "runs_discarded": 0, **more}


def cpu_seconds(pid):
    """CPU time of all threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def idle(kind, seconds):
    """CPU of an adaptive receiver to which nothing comes, in % of one CPU, second by second."""
    shares = []
    with Session.pair(kind, ["rounds=1", "cases=idle-cpu", f"seconds={seconds}"]) as session:
        for line in session.lines():
            if "idle begin" not in line:
                continue
            pid = session.instance_pid("pong")
            last, since = cpu_seconds(pid), time.monotonic()
            for _ in range(seconds - 1):
                time.sleep(1)
                used, now = cpu_seconds(pid), time.monotonic()
                shares.append(100 * (used - last) / (now - since))
                last, since = used, now
    return distribution("idle-cpu", kind, "%", shares)


def syscalls_per_op():
    """System calls a round trip: what a run of a million has more than one without, by strace."""
    counts = []
    for cases in ("none", "million"):
        with tempfile.NamedTemporaryFile(prefix="isthmus-strace-") as log:
            wrap = ["strace", "-f", "-qq", "-o", log.name]
            try:
                with Session.pair("process", ["rounds=1", f"cases={cases}"], wrap) as session:
                    for _ in session.lines():
                        pass
            except RuntimeError:
                return None
            with open(log.name) as text:
                counts.append(sum(1 for _ in text))
    return max(0, counts[1] - counts[0]) / 1e6


def resident(pid):
    """KiB resident beyond guest RAM and the group's memory."""
    total, counted = 0, True
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            mapping = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
            if mapping:
                size = int(mapping.group(2), 16) - int(mapping.group(1), 16)
                guest = size == VM_MEMORY and not mapping.group(3).startswith("/usr")
                counted = not guest and "memfd:" not in mapping.group(3)
            elif line.startswith("Rss:") and counted:
                total += int(line.split()[1])
    return total


def vm_start(count):
    """From exec of isthmus-vm to the application's first line, as its reader sees it."""
    image = os.path.abspath(f"{BUILD}/bench/hello.app")
    keeper = process("keeper", CPUS, ["sleep", "60"])
    hello = app("hello", CPUS[0], image, []) + "    autostart: false\n"
    times, sizes = [], []
    with Session([keeper, hello]) as session:
        socket = f"{session.directory}/bench.sock"
        while not os.path.exists(socket):
            time.sleep(.01)
        for _ in range(count):
            start = time.monotonic()
            vm = subprocess.Popen([f"{BUILD}/isthmus-vm", "--name", "hello", "--image", image,
                                   "--memory", str(VM_MEMORY), "--cpus", str(CPUS[0]),
                                   "--group", f"bench={socket}"],
                                  stdout=subprocess.PIPE)
            if vm.stdout.readline() != b"hello\n":
                raise RuntimeError("the VM did not say hello")
            times.append((time.monotonic() - start) * 1000)
            sizes.append(resident(vm.pid) / 1024)
            vm.kill()
            vm.wait()
        session.stop()
    return [distribution("vm-start", "app-vm", "ms", times),
            distribution("vm-resident", "app-vm", "MiB", sizes)]
