# SPDX-License-Identifier: BSD-2-Clause
"""demo_linux.py: what `make demo-linux` shows: two Debian guests, the module in each, ping-pong, figures.

Called by tests/linux/inside.py, in the machine that runs Linux guests.
"""
import re

CASES = ("million", "rtt-8-poll", "rtt-56-poll", "rtt-256-poll", "rtt-4096-poll", "oneway-64-poll")
ROUNDS = 3


def run(bed):
    print(f"booting two guests with Debian's kernel {bed.job['version']}, one vCPU each")
    players = bed.boot("ping", "pong")
    for guest in players:
        mine = bed.info(guest)[0]
        print(f"{guest.name}: {guest.run('uname -sr')[0]}, init after {guest.up_after:.1f} s; isthmus.ko: "
              f"{bed.device(guest)}: group {mine['group']}, peer {mine['id']}, "
              f"personality v{mine['personality']}, {mine['vectors']} vectors")
    pong = players[1].spawn(f"pingpong pong rounds={ROUNDS} cases={','.join(CASES)}")
    ping = players[0].spawn(f"pingpong ping rounds={ROUNDS} cases={','.join(CASES)}")
    ping.wait(150)
    pong.wait(30)
    best = {}
    for line in ping.out.lines:
        match = re.match(r"run case=(\S+) unit=(\S+) .*p50=([0-9.]+) .*before=([0-9.]+)", line)
        if match:
            case, unit, value, floor = match[1], match[2], float(match[3]), float(match[4])
            best.setdefault(case, []).append((value, unit, floor))
    print(f"\n{'':18} {'median of ' + str(ROUNDS) + ' runs':>20}   bare memory, round trip")
    for case in CASES:
        values = sorted(best.get(case, ()))
        if values:
            value, unit, floor = values[len(values) // 2]
            print(f"{case:18} {value:14.1f} {unit:5}   {floor:.1f} ns")
    if not bed.job["direct"]:
        print("\n(an emulated processor: these times say that it works, not how fast it is)")
    for guest in players:
        bed.power_off(guest)
    print("both have powered off")
    return 0
