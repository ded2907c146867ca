# SPDX-License-Identifier: BSD-2-Clause
"""running.py: a Linux guest sees which of its peers have a processor: each needs one to be seen."""
import os
import signal
import time

import machines
from machines import check
from scenarios import suite

SCENARIOS, scenario = suite()


def row(bed, guest, peer):
    """What the driver's attribute says of a peer: incarnation, running, threads; None: nothing."""
    name = bed.device(guest).split("/")[-1]
    for line in guest.run(f"cat /sys/class/isthmus/{name}/running"):
        words = line.split()
        if words[0] == peer:
            return words[1:4]
    return None


def settles(job, line):
    """The watcher's last line is this one, sooner or later; returns how many there are."""
    ends = time.monotonic() + 20 * machines.patience
    while job.out.lines[-1:] != [line]:
        check(time.monotonic() < ends, f"{job}: its last line is not '{line}': {job.tail()}")
        time.sleep(0.05)
    return len(job.out.lines)


def stop(machine):
    """Stops it, and waits until all its threads are: what they did until then may still be told."""
    machine.kill(signal.SIGSTOP)
    ends = time.monotonic() + 20 * machines.patience
    tasks = f"/proc/{machine.pid}/task"
    while any(field(f"{tasks}/{task}/stat") != "T" for task in os.listdir(tasks)):
        check(time.monotonic() < ends, f"{machine} does not stop")
        time.sleep(0.01)


def field(path):
    """The state in a stat file; a thread that has ended meanwhile is stopped, too."""
    try:
        with open(path) as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "T"


@scenario("a peer is shown as running, and as not running while its machine is stopped", 120)
def stopped(bed):
    ping, pong = bed.boot("ping", "pong")
    why = [line for line in bed.broker.err.lines if "no run state" in line]
    if why:
        return f"skip {why[0]}"
    peer = bed.info(ping)[1]["pong"]
    watch = ping.spawn("running watch pong")
    pong.spawn("while :; do :; done")
    watch.expect("^pong: 1$", 30)
    for _ in range(3):
        stop(pong)
        row(bed, ping, peer["id"])  # the watcher, too, has had its turn
        count = settles(watch, "pong: 0")
        check(row(bed, ping, peer["id"]) == [peer["incarnation"], "0", "1"],
              f"the driver says {row(bed, ping, peer['id'])} of a machine that is stopped")
        check(len(watch.out.lines) == count, f"it ran while it was stopped: {watch.tail()}")
        pong.kill(signal.SIGCONT)
        watch.expect("^pong: 1$", 30, count)
    # v2 has the same; of a peer that is not there the driver says nothing.
    other = bed.guest("b")
    check(row(bed, other, peer["id"]) is not None, "a v2 guest knows nothing of it")
    pong.kill()
    pong.status(10)
    check(row(bed, other, peer["id"]) is None, "the driver says something of a machine that is dead")
    return f"{len(watch.out.lines)} changes seen: {watch.tail()}"
