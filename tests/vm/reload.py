#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""reload.py: `isthmus reload` from outside: rights taken from app VMs that store as fast as they can, instances that
come and go, and what cannot be done. RELOAD_TRIES is how often a right is taken (1,000 in soak). TAP on stdout."""
import mmap, os, re, signal, struct, subprocess, sys, tempfile, threading, time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
TRIES = int(os.environ.get("RELOAD_TRIES", "12"))
PATIENCE = 20.0
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
APP = f"{BUILD}/tests/vm/rights.app"
STOP, TARGET, OTHER = 0x5000, 0x6000, 0x16000  # of the regions, where the group has no output sections


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def instance(name, more=""):
    return f"  - {{name: {name}, kind: app, image: {APP}, memory: 16M, groups: [g]{more}}}\n"


def config(target="access: rw", instances=None, group="", regions=""):
    return (f"groups:\n  - name: g\n    size: 256K\n    max_peers: 4\n    run_state: false\n{group}    regions:\n"
            "      - {name: stop, size: 4K, access: ro}\n"
            f"      - {{name: target, size: 64K, {target}}}\n"
            f"      - {{name: other, size: 64K, access: rw}}\n{regions}"
            "instances:\n" + "".join(instances or [instance("a"), instance("b")]))


class Up:
    """A running `isthmus up`, its lines as they come, and its group's memory."""

    def __init__(self, folder, text, *options):
        self.path = f"{folder}/g.yml"
        self.write(text)
        self.process = subprocess.Popen([f"{BUILD}/isthmus", "up", *options, self.path], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines, self.news = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def write(self, text):
        with open(self.path, "w") as file:
            file.write(text)

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()

    def expect(self, pattern):
        until = time.monotonic() + PATIENCE
        with self.news:
            while not any(re.search(pattern, line) for line in self.lines):
                check(time.monotonic() < until, f"no /{pattern}/: {self.lines}")
                self.news.wait(0.1)

    def map(self):
        path = ask("path", "g").stdout.strip()
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 256 << 10)

    def word(self, offset):
        return struct.unpack_from("<Q", self.memory, offset)[0]

    def moves(self, offset, times=1):
        """Waits until this counter has moved so often."""
        until = time.monotonic() + PATIENCE
        for _ in range(times):
            last = self.word(offset)
            while self.word(offset) == last:
                check(time.monotonic() < until, f"0x{offset:x} does not move from {last}")
                time.sleep(0.0001)

    def reload(self, text, *options):
        self.write(text)
        return ask("reload", *options, self.path)

    def goes(self, text, *options):
        done = self.reload(text, *options)
        check(done.returncode == 0, f"reload: {done.stdout}{done.stderr}")
        return done.stdout

    def end(self):
        done = ask("down")
        check(done.returncode == 0, f"down: {done.stderr}")
        self.process.wait(PATIENCE)


def ask(*words):
    return subprocess.run([f"{BUILD}/isthmus", *words], capture_output=True, text=True, timeout=60)


def pid_of(name):
    return int(re.search(rf"^ *\d+ +{name} +\w+.*? +\d+ +(\d+) ", ask("status").stdout, re.M)[1])


# ---- Scenes -------------------------------------------------------------------------------------

def started(folder, text=None):
    up = Up(folder, text or config())
    up.expect(r"a +\| other is rw")
    up.expect(r"b +\| other is rw")
    up.map()
    return up


def nothing_lands(folder):
    """After the command has returned what is in the region is the last that its writers ever put there."""
    up = started(folder)
    for i in range(TRIES):
        up.goes(config("access: none" if i % 2 else "access: ro"))
        before = up.memory[TARGET:TARGET + 4096]
        for peer in (0, 1):  # both go on meanwhile
            up.moves(OTHER + 8 * peer, 2)
        if i == 0:  # they look seldom: a later loss may be over before they do
            up.expect(r"a +\| target is ro")
            up.expect(r"b +\| target is ro")
        check(up.memory[TARGET:TARGET + 4096] == before, f"try {i}: a store has landed")
        up.goes(config())
        for peer in (0, 1):
            up.moves(TARGET + 8 * peer)
    up.end()
    return f"{TRIES} times, two writers"


def pages(folder):
    """A page-coherent region that two write in turn: one loses it, and the other goes on alone."""
    paged = "coherence: page, access: rw, tenure: 20us"
    up = started(folder, config(paged))
    for peer in (0, 1):
        up.moves(TARGET + 8 * peer, 3)
    said = up.goes(config(f"{paged}, rights: [{{instance: a, access: ro}}]"))
    check("ro instead of rw for 'a'" in said, said)
    last = up.word(TARGET)
    up.moves(TARGET + 8, 5)
    up.moves(OTHER, 2)
    check(up.word(TARGET) == last, "a store of a's has landed")
    up.goes(config(f"{paged}, rights: [{{instance: a, access: none}}]"))
    up.moves(TARGET + 8, 5)
    up.moves(OTHER, 2)
    check(up.word(TARGET) == last, "a store of a's has landed when it had no right at all")
    done = up.reload(config(paged))
    check(done.returncode == 1 and "the region is page-coherent, and 'a' has pid" in done.stderr, done.stderr)
    up.end()


