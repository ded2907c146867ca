# SPDX-License-Identifier: BSD-2-Clause
"""tap.py: TAP of the tests that are in Python."""
import sys

count = failed = 0


def test(name, why_not):
    global count, failed
    count += 1
    failed += bool(why_not)
    print(f"{'not ' if why_not else ''}ok {count} - {name}")
    for why in why_not:
        print(f"# {why}")
    sys.stdout.flush()


def skip(name, reason):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {reason}")


def end():
    """The plan. Returns the exit status."""
    print(f"1..{count}")
    return 1 if failed else 0
