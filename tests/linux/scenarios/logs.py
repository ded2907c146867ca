# SPDX-License-Identifier: BSD-2-Clause
"""logs.py: the end: what all guests' kernels have said, and what is left."""
import glob
import os
import re

from machines import check
from scenarios import suite

SCENARIOS, scenario = suite()
TROUBLE = re.compile(r"WARNING|BUG:|Oops|lockdep|KASAN|general protection|Call Trace|kernel panic|"
                     r"unable to handle|hung task|irq .*: nobody cared", re.I)


@scenario("no guest's kernel has warned")
def clean(bed):
    for guest in bed.everyone:
        if guest.alive() and guest.boots:
            guest.run("true", 20)  # what it said before has come
    bad = [f"{guest.name}: {line}" for guest in bed.everyone for line in guest.kernel_log.lines
           if TROUBLE.search(line) and "hw-vuln" not in line]
    check(not bad, "\n".join(bad[:40]))
    return f"{sum(guest.boots for guest in bed.everyone)} boots of {len(bed.everyone)} machines"


@scenario("nothing is left when all have ended", 60)
def nothing_left(bed):
    for guest in bed.guests.values():
        guest.end()
    if not bed.broker:
        return "no group was open"
    bed.broker.kill(15)
    bed.broker.status(20)
    left = os.listdir(bed.runtime) if os.path.exists(bed.runtime) else []
    check(not left, f"in the runtime directory: {left}")
    ours = [path for path in glob.glob("/proc/[0-9]*/exe")
            if os.path.exists(path) and os.readlink(path) == bed.job["vm"]]
    check(not ours, f"machines still run: {ours}")
    return None
