# SPDX-License-Identifier: BSD-2-Clause
"""polling.py: guests that poll at the same time: each needs a processor."""
import time

from machines import check
from scenarios import suite

SCENARIOS, scenario = suite()
SECONDS = 6


def exits_while(bed, guests, seconds=SECONDS):
    before = [bed.kvm_count(guest) for guest in guests]
    check(min(before) > 0, "KVM's counts are not to be read")
    time.sleep(seconds)
    return sum(bed.kvm_count(guest) for guest in guests) - sum(before)


@scenario("zero VM exits a message in the steady state (timer ticks told apart)", 180)
def exits(bed):
    """A spinning program has the same ticks as one that plays: what is more is the messages'."""
    guests = bed.boot("ping", "pong")
    spins = [guest.spawn("while :; do :; done") for guest in guests]
    time.sleep(1)
    idle = exits_while(bed, guests)
    for spin in spins:
        spin.kill()
        spin.wait(10, None)
    jobs = [guest.spawn(f"pingpong {role} rounds=1000000 cases=million")
            for guest, role in zip(guests, ("ping", "pong"))]
    jobs[0].expect(r"joined group main", 30)
    time.sleep(6)  # channels open, bracket run
    start = len(jobs[0].out.lines)
    playing = exits_while(bed, guests)
    match = jobs[0].expect(r"run case=million unit=ns n=(\d+) min=\S+ p50=([0-9.]+)", 90, start)
    messages = SECONDS * 2e9 / float(match[2])
    check(messages > 10 * idle, f"only {messages:.0f} messages to count over")
    more = (playing - idle) / messages
    check(more < 0.01, f"{playing} exits while {messages:.0f} messages went, {idle} in the same time without")
    return (f"{messages:.0f} messages in {SECONDS} s, {playing} exits with their ticks; spinning in the same time: "
            f"{idle}: {max(more, 0):.5f} a message")
