# SPDX-License-Identifier: BSD-2-Clause
"""stress.py: is it the emulator? Guests of four processors under load, none of Isthmus in it by default.

  tests/linux/run.py --job stress --level nested [--cpus N] [--vmm qemu|isthmus]

Three guests at a time boot QEMU's microvm machine (or isthmus-vm, for comparison) on the first level's
KVM, work, power off, and begin again. README.md has what was seen.
"""
import threading
import time

import machines
from machines import Failed, check

GUESTS, VCPUS = 3, 4
SECONDS = 200  # then no guest begins again
ROUNDS = 3
# Lines through all processors, so that they interrupt each other, beside short processes.
WORK = ("for k in 1 2; do (timeout 5 yes | taskset 1 cat | taskset 2 cat | taskset 4 cat | taskset 8 cat >/dev/null) & "
        "done; i=0; while [ $i -lt 25 ]; do i=$((i+1)); echo $i | cat | md5sum >/dev/null; done; wait; echo done")


def live(bed, name):
    """One life of a guest: None, or what was wrong with it."""
    if bed.job["vmm"] == "isthmus":
        argv = bed.vm(name, initrd=bed.job["small_initrd"], vcpus=VCPUS)
    else:
        argv = machines.qemu(bed.job["qemu"], "microvm,rtc=on", bed.job["vmlinux"],
                             bed.job["small_initrd"], vcpus=VCPUS)
    guest = machines.Guest(name, argv)
    try:
        guest.wait_up(60)
        for _ in range(ROUNDS):
            check(guest.run(WORK, 60)[-1:] == ["done"], "its work went wrong")
        guest.tell("run off poweroff -f")
        check(guest.status(30) == 0, f"exit status {guest.popen.returncode}")
        check(guest.boots == 1, "it was reset")
        return None
    except Failed as failure:
        return f"{failure} {guest.err.lines[-1:]}"
    finally:
        guest.end()


def run(bed):
    """In the machine that runs Linux guests: called by inside.py."""
    begun, results = time.monotonic(), []

    def again(number):
        while time.monotonic() < begun + SECONDS:
            wrong = live(bed, f"{bed.job['vmm']}{number}")
            results.append(wrong)
            print(f"guest {len(results)}: {wrong or 'well'}")

    threads = [threading.Thread(target=again, args=(number,)) for number in range(GUESTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bad = sum(wrong is not None for wrong in results)
    print(f"{bad} of {len(results)} guests ({bed.job['vmm']}, {VCPUS} vCPUs each) went wrong; the first level "
          f"({bed.job['cpus']} CPUs) did not")
    return 1 if bad else 0
