# SPDX-License-Identifier: BSD-2-Clause
"""driver.py: isthmus.ko: rights, removal, reboots."""
import re
import time

from machines import check
from scenarios import suite
from scenarios.sharing import in_guest, ring

SCENARIOS, scenario = suite()


def region_offset(bed, guest, name):
    """Of a region of group main, from the roster as the guest sees it."""
    for index in range(8):
        at = 0x2000 + index * 128
        text = b"".join(int(guest.run(f"guest_device {bed.device(guest)} peek {at + 8 * i}")[0], 16)
                        .to_bytes(8, "little") for i in range(4))
        if text.split(b"\0")[0].decode() == name:
            return int(guest.run(f"guest_device {bed.device(guest)} peek {at + 32}")[0], 16)
    raise AssertionError(f"no region {name}")


def output_offset(bed, guest, peer):
    def word(offset):
        return int(guest.run(f"guest_device {bed.device(guest)} peek {0x1000 + offset}")[0], 16)
    return word(40) + int(peer) * word(48)


def try_map(bed, guest, offset, how):
    return guest.run(f"guest_device {bed.device(guest)} map {offset} {how}")[0]


@scenario("the driver maps what the rights allow, and nothing else (EACCES)", 90)
def rights(bed):
    a, b = bed.boot("ping", "b")
    ids = {guest: bed.info(guest)[0]["id"] for guest in (a, b)}
    notice, raw = (region_offset(bed, a, name) for name in ("notice", "raw"))
    for guest, other in ((a, b), (b, a)):
        mine, foreign = (output_offset(bed, guest, ids[one]) for one in (guest, other))
        expected = [(0x1000, "r", "mapped"), (0x1000, "w", "EACCES"), (0, "w", "EACCES"),
                    (raw, "w", "mapped"), (raw, "x", "EACCES"), (notice, "r", "mapped"),
                    (notice, "w", "mapped" if guest is a else "EACCES"),
                    (notice + 0x10000, "r", "mapped" if guest is a else "EACCES"),
                    (mine, "w", "mapped"), (foreign, "r", "mapped"), (foreign, "w", "EACCES")]
        for offset, how, result in expected:
            got = try_map(bed, guest, offset, how)
            check(got == result, f"{guest.name}: mapping {offset:#x} {how}: {got}, not {result}")


def function_of(bed, guest):
    """The PCI address of the device of group main."""
    number = guest.run(f"stat -c '%t %T' {bed.device(guest)}")[0].split()
    device = ":".join(str(int(part, 16)) for part in number)
    return guest.run(f"basename $(readlink -f /sys/dev/char/{device}/device)")[0]


@scenario("a guest kernel that writes where it may not changes nothing; it is counted and reported", 120)
def violate(bed):
    ping, b, h = bed.boot("ping", "b", "h")
    notice = region_offset(bed, ping, "notice")
    ping.run(f"guest_device {bed.device(ping)} poke {notice} 0x1234567812345678")
    reports = []
    for guest in (b, h):
        at = len(guest.err.lines)
        guest.run(f"insmod /modules/isthmus_selftest.ko violate=1 "
                  f"device={function_of(bed, guest)}", 60, None)
        guest.run("rmmod isthmus_selftest", 30, None)
        said = " ".join(guest.run("dmesg | grep 'violate:' | tail -n 1"))
        match = re.search(r"violate: (\d+) writes, (\d+) landed", said)
        check(match and int(match[1]) > 4 and match[2] == "0", f"{guest.name}: the module says: {said}")
        reports.append(guest.err.expect(r".*write to read-only region.*", 20, at)[0])
    word = ping.run(f"guest_device {bed.device(ping)} peek {notice}")[0]
    check(word == "0x1234567812345678", f"the region has changed: {word}")
    word = ping.run(f"guest_device {bed.device(ping)} peek 0x1000")[0]
    check(int(word, 16) == 0x31534d4854534921, "the roster has changed")
    ring(bed, [in_guest(ping), in_guest(b)], 100, prefix="violated")
    return "\n# ".join(reports)


