#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pages.py: page-coherent regions between app VMs and processes (app_pages.c): sums, orders of accesses, deaths, stalls,
hostile guests.

KILLS=N     SIGKILLs at random moments (default 12), and a sixth of it of those that are stopped
ROUNDS=N    of each litmus test (default 60)
SCENE=TEXT  only those whose name contains it
TAP on stdout.
"""
import json, os, random, re, signal, subprocess, sys, tempfile, time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
KILLS = int(os.environ.get("KILLS", "12"))
ROUNDS = int(os.environ.get("ROUNDS", "60"))
PATIENCE = 100.0
IMAGE = f"{BUILD}/tests/vm/pages.app"
PROGRAM = f"{BUILD}/tests/vm/pages"


class Group:
    """A broker with a group of so many places, and VMs in it; processes at those that `who` says, a letter a place."""

    def __init__(self, folder, who, more="", environment=None, run_as=None):
        self.folder, self.who, self.places, self.run_as = folder, who, len(who), run_as or {}
        places = self.places
        self.environment = {**os.environ, "ISTHMUS_RUNTIME_DIR": f"{folder}/run", **(environment or {})}
        instances = "\n".join(
            f"  - {{name: p{i}, kind: app, image: {IMAGE}, args: [beat, '{i}', '{places}', '0'], memory: 16M,"
            f" groups: [pg], autostart: false}}" for i in range(places))
        with open(f"{folder}/c.yaml", "w") as f:
            f.write("groups:\n  - name: pg\n    regions:\n      - {name: meet, size: 4K}\n"
                    f"      - {{name: pages, size: 64K, coherence: page{more}}}\ninstances:\n{instances}\n")
        self.log = open(f"{folder}/up.log", "w+")
        self.up = subprocess.Popen([f"{BUILD}/isthmus", "up", f"{folder}/c.yaml"], env=self.environment,
                                   stdout=self.log, stderr=self.log, **self.run_as)
        self.vms = []
        until = time.monotonic() + PATIENCE
        while not os.path.exists(f"{folder}/run/pg.sock"):
            if self.up.poll() is not None or time.monotonic() > until:
                raise AssertionError("no broker: " + self.said())
            time.sleep(0.01)

    def said(self):
        with open(f"{self.folder}/up.log") as f:
            return f.read()

    def start(self, mode, i, number=0):
        words = [mode, str(i), str(self.places), str(number)]
        vm = subprocess.Popen(
            [PROGRAM, *words] if self.who[i] == "p" else [f"{BUILD}/isthmus-vm", "--name", f"p{i}", "--image", IMAGE, "--memory", "16M", "--group",
             f"pg={self.folder}/run/pg.sock", "--stats", f"{self.folder}/stats{i}", "--", *words],
            env={**self.environment, "ISTHMUS_INSTANCE": f"p{i}"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **self.run_as)
        self.vms.append(vm)
        return vm

    def stats(self, i):
        with open(f"{self.folder}/stats{i}") as f:
            return json.load(f)

    def end(self, vm, status=0):
        """Waits for it; what it said."""
        try:
            text = vm.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            raise AssertionError("a VM does not end: " + self.said())
        self.vms.remove(vm)
        if "bad" in text or (status is not None and vm.returncode != status):
            raise AssertionError(f"status {vm.returncode}: {text} {self.said()}")
        return text

    def run(self, mode, number):
        """All places, with that mode; what they said."""
        return [self.end(vm) for vm in [self.start(mode, i, number) for i in range(self.places)]]

    def tell(self, i):
        """Sum, marks and what was known to be done, as a new VM finds them."""
        text = self.end(self.start("tell", i))
        return [int(n) for n in re.search(r"sum (\d+) marks (\d+) done (\d+)", text).groups()]

    def goes_on(self, i, total):
        """Those who beat add to the sum, sooner or later."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            now = self.tell(i)[0]
            if now > total:
                return now
        raise AssertionError(f"nobody goes on from {total}: {self.said()}")

    def close(self):
        for vm in self.vms:
            vm.send_signal(signal.SIGCONT)
            vm.kill()
            vm.communicate()
        self.up.send_signal(signal.SIGTERM)
        try:
            self.up.wait(20)
        except subprocess.TimeoutExpired:
            self.up.kill()
            raise AssertionError("isthmus up did not end")
        finally:
            self.log.close()
        if os.path.exists(f"{self.folder}/run"):
            raise AssertionError("left: " + " ".join(os.listdir(f"{self.folder}/run")))


def adds(group):
    for text in group.run("count", 20000):
        if "counted" not in text:
            raise AssertionError(text)


def orders(group):
    texts = group.run("litmus", ROUNDS)
    if f"all orders are in order: {ROUNDS} rounds" not in texts[0]:
        raise AssertionError(texts)


