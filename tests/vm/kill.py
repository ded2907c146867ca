#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""kill.py: SIGKILL of one of two instances at a random moment of a running exchange, again and again.

The other one must learn of it, must have got every committed message whole and once, and must go on
with the next incarnation (app_exchange.c checks all that and prints "bad" otherwise). TAP on stdout.
"""
import os, random, re, signal, subprocess, sys, tempfile, threading, time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
KILLS = int(os.environ.get("KILLS", "50"))
PATIENCE = 20.0  # seconds until "it never learned"; the figure printed is the measurement


class Survivor:
    """`isthmus up` with one instance; its lines, as they come."""

    def __init__(self, config, extra):
        self.process = subprocess.Popen([f"{BUILD}/isthmus", "up", *extra, config], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines, self.news = [], threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()
        with self.news:
            self.lines.append("END")
            self.news.notify_all()

    def wait(self, pattern, start):
        """The first line from number `start` on that matches: (match, its number + 1)."""
        until = time.monotonic() + PATIENCE
        with self.news:
            i = start
            while True:
                while i < len(self.lines):
                    if "bad" in self.lines[i] or self.lines[i] == "END":
                        raise AssertionError(self.lines[i])
                    match = re.search(pattern, self.lines[i])
                    i += 1
                    if match:
                        return match, i
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no /{pattern}/ within {PATIENCE} s")
                self.news.wait(left)


def scene(kvm, victim, folder):
    app = f"{BUILD}/tests/vm/exchange"
    other = "sink" if victim == "source" else "source"
    config = f"{folder}/{victim}.yaml"
    with open(config, "w") as f:
        f.write(f"""
groups:
  - name: kill
    regions:
      - {{name: main, size: 1M}}
      - {{name: raw, size: 64K}}
instances:
  - {{name: {other}, kind: app, image: {app}.app, args: [{other}], memory: 16M, groups: [kill]}}
  - {{name: {victim}, kind: app, image: {app}.app, args: [{victim}], memory: 16M, groups: [kill], autostart: false}}
""")
    extra = [] if kvm else ["--no-kvm"]
    survivor = Survivor(config, extra)
    delays, at = [], 0
    try:
        _, at = survivor.wait(r"group kill is open", 0)
        for kill in range(KILLS):
            child = subprocess.Popen([f"{BUILD}/isthmus", "run", *extra, config, victim],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                line = child.stdout.readline()
                while line and "begin" not in line and "bad" not in line:
                    line = child.stdout.readline()
                if "begin" not in line:
                    raise AssertionError(f"{victim} {kill}: {line.strip() or 'ended'}")
                _, at = survivor.wait(r"\| (begin|back)", at)
                time.sleep(random.random() ** 3 * 0.1)
            finally:
                before = time.monotonic_ns()
                child.send_signal(signal.SIGKILL)
                rest = child.communicate()[0]
            if "bad" in rest:
                raise AssertionError(f"{victim} {kill}: {rest.strip()}")
            match, at = survivor.wait(r"\| gone (-\d+) at (\d+) after (\d+)", at)
            if match[1] != "-130":
                raise AssertionError(f"told {match[1]}, not -EOWNERDEAD, of the death")
            delays.append((int(match[2]) - before) / 1e6)
    finally:
        survivor.process.send_signal(signal.SIGTERM)
        try:
            survivor.process.wait(15)
        except subprocess.TimeoutExpired:
            survivor.process.kill()
            raise AssertionError("isthmus up did not end")
    delays.sort()
    return (f"{len(delays)} deaths, learned of after p50 {delays[len(delays) // 2]:.1f} ms, "
            f"max {delays[-1]:.1f} ms")


def main():
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    failed = 0
    seed = int(os.environ.get("SEED", time.time_ns() % 100000))
    random.seed(seed)
    print(f"1..4\n# seed {seed}", flush=True)
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ISTHMUS_RUNTIME_DIR", f"{folder}/run")
        for virtual in (True, False):
            for victim in ("source", "sink"):
                number += 1
                name = f"{number} - {'app VM' if virtual else 'process'}, the {victim} is killed {KILLS} times"
                if virtual and not kvm:
                    print(f"ok {name} # SKIP no /dev/kvm", flush=True)
                    continue
                try:
                    print(f"# {scene(virtual, victim, folder)}\nok {name}", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"not ok {name}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
