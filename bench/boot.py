#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""boot.py: boots a stock kernel with isthmus-vm and with QEMU's microvm, by turns, and compares.

  bench/boot.py [run.py's options]

Time: from exec to the first word of the guest's init. Memory: what of the monitor's process is resident beyond
guest RAM. Same kernel, initrd, RAM and command line, same machine, alternating. Where this machine's KVM does not
run Linux, that is inside the test bed of tests/linux, where all times are 20 to 40 times longer.
"""
import os
import statistics
import subprocess
import sys

ROUNDS = 5
MEMORY = 128  # MiB
# microvm as it is has no clock chip that this kernel expects: its rtc_cmos asks for one for seconds. And what QEMU tells
# of XSAVE does not fit an emulated processor: the kernel prints that at length. isthmus-vm has PCI, where groups are; microvm
# has it with pcie=on. Name: (QEMU's machine, its processor).
MACHINES = {
    "isthmus-vm": None,
    "microvm": ("microvm", "host"),
    "microvm,rtc=on": ("microvm,rtc=on", "host"),
    "rtc=on, -xsave": ("microvm,rtc=on", "host,-xsave"),
    "and pcie=on": ("microvm,rtc=on,pcie=on", "host,-xsave"),
}


def boot(bed, machines, name, kernel):
    job = bed.job
    if MACHINES[name] is None:
        argv = bed.vm("boot", kernel=kernel, initrd=job["small_initrd"], memory=f"{MEMORY}M")
    else:
        machine, cpu = MACHINES[name]
        argv = machines.qemu(job["qemu"], machine, kernel, job["small_initrd"], memory=f"{MEMORY}M", cpu=cpu)
    guest = bed.launch(name, argv)
    try:
        guest.wait_up(120)
        return guest.up_after, machines.beyond_ram(guest.pid, MEMORY)
    finally:
        guest.end()


def run(bed):
    """In the machine that runs Linux guests: called by tests/linux/inside.py."""
    import machines
    results = {name: [] for name in MACHINES}
    kernel = bed.job["vmlinux"]
    boot(bed, machines, "microvm,rtc=on", kernel)  # what is read from disk is in memory from now on
    boot(bed, machines, "isthmus-vm", kernel)
    for number in range(ROUNDS):
        for name in MACHINES:
            seconds, memory = boot(bed, machines, name, kernel)
            results[name].append((seconds, memory))
            print(f"round {number + 1}: {name}: init after {seconds:.2f} s, {memory} KiB beyond guest RAM")
    return report(bed, results)


def report(bed, results):
    where = "directly" if bed.job["direct"] else "in the test bed (QEMU TCG, SVM and NPT emulated)"
    print(f"\nLinux {bed.job['version']}, vmlinux by PVH, {MEMORY} MiB, 1 vCPU, {ROUNDS} runs each, {where}\n")
    print(f"{'':18} {'init after, s':>26} {'monitor, KiB':>26}")
    print(f"{'':18} {'median':>10} {'min':>7} {'max':>7} {'median':>10} {'min':>7} {'max':>7}")
    middle = {}
    for name, values in results.items():
        seconds, memory = zip(*values)
        middle[name] = statistics.median(seconds), statistics.median(memory)
        print(f"{name:18} {middle[name][0]:10.2f} {min(seconds):7.2f} {max(seconds):7.2f}"
              f" {middle[name][1]:10.0f} {min(memory):7} {max(memory):7}")
    ours = middle["isthmus-vm"]
    for name in list(MACHINES)[1:]:
        print(f"isthmus-vm / {name}: time {ours[0] / middle[name][0]:.2f} (aim: at most 0.80), "
              f"memory {ours[1] / middle[name][1]:.2f} (aim: at most 0.30)")
    return 0


if __name__ == "__main__":
    bed_script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/linux/run.py")
    sys.exit(subprocess.run([bed_script, "--job", "boot", *sys.argv[1:]], check=False).returncode)
