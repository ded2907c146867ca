# SPDX-License-Identifier: BSD-2-Clause
"""boot.py: stock kernels boot, talk, reboot and power off."""
import hashlib
import os
import re

from machines import CMDLINE, check
from scenarios import suite

SCENARIOS, scenario = suite()


def boots(bed, kernel):
    guest = bed.launch("boot", bed.vm("boot", kernel=kernel, initrd=bed.job["small_initrd"]))
    release = guest.wait_up(90)
    check(release == bed.job["version"], f"it runs {release}, not {bed.job['version']}")
    bed.power_off(guest)
    return f"init after {guest.up_after:.1f} s"


@scenario("vmlinux boots by PVH and powers off", 120)
def vmlinux(bed):
    return boots(bed, bed.job["vmlinux"])


@scenario("bzImage boots by the 64-bit protocol and powers off", 120)
def bzimage(bed):
    return boots(bed, bed.job["bzimage"])


@scenario("the console carries input and output whole")
def console(bed):
    guest = bed.guest("ping")
    text = "".join(chr(33 + i % 90) for i in range(1500)).replace("'", "x")
    told = guest.run(f"printf %s '{text}' | md5sum")[0].split()[0]
    check(told == hashlib.md5(text.encode()).hexdigest(), "a long line came in changed")
    lines = guest.run("seq 1 400", 40)
    check(lines == [str(i) for i in range(1, 401)], f"{len(lines)} of 400 lines came out")
    jobs = [guest.spawn(f"echo {i}") for i in range(12)]
    for i, job in enumerate(jobs):
        check(job.wait(20) == [str(i)], f"command {i} of twelve at once printed {job.out.lines}")


@scenario("the guest sees its command line, kvm-clock, and no emulated timer trouble")
def surroundings(bed):
    guest = bed.guest("ping")
    check(guest.run("cat /proc/cmdline")[0].startswith(CMDLINE), "another command line")
    sources = guest.run("cat /sys/devices/system/clocksource/clocksource0/available_clocksource")[0]
    check("kvm-clock" in sources, f"clock sources: {sources}")
    check("KVM" in " ".join(guest.run("dmesg | grep -i 'hypervisor detected'")), "KVM not detected")
    return f"clock sources {sources}"


@scenario("4 vCPUs: all run, as one socket of four cores")
def four(bed):
    guest = bed.guest("quad")
    check(guest.run("nproc") == ["4"], "not 4 processors")
    cores = guest.run("grep '^core id' /proc/cpuinfo | sort -u | wc -l")[0]
    sockets = guest.run("grep '^physical id' /proc/cpuinfo | sort -u | wc -l")[0]
    check((cores, sockets) == ("4", "1"), f"{cores} cores, {sockets} sockets")
    for cpu in range(4):
        guest.run(f"taskset {1 << cpu:x} true")


@scenario("16 vCPUs boot", 150)
def sixteen(bed):
    guest = bed.launch("many", bed.vm("many", initrd=bed.job["small_initrd"], vcpus=16, memory="256M"))
    guest.wait_up(120)
    check(guest.run("nproc") == ["16"], "not 16 processors")
    bed.power_off(guest)


@scenario("reboot: the same process, a new kernel; then power-off", 120)
def reboot(bed):
    guest = bed.launch("again", bed.vm("again", initrd=bed.job["small_initrd"]))
    guest.wait_up(60)
    first = guest.run("cat /proc/sys/kernel/random/boot_id")
    guest.tell("run off reboot -f")
    guest.wait_up(60, boots=2)
    check(guest.alive(), "the process ended")
    check(guest.run("cat /proc/sys/kernel/random/boot_id") != first, "it is the same kernel still")
    bed.power_off(guest)


@scenario("a kernel that panics reboots, or says so", 120)
def panics(bed):
    guest = bed.launch("panic", bed.vm("panic", initrd=bed.job["small_initrd"]))
    guest.wait_up(60)
    guest.tell("run off echo c > /proc/sysrq-trigger")
    guest.wait_up(60, boots=2)
    log = "\n".join(guest.kernel_log.lines)
    check(re.search("Kernel panic - not syncing: sysrq triggered crash", log), "no word of the panic")
    guest.kernel_log.lines.clear()  # it was asked for: nothing for the last scan
    bed.power_off(guest)


CONSOLE = """\
instances:
  - {{name: lone, kind: linux, image: {vmlinux}, initrd: {small_initrd}, cmdline: "{cmdline}", memory: 128M}}
"""


@scenario("isthmus up starts a guest; isthmus console attaches, leaves, and attaches again", 120)
def attach(bed):
    path = os.path.join(bed.work, "lone.yaml")
    with open(path, "w") as out:
        out.write(CONSOLE.format(cmdline=CMDLINE, **bed.job))
    runtime = os.path.join(bed.work, "lone")
    up = bed.process("isthmus up", [bed.job["isthmus"], "up", "--runtime-dir", runtime, path])
    up.out.expect("~up ", 60)
    for number in range(2):
        console = bed.launch("console", [bed.job["isthmus"], "console", "--runtime-dir", runtime, "lone"])
        console.count = 10 * number
        console.err.expect("connected to lone", 20)
        console.wait_up(20)  # among what came before
        check(console.run("echo $((6 * 7))") == ["42"], "no answer")
        console.popen.stdin.write(b"\x1d")
        console.popen.stdin.flush()
        check(console.status(10) == 0, f"the console's exit status: {console.popen.returncode}")
        check(up.alive(), "the guest went with its console")
    last = bed.launch("last", [bed.job["isthmus"], "console", "--runtime-dir", runtime, "lone"])
    last.tell("run off poweroff -f")
    check(up.status(30) == 0, f"isthmus up: exit status {up.popen.returncode}: {up.err.lines}")