def shares(group):
    group.run("share", 2000000)
    stats = [group.stats(i)["pages"] for i in range(group.places) if group.who[i] == "v"]
    return f"faults {[s['read_faults'] + s['write_faults'] for s in stats]}"


def reads(group):
    """KVM asks for writing on behalf of loads; readers must be given reading all the same."""
    group.run("read", 100000)
    faults = [group.stats(i)["pages"]["read_faults"] for i in range(group.places)]
    if not sum(faults):
        raise AssertionError("no VM was ever given the right to read alone")
    return f"read faults {faults}"


def is_quiet(group):
    """16 pages, a fault or two each (it may read before it writes), and no more however often they are used."""
    text = group.end(group.start("quiet", 0, 100))
    stats = group.stats(0)
    pages = stats["pages"]
    faults = pages["read_faults"] + pages["write_faults"]
    if not 16 <= faults <= 32 or pages["answers"] or not re.search("819200 accesses", text):
        raise AssertionError(f"{text} {stats}")
    return f"{text.strip()}, {faults} faults"


def hostile(group):
    """A guest stores to the directory: dropped, counted, and nobody notices."""
    beat = group.start("beat", 0)
    text = group.end(group.start("hostile", 1, 2000))
    stats = group.stats(1)
    if stats["dropped_writes"] != 2000 or "2000 stores dropped" not in text:
        raise AssertionError(f"{text} {stats}")
    if "read-only part 'page directories'" not in text and "'page directories'" not in text:
        raise AssertionError(text)
    beat.terminate()
    group.end(beat, 143)


def judge(group, place, deaths):
    total, marks, done = group.tell(place)
    if not marks <= total <= marks + deaths or not done <= marks <= done + deaths:
        raise AssertionError(f"sum {total}, marks {marks}, done {done} after {deaths} deaths")
    return total


def killed(group):
    """Content is what the last owner wrote: no sum runs away from the marks, and no mark from what was done."""
    deaths, before = 0, 0
    beating = {i: group.start("beat", i) for i in range(3)}
    for _ in range(KILLS):
        time.sleep(0.05 + random.random() * 0.1)
        victim = random.randrange(3)
        beating[victim].kill()
        group.end(beating[victim], -9)
        deaths += 1
        before = group.goes_on(3, before)
        beating[victim] = group.start("beat", victim)
    for vm in beating.values():
        vm.kill()
        group.end(vm, -9)
        deaths += 1
    judge(group, 3, deaths)
    return f"{deaths} deaths, sum {before}"


def stopped(group):
    """Stopped, and the others want what it has: it is killed, and they go on. In each run with the page or not."""
    tried = killed_ones = 0
    while tried < 8 and killed_ones < KILLS // 6:
        tried += 1
        beating = [group.start("beat", i) for i in range(2)]
        time.sleep(0.3)
        beating[0].send_signal(signal.SIGSTOP)
        first = group.tell(2)[0]  # waits for the page, if the stopped one has it
        group.goes_on(3, first)
        if beating[0].poll() is not None:
            killed_ones += 1
            if "does not give up region 'pages'" not in group.said():
                raise AssertionError(group.said())
        for vm in beating:
            vm.send_signal(signal.SIGCONT)
            vm.kill()
            group.end(vm, -9)
    if not killed_ones:
        raise AssertionError("none of 8 that stopped held a page that others wanted")
    return f"{killed_ones} of {tried} killed"


def only_reads(group):
    """A process that may only read: it sees what is written, and its own store is a fault of its own."""
    beat = group.start("beat", 0)
    for _ in range(3):
        group.goes_on(1, 0)
    text = group.end(group.start("write", 1), -signal.SIGSEGV)
    if "I write" not in text:
        raise AssertionError(text)
    group.goes_on(1, group.tell(1)[0])
    beat.kill()
    group.end(beat, -9)


def calls(group):
    """The kernel reads and writes there for a process: a pipe, a futex, a locked page; a child has nothing there."""
    beat = group.start("beat", 0)
    text = group.end(group.start("kernel", 1, 200))
    if "the system's calls work" not in text:
        raise AssertionError(text)
    beat.kill()
    group.end(beat, -9)


def as_processes(folder):
    """isthmus up --no-kvm: app instances are processes, and obey the same pager."""
    with open(f"{folder}/c.yaml", "w") as f:
        f.write("groups:\n  - name: pg\n    regions:\n      - {name: meet, size: 4K}\n      - {name: pages, size: 64K, "
                "coherence: page}\ninstances:\n" +
                "".join(f"  - {{name: p{i}, kind: app, image: {IMAGE}, args: [count, '{i}', '2', '20000'], memory: 16M, "
                        "groups: [pg]}\n" for i in range(2)))
    run = subprocess.run([f"{BUILD}/isthmus", "up", "--no-kvm", f"{folder}/c.yaml"], text=True, capture_output=True,
                         env={**os.environ, "ISTHMUS_RUNTIME_DIR": f"{folder}/run"}, timeout=PATIENCE)
    if run.returncode != 0 or run.stdout.count("counted: 40000 of 40000") != 2:
        raise AssertionError(f"{run.returncode}: {run.stderr} {run.stdout}")


