# SPDX-License-Identifier: BSD-2-Clause
"""sharing.py: Linux guests share a group: with each other, with app VMs and host processes."""
import json
import re

from machines import check
from scenarios import suite

SCENARIOS, scenario = suite()
LAPS = 300


def ring(bed, members, laps=LAPS, group="main", prefix="ring", timeout=90):
    """A token goes round; `members` start a member each, given the arguments of app_ring."""
    jobs = [start(f"{i} {len(members)} {laps} {group} {prefix}") for i, start in enumerate(members)]
    for job in jobs:
        lines = job.wait(timeout)
        check(any("ring ok" in line for line in lines), f"{job}: {lines}")


def in_guest(guest, prefix=""):
    return lambda args: guest.spawn(f"{prefix}ring {args}")


class OnHost:
    """A process of this level, or an app VM, with the face of a Job."""

    def __init__(self, process):
        self.process = process

    def __str__(self):
        return self.process.name

    def wait(self, timeout):
        status = self.process.status(timeout)
        check(status == 0, f"{self}: status {status}: {self.process.out.lines} {self.process.err.lines}")
        return self.process.out.lines


def host(bed):
    program = f"{bed.job['build']}/tests/linux/ring"
    return lambda args: OnHost(bed.process("host", [program, *args.split()], {"ISTHMUS_INSTANCE": "host"}))


def app(bed):
    def start(args):
        check(args.split() == ["1", "3", "100", "main", "trio"], "its arguments are in the configuration")
        return OnHost(bed.process("bare", [bed.job["isthmus"], "run", bed.config, "bare"]))
    return start


@scenario("two Linux guests pass messages by channels", 150)
def pair(bed):
    a, c = bed.boot("ping", "pong")
    ring(bed, [in_guest(a), in_guest(c)])


@scenario("v1 guest and v2 guest")
def personalities(bed):
    a, b = bed.boot("ping", "b")
    for guest, personality in ((a, "1"), (b, "2")):
        told = bed.info(guest)[0]["personality"]
        check(told == personality, f"{guest.name} has personality {told}")
    ring(bed, [in_guest(a), in_guest(b)])


@scenario("Linux guest, app VM and host process in one group", 120)
def trio(bed):
    ring(bed, [in_guest(bed.guest("ping")), app(bed), host(bed)], 100, "main", "trio")


@scenario("two groups in one guest, both at once", 120)
def two_groups(bed):
    b, d = bed.boot("b", "d")
    sides = [in_guest(guest)(f"{i} 2 {LAPS} side left") for i, guest in enumerate((b, d))]
    ring(bed, [in_guest(b), in_guest(d)], prefix="right")
    for job in sides:
        job.wait(60)


@scenario("8 guests in one group", 300)
def eight(bed):
    guests = bed.boot("ping", "b", "pong", "d", "quad", "f", "g", "h")
    peers = bed.info(guests[0])[1]
    live = [name for name, peer in peers.items() if peer["state"] == "2"]
    check(len(live) == 8, f"live peers: {live}")
    ring(bed, [in_guest(guest) for guest in guests], 20, "main", "eight", 180)


@scenario("4-vCPU guest, a process on each vCPU", 120)
def four_processes(bed):
    quad, a = bed.boot("quad", "ping")
    members = [in_guest(quad, f"taskset {1 << cpu:x} ") for cpu in range(4)]
    ring(bed, [in_guest(a), *members], 50, "main", "cores")


# ---- Doorbells ----------------------------------------------------------------------------------

def status(bed, *options):
    """What `isthmus status` says of the bed's groups, as lines."""
    process = bed.process("isthmus status", [bed.job["isthmus"], "status", *options, bed.config])
    check(process.status(30) == 0, f"isthmus status: {process.err.lines}")
    return process.out.lines


def counted(bed):
    """The doorbells of each peer of group main that is there, by name; None: not counted."""
    groups = json.loads("".join(status(bed, "--json")))["ups"][0]["groups"]
    peers = next(group["peers"] for group in groups if group["name"] == "main")
    return {peer["name"]: peer["doorbells"] for peer in peers if peer["messages"]}


def shown(bed):
    """The same, as people see it."""
    lines = [re.split("  +", line.strip()) for line in status(bed)]
    at = next(i for i, cells in enumerate(lines) if cells[0].startswith("group main:"))
    column = lines[at + 1].index("DOORBELLS")
    ends = lines.index([""], at) if [""] in lines[at:] else len(lines)
    return {cells[1]: cells[column] for cells in lines[at + 2:ends]}


def bells(bed, left, right, count, run):
    """Each rings the other so often: no ring is lost, and `isthmus status` counts each once."""
    ids = [bed.info(guest)[0]["id"] for guest in (left, right)]
    before = counted(bed)
    jobs = [guest.spawn(f"guest_bells {bed.device(guest)} {other} {count} {run}")
            for guest, other in zip((left, right), reversed(ids))]
    words = "; ".join(job.wait(280)[-1] for job in jobs)
    after, text = counted(bed), shown(bed)
    for guest in (left, right):
        check(after[guest.name] - before[guest.name] == count,
              f"{guest.name} was rung {count} times; counted: {before} before, {after} after")
        check(text[guest.name] == str(after[guest.name]), f"{after} as a table: {text}")
    return words


@scenario("doorbells are counted, whoever rings them: unit tests, which this kernel lets count", 120)
def counts(bed):
    for name in ("test_bell_count", "test_broker_bells"):
        test = bed.process(name, [f"{bed.job['build']}/tests/unit/{name}"])
        status = test.status(60)
        check(status == 0 and "not counted" not in "".join(test.out.lines),
              f"{name}: exit status {status}: {test.out.lines} {test.err.lines}")


@scenario("doorbells each way on every vector, masked and sleeping: none of 100,000 is lost (10,000 in short), v1", 300)
def doorbells_v1(bed):
    return bells(bed, *bed.boot("ping", "pong"), 10000 if bed.job["quick"] else 100000, 1)


@scenario("doorbells the same between v2 and v1, 20,000 (5,000 in short)", 200)
def doorbells_v2(bed):
    return bells(bed, *bed.boot("b", "ping"), 5000 if bed.job["quick"] else 20000, 2)