@scenario("a guest reboots and joins again, as another incarnation; the others play on", 150)
def reboots(bed):
    a, c, f = bed.boot("ping", "pong", "f")
    before = bed.info(a)[1]["f"]
    playing = [in_guest(guest)(f"{i} 2 3000 main besides") for i, guest in enumerate((a, c))]
    boots = f.boots
    f.tell("run off reboot -f")
    f.wait_up(60, boots=boots + 1)
    bed.load_module(f)
    after = bed.info(a)[1]["f"]
    check(after["state"] == "2" and after["incarnation"] != before["incarnation"],
          f"before {before}, after {after}")
    check(bed.info(f)[0]["incarnation"] == after["incarnation"], "it knows another incarnation itself")
    for job in playing:
        job.wait(90)
    ring(bed, [in_guest(a), in_guest(f)], 100, prefix="after")


@scenario("rmmod and insmod during the traffic of others", 120)
def reload(bed):
    a, c, f = bed.boot("ping", "pong", "f")
    playing = [in_guest(guest)(f"{i} 2 3000 main reload") for i, guest in enumerate((a, c))]
    for _ in range(3):
        f.ready = False
        f.run("rmmod isthmus", 30)
        check(not f.run("ls /dev | grep isthmus", status=None), "a device file is left")
        bed.load_module(f)
    for job in playing:
        job.wait(90)
    ring(bed, [in_guest(c), in_guest(f)], 100, prefix="reloaded")


@scenario("rmmod is refused while a file is open; unbind is not, and ends it well", 90)
def unbind(bed):
    f = bed.guest("f")
    holder = f.spawn(f"guest_device {bed.device(f)} hold 60")
    holder.expect("holding", 20)
    f.run("rmmod isthmus", 20, 1)
    function = function_of(bed, f)
    f.run(f"echo {function} > /sys/bus/pci/drivers/isthmus/unbind", 30)
    check(holder.wait(30)[-1] == "poll: POLLHUP, then INFO: ENODEV", f"holder: {holder.out.lines}")
    f.run(f"echo {function} > /sys/bus/pci/drivers/isthmus/bind", 30)
    bed.devices.clear()
    ring(bed, [in_guest(bed.guest("ping")), in_guest(f)], 100, prefix="rebound")


@scenario("a driver that is not ours takes v1 and v2: uio_pci_generic, and programs that map the resource files", 120)
def foreign(bed):
    guests = bed.boot("f", "b")
    for guest, ids in zip(guests, ("1af4 1110", "110a 4106")):
        function = function_of(bed, guest)
        guest.ready = False
        guest.run("rmmod isthmus; for m in uio uio_pci_generic; do insmod /modules/$m.ko; done", 30)
        guest.run(f"echo {ids} > /sys/bus/pci/drivers/uio_pci_generic/new_id")
        bound = guest.run(f"basename $(readlink /sys/bus/pci/devices/{function}/driver)")
        check(bound == ["uio_pci_generic"], f"{guest.name}: {function} is bound to {bound}")
    ring(bed, [in_guest(guest) for guest in guests], 50, prefix="foreign")
    for guest in guests:
        guest.run("rmmod uio_pci_generic uio", 30)
        bed.load_module(guest)
    ring(bed, [in_guest(guest) for guest in guests], 50, prefix="ours")


@scenario("suspend is refused cleanly")
def suspend(bed):
    f = bed.guest("f")
    if "mem" not in f.run("cat /sys/power/state")[0] and "freeze" not in f.run("cat /sys/power/state")[0]:
        return "skip this kernel cannot suspend here"
    f.run("echo freeze > /sys/power/state", 30, 1)
    time.sleep(0.5)
    ring(bed, [in_guest(bed.guest("ping")), in_guest(f)], 50, prefix="awake")
    return None


@scenario("the driver's own tests, on v1 and v2", 240)
def own_tests(bed):
    found = []
    for guest in bed.boot("f", "g"):
        if guest.run("ls /test/guest_driver", status=None) != ["/test/guest_driver"]:
            return "skip tests/linux/guest_driver.c is not there"
        lines = guest.run(f"guest_driver {bed.device(guest)}", 120, None)
        bad = [line for line in lines if re.match("not ok|Bail", line)]
        check(lines and not bad, f"{guest.name}: {bad or lines[-5:]}")
        found.append(f"{guest.name}: {sum(line.startswith('ok') for line in lines)} checks")
    return ", ".join(found)