def does_not_answer(folder):
    """A VM that is stopped: it is named, what it lost stands; it answers when it goes on. With --force it is killed
    (in the long form, as that takes another 2 s)."""
    up = started(folder)
    pid = pid_of("a")
    os.kill(pid, signal.SIGSTOP)
    done = up.reload(config("access: ro"))
    check(done.returncode == 1 and done.stderr == f"isthmus: group 'g': 'a' (pid {pid}) does not answer: it may still "
          "have what it had\n", done.stderr)
    check("a     live, stalled" in ask("status").stdout, ask("status").stdout)
    os.kill(pid, signal.SIGCONT)
    up.expect(r"^a +\| isthmus-vm: a: write to read-only region 'target'")
    last = up.word(TARGET)
    up.moves(OTHER, 3)
    check(up.word(TARGET) == last, "a store has landed")
    if TRIES >= 100:
        os.kill(pid, signal.SIGSTOP)
        said = up.goes(config("access: none"), "--force")
        check(f"'a' (pid {pid}) does not answer: killed" in said, said)
        check(not os.path.exists(f"/proc/{pid}/exe"), "it lives")
    up.moves(OTHER + 8, 2)
    up.end()


def instances(folder):
    """One comes and is started; one goes and is stopped; the others keep their places and go on."""
    up = started(folder)
    said = up.goes(config(instances=[instance("c"), instance("b"), instance("a")]))
    check(said == "instance 'c' is new\n", said)
    up.expect(r"^c +\| other is rw")
    up.moves(OTHER + 16)
    pid = pid_of("a")
    said = up.goes(config(instances=[instance("c"), instance("b")]))
    check(said == "instance 'a' is gone\n", said)
    check(not os.path.exists(f"/proc/{pid}/exe"), "a lives")
    status = ask("status").stdout
    check(not re.search(r"\ba\b  +", status) and re.search(r"^ *1 +b ", status, re.M)
          and re.search(r"^ *2 +c ", status, re.M), status)
    up.moves(OTHER + 8)
    # a in a new place: as another incarnation, with the ID that was its own.
    up.goes(config(instances=[instance("c"), instance("b"), instance("a")]))
    up.moves(OTHER)
    check(re.search(r"^ *0 +a +live +2 ", ask("status").stdout, re.M), ask("status").stdout)
    # All go but one that is not started: `up` goes on.
    up.goes(config(instances=[instance("d", ", autostart: false")]))
    check(up.process.poll() is None, "up has ended")
    check(ask("start", "d").returncode == 0, "d does not start")
    up.expect(r"^d +\| other is rw")
    up.end()


def nothing_done(folder):
    """Mistakes in the file as `check` says them; what cannot be done, all of it; a dry run. Nothing changes."""
    up = started(folder)
    before = ask("status", "--json").stdout
    up.write(config("size: 1X, colour: red"))
    done, told = ask("reload", up.path), ask("check", up.path)
    check(done.returncode == 1 and done.stderr == told.stderr and "colour" in told.stderr, done.stderr)
    pid = pid_of("b")
    done = up.reload(config("access: ro", instances=[instance("a"), instance("b", ", args: [x]")],
                            group="    vectors: 8\n"))
    check(done.returncode == 1 and done.stdout == "" and done.stderr ==
          "isthmus: not while it runs: group 'g': vectors 8 instead of 4: it is what the group was made with\n"
          f"isthmus: not while it runs: instance 'b': another 'args': 'b' has pid {pid}\n", done.stdout + done.stderr)
    said = up.goes(config("access: ro", regions="      - {name: new, size: 4K}\n"), "--dry-run")
    check(said == "group 'g': region 'target' is ro instead of rw for 'a'\n"
          "group 'g': region 'target' is ro instead of rw for 'b'\ngroup 'g': region 'new' of 4K is new\n", said)
    check(re.sub(r'"since": "[^"]*"', "", before) == re.sub(r'"since": "[^"]*"', "", ask("status", "--json").stdout),
          "status has changed")
    up.moves(TARGET)
    check(ask("reload").returncode == 2 and ask("reload", "a", "b", "c").returncode == 2, "usage")
    done = ask("reload", "/nowhere.yml")
    check(done.returncode == 1 and done.stderr == ask("check", "/nowhere.yml").stderr, done.stderr)
    up.end()


SCENES = ((nothing_lands, "no store lands after the command has returned"), (pages, "a page-coherent region"),
          (does_not_answer, "a VM that does not answer"), (instances, "instances come and go"),
          (nothing_done, "nothing is done"))


def main():
    print(f"1..{len(SCENES)}", flush=True)
    failed = 0
    for number, (scene, name) in enumerate(SCENES, 1):
        if not KVM:
            print(f"ok {number} - {name} # SKIP no /dev/kvm", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ISTHMUS_RUNTIME_DIR"] = f"{folder}/run"
            since = time.monotonic()
            try:
                note = scene(folder)
                print(f"# {time.monotonic() - since:.1f} s{': ' + note if note else ''}\nok {number} - {name}", flush=True)
            except AssertionError as error:
                failed += 1
                print("\n".join(f"# {line}" for line in str(error).splitlines()))
                print(f"not ok {number} - {name}", flush=True)
            finally:
                ask("down")
                ask("down")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
