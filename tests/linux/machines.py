# SPDX-License-Identifier: BSD-2-Clause
"""machines.py: a virtual machine as a process with a serial line, and Linux guests driven over it."""
import os
import re
import signal
import subprocess
import threading
import time


# All time limits are multiplied by this: what is written is for a machine that has nothing else to do.
patience = 1.0


# A line that says that the first level lives.
BEAT = "beat"


class Failed(Exception):
    """What a scenario found wrong."""


def check(condition, text):
    if not condition:
        raise Failed(text)


class Lines:
    """The lines that come out of a pipe, read by a thread of its own, kept from the first to the last."""

    def __init__(self, each=None):
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.each = each

    def follow(self, fd):
        threading.Thread(target=self._read, args=(fd,), daemon=True).start()

    def _read(self, fd):
        rest = b""
        while True:
            try:
                block = os.read(fd, 65536)
            except OSError:
                block = b""
            *whole, rest = (rest + block).split(b"\n")
            if not block and rest:
                whole, rest = [*whole, rest], b""
            for line in whole:
                self.add(line.replace(b"\r", b"").decode(errors="replace"))
            if not block:
                break
        self.end()

    def add(self, line):
        if self.each:
            self.each(line)
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def expect(self, pattern, timeout, start=0):
        """The match in the first line, from line `start` on, that matches. Fails when none comes."""
        regex, at = re.compile(pattern), start
        deadline = time.monotonic() + timeout * patience
        with self.changed:
            while True:
                for line in self.lines[at:]:
                    match = regex.search(line)
                    if match:
                        return match
                at = len(self.lines)
                left = deadline - time.monotonic()
                if self.ended:
                    raise Failed(f"it ended without a line like '{pattern}'")
                if left <= 0:
                    raise Failed(f"no line like '{pattern}' in {timeout} s")
                self.changed.wait(left)

    def wait_end(self, timeout):
        with self.changed:
            if not self.changed.wait_for(lambda: self.ended, timeout * patience):
                raise Failed(f"it still ran after {timeout} s")


class Process:
    """A process of this level; what it prints."""

    def __init__(self, name, argv, env=None):
        self.name, self.argv = name, argv
        self.out, self.err = Lines(self._out), Lines()
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, start_new_session=True,
                                      env={**os.environ, **(env or {})})
        self.out.follow(self.popen.stdout.fileno())
        self.err.follow(self.popen.stderr.fileno())

    def _out(self, line):
        pass

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def status(self, timeout):
        """Its exit status (below 0: the signal), when all that it printed has been read."""
        try:
            self.popen.wait(timeout * patience)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} still ran after {timeout} s") from None
        self.out.wait_end(5)
        self.err.wait_end(5)
        return self.popen.returncode

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.popen.send_signal(number)

    def end(self):
        """Whatever it was doing. Its descriptors are closed too."""
        self.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            try:
                pipe.close()
            except OSError:
                pass


class Job:
    """A command that runs in a guest."""

    def __init__(self, guest, ident, command):
        self.guest, self.ident, self.command = guest, ident, command
        self.out = Lines()
        self.code = None

    def __str__(self):
        return f"{self.guest.name}: {self.command}"

    def expect(self, pattern, timeout, start=0):
        try:
            return self.out.expect(pattern, timeout, start)
        except Failed as failure:
            raise Failed(f"{self}: {failure}; it printed: {self.tail()}") from None

    def wait(self, timeout, status=0):
        """Its lines, when it has ended; fails when not with this status (None: any)."""
        try:
            self.out.wait_end(timeout)
        except Failed as failure:
            raise Failed(f"{self}: {failure}; it printed: {self.tail()}") from None
        check(status is None or self.code == status,
              f"{self}: status {self.code}; it printed: {self.tail()}")
        return self.out.lines

    def tail(self):
        return " | ".join(self.out.lines[-8:]) or "nothing"

    def kill(self):
        self.guest.tell(f"kill {self.ident}")


