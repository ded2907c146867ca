# SPDX-License-Identifier: BSD-2-Clause
"""hostile.py: kernels, initrds, rosters and guests that mean no good."""
import os
import random
import re
import struct
import time

import machines
from bed import MEMORY
from machines import check
from scenarios import suite
from scenarios.sharing import in_guest

SCENARIOS, scenario = suite()


# ---- Images -------------------------------------------------------------------------------------

def with_bytes(image, offset, data):
    return image[:offset] + data + image[offset + len(data):]


def image_cases(bed):
    """Name, file contents (or a path), where it goes in: kernel or initrd; and so many bytes more are in the file."""
    with open(bed.job["bzimage"], "rb") as file:
        bzimage = file.read()
    with open(bed.job["vmlinux"], "rb") as file:
        vmlinux = file.read(1 << 20)
    noise = random.Random(1).randbytes(1 << 20)
    sectors = (bzimage[0x1f1] or 4) + 1
    return [
        ("an empty file", b"", "kernel"),
        ("noise", noise, "kernel"),
        ("a text", b"#!/bin/sh\nexit 0\n", "kernel"),
        ("a bzImage cut in its setup", bzimage[:1000], "kernel"),
        ("a bzImage cut after its setup", bzimage[:sectors * 512], "kernel"),
        ("a bzImage cut in the middle", bzimage[:len(bzimage) // 2], "kernel"),
        ("a bzImage of protocol 2.00", with_bytes(bzimage, 0x206, b"\0\2"), "kernel"),
        ("a bzImage without 64-bit entry", with_bytes(bzimage, 0x236, b"\0\0"), "kernel"),
        ("a bzImage that needs 4 GiB", with_bytes(bzimage, 0x260, b"\xff\xff\xff\xff"), "kernel"),
        ("an ELF header alone", vmlinux[:64], "kernel"),
        ("an ELF kernel cut in a segment", vmlinux, "kernel"),
        ("an ELF kernel of 65535 segments", with_bytes(vmlinux, 56, b"\xff\xff"), "kernel", 1 << 27),
        ("an ELF kernel of another machine", with_bytes(vmlinux, 18, b"\xb7\0"), "kernel"),
        ("an ELF kernel at the end of the address space",
         with_bytes(vmlinux, 64 + 24, struct.pack("<Q", 0xfffffffffff00000)), "kernel", 1 << 27),
        ("an ELF program without a PVH entry", f"{bed.job['build']}/tests/linux/ring.app", "kernel"),
        ("no file", "/nonexistent/kernel", "kernel"),
        ("a folder", "/tmp", "kernel"),
        ("a device without end", "/dev/zero", "kernel"),
        ("no file", "/nonexistent/initrd", "initrd"),
        ("a folder", "/tmp", "initrd"),
        ("a device without end", "/dev/zero", "initrd"),
    ]


def refused(bed, what, **settings):
    """One clear line, status 125 or 2, nothing started."""
    process = bed.process("bad", bed.vm("bad", **settings))
    status = process.status(30)
    lines = process.err.lines
    check(status in (2, 125), f"{what}: status {status}: {lines}")
    check(len(lines) == 1 and re.match("isthmus-vm: ", lines[0]), f"{what}: not one clear line: {lines}")
    return f"{what}: {lines[0]}"


@scenario("kernels and initrds that are cut, absurd or too large: one clear line before anything starts", 180)
def images(bed):
    said = []
    for i, (what, content, where, *more) in enumerate(image_cases(bed)):
        path = content
        if isinstance(content, bytes):
            path = os.path.join(bed.work, f"bad{i}")
            with open(path, "wb") as out:
                out.write(content)
                out.truncate(len(content) + sum(more))
        said.append(refused(bed, f"{what} as {where}", **{where: path}))
    huge = os.path.join(bed.work, "huge")
    with open(huge, "wb") as out:
        out.truncate(1 << 32)
    said.append(refused(bed, "4 GiB as kernel", kernel=huge))
    said.append(refused(bed, "an initrd larger than memory", initrd=huge))
    said.append(refused(bed, "a command line of 100,000 bytes", cmdline="x" * 100000))
    said.append(refused(bed, "a command line that this kernel does not take", kernel=bed.job["bzimage"],
                        cmdline="x" * 3000))
    said.append(refused(bed, "less memory than any Linux takes", memory="32M"))
    return "\n# ".join(said)


@scenario("an initrd of noise: the kernel goes its way, the machine ends or reboots with it", 120)
def noise(bed):
    path = os.path.join(bed.work, "noise")
    with open(path, "wb") as out:
        out.write(random.Random(2).randbytes(1 << 20))
    guest = bed.launch("noise", bed.vm("noise", initrd=path,
                                       cmdline=machines.CMDLINE.replace("panic=-1", "panic=0")))
    guest.out.expect("Kernel panic - not syncing: VFS", 60)
    guest.forget()


# ---- Rosters ------------------------------------------------------------------------------------

MAGIC = 0x31534d4854534921
SIZE = 1 << 20


def roster(magic=MAGIC, major=1, minor=0, page=4096, required=0, total=SIZE, peers=2, vectors=1, regions=0):
    """A group's memory, with this roster."""
    head = struct.pack("<QHHIQQQQQII", magic, major, minor, page, required, 0, total, 0, 0, peers, vectors)
    head += b"made\0".ljust(32, b"\0") + struct.pack("<I", regions)
    return bytes(0x1000) + head.ljust(SIZE - 0x1000, b"\0")


# One region that lies about where it is.
FAR = bytearray(roster(regions=1))
FAR[0x2000:0x2030] = b"far\0".ljust(32, b"\0") + struct.pack("<QQ", SIZE - 4096, 1 << 40)

ROSTERS = [
    ("noise", random.Random(3).randbytes(SIZE)),
    ("zeros", bytes(SIZE)),
    ("another magic", roster(magic=MAGIC ^ 1)),
    ("ABI version 2", roster(major=2)),
    ("an unknown required feature", roster(required=1 << 63)),
    ("a size beyond the device", roster(total=1 << 40)),
    ("a page size of 0", roster(page=0)),
    ("4 billion peers", roster(peers=0xffffffff)),
    ("4 billion regions", roster(regions=0xffffffff)),
    ("a region beyond the end", bytes(FAR)),
]


@scenario("devices whose rosters are garbage, or of another version: a clear line each, none is bound", 150)
def rosters(bed):
    more = []
    for i, (_, content) in enumerate(ROSTERS):
        path = os.path.join(bed.work, f"roster{i}")
        with open(path, "wb") as out:
            out.write(content)
        more += ["-object", f"memory-backend-file,id=m{i},mem-path={path},size={SIZE},share=on",
                 "-device", f"ivshmem-plain,memdev=m{i}"]
    guest = bed.launch("rosters", machines.qemu(
        bed.job["qemu"], "microvm,pcie=on,rtc=on", bed.job["vmlinux"], bed.job["initrd"], more=more,
        cpu="host,-xsave"))  # with it QEMU's tables do not fit what TCG has, and the kernel warns of that
    guest.wait_up(90)
    functions = guest.run("for d in /sys/bus/pci/devices/*; do [ $(cat $d/device) != 0x1110 ] || basename $d; done")
    check(len(functions) == len(ROSTERS), f"the guest has {functions}")
    guest.run("insmod /modules/isthmus.ko", 30)
    check(not guest.run("ls /dev | grep isthmus", status=None), "a device was bound")
    log = guest.run("dmesg | grep -i isthmus")
    said = []
    for function, (what, _) in zip(sorted(functions), ROSTERS):
        lines = [line.split("] ", 1)[-1] for line in log
                 if function in line and "enabling device" not in line]  # PCI's own
        check(len(lines) == 1, f"{what}: not one clear line: {lines}")
        said.append(f"{what}: {lines[0]}")
    guest.run("rmmod isthmus", 30)
    guest.tell("run off poweroff -f")
    return "\n# ".join(said)


# ---- Guests -------------------------------------------------------------------------------------

FUZZ_SECONDS = 60
FUZZ_QUICK = 8
# Power-off, reset and the console are left alone first, so that the guest can tell how it went.
OWN_PORTS = "--avoid 0x600-0x602 --avoid 0x3f8-0x3ff"


def held(guest):
    """What a leak makes grow: descriptors, and KiB resident that are neither guest RAM nor the group's."""
    return len(os.listdir(f"/proc/{guest.pid}/fd")), machines.beyond_ram(guest.pid, MEMORY)


def play(bed, seconds):
    """ping and pong pass messages, that long at least. Returns how many."""
    ping, pong = bed.boot("ping", "pong")
    ends, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        players = [in_guest(guest)(f"{i} 2 200 main fuzzed") for i, guest in enumerate((ping, pong))]
        for player in players:
            player.wait(60)
        count += 400
    return count


def fuzz(bed, name, seed):
    ping, pong, victim = bed.boot("ping", "pong", name)
    seconds = FUZZ_QUICK if bed.job["quick"] else FUZZ_SECONDS
    job = victim.spawn(f"guest_fuzz 3 {seed} {OWN_PORTS}")
    job.wait(90)
    before = held(victim)
    job = victim.spawn(f"guest_fuzz {seconds} {seed + 1} {OWN_PORTS}")
    count = play(bed, seconds)
    told = job.wait(120)[-1]
    check(victim.alive(), f"{name} has ended")
    after = held(victim)
    check(after[0] <= before[0] and after[1] < before[1] + 4096,
          f"descriptors and resident KiB: {before} before, {after} after")
    # Now without any regard: it may reset itself or power off, but not otherwise.
    victim.spawn(f"guest_fuzz 5 {seed + 2} --every-function")
    count += play(bed, 5)
    if not victim.alive():
        status = victim.status(5)
        check(status == 0, f"the machine ended with {status}: {victim.err.lines[-5:]}")
    victim.end()
    check(ping.alive() and pong.alive(), "a peer has ended")
    return f"{count} messages between the peers meanwhile; {told}"


@scenario("a guest that writes everywhere at random disturbs nobody, v1", 240)
def fuzz_v1(bed):
    return fuzz(bed, "h", 10)


@scenario("a guest that writes everywhere at random disturbs nobody, v2", 240)
def fuzz_v2(bed):
    return fuzz(bed, "g", 20)
