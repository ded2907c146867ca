# SPDX-License-Identifier: BSD-2-Clause
"""rights.py: `isthmus reload` takes rights from Linux guests: their processes hear of it."""
import mmap
import re
import subprocess
import time

from machines import CMDLINE, check
from scenarios import suite

SCENARIOS, scenario = suite()

CONFIG = """\
groups:
  - name: rights
    size: 1M
    regions:
      - {{name: kept, size: 64K, access: rw}}
      - {{name: lost, size: 64K, access: {lost}}}
instances:
  - {{name: one, kind: linux, image: {vmlinux}, initrd: {initrd}, cmdline: "{cmdline}", memory: 192M, vcpus: 2,
     personality: {personality}, groups: [rights], autostart: false}}
  - {{name: other, kind: process, groups: [rights], autostart: false}}
"""
LOST = 0x15000  # of the region


def text(bed, lost, personality):
    return CONFIG.format(lost=lost, personality=personality, vmlinux=bed.job["vmlinux"], initrd=bed.job["initrd"],
                         cmdline=CMDLINE)


def go_over(bed, path, runtime, lost, personality):
    with open(path, "w") as out:
        out.write(text(bed, lost, personality))
    done = subprocess.run([bed.job["isthmus"], "reload", "--runtime-dir", runtime, path], capture_output=True,
                          text=True, timeout=60)
    check(done.returncode == 0, f"reload: {done.stdout}{done.stderr}")


def word(bed, runtime):
    """The first word of the region `lost`, as the host has it."""
    path = subprocess.run([bed.job["isthmus"], "path", "--runtime-dir", runtime, "rights"], capture_output=True,
                          text=True, check=True).stdout.strip()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 1 << 20, prot=mmap.PROT_READ) as memory:
        return int.from_bytes(memory[LOST:LOST + 8], "little")


def revoke(bed, personality):
    path, runtime = bed.second(text(bed, "rw", personality))
    guest = bed.launch("one", [bed.job["isthmus"], "run", "--runtime-dir", runtime, path, "one"])
    guest.wait_up(90)
    bed.load_module(guest)
    device = bed.device(guest, "rights")
    kept = guest.spawn(f"guest_rights {device} kept /tmp/stop")
    lost = guest.spawn(f"guest_rights {device} lost /tmp/stop")
    deadline = time.monotonic() + 60
    while word(bed, runtime) == 0:
        check(time.monotonic() < deadline, "nothing was stored")
        time.sleep(0.1)
    go_over(bed, path, runtime, "ro", personality)
    last = word(bed, runtime)
    said = lost.wait(60)
    check(said == ["stores", "sigbus, mmap: Permission denied, reads on: 1"], f"read-only: {said}")
    check(word(bed, runtime) == last, "a store has landed after the reload")
    listed = guest.run("cat /sys/class/isthmus/*/regions")
    check(any(re.match("lost .* read ", line) for line in listed), f"sysfs: {listed}")

    go_over(bed, path, runtime, "rw", personality)
    again = guest.spawn(f"guest_rights {device} lost /tmp/stop")
    deadline = time.monotonic() + 60
    while word(bed, runtime) == last:
        check(time.monotonic() < deadline, "nothing was stored when it may be again")
        time.sleep(0.1)
    go_over(bed, path, runtime, "none", personality)
    last = word(bed, runtime)
    said = again.wait(60)
    check(said == ["stores", "sigbus, mmap: Permission denied, reads nothing: Permission denied"], f"none: {said}")
    check(word(bed, runtime) == last, "a store has landed after the second reload")
    guest.run("touch /tmp/stop")
    said = kept.wait(60)
    check(said == ["stores", "went on"], f"the process of the other region: {said}")
    bed.power_off(guest)


@scenario("a right is taken from a guest: SIGBUS to who uses it, the other process goes on; v1, and v2 in the long form", 300)
def taken(bed):
    revoke(bed, "v1")
    if not bed.job["quick"]:
        revoke(bed, "v2")
