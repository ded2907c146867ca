# SPDX-License-Identifier: BSD-2-Clause
"""death.py: processes, guests and machines that end at any time; what the others hear of it."""
import os
import time

import machines
from machines import check
from scenarios import suite
from scenarios.driver import region_offset

SCENARIOS, scenario = suite()


MESSAGES = 200         # then the exchange is well on its way
TAKEN = 4096 * 8       # in the region, where app_exchange.c has the sink's last: the source's life, its number + 1


def taken(bed, guest, region):
    """Source's life, messages."""
    device = f"guest_device {bed.device(guest)} peek"
    return [int(word, 16) for word in guest.run("; ".join(f"{device} {region + TAKEN + at}" for at in (0, 8)))]


def exchange(bed, source, sink):
    """Both ends run, and messages go between them."""
    region = region_offset(bed, sink, "raw")
    before = taken(bed, sink, region)[0]
    jobs = [sink.spawn("exchange sink"), source.spawn("exchange source")]
    ends = time.monotonic() + 30 * machines.patience
    while True:
        for job in jobs:
            check(not job.out.ended, f"{job}: {job.tail()}")
        life, count = taken(bed, sink, region)
        if life != before and count >= MESSAGES:
            return jobs
        check(time.monotonic() < ends, f"{count} messages of life {life} (before: {before}): {jobs[0].tail()}")
        time.sleep(0.1)


@scenario("kill -9 of a process that holds channel ends: the peer hears of it, the next goes on", 150)
def process(bed):
    a, c = bed.boot("ping", "pong")
    sink, source = exchange(bed, a, c)
    for victim, guest, role, survivor in ((source, a, "source", sink), (sink, c, "sink", None)):
        if survivor is None:
            survivor = source
        at = len(survivor.out.lines)
        guest.run(f"kill -9 $(pidof exchange)")
        victim.wait(20, None)
        survivor.expect(r"gone -130 ", 20, at)
        successor = guest.spawn(f"exchange {role}")
        survivor.expect(r"^back ", 30, at)
        time.sleep(1)
        check(not survivor.out.ended, f"the survivor ended: {survivor.tail()}")
        check(not successor.out.ended, f"the successor ended: {successor.tail()}")
        if role == "source":
            source = successor
    return " | ".join(line for line in sink.out.lines + source.out.lines if "gone" in line)


@scenario("SIGKILL of a virtual machine: the peers hear of it, the next of that name goes on", 200)
def machine(bed):
    a, f = bed.boot("ping", "f")
    sink, _ = exchange(bed, f, a)[0], None
    before = bed.info(a)[1]["f"]["incarnation"]
    pid, killed = f.pid, time.monotonic()
    f.kill()
    sink.expect(r"gone -130 at \d+", 30)
    heard = time.monotonic()
    f.status(10)
    check(not os.path.exists(f"/proc/{pid}"), "its process is still there")
    check(bed.info(a)[1]["f"]["state"] == "4", f"the roster: {bed.info(a)[1]['f']}")
    f = bed.guest("f")
    check(bed.info(a)[1]["f"]["incarnation"] != before, "the same incarnation")
    f.spawn("exchange source")
    sink.expect("^back ", 60)
    return f"the peer's word of it was here {(heard - killed) * 1e3:.0f} ms after the kill"


@scenario("a guest that resets in the middle of everything", 150)
def resets(bed):
    a, f = bed.boot("ping", "f")
    sink = exchange(bed, f, a)[0]
    boots = f.boots
    f.tell("run off echo b > /proc/sysrq-trigger")
    sink.expect(r"gone -\d+ at \d+", 60)
    f.wait_up(60, boots=boots + 1)
    bed.load_module(f)
    f.spawn("exchange source")
    sink.expect("^back ", 60)


@scenario("a guest that powers off leaves in good order: nothing of it stays", 90)
def powers_off(bed):
    a, f = bed.boot("ping", "f")
    pid = f.pid
    bed.power_off(f)
    check(not os.path.exists(f"/proc/{pid}"), "its process is still there")
    state = bed.info(a)[1]["f"]["state"]
    check(state in ("0", "4"), f"the roster says state {state}")
