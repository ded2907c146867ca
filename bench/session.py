# SPDX-License-Identifier: BSD-2-Clause
"""session.py: one `isthmus up` of a bench: its configuration, its console lines, its end."""
import datetime
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("BUILD", "build")
CPUS = sorted(os.sched_getaffinity(0))[:2]
TIMEOUT = 120  # seconds; something hangs

GROUP = """\
groups:
  - name: bench
    vectors: 4
    regions:
      - {name: channels, size: 16M, access: rw}
      - {name: raw, size: 8M, access: rw}
      - {name: cells-0, size: 8M, access: rw}
      - {name: cells-1, size: 8M, access: rw}
      - {name: cells-2, size: 8M, access: rw}
      - {name: cells-3, size: 8M, access: rw}
      - {name: cells-4, size: 8M, access: rw}
      - {name: cells-5, size: 8M, access: rw}
      - {name: heads, size: 8M, access: rw}
      - {name: pool, size: 16M, access: rw, coherence: incoherent}
instances:
"""
APP = """\
  - name: %(name)s
    kind: app
    image: %(image)s
    args: [%(args)s]
    memory: 16M
    cpus: [%(cpu)d]
    groups: [%(groups)s]
"""
PROCESS = """\
  - name: %(name)s
    kind: process
    command: [%(command)s]
    cpus: [%(cpus)s]
    groups: [%(groups)s]
"""


def quoted(words):
    return ", ".join(f'"{word}"' for word in words)


def app(name, cpu, image, args, groups="bench"):
    return APP % {"name": name, "cpu": cpu, "image": os.path.abspath(image),
                  "args": quoted(args), "groups": groups}


def process(name, cpus, command, groups="bench"):
    return PROCESS % {"name": name, "cpus": ", ".join(map(str, cpus)),
                      "command": quoted(command), "groups": groups}


class Session:
    """A context: everything is torn down at its end."""

    def __init__(self, instances, options=(), timeout=TIMEOUT, groups=GROUP):
        self.timeout = timeout
        self.folder = tempfile.TemporaryDirectory(prefix="isthmus-bench-")
        self.directory = self.folder.name
        config = os.path.join(self.directory, "bench.yaml")
        with open(config, "w") as out:
            out.write(groups + "".join(instances))
        self.stopped = False
        self.command = [f"{BUILD}/isthmus", "up", "--quiet", *options, config]

    @classmethod
    def pair(cls, kind, args, wrap=()):
        """The two players. `wrap` runs ping, a process, under another program."""
        program = os.path.abspath(f"{BUILD}/bench/pingpong")
        players = [app(role, cpu, program + ".app", [role, *args])
                   for role, cpu in zip(("ping", "pong"), CPUS)]
        if wrap:
            players[0] = process("ping", CPUS[:1], [*wrap, program, "ping", *args])
        return cls(players, ["--no-kvm"] if kind == "process" else [])

    @classmethod
    def single(cls, command):
        return cls([process("rings", CPUS, command)])

    def __enter__(self):
        environment = dict(os.environ, ISTHMUS_RUNTIME_DIR=self.directory)
        self.up = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                   env=environment, start_new_session=True)
        self.timer = threading.Timer(self.timeout, self.up.send_signal, [signal.SIGTERM])
        self.timer.start()
        return self

    def lines(self):
        for line in self.up.stdout:
            yield line.rstrip("\n")

    def instance_pid(self, name):
        """The process that is this instance."""
        mine = {f"ISTHMUS_INSTANCE={name}", f"ISTHMUS_RUNTIME_DIR={self.directory}"}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ") as environ:
                    if mine <= set(environ.read().split("\0")):
                        return int(pid)
            except OSError:
                continue
        raise ProcessLookupError(name)

    def stop(self):
        self.stopped = True
        self.up.terminate()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.stop()
        for _ in self.up.stdout:  # it must not block on a full pipe
            pass
        status = self.up.wait()
        self.timer.cancel()
        self.folder.cleanup()
        if kind is None and status != 0 and not self.stopped:
            raise RuntimeError(f"{' '.join(self.command)}: exit status {status}")


def end_on_signals():
    """SIGTERM and Ctrl-C end the program as an exception does, without a word: whoever has a Session takes down what it started."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda which, _: sys.exit(128 + which))


def first_line(path, key):
    try:
        with open(path) as lines:
            for line in lines:
                if line.startswith(key):
                    return line.split(":", 1)[-1].strip()
    except OSError:
        pass
    return "unknown"


def machine():
    """What every record says of where and when it was measured."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return {
        "machine": f"{first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} CPUs",
        "kernel": platform.release(),
        "pinning": "one instance a CPU: " + ", ".join(map(str, CPUS)),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or "none",
    }
