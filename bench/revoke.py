#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""revoke.py: how long it takes to take a right on a region from running app VMs that store there as fast as they can.

From RELOAD on the control socket to its answer; beside one KVM slot taken away and put back, in the same run. ROUNDS=N
and WRITERS=N (1) in the environment."""
import json, os, subprocess, sys, tempfile, time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
ROUNDS = os.environ.get("ROUNDS", "300")
WRITERS = int(os.environ.get("WRITERS", "1"))


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("cannot run here: no /dev/kvm")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ISTHMUS_RUNTIME_DIR"] = f"{folder}/run"
        for name, access in (("more", "rw"), ("less", "ro")):
            with open(f"{folder}/{name}.yml", "w") as out:
                out.write("groups:\n  - name: g\n    size: 256K\n    max_peers: 4\n    regions:\n"
                          "      - {name: stop, size: 4K, access: ro}\n"
                          f"      - {{name: target, size: 64K, access: {access}}}\n"
                          "      - {name: other, size: 64K, access: rw}\ninstances:\n")
                for i in range(WRITERS):
                    out.write(f"  - {{name: w{i}, kind: app, image: {BUILD}/tests/vm/rights.app, memory: 16M, groups: [g]}}\n")
        up = subprocess.Popen([f"{BUILD}/isthmus", "up", f"{folder}/more.yml"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            done = subprocess.run([f"{BUILD}/bench/revoke", f"{folder}/run", f"{folder}/less.yml", f"{folder}/more.yml",
                                   ROUNDS], capture_output=True, text=True, check=True)
        finally:
            subprocess.run([f"{BUILD}/isthmus", "down"], check=False)
            up.wait(20)
    figures = json.loads(done.stdout)
    print(f"{ROUNDS} times, {WRITERS} writer{'s' if WRITERS > 1 else ''}      p50        p99        min   p50 / slot pair")
    for key, name in (("less", "taken, answered"), ("more", "given, answered"), ("slot_pair", "one KVM slot pair")):
        of = figures[key]
        print(f"{name:<20} {of['p50'] / 1000:7.0f} us {of['p99'] / 1000:7.0f} us {of['min'] / 1000:7.0f} us "
              f"{of['p50'] / figures['slot_pair']['p50']:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
