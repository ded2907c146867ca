#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py: the test bed for Linux guests: prepares what is booted, finds a machine, runs the job in it.

  tests/linux/run.py [--only GLOB] [--start N] [--quick] [--keep] [--level direct|nested] [--job tests|boot|demo]

Prints TAP (the jobs boot and demo: their figures); exit status 77 with the reason when it cannot run
here. The machine is this one where its KVM runs Linux guests, else the first level: QEMU's emulation
of a processor with nested page tables, with Debian's kernel and this machine's root. See README.md.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import images
import machines

HERE = os.path.dirname(os.path.abspath(__file__))
INSIDE = os.path.join(HERE, "inside.py")
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
LIMIT = {"tests": 600, "boot": 600, "demo": 180}  # seconds on an idle machine; something hangs


def say(text):
    print(text, flush=True)


# ---- What is booted -----------------------------------------------------------------------------

def built(path):
    path = os.path.join(BUILD, path)
    if not os.path.exists(path):
        raise images.Missing(f"{path} is not built (make linux-build)")
    return path


def prepare():
    """The job's view of what there is: all paths."""
    known = images.Images(BUILD)
    agent = built("linux/guest_agent")
    programs = [built(f"static/{path}") for path in ("bench/pingpong", "tests/vm/exchange",
                                                     "tests/linux/ring")]
    programs += [path for path in sorted(glob.glob(f"{BUILD}/linux/guest_*"))
                 if path != agent and "." not in os.path.basename(path)]
    modules = [known.module(built(f"drivers/{name}.ko")) for name in ("isthmus", "isthmus_selftest")]
    return known, {
        "build": BUILD, "tree": os.path.dirname(os.path.dirname(HERE)),
        "isthmus": built("isthmus"), "vm": built("isthmus-vm"), "qemu": shutil.which("qemu-system-x86_64"),
        "version": known.version, "bzimage": known.bzimage, "vmlinux": known.vmlinux,
        "initrd": known.guest("guest", agent, programs, modules),
        "small_initrd": known.guest("small", agent),
    }


# ---- The machine --------------------------------------------------------------------------------

def runs_linux_here(job):
    """Does this machine's KVM run a Linux guest? Tried, with one."""
    with open("/proc/cpuinfo") as lines:
        words = set(lines.read().split())
    if not words & {"vmx", "svm"} or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    guest = machines.Guest("probe", machines.ours(job["vm"], "probe", job["vmlinux"], job["small_initrd"]))
    try:
        guest.wait_up(20)
        return True
    except machines.Failed:
        return False
    finally:
        guest.end()


def first_level(known, folder):
    """The first level's command line: two nodes, so that placement can be tested."""
    return [images.qemu(), "-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt", "-smp", "2",
            "-m", "8G", "-object", "memory-backend-ram,id=n0,size=6G",
            "-object", "memory-backend-ram,id=n1,size=2G",
            "-numa", "node,nodeid=0,memdev=n0,cpus=0-1", "-numa", "node,nodeid=1,memdev=n1",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", known.bzimage, "-initrd", known.first(INSIDE),
            "-append", f"console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable job={folder}",
            "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
            "-virtfs", f"local,path={folder},mount_tag=job,security_model=none",
            "-serial", f"file:{folder}/first-level.log", "-serial", "stdio"]


class Watchdog:
    """Calls `act` when alive() has not been called for so long."""

    def __init__(self, seconds, act):
        self.seconds, self.act = seconds, act
        self.timer = None
        self.alive()

    def cancel(self):
        self.timer.cancel()

    def alive(self):
        if self.timer:
            self.timer.cancel()
        self.timer = threading.Timer(self.seconds, self.act)
        self.timer.daemon = True
        self.timer.start()


CRASHES = 4 # of the first level, in one run
STALL = 60  # seconds without a sign of life from it, on an idle machine


