# SPDX-License-Identifier: BSD-2-Clause
"""level.py: the first level, a machine that QEMU emulates, and what comes out of it. See README.md."""
import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading

import machines
import tsc

RUNNING = []  # what ends those that run
OVER = threading.Event()  # no more of them
FALLS = 3  # of first levels, in one share of the scenarios
STALL = 90  # seconds without a sign of life from one, on an idle machine
PROD = 0.5  # seconds between interrupts that no timer of its own makes


def command(job, folder):
    """Its command line: two nodes, so that placement can be tested. README.md has the reason for one CPU."""
    cpus = job["cpus"]
    return [job["qemu"], "-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt", "-smp", str(cpus),
            "-m", "8G", "-object", "memory-backend-ram,id=n0,size=6G",
            "-object", "memory-backend-ram,id=n1,size=2G",
            "-numa", ",".join(["node,nodeid=0,memdev=n0", *(f"cpus={cpu}" for cpu in range(cpus))]),
            "-numa", "node,nodeid=1,memdev=n1",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", job["vmlinux"], "-initrd", job["first_initrd"],
            # Without the cryptography's own tests, which prove nothing here.
            # On a busy machine emulated timers come too late for a kernel that measures its clock by them, or
            # checks them: one ran twelve times too fast, and thought its guests had locked up.
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests tsc=reliable "
            f"no_timer_check tsc_early_khz={tsc.khz()} job={folder}",
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


class Report:
    """What several machines say at the same time, in whole pieces: a scenario's lines come together
    with its result, and results are numbered in the order in which they come."""

    def __init__(self, planned, live=False):
        self.lock = threading.Lock()
        self.planned, self.live = planned, live
        self.count = self.passed = self.failed = 0

    def say(self, *lines):
        with self.lock:
            for line in lines:
                print(line, flush=True)

    def result(self, good, rest, lines=()):
        """`rest`: the scenario's name and what follows it; `lines` come before."""
        with self.lock:
            self.count += 1
            self.failed += not good
            self.passed += good and "# SKIP" not in rest
            for line in (*lines, f"{'ok' if good else 'not ok'} {self.count} - {rest}"):
                print(line, flush=True)


def relay(stream, report, job, alive=lambda: None):
    """Passes on what a job says; `job["done"]` counts the scenarios that have been reported.
    Its last line is its status, for this function's caller; None: there was none."""
    status, held = None, []
    for line in iter(stream.readline, b""):
        text = line.decode(errors="replace").rstrip("\r\n")
        alive()
        match = re.match(r"(not )?ok - (.*)", text)
        if match:
            report.result(not match[1], match[2], held)
            job["done"] += 1
            held = []
        elif text.startswith("status "):
            status = int(text.split()[1])
        elif text == machines.BEAT:
            pass
        elif report.live or not text.startswith("# "):
            report.say(text)
        else:
            held.append(text)
    report.say(*held)
    return status


def write_job(folder, job):
    with open(f"{folder}/job.json", "w") as out:
        json.dump(job, out)


def run_direct(folder, inside, job, limit, report):
    """The job on this machine's own KVM: its status."""
    write_job(folder, job)
    process = subprocess.Popen([sys.executable, "-u", inside, folder], stdout=subprocess.PIPE,
                               stdin=None if job["keep"] else subprocess.DEVNULL)
    RUNNING.append(process.terminate)
    timer = threading.Timer(limit, process.terminate)
    try:
        if not job["keep"]:
            timer.start()
        status = relay(process.stdout, report, job)
        process.wait()
    finally:
        timer.cancel()
        process.terminate()
        process.wait()
        RUNNING.remove(process.terminate)
    return 1 if status is None else status


def prod(level, keep):
    """QEMU now and then loses an interrupt (README.md). Where that was the timer's, and the first
    level has gone to sleep, it sleeps on until another comes: a byte on its serial line. What is
    typed goes the same way."""
    keyboard = [sys.stdin.fileno()] if keep else []
    while level.poll() is None:
        data = b"\n"
        if select.select(keyboard, [], [], PROD)[0]:
            data = os.read(keyboard[0], 4096)
            if not data:
                keyboard, data = [], b"end\n"
        try:
            level.stdin.write(data)
            level.stdin.flush()
        except OSError:
            return  # it has ended


def run_once(folder, job, limit, report):
    """The job in one first level: its status, or None where the level fell over, and why."""
    write_job(folder, job)
    level = subprocess.Popen(command(job, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)  # what TCG lacks of this processor
    RUNNING.append(level.kill)
    threading.Thread(target=prod, args=(level, job["keep"]), daemon=True).start()
    why = []

    def end(reason):
        why.append(reason)
        level.kill()

    timer = threading.Timer(limit, end, (f"had not ended after {limit:.0f} s",))
    stall = Watchdog(STALL * machines.patience, lambda: end("stood still"))
    try:
        if not job["keep"]:
            timer.start()
        status = relay(level.stdout, report, job, stall.alive)
    finally:
        timer.cancel()
        stall.cancel()
        level.kill()
        level.wait()
        RUNNING.remove(level.kill)
    with open(f"{folder}/first-level.log", errors="replace") as log:
        why += [line.strip() for line in log if "Kernel panic" in line]
    return status, [*why, "ended without a word"][0]


def run(folder, job, names, limit, report):
    """The job in first levels. Where one falls over, a new one goes on with the scenario that ran;
    that scenario has failed where it happens a second time, and all that are left after FALLS times.
    `names`: of the scenarios."""
    fallen = {}
    for _ in range(FALLS):
        status, why = run_once(folder, job, limit, report)
        if status is not None or OVER.is_set():
            return 1 if status is None else status
        shutil.copy(f"{folder}/first-level.log", f"{job['build']}/linux/first-level.{job['share']}.log")
        report.say(f"# the first level fell over: {why}")
        at = job["done"]
        if at >= len(names):  # nothing is left to run, or there are no scenarios
            break
        fallen[at] = fallen.get(at, 0) + 1
        if fallen[at] == 2:
            report.result(False, f"{names[at]} (the first level fell over in it twice: {why})")
            job["done"] += 1
    with open(f"{folder}/first-level.log", errors="replace") as log:
        report.say(*(f"# first level: {line}" for line in log.read().splitlines()[-60:]))
    for name in names[job["done"]:]:
        report.result(False, f"{name} (not run: the first level fell over {FALLS} times)")
    return 1


def end_all():
    """None may outlive this script, however that ends."""
    OVER.set()
    for end in list(RUNNING):
        end()