class Guest(Process):
    """A Linux guest whose init is guest_agent.c, at the other end of stdin and stdout."""

    def __init__(self, name, argv, env=None):
        self.jobs, self.count, self.releases = {}, 0, []
        self.ready = False  # what is to run before commands has run
        self.started, self.up_after = time.monotonic(), None
        self.kernel_log = Lines()
        super().__init__(name, argv, env)

    @property
    def boots(self):
        return len(self.releases)

    def _out(self, line):
        frame = re.match(r"~(\w+)([|=])(.*)|~!(\d)\|(.*)|~up (.*)", line)
        if not frame:
            if line.strip():
                self.kernel_log.add(line)
        elif frame[5] is not None:
            self.kernel_log.add(frame[5])
        elif frame[6]:
            self.ready = False
            self.releases.append(frame[6])
            self.up_after = self.up_after or time.monotonic() - self.started
            for job in list(self.jobs.values()):
                job.out.end()
        elif frame[1] in self.jobs:
            job = self.jobs[frame[1]]
            if frame[2] == "|":
                job.out.add(frame[3])
            else:
                job.code = int(frame[3])
                job.out.end()

    def tell(self, text):
        try:
            self.popen.stdin.write(text.encode() + b"\n")
            self.popen.stdin.flush()
        except OSError:
            raise Failed(f"{self.name}: its console is closed") from None

    def wait_up(self, timeout, boots=1):
        """Until init has said so for the boots-th time. Returns the kernel's release."""
        deadline = time.monotonic() + timeout * patience
        with self.out.changed:
            while self.boots < boots:
                left = deadline - time.monotonic()
                check(not self.out.ended, f"{self.name} ended before its init came: "
                      f"{' | '.join(self.err.lines[-5:])}")
                check(left > 0, f"{self.name}: no init in {timeout} s")
                self.out.changed.wait(left)
            return self.releases[boots - 1]

    def spawn(self, command):
        self.count += 1
        job = self.jobs[f"j{self.count}"] = Job(self, f"j{self.count}", command)
        self.tell(f"run {job.ident} {command}")
        return job

    def run(self, command, timeout=20, status=0):
        return self.spawn(command).wait(timeout, status)

    def forget(self):
        """Ends it; what its kernel has said until then is no fault."""
        self.end()
        self.out.wait_end(5)
        self.kernel_log.lines.clear()

    def idle(self):
        """Ends all commands that still run."""
        for job in self.jobs.values():
            if not job.out.ended:
                job.kill()
        for job in self.jobs.values():
            job.wait(10, status=None)

    def report(self):
        """What to look at when something has failed."""
        kernel = self.kernel_log.lines
        if self.alive() and self.boots:
            try:
                kernel = self.run("dmesg | sed '1,/Run .init as/d' | tail -n 30", 10, None)
            except Failed:
                kernel = kernel + [f"({self.name} does not answer)"]
        return [f"{self.name}: kernel: {line}" for line in kernel[-40:]] + \
               [f"{self.name}: monitor: {line}" for line in self.err.lines[-20:]]


# ---- Which machine ------------------------------------------------------------------------------

# Mitigations are useless in an emulated processor, and cost twice the time.
CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off"


def ours(vm, name, kernel, initrd, groups=(), cmdline=CMDLINE, memory="128M", vcpus=1,
         personality="v1", more=()):
    """The command line of our monitor. `groups`: NAME=SOCKET."""
    return [vm, "--name", name, "--kernel", kernel, "--initrd", initrd, "--cmdline", cmdline,
            "--memory", memory, "--vcpus", str(vcpus), "--personality", personality,
            *(word for group in groups for word in ("--group", group)), *more]


def qemu(program, machine, kernel, initrd, cmdline=CMDLINE, memory="128M", vcpus=1, more=(),
         cpu="host"):
    """The same of QEMU's."""
    return [program, "-M", machine, "-accel", "kvm", "-cpu", cpu,
            "-m", memory, "-smp", str(vcpus), "-kernel", kernel, "-initrd", initrd,
            "-append", cmdline, "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "stdio", *more]


def beyond_ram(pid, ram_mib):
    """KiB resident in a monitor's process, without the mappings of guest RAM and of groups' memory."""
    total, counted, found = 0, True, []
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            mapping = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if mapping:
                mib = (int(mapping[2], 16) - int(mapping[1], 16)) / (1 << 20)
                ram = 0.9 * ram_mib <= mib <= 1.1 * ram_mib
                counted = not ram and "/memfd:" not in line
                if ram:
                    found.append(line.rstrip())
            elif counted and line.startswith("Rss:"):
                total += int(line.split()[1])
    check(len(found) == 1, f"guest RAM of process {pid} is not one mapping: {found}")
    return total
