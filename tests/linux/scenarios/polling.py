# SPDX-License-Identifier: BSD-2-Clause
"""polling.py: guests that poll at the same time: each needs a processor."""
import time

from machines import check
from scenarios import suite

SCENARIOS, scenario = suite()
SECONDS, SECONDS_QUICK = 6, 2  # of spinning
RUNS, RUNS_QUICK = 4, 2        # of a million round trips
RUN = r"run case=million unit=ns n=\d+ min=\S+ p50=([0-9.]+)"


def exits(bed, guests):
    counts = [bed.kvm_count(guest) for guest in guests]
    check(min(counts) > 0, "KVM's counts are not to be read")
    return sum(counts)


@scenario("zero VM exits a message in the steady state (timer ticks told apart)", 240)
def steady(bed):
    """A spinning program has the same ticks as one that plays: what is more is the messages'."""
    guests = bed.boot("ping", "pong")
    long, runs = (SECONDS_QUICK, RUNS_QUICK) if bed.job["quick"] else (SECONDS, RUNS)
    spins = [guest.spawn("while :; do :; done") for guest in guests]
    time.sleep(1)
    before = exits(bed, guests)
    time.sleep(long)
    ticks = (exits(bed, guests) - before) / long
    for spin in spins:
        spin.kill()
        spin.wait(10, None)
    jobs = [guest.spawn(f"pingpong {role} rounds=1000000 cases=million")
            for guest, role in zip(guests, ("ping", "pong"))]
    jobs[0].expect(RUN, 90)
    before, since = exits(bed, guests), time.monotonic()
    for _ in range(runs):
        half = jobs[0].expect(RUN, 90, len(jobs[0].out.lines))
    seconds, playing = time.monotonic() - since, exits(bed, guests) - before
    more = (playing - ticks * seconds) / (runs * 2e6)
    check(more < 0.01, f"{playing} exits in {seconds:.1f} s while {runs * 2} million messages went, "
          f"{ticks:.0f} a second without")
    return (f"{runs * 2} million messages in {seconds:.1f} s (round trip {half[1]} ns) with {playing} exits; a program that "
            f"spins has {ticks:.0f} a second: {max(more, 0):.6f} a message")