def run_nested(known, folder, limit, keep):
    """Where the first level itself crashes or stands still, the scenarios go on in a new one, from
    the one that ran; not a third time in the same. Whose fault that is, is not known yet: the
    emulation's is likely."""
    reached, planned = [], Plan()
    for _ in range(CRASHES):
        ended, done = run_level(known, folder, limit, keep, planned)
        if ended is not None:
            return ended
        reached.append(max([done, *reached]))
        if reached.count(reached[-1]) == 3:
            break
        with open(f"{folder}/first-level.log", errors="replace") as log:
            panic = [line.strip() for line in log if "Kernel panic" in line]
        say(f"# the first level {panic[-1] if panic else 'stood still'}: going on in a new one")
        with open(f"{folder}/job.json") as text:
            job = json.load(text)
        with open(f"{folder}/job.json", "w") as out:
            json.dump(dict(job, done=reached[-1]), out)
    with open(f"{folder}/first-level.log", errors="replace") as log:
        for line in log.read().splitlines()[-60:]:
            say(f"# first level: {line}")
    if not planned.count:
        say("Bail out! the first level did not come up")
        return 1
    for number in range(reached[-1] + 1, planned.count + 1):
        say(f"ok {number} - one more # SKIP the emulated machine fell over too often")
    return 0


class Plan:
    """How many scenarios there are."""
    count = 0


def run_level(known, folder, limit, keep, planned):
    """Its status (None: it did not come to its end) and the number of the last scenario that did."""
    level = subprocess.Popen(first_level(known, folder), stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, # what TCG lacks of this processor
                             stdin=None if keep else subprocess.DEVNULL)
    timer = threading.Timer(limit, level.kill)
    stall = Watchdog(STALL * machines.patience, level.kill)
    try:
        if not keep:
            timer.start()
        return relay(level.stdout, stall.alive, planned)
    finally:
        timer.cancel()
        stall.cancel()
        level.kill()
        level.wait()
        shutil.copy(f"{folder}/first-level.log", known.folder)


def run_direct(folder, limit, keep):
    process = subprocess.Popen([sys.executable, "-u", INSIDE, folder], stdout=subprocess.PIPE,
                               stdin=None if keep else subprocess.DEVNULL)
    timer = threading.Timer(limit, process.terminate)
    try:
        if not keep:
            timer.start()
        ended, _ = relay(process.stdout)
        process.wait()
    finally:
        timer.cancel()
        process.terminate()
        process.wait()
    return 1 if ended is None else ended


def relay(stream, alive=lambda: None, planned=None):
    """Passes on what the job says. Its last line is its status, for this script; None: there was none.
    And the number of the last scenario that has been reported."""
    status, done = None, 0
    for line in iter(stream.readline, b""):
        text = line.decode(errors="replace").rstrip("\r\n")
        alive()
        if planned and re.match(r"1\.\.\d+$", text):
            planned.count = int(text[3:])
        report = re.match(r"(?:not )?ok (\d+)", text)
        if report:
            done = int(report.group(1))
        if text.startswith("status "):
            status = int(text.split()[1])
        elif text != machines.BEAT:
            say(text)
    return status, done


def main():
    parser = argparse.ArgumentParser(description="Runs Linux guests under isthmus-vm.")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it (a glob)")
    parser.add_argument("--keep", action="store_true", help="do not end: take commands for the guests")
    parser.add_argument("--start", type=int, default=1, help="number of the first scenario to run")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--level", choices=("direct", "nested"), help="default: tried")
    parser.add_argument("--job", choices=tuple(LIMIT), default="tests")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        images.qemu()
        known, job = prepare()
    except images.Missing as reason:
        say(f"1..0 # SKIP {reason}" if options.job == "tests" else f"cannot run here: {reason}")
        return 77
    direct = options.level == "direct" or (not options.level and runs_linux_here(job))
    patience = max(1.5, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    machines.patience = patience
    job.update(only=options.only, keep=options.keep, quick=options.quick, job=options.job, direct=direct, patience=patience,
               done=options.start - 1)
    limit = LIMIT[options.job] * patience
    with tempfile.TemporaryDirectory(prefix="ist-linux.") as folder:
        with open(f"{folder}/job.json", "w") as out:
            json.dump(job, out)
        if options.job != "boot":
            say("# Linux guests run on this machine's own KVM" if direct else
                "# this machine's KVM does not run Linux guests: they run in the test bed, under "
                "QEMU's emulation of a processor with nested page tables (20 to 40 times slower)")
        if direct:
            return run_direct(folder, limit, options.keep)
        return run_nested(known, folder, limit, options.keep)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