def without_privilege(folder):
    """Broker and process of a user who may not use userfaultfd: an error, and the broker's log says what it takes."""
    nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    if os.geteuid() or open("/proc/sys/vm/unprivileged_userfaultfd").read().strip() == "1":
        return "everybody here may, or nobody can be nobody"
    os.chmod(folder, 0o777)
    group = Group(folder, "p", run_as=nobody)
    try:
        text = group.end(group.start("tell", 0), 2)
        if text != "cannot open: -1\n" or "peer p0" not in group.said() or \
                "says: page coherence takes userfaultfd: be root, or give the user /dev/userfaultfd" not in group.said():
            raise AssertionError(f"{text} {group.said()}")
    finally:
        group.close()
    return None


OLD = {"ISTHMUS_PAGER_6_1": "1"}
READS = ", rights: [{instance: p1, access: ro}]"
SCENES = [
    ("two VMs add to one word", adds, "vv", "", None),
    ("three VMs add to one word", adds, "vvv", "", None),
    ("three VMs add to one word, with no tenure to speak of", adds, "vvv", ", tenure: 1us", None),
    ("three VMs add to one word, as on Linux 6.1", adds, "vvv", "", OLD),
    ("litmus tests of two", orders, "vv", "", None),
    ("litmus tests of four", orders, "vvvv", "", None),
    ("litmus tests of two, as on Linux 6.1", orders, "vv", "", OLD),
    ("words of one page", shares, "vv", "", None),
    ("three VMs read", reads, "vvv", "", None),
    ("three VMs read, as on Linux 6.1", reads, "vvv", "", OLD),
    ("nobody contends", is_quiet, "v", "", None),
    ("a guest stores to the directory", hostile, "vv", "", None),
    (f"{KILLS} are killed at random moments", killed, "vvvv", "", None),
    ("stopped ones", stopped, "vvvv", ", recall: 100ms", None),
    ("two processes add to one word", adds, "pp", "", None),
    ("a process and two VMs add to one word", adds, "pvv", "", None),
    ("a process and two VMs add to one word, as on Linux 6.1", adds, "pvv", "", OLD),
    ("litmus tests of two processes", orders, "pp", "", None),
    ("litmus tests of two processes, as on Linux 6.1", orders, "pp", "", OLD),
    ("litmus tests of a process and a VM", orders, "pv", "", None),
    ("litmus tests of two processes and two VMs", orders, "pvpv", "", None),
    ("words of one page, of a process and a VM", shares, "pv", "", None),
    (f"{KILLS} processes and VMs are killed at random moments", killed, "pvpp", "", None),
    ("stopped processes", stopped, "pppp", ", recall: 100ms", None),
    ("a process that may only read", only_reads, "vp", READS, None),
    ("the kernel's accesses for a process", calls, "pp", "", None),
    ("the kernel's accesses for a process, as on Linux 6.1", calls, "pp", "", OLD),
]
LONELY = [("as processes", as_processes), ("without privilege", without_privilege)]


def attempt(number, name, scene):
    """True: it failed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = scene(folder)
        except AssertionError as error:
            print(f"not ok {number} - {name}: " + str(error).replace("\n", " | "), flush=True)
            return 1
    print((f"# {said}\n" if said else "") + f"ok {number} - {name}", flush=True)
    return 0


def in_group(scene, *made_of):
    def run(folder):
        group = Group(folder, *made_of)
        try:
            return scene(group)
        finally:
            group.close()
    return run


def main():
    seed = int(os.environ.get("SEED", time.time_ns() % 100000))
    random.seed(seed)
    only = os.environ.get("SCENE", "")
    scenes = [(name, in_group(scene, *made_of), "v" in made_of[0]) for name, scene, *made_of in SCENES]
    scenes += [(name, scene, False) for name, scene in LONELY]
    scenes = [s for s in scenes if only in s[0]]
    print(f"1..{len(scenes)}\n# seed {seed}", flush=True)
    failed, kvm = 0, os.access("/dev/kvm", os.R_OK | os.W_OK)
    for number, (name, scene, needs_kvm) in enumerate(scenes, 1):
        if needs_kvm and not kvm:
            print(f"ok {number} - {name} # SKIP no /dev/kvm", flush=True)
        else:
            failed += attempt(number, name, scene)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
