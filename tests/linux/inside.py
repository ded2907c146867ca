# SPDX-License-Identifier: BSD-2-Clause
"""inside.py: runs a job (a folder with job.json in it) where KVM runs Linux guests. See run.py."""
import builtins
import fnmatch
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import machines  # noqa: E402
from bed import Bed  # noqa: E402
from machines import Failed  # noqa: E402

# Shares of the scenarios: where the machine is emulated, each has a first level of its own, of so many
# CPUs; those of one CPU run at the same time. All scenarios of a module share one broker and its guests.
SHARES = (("a", 1, ("boot", "hostile", "memory")),
          ("b", 1, ("sharing", "driver", "death", "pages", "rights")),
          ("c", 2, ("polling", "running")))
LAST = "logs"  # at the end of each share


class TimeLimit(Failed):
    """A scenario took longer than it may."""


def alarm(*_):
    raise TimeLimit("out of time")


def load_scenarios(modules, only, keep=False):
    """(name, limit, function) of each whose name matches; then those of LAST, which ends the guests."""
    found = []
    for name in modules:
        module = importlib.import_module(f"scenarios.{name}")
        found += [(f"{name}: {text}", *rest) for text, *rest in module.SCENARIOS]
    found = [scenario for scenario in found if fnmatch.fnmatch(scenario[0], f"*{only}*")]
    return found + load_scenarios((LAST,), "", True) if found and not keep else found


def run_one(bed, limit, function):
    """None, or what was wrong."""
    signal.alarm(int(limit * machines.patience))
    try:
        note = function(bed)
        signal.alarm(0)
        return None, note
    except Failed as failure:
        return str(failure), None
    except Exception:  # a scenario that is wrong itself must not end the others
        return traceback.format_exc(), None
    finally:
        signal.alarm(0)


def diagnose(lines):
    for line in lines:
        print(f"# {line}")


def run_tests(bed, scenarios, done):
    """`done`: so many have been reported before this level. Their numbers come from level.py."""
    bad = 0
    for name, limit, function in scenarios[done:]:
        since = time.monotonic()
        bed.begin()
        wrong, note = run_one(bed, limit, function)
        took = f"{time.monotonic() - since:.1f} s"
        if wrong is None and note is not None and note.startswith("skip "):
            print(f"ok - {name} # SKIP {note[5:]}")
            continue
        if wrong is not None:
            bad += 1
            diagnose(wrong.splitlines())
            diagnose(bed.report())
        elif note:
            diagnose([note])
        print(f"{'ok' if wrong is None else 'not ok'} - {name} ({took})")
        bed.finish()
    return bad


def prompt(bed):
    """For --keep: GUEST COMMAND runs it in the guest; ! COMMAND runs it here."""
    print("# guests:", *(name for name, guest in bed.guests.items() if guest.alive()))
    print("# GUEST COMMAND, ! COMMAND for this level, log GUEST, or end")
    for line in sys.stdin:
        name, _, command = line.strip().partition(" ")
        try:
            if name == "end":
                return
            if name == "!":
                os.system(command)
            elif name == "log":
                print("\n".join(bed.guest(command).report()))
            elif name in bed.guests:
                print("\n".join(bed.guest(name).run(command, 60, None)))
            elif name:
                print(f"no guest {name}")
        except Failed as failure:
            print(failure)


def beat():
    """Says every few seconds that this level lives: between lines, not within."""
    lock, one = threading.Lock(), print

    def whole(*words, **options):
        with lock:
            one(*words, **options)

    builtins.print = whole
    while True:
        print(machines.BEAT, flush=True)
        time.sleep(5)


def main():
    threading.Thread(target=beat, daemon=True).start()
    with open(os.path.join(sys.argv[1], "job.json")) as text:
        job = json.load(text)
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machines.patience = job["patience"]
    bed = Bed(job)
    status = 1
    try:
        if job["job"] == "tests":
            scenarios = load_scenarios(job["modules"], job["only"], job["keep"])
            status = 1 if run_tests(bed, scenarios, job["done"]) else 0
            if job["keep"]:
                prompt(bed)
        else:
            sys.path.insert(0, os.path.join(job["tree"], "bench"))
            name = {"boot": "boot", "demo": "demo_linux", "stress": "stress"}[job["job"]]
            status = importlib.import_module(name).run(bed)
    finally:
        bed.end()
    print(f"status {status}")


if __name__ == "__main__":
    main()
