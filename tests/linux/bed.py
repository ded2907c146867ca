# SPDX-License-Identifier: BSD-2-Clause
"""bed.py: what scenarios share: one broker, Linux guests that start when they are first asked for."""
import glob
import os
import shutil
import tempfile

import machines
from machines import Failed, Guest, Process, check

BOOT_LIMIT = 90  # seconds; eight may boot at once on two emulated CPUs

GROUPS = """\
groups:
  - name: main
    vectors: 16
    max_peers: 12
    output_size: 4K
    regions:
      - {name: channels, size: 16M, access: rw}
      - {name: raw, size: 8M, access: rw}
      - {name: notice, size: 64K, access: ro, rights: [{instance: ping, access: rw}]}
      - {name: secret, size: 64K, access: none, rights: [{instance: ping, access: rw}]}
  - name: paged
    regions:
      - {name: meet, size: 16K, access: rw}
      - {name: pages, size: 64K, access: rw, coherence: page}
  - name: side
    vectors: 4
    regions:
      - {name: channels, size: 1M, access: rw}
instances:
"""

# Of the Linux guests: personality, CPUs, groups.
GUESTS = {
    "ping": ("v1", 1, ("main",)),
    "b": ("v2", 1, ("main", "side")),
    "pong": ("v1", 1, ("main",)),
    "d": ("v2", 1, ("main", "side")),
    "quad": ("v1", 4, ("main",)),
    "f": ("v1", 1, ("main",)),
    "g": ("v2", 1, ("main",)),
    "h": ("v1", 1, ("main",)),
    "left": ("v1", 1, ("paged",)),
    "right": ("v2", 1, ("paged",)),
}
PAGES_APPS = ("page-a", "page-b")  # app VMs of group paged: their arguments are given when they start
MEMORY = 160  # MiB of each


