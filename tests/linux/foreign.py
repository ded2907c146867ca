#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""foreign.py: two stock QEMU guests in a group with an app VM and a host process. Prints TAP.

The QEMUs emulate (TCG), on this machine: nothing of ours is below them. In their guests the group's device is
driven by isthmus.ko, then by nothing but sysfs. One has an ivshmem-plain of the same group too, which is no peer.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import images
import machines
from machines import Failed, Guest, Process, check

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
ROUNDS = 40
LONG = 1000  # rounds, where something happens meanwhile
BOOT_LIMIT = 120
MEMORY = 192  # MiB of a QEMU guest
SIZE = 4 << 20

CONFIG = """\
groups:
  - name: straits
    vectors: 16
    max_peers: 5
    size: {size}
    regions: [{{name: main, size: 2M}}]
instances:
  - {{name: m0, kind: qemu, command: {command}, groups: [straits], autostart: false}}
  - {{name: m1, kind: qemu, groups: [straits], autostart: false}}
  - {{name: m2, kind: app, image: {build}/tests/linux/mesh.app, args: ["2", "4", "{rounds}"], memory: 16M,
     groups: [straits], autostart: false}}
  - {{name: m3, kind: process, command: [{build}/tests/linux/mesh, "3", "4", "{rounds}"], groups: [straits],
     autostart: false}}
"""


def built(path):
    path = os.path.join(BUILD, path)
    if not os.path.exists(path):
        raise images.Missing(f"{path} is not built (make linux-build)")
    return path


