# SPDX-License-Identifier: BSD-2-Clause
"""memory.py: guests of little and much memory, huge pages, nodes; groups of many gigabytes."""
import os
import re
import struct
import subprocess

from machines import CMDLINE, Failed, check
from scenarios import suite
from scenarios.hostile import refused
from scenarios.sharing import in_guest, ring

SCENARIOS, scenario = suite()

CONFIG = """\
groups:
  - {{name: large, size: 4G, regions: [{{name: channels, size: 1M}}, {{name: wide, size: 3G}}]}}
  - {{name: paged, page_size: {page}, {numa} regions: [{{name: channels, size: 2M}}]}}
instances:
  - {{name: one, kind: linux, image: {vmlinux}, initrd: {initrd}, cmdline: "{cmdline}", memory: 192M,
     groups: [large, paged], {numa} autostart: false}}
  - {{name: two, kind: linux, image: {vmlinux}, initrd: {initrd}, cmdline: "{cmdline}", memory: 192M,
     groups: [large, paged], personality: v2, autostart: false}}
  - {{name: three, kind: process, command: [grep, heap, /proc/self/numa_maps], {numa} groups: [large], autostart: false}}
"""


def kernel_ends(path):
    """The MiB up to which an ELF kernel's own image reaches in memory."""
    with open(path, "rb") as file:
        head = file.read(64)
        offset, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    ends = [sum(struct.unpack_from("<24xQ8xQ", table, at)) for at in range(0, size * count, size)
            if struct.unpack_from("<I", table, at)[0] == 1]
    return -(-max(ends) >> 20)


@scenario("64 MiB of memory, or as little as this kernel takes", 200)
def least(bed):
    """Where the kernel's own image reaches beyond 64 MiB, one line says so; then in steps of 8 MiB."""
    first = max(64, kernel_ends(bed.job["vmlinux"]))
    if first > 64:
        refused(bed, "64 MiB", memory="64M")
    for mib in range(-(-first // 8) * 8, 161, 8):
        guest = bed.launch("least", bed.vm("least", memory=f"{mib}M", initrd=bed.job["small_initrd"]))
        said = guest.out.expect(r"~up |Kernel panic", 60)
        if said[0] == "Kernel panic":
            guest.forget()
            continue
        total = int(re.search(r"\d+", guest.run("grep MemTotal /proc/meminfo")[0])[0])
        bed.power_off(guest)
        return f"the kernel's image ends at {first} MiB, {mib} MiB boot; the guest has {total} KiB"
    raise Failed("160 MiB do not boot")


@scenario("memory beyond the 3 GiB hole", 120)
def beyond(bed):
    with open("/proc/meminfo") as text:
        if int(text.readline().split()[1]) < 5 << 20:
            return "skip this machine has less than 5 GiB"
    guest = bed.launch("beyond", bed.vm("beyond", memory="4608M", initrd=bed.job["small_initrd"]))
    guest.wait_up(90)
    total = int(re.search(r"\d+", guest.run("grep MemTotal /proc/meminfo")[0])[0])
    check(total > 4300 << 10, f"the guest has only {total} KiB")
    check(guest.run("grep -c '^1[0-9a-f]*-.*System RAM' /proc/iomem") != ["0"], "no RAM above 4 GiB")
    guest.run("dd if=/dev/urandom of=/tmp/x bs=1M count=64 2>/dev/null; cp /tmp/x /tmp/y; cmp /tmp/x /tmp/y", 60)
    bed.power_off(guest)
    return f"the guest has {total} KiB"


def nodes():
    return len([name for name in os.listdir("/sys/devices/system/node") if re.match(r"node\d", name)])


def pages_by_node(pid, size):
    """KiB of the largest mapping of about that size, by node."""
    found = {}
    with open(f"/proc/{pid}/numa_maps") as text:
        for line in text:
            page = int(re.search(r"kernelpagesize_kB=(\d+)", line)[1]) if "kernelpagesize" in line else 4
            counts = {int(n): int(count) * page for n, count in re.findall(r" N(\d+)=(\d+)", line)}
            if sum(counts.values()) > size and sum(counts.values()) > sum(found.values()):
                found = counts
    return found


@scenario("a group of 4 GiB, one in huge pages; memory bound to a node", 200)
def configured(bed):
    pages = "/proc/sys/vm/nr_hugepages"
    with open(pages, "r+") as text:
        free = int(text.read())
        text.seek(0)
        text.write(str(free + 16))
    two_nodes = nodes() > 1
    text = CONFIG.format(page="2M", numa="numa: {policy: bind, nodes: [1]}," if two_nodes else "",
                         vmlinux=bed.job["vmlinux"], initrd=bed.job["initrd"], cmdline=CMDLINE)
    path, runtime = bed.second(text)
    guests = [bed.launch(name, [bed.job["isthmus"], "run", "--runtime-dir", runtime, path, name])
              for name in ("one", "two")]
    for guest in guests:
        guest.wait_up(90)
        bed.load_module(guest)
    for group in ("large", "paged"):
        ring(bed, [in_guest(guest) for guest in guests], 50, group)
    one, two = guests
    far = 3 << 30
    one.run(f"guest_device {bed.device(one, 'large')} poke {far} 0x123456789")
    check(two.run(f"guest_device {bed.device(two, 'large')} peek {far}") == ["0x123456789"],
          "what is written at 3 GiB is not there for the other")
    with open("/proc/meminfo") as meminfo:
        used = {line.split(":")[0]: int(line.split()[1]) for line in meminfo}
    check(used["HugePages_Free"] < used["HugePages_Total"], "no huge page is in use")
    if not two_nodes:
        return "this machine has one node: binding is not tested"
    where = pages_by_node(one.pid, 32 << 10)
    check(set(where) == {1}, f"guest memory by node: {where} KiB")
    heap = subprocess.run([bed.job["isthmus"], "run", "--runtime-dir", runtime, path, "three"],
                          stdout=subprocess.PIPE, text=True, timeout=60, check=False).stdout
    check(" bind:1 " in heap and re.findall(r" N(\d+)=", heap) == ["1"], f"a process' memory: {heap}")
    return f"guest memory by node: {where} KiB"
