#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""run.py: the test bed for Linux guests: prepares what is booted, finds a machine, runs the job in it.

  tests/linux/run.py [--only GLOB] [--quick] [--keep] [--level direct|nested] [--job tests|boot|demo|stress]

Prints TAP (the jobs boot and demo: their figures); exit status 77 with the reason when it cannot run
here. The machine is this one where its KVM runs Linux guests, else the first level: QEMU's emulation
of a processor with nested page tables, with Debian's kernel and this machine's root. See README.md.
"""
import argparse
import concurrent.futures
import glob
import os
import shutil
import signal
import sys
import tempfile

import images
import inside
import level
import machines

HERE = os.path.dirname(os.path.abspath(__file__))
INSIDE = os.path.join(HERE, "inside.py")
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
# Seconds on an idle machine, then something hangs.
LIMIT = {"tests": 1500, "quick": 560, "boot": 600, "demo": 180, "stress": 500}
JOBS = ("tests", "boot", "demo", "stress")


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
    programs = [built(f"static/{path}") for path in ("bench/pingpong", "tests/vm/exchange", "tests/vm/pages", "tests/vm/running",
                                                     "tests/linux/ring")]
    programs += [path for path in sorted(glob.glob(f"{BUILD}/linux/guest_*"))
                 if path != agent and "." not in os.path.basename(path)]
    modules = [known.module(built(f"drivers/{name}.ko")) for name in ("isthmus", "isthmus_selftest")]
    modules += images.module_paths(known.version, ("uio_pci_generic",))
    return {
        "build": BUILD, "tree": os.path.dirname(os.path.dirname(HERE)),
        "isthmus": built("isthmus"), "vm": built("isthmus-vm"), "qemu": shutil.which("qemu-system-x86_64"),
        "version": known.version, "bzimage": known.bzimage, "vmlinux": known.vmlinux,
        "initrd": known.guest("guest", agent, programs, modules),
        "small_initrd": known.guest("small", agent), "first_initrd": known.first(INSIDE),
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


def shares(options, direct):
    """What runs where: (name, CPUs of its first level, modules of scenarios, scenarios' names)."""
    def choose(name, cpus, modules):
        return name, cpus, modules, [scenario[0] for scenario in inside.load_scenarios(modules, options.only, options.keep)]

    chosen = [share for share in (choose(*one) for one in inside.SHARES) if share[3]]
    if chosen and (direct or options.keep):  # one machine has all
        return [choose("all", max(share[1] for share in chosen), [name for share in chosen for name in share[2]])]
    return chosen


def run_share(folder, job, share, limit, report):
    name, cpus, modules, names = share
    folder = os.path.join(folder, name)
    os.mkdir(folder)
    job = dict(job, share=name, cpus=cpus, modules=modules, done=0)
    if job["direct"]:
        return level.run_direct(folder, INSIDE, job, limit, report)
    return level.run(folder, job, names, limit, report)


def run_tests(folder, job, options, limit):
    """All shares: those of one CPU at the same time, then the others."""
    chosen = shares(options, job["direct"])
    report = level.Report(sum(len(names) for *_, names in chosen), options.keep)
    if not report.planned:
        say(f"1..0 # SKIP no scenario is called *{options.only}*")
        return 77
    say(f"1..{report.planned}")
    with concurrent.futures.ThreadPoolExecutor(len(chosen)) as pool:
        try:
            for together in ([s for s in chosen if s[1] == 1], [s for s in chosen if s[1] > 1]):
                jobs = [pool.submit(run_share, folder, job, share, limit, report) for share in together]
                for done in concurrent.futures.as_completed(jobs):
                    done.result()  # raises what went wrong here
        finally:
            level.end_all()  # the pool waits for those that run
    if report.count != report.planned:
        say(f"# {report.count} of {report.planned} scenarios were reported")
    return 0 if report.failed == 0 and report.passed > 0 and report.count == report.planned else 1


def main():
    parser = argparse.ArgumentParser(description="Runs Linux guests under isthmus-vm.")
    parser.add_argument("--only", default="", help="scenarios whose name has this in it (a glob)")
    parser.add_argument("--keep", action="store_true", help="do not end: take commands for the guests")
    parser.add_argument("--quick", action="store_true", help="shorten what takes long")
    parser.add_argument("--level", choices=("direct", "nested"), help="default: tried")
    parser.add_argument("--job", choices=JOBS, default="tests")
    parser.add_argument("--cpus", type=int, default=2, help="of the first level, in jobs other than tests")
    parser.add_argument("--vmm", choices=("qemu", "isthmus"), default="qemu", help="whose guests the job stress has")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        images.qemu()
        job = prepare()
    except images.Missing as reason:
        say(f"1..0 # SKIP {reason}" if options.job == "tests" else f"cannot run here: {reason}")
        return 77
    direct = options.level == "direct" or (not options.level and runs_linux_here(job))
    patience = min(max(1.5, os.getloadavg()[0] / len(os.sched_getaffinity(0))), 4)
    machines.patience = patience
    job.update(only=options.only, keep=options.keep, quick=options.quick, job=options.job, direct=direct,
               patience=patience, vmm=options.vmm)
    limit = LIMIT["quick" if options.quick else options.job] * patience
    with tempfile.TemporaryDirectory(prefix="ist-linux.") as folder:
        if options.job != "boot":
            say("# Linux guests run on this machine's own KVM" if direct else
                "# this machine's KVM does not run Linux guests: they run in the test bed, under "
                "QEMU's emulation of a processor with nested page tables (20 to 40 times slower)")
        if options.job == "tests":
            return run_tests(folder, job, options, limit)
        return run_share(folder, job, (options.job, options.cpus, (), ()), limit, level.Report(0, live=True))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