class Bed:
    def __init__(self, job):
        self.job = job
        self.work = tempfile.mkdtemp(prefix="ist-bed.")
        self.runtime = os.path.join(self.work, "run")
        self.guests = {}     # by name: the latest of that name
        self.everyone = []   # all guests that ever were
        self.processes = []  # of the scenario that runs
        self.broker = None
        self.devices = {}

    # ---- Configuration, broker ------------------------------------------------------------------

    def configuration(self):
        text = GROUPS
        for name, (personality, vcpus, groups) in GUESTS.items():
            text += (f"  - {{name: {name}, kind: linux, image: {self.job['vmlinux']}, "
                     f"initrd: {self.job['initrd']}, cmdline: \"{machines.CMDLINE}\", "
                     f"memory: {MEMORY}M, vcpus: {vcpus}, personality: {personality}, "
                     f"groups: [{', '.join(groups)}], autostart: false}}\n")
        ring = f"{self.job['build']}/tests/linux/ring.app"
        text += (f"  - {{name: bare, kind: app, image: {ring}, args: [\"1\", \"3\", \"100\", main, trio], "
                 f"memory: 16M, groups: [main], autostart: false}}\n"
                 "  - {name: host, kind: process, groups: [main, side], autostart: false}\n")
        for name in PAGES_APPS:
            text += (f"  - {{name: {name}, kind: app, image: {self.job['build']}/tests/vm/pages.app, memory: 16M, "
                     "groups: [paged], autostart: false}\n")
        return text

    def start_broker(self):
        path = os.path.join(self.work, "bed.yaml")
        with open(path, "w") as out:
            out.write(self.configuration())
        self.broker = Process("isthmus up", [self.job["isthmus"], "up", "-v", path],
                              env={"ISTHMUS_RUNTIME_DIR": self.runtime})
        try:
            self.broker.err.expect("group side is open", 30)
        except Failed as failure:
            raise Failed(f"isthmus up: {failure}: {self.broker.err.lines}") from None

    @property
    def config(self):
        return os.path.join(self.work, "bed.yaml")

    def second(self, text):
        """Another broker, ended with the scenario: path of its configuration, runtime directory."""
        folder = tempfile.mkdtemp(dir=self.work)
        path = os.path.join(folder, "second.yaml")
        with open(path, "w") as out:
            out.write(text)
        broker = self.process("second isthmus up", [self.job["isthmus"], "up", "--runtime-dir",
                                                    f"{folder}/run", path])
        broker.err.expect("is open in", 30)
        return path, f"{folder}/run"

    # ---- Guests ---------------------------------------------------------------------------------

    def launch(self, name, argv):
        """A guest of any command line; the caller waits for it."""
        guest = Guest(name, argv, env={"ISTHMUS_RUNTIME_DIR": self.runtime})
        self.everyone.append(guest)
        self.processes.append(guest)
        return guest

    def vm(self, name, **more):
        """The command line of our monitor; `more` replaces what a guest usually has."""
        settings = {"kernel": self.job["vmlinux"], "initrd": self.job["initrd"], **more}
        return machines.ours(self.job["vm"], name, **settings)

    def boot(self, *names):
        """Guests of GUESTS, up, with the module loaded. Those that are there already stay."""
        if not self.broker:
            self.start_broker()
        new = []
        for name in names:
            if name in self.guests and self.guests[name].alive():
                if self.guests[name].ready:
                    continue
                self.guests[name].end()
            personality, vcpus, groups = GUESTS[name]
            sockets = [f"{group}={self.runtime}/{group}.sock" for group in groups]
            guest = Guest(name, self.vm(name, groups=sockets, memory=f"{MEMORY}M", vcpus=vcpus,
                                        personality=personality))
            self.everyone.append(guest)
            self.guests[name] = guest
            new.append(guest)
        for guest in new:
            guest.wait_up(BOOT_LIMIT)
        for guest in new:
            self.load_module(guest)
        return [self.guests[name] for name in names]

    def guest(self, name):
        return self.boot(name)[0]

    def load_module(self, guest):
        guest.run("insmod /modules/isthmus.ko", 30)
        self.devices = {key: path for key, path in self.devices.items() if key[0] != guest.name}
        guest.ready = True

    def device(self, guest, group="main"):
        """The device file of a group in a guest."""
        key = (guest.name, group)
        if key not in self.devices:
            for line in guest.run("for d in /dev/isthmus[0-9]*; do guest_device $d info | "
                                  "sed -n \"s|^group=\\([^ ]*\\) .*|\\1 $d|p\"; done"):
                found, path = line.split()
                self.devices[(guest.name, found)] = path
        check(key in self.devices, f"{guest.name} has no device of group {group}")
        return self.devices[key]

    def info(self, guest, group="main"):
        """What guest_device says: a dictionary of the device, and one of each peer by name."""
        lines = [dict(word.split("=") for word in line.split())
                 for line in guest.run(f"guest_device {self.device(guest, group)} info")]
        return lines[0], {line["peer"]: line for line in lines[1:] if line["peer"]}

    def power_off(self, guest):
        guest.tell("run off poweroff -f")
        status = guest.status(30)
        check(status == 0, f"{guest.name}: exit status {status} after power-off: {guest.err.lines}")

    # ---- Others ---------------------------------------------------------------------------------

    def process(self, name, argv, env=None):
        """A process of this level, ended with the scenario."""
        process = Process(name, argv, env={"ISTHMUS_RUNTIME_DIR": self.runtime, **(env or {})})
        self.processes.append(process)
        return process

    def kvm_count(self, guest, name="exits"):
        """One of KVM's counts of a guest, all its vCPUs together."""
        total = 0
        for path in glob.glob(f"/sys/kernel/debug/kvm/{guest.pid}-*/vcpu*/{name}") or \
                glob.glob(f"/sys/kernel/debug/kvm/{guest.pid}-*/{name}"):
            with open(path) as text:
                total += int(text.read())
        return total

    # ---- One scenario after the other -----------------------------------------------------------

    def begin(self):
        self.processes = []

    def report(self):
        lines = []
        for process in [*self.guests.values(), *self.processes]:
            if isinstance(process, Guest):
                lines += process.report()
            else:
                lines += [f"{process.name}: {line}" for line in
                          [*process.out.lines[-15:], *process.err.lines[-15:]]]
        if self.broker:
            lines += [f"broker: {line}" for line in self.broker.err.lines[-30:]]
        return lines

    def finish(self):
        """Ends what the scenario began, and guests that do not come to rest."""
        for process in self.processes:
            process.end()
        for guest in self.guests.values():
            if not guest.alive():
                continue
            try:
                guest.idle()
            except Failed:
                guest.end()

    def end(self):
        for process in [*self.processes, *self.guests.values()]:
            process.end()
        if self.broker:
            self.broker.kill(15)
            try:
                self.broker.status(10)
            except Failed:
                pass
            self.broker.end()
        shutil.rmtree(self.work, ignore_errors=True)
