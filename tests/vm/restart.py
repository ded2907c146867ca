#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""restart.py: SIGKILL of `isthmus up` at a random moment of a running exchange, and `up --attach`, again and again.

Two app VMs (processes without KVM) and two processes send numbered messages to each other all the while:
app_exchange.c checks each and prints "bad" at the first that is lost, twice or changed, and "gone" if the other end
is lost. Nobody may be started again: pids and incarnations stay. RESTARTS=100 is the long form. TAP on stdout.
"""
import json, os, random, signal, struct, subprocess, sys, tempfile, time

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
RESTARTS = int(os.environ.get("RESTARTS", "6"))
PATIENCE = 30.0  # seconds until "it never came back"; the figures printed are the measurement
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
# The VMs have pagers too, whose bells are handed back with the others.
PAGED = ", {name: paged, size: 64K, coherence: page}" if KVM and os.geteuid() == 0 else ""
APP = f"{BUILD}/tests/vm/exchange"

CONFIG = """
groups:
  - name: vms
    regions: [{{name: main, size: 1M}}, {{name: raw, size: 64K}}{paged}]
  - name: processes
    regions: [{{name: main, size: 1M}}, {{name: raw, size: 64K}}]
instances:
  - {{name: source, kind: app, image: {app}.app, args: [source], memory: 16M, groups: [vms]}}
  - {{name: sink, kind: app, image: {app}.app, args: [sink], memory: 16M, groups: [vms]}}
  - {{name: psource, kind: process, command: [{app}, source], groups: [processes]}}
  - {{name: psink, kind: process, command: [{app}, sink], groups: [processes]}}
"""


class Up:
    """`isthmus up`, its output in one file for all of them."""

    def __init__(self, folder):
        self.folder, self.config = folder, f"{folder}/restart.yaml"
        self.output = open(f"{folder}/output", "ab")
        self.process = None

    def start(self, *options):
        extra = [] if KVM else ["--no-kvm"]
        self.process = subprocess.Popen([f"{BUILD}/isthmus", "up", *extra, *options, self.config], stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT)

    def printed(self):
        return open(self.output.name, errors="replace").read()

    def status(self):
        asked = subprocess.run([f"{BUILD}/isthmus", "status", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ups = json.loads(asked.stdout)["ups"] if asked.returncode == 0 else []
        return ups[0] if ups and ups[0]["pid"] == self.process.pid else None

    def await_all(self, what, holds):
        """The status in which `holds` of every peer."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if "bad" in self.printed():
                raise AssertionError(self.printed())
            status = self.status()
            peers = [p for g in status["groups"] for p in g["peers"]] if status else []
            if len(peers) == 4 and all(map(holds, peers)):
                return status, peers
            time.sleep(0.005)
        raise AssertionError(f"not all {what} within {PATIENCE} s: {status}")


def who(peers):
    return sorted((p["name"], p["incarnation"], p["pid"]) for p in peers)


def received(pid):
    """How many messages the sink has taken, as it says in the group's memory."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:isthmus:"):
                memory = open(f"/proc/{pid}/fd/{fd}", "rb")
                break
        except FileNotFoundError:
            pass
    with memory:
        data = os.pread(memory.fileno(), 1 << 22, 0)
    table = data.find(b"raw\0")  # the region table's entry: name, then offset
    offset = struct.unpack_from("<Q", data, table + 32)[0]
    return struct.unpack_from("<Q", data, offset + 4096 * 8 + 8)[0]


def run(up):
    up.start()
    _, before = up.await_all("live", lambda p: p["state"] == "live")
    sinks = [p["pid"] for p in before if p["name"].endswith("sink")]
    times, counts = [], [received(pid) for pid in sinks]
    for number in range(RESTARTS):
        time.sleep(random.uniform(0, 0.1))
        up.process.send_signal(signal.SIGKILL)
        up.process.wait()
        time.sleep(random.uniform(0, 0.05))
        begun = time.monotonic()
        up.start("--attach")
        _, peers = up.await_all("back", lambda p: p["state"] == "live" and p["back"] and p["reachable"])
        times.append(time.monotonic() - begun)
        if who(peers) != who(before):
            raise AssertionError(f"restart {number}: {who(before)} became {who(peers)}")
        now = [received(pid) for pid in sinks]
        if not all(a < b for a, b in zip(counts, now)):
            raise AssertionError(f"restart {number}: nothing came: {counts}, {now}")
        counts = now
    up.process.send_signal(signal.SIGTERM)
    up.process.wait(PATIENCE)
    printed = up.printed()
    if "bad" in printed or "gone " in printed.replace("is gone", ""):
        raise AssertionError(printed)
    times.sort()
    print(f"# back after {times[0] * 1e3:.0f} ms at best, {times[len(times) // 2] * 1e3:.0f} ms in the middle, "
          f"{times[-1] * 1e3:.0f} ms at worst; {sum(t > 1 for t in times)} of {RESTARTS} took longer than 1 s; "
          f"{' and '.join(map(str, counts))} messages")


def main():
    print("1..1")
    with tempfile.TemporaryDirectory(prefix="ist-restart.") as folder:
        os.environ["ISTHMUS_RUNTIME_DIR"] = f"{folder}/run"
        up = Up(folder)
        with open(up.config, "w") as file:
            file.write(CONFIG.format(app=APP, paged=PAGED))
        try:
            run(up)
            print(f"ok 1 - {RESTARTS} restarts, {'VMs' if KVM else 'no KVM, processes'} and processes: nothing is lost")
            return 0
        except AssertionError as wrong:
            print("# " + str(wrong).replace("\n", "\n# ")[:4000])
            print("not ok 1 - restarts")
            return 1
        finally:
            # What is left running would outlive this.
            pids = [p for p in os.listdir("/proc") if p.isdigit()]
            for pid in pids:
                try:
                    if f"ISTHMUS_RUNTIME_DIR={folder}/run".encode() in open(f"/proc/{pid}/environ", "rb").read() \
                            and int(pid) != os.getpid():
                        os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass


if __name__ == "__main__":
    sys.exit(main())