class Straits:
    """The group, its broker, and the four."""

    def __init__(self, work):
        self.work = work
        self.runtime = f"{work}/run"
        self.config = f"{work}/straits.yml"
        self.everyone = []
        qemu = images.qemu()
        known = images.Images(BUILD)
        initrd = known.guest("foreign", built("linux/guest_agent"), [built("static/tests/linux/mesh")],
                             [known.module(built("drivers/isthmus.ko"))])
        self.qemu = [qemu, "-nodefaults", "-no-user-config", "-accel", "tcg,thread=single", "-cpu", "max",
                     "-m", f"{MEMORY}M", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", known.vmlinux,
                     "-initrd", initrd, "-append", machines.CMDLINE + " tsc=reliable"]
        with open(self.config, "w") as out:
            out.write(CONFIG.format(command=self.qemu, build=BUILD, rounds=ROUNDS, size=SIZE))

    def process(self, kind, name, argv):
        process = kind(name, argv, env={"ISTHMUS_RUNTIME_DIR": self.runtime})
        self.everyone.append(process)
        return process

    def run(self, *words):
        done = subprocess.run([built("isthmus"), *words], env={**os.environ, "ISTHMUS_RUNTIME_DIR": self.runtime},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        check(done.returncode == 0, f"isthmus {' '.join(words)}: status {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self):
        self.broker = self.process(Process, "isthmus up", [built("isthmus"), "up", "-v", self.config])
        self.broker.err.expect("group straits is open", 30)
        # One as `isthmus run` starts it, one by hand.
        self.guests = [self.process(Guest, "m0", [built("isthmus"), "run", self.config, "m0"]), self.second()]
        for guest in self.guests:
            guest.wait_up(BOOT_LIMIT)

    def second(self):
        """The second guest, with what it is told to be given."""
        plain = ["-object", f"memory-backend-file,id=plain,mem-path={self.run('path', 'straits').strip()},size={SIZE},share=on",
                 "-device", "ivshmem-plain,memdev=plain"]
        return self.process(Guest, "m1", [*self.qemu, *plain, *self.run("qemu-args", "m1").split()])

    def mesh(self, hears, rounds=ROUNDS, config=None, meanwhile=lambda: None):
        """All four exchange messages and doorbells; whether those in the guests hear the latter."""
        jobs = [guest.spawn(f"mesh {i} 4 {rounds} straits") for i, guest in enumerate(self.guests)]
        local = [self.process(Process, name, [built("isthmus"), "run", config or self.config, name])
                 for name in ("m2", "m3")]
        meanwhile()
        lines = [job.wait(90, None) for job in jobs]
        for process in local:
            process.status(90)
            lines.append(process.out.lines + process.err.lines)
        for i, said in enumerate(lines):
            others = " ".join(str(j) for j in range(4) if j != i)
            bells = f"doorbells from {others}" if hears or i > 1 else "does not hear doorbells"
            check(f"mesh ok {i}: messages {rounds} from {others}, {bells}" in said, f"m{i} said {said}; all: {lines}")

    def peers(self):
        """Those of `isthmus status`, by name; none while nobody serves."""
        ups = json.loads(self.run("status", "--json"))["ups"]
        return {peer["name"]: peer for up in ups for group in up["groups"] for peer in group["peers"]}

    def until(self, holds, what):
        """Until it is so of the peers."""
        deadline = time.monotonic() + 30
        while not ((peers := self.peers()) and holds(peers)):
            check(time.monotonic() < deadline, f"not {what}: {peers}")
            time.sleep(0.01)
        return peers

    def end(self):
        for process in reversed(self.everyone):
            if process is self.broker:
                process.kill(15)
                try:
                    process.status(10)
                except Failed:
                    pass
            process.end()


# ---- What is tested -----------------------------------------------------------------------------

def load(guest, incarnation):
    guest.run("insmod /modules/isthmus.ko", 30)
    said = guest.run("cat /sys/class/isthmus/*/group /sys/class/isthmus/*/id /sys/class/isthmus/*/incarnation")
    check(said == ["straits", guest.name[1:], str(incarnation)], f"{guest.name} is {said}")


def driver(straits):
    for guest in straits.guests:
        load(guest, 1)
    straits.guests[1].run("dmesg | grep 'not bound: a device without doorbells is no peer of group straits'")
    straits.mesh(hears=True)


def again(straits):
    """The app VM and the process are other incarnations now, which QEMU knows by other numbers."""
    straits.mesh(hears=True)


def killed(straits):
    """A QEMU that is killed has died; another takes its place."""
    straits.guests[1].kill()
    straits.broker.err.expect(r"peer m1 \(ID 1, incarnation 1\) died", 30)
    straits.guests[1] = straits.second()
    straits.guests[1].wait_up(BOOT_LIMIT)
    load(straits.guests[1], 2)
    straits.mesh(hears=True)


def resource_files(straits):
    for guest in straits.guests:
        guest.run("rmmod isthmus", 30)
    straits.mesh(hears=False)


def taken_over(straits):
    """The broker is killed in the middle of it, and another takes over: nothing is lost, and QEMU's go on."""
    longer = f"{straits.work}/longer.yml"
    with open(straits.config) as source, open(longer, "w") as out:
        out.write(source.read().replace(f'"{ROUNDS}"', f'"{LONG}"'))

    def restart():
        before = straits.until(lambda p: all((p[m]["messages"] or {}).get("received", 0) >= 3 for m in p), "exchanging")
        straits.broker.kill(9)
        straits.broker.status(10)
        # The members' arguments are no matter of the group's.
        straits.broker = straits.process(Process, "isthmus up --attach", [built("isthmus"), "up", "-v", "--attach", longer])
        after = straits.until(lambda p: p["m2"]["back"] and p["m3"]["back"] and all(p[m]["reachable"] for m in p), "back")
        check(max(p["messages"]["received"] for p in before.values()) < 3 * LONG, "all was over before the broker was killed")
        for name, peer in after.items():
            check(peer["state"] == "live" and peer["pid"] == before[name]["pid"] and
                  peer["incarnation"] == before[name]["incarnation"], f"{name} was {before[name]} and is {peer}")
            check(peer["deaf"] == (name in ("m0", "m1")), f"{name} is deaf: {peer['deaf']}")

    straits.mesh(hears=False, rounds=LONG, config=longer, meanwhile=restart)


def power_off(straits):
    """Its device says no good-bye: it has died."""
    straits.guests[0].tell("run off poweroff -f")
    check(straits.guests[0].status(60) == 0, f"QEMU's status is {straits.guests[0].popen.returncode}")
    straits.broker.err.expect(r"peer m0 \(ID 0, incarnation 1\) died", 30)


TESTS = (
    ("two QEMU guests with isthmus.ko, an app VM and a process: all twelve pairs, messages and doorbells", driver),
    ("once more, with an app VM and a process that have come again", again),
    ("a QEMU is killed, and another takes its place: once more", killed),
    ("the same through sysfs alone: all twelve pairs, messages and doorbells out", resource_files),
    ("the broker is killed and taken over meanwhile: all twelve pairs, and QEMU's peers go on", taken_over),
    ("a QEMU guest that powers off has died", power_off),
)


def run(work):
    straits = Straits(work)
    print(f"1..{len(TESTS)}")
    try:
        started = time.monotonic()
        straits.start()
        print(f"# two QEMU guests are up after {time.monotonic() - started:.0f} s")
        for n, (name, test) in enumerate(TESTS, 1):
            test(straits)
            print(f"ok {n} - {name}", flush=True)
        return 0
    except Failed as failure:
        for process in straits.everyone:
            for line in (process.report() if isinstance(process, Guest) else process.err.lines[-20:]):
                print(f"# {process.name}: {line}")
        print(f"# {failure}\nBail out! {failure}")
        return 1
    finally:
        straits.end()


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no /dev/kvm: the app VM cannot run")
        return 77
    work = tempfile.mkdtemp(prefix="ist-foreign.")
    try:
        return run(work)
    except images.Missing as missing:
        print(missing)
        return 77
    finally:
        shutil.rmtree(work, ignore_errors=True)


sys.exit(main())
