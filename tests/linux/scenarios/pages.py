# SPDX-License-Identifier: BSD-2-Clause
"""pages.py: a page-coherent region in Linux guests, which need nothing for it: by the driver, by the
device's resource file, and with app VMs. The first level's kernel is older than 6.4: its way is taken."""
import json
import os
import platform
import time

from bed import PAGES_APPS
from machines import check
from scenarios import suite
from scenarios.sharing import OnHost

SCENARIOS, scenario = suite()
TIMES = 1000000  # additions of each
ROUNDS = 20      # of each litmus test
MEET = 0x5000          # offsets in the group, of the regions
PAGES = MEET + 0x4000


def stats(bed, name):
    return os.path.join(bed.work, f"{name}.stats")


def app(bed, name, words):
    """An app VM with these arguments; how it went is in stats() afterwards."""
    return OnHost(bed.process(name, [
        bed.job["vm"], "--name", name, "--image", f"{bed.job['build']}/tests/vm/pages.app", "--memory", "16M",
        "--group", f"paged={bed.runtime}/paged.sock", "--stats", stats(bed, name), "--", *words.split()]))


def zero(bed, guest, *offsets):
    guest.run("; ".join(f"guest_device {bed.device(guest, 'paged')} poke {offset} 0" for offset in offsets))


def fresh(bed):
    """Both guests, the second without the driver, so that it maps the PCI function's resource file."""
    left, right = bed.boot("left", "right")
    if right.run("lsmod | grep -c '^isthmus '", status=None) != ["0"]:
        right.run("rmmod isthmus", 30)
    zero(bed, left, MEET, MEET + 8, MEET + 16)  # where instances wait for each other
    return left, right


def members(bed, mode, number, apps):
    """All run it: the driver's guest, the other one, and so many app VMs. What each said."""
    left, right = fresh(bed)
    count = 2 + apps
    zero(bed, left, PAGES)
    jobs = [guest.spawn(f"pages {mode} {i} {count} {number}") for i, guest in enumerate((left, right))]
    jobs += [app(bed, name, f"{mode} {2 + i} {count} {number}") for i, name in enumerate(PAGES_APPS[:apps])]
    said = [" ".join(job.wait(100)) for job in jobs]
    check(not any("bad" in text for text in said), f"{said}")
    return said


def old_kernel():
    return [int(part) for part in platform.release().split(".")[:2]] < [6, 4]


@scenario("page-coherent: a guest by the driver, one by its resource file and an app VM add to one word", 150)
def adds(bed):
    said = members(bed, "count", TIMES, 1)
    check(all(text == f"counted: {3 * TIMES} of {3 * TIMES}" for text in said), f"{said}")
    with open(stats(bed, PAGES_APPS[0])) as text:
        pages = json.load(text)["pages"]
    check(pages["write_faults"] > 0 and pages["answers"] > 0, f"the page never moved: {pages}")
    return f"Linux {platform.release()}: the way for {'before' if old_kernel() else 'from'} 6.4; the app VM: {pages}"


@scenario("page-coherent: litmus tests MP, SB, LB, CoRR, IRIW between two guests and two app VMs", 150)
def orders(bed):
    said = members(bed, "orders", ROUNDS, 2)
    check(said[0] == f"all orders are in order: {ROUNDS} rounds", f"{said}")


def tell(left):
    """What the beating has left: sum, marks, and what was known to be done."""
    return [int(word) for word in " ".join(left.run("pages tell 0 3 0", 60)).split()[1::2]]


@scenario("page-coherent: a guest is killed while it adds to the page: the others go on, no addition is lost", 150)
def killed(bed):
    left, right = fresh(bed)
    zero(bed, left, *(MEET + 8 * (8 + i) for i in range(3)), PAGES, *(PAGES + 0x1000 + 8 * i for i in range(3)))
    beating = [guest.spawn(f"pages beat {i} 3 0") for i, guest in enumerate((left, right))]
    time.sleep(2)
    right.kill()
    right.status(10)
    first = tell(left)
    time.sleep(0.5)
    then = tell(left)
    check(0 < first[0] < then[0], f"the survivor does not go on: {first}, then {then}")
    beating[0].kill()
    beating[0].wait(20, None)
    # Who ends in it leaves each of the three one behind the one before it, at most: there are two.
    total, marks, done = tell(left)
    check(marks <= total <= marks + 2 and done <= marks <= done + 2,
          f"sum {total}, marks {marks}, known to be done {done}")
    return f"sum {total}, marks {marks}, known to be done {done}"


@scenario("page-coherent: a guest is killed while it owns all pages: what it wrote last is there", 150)
def owner(bed):
    left, right = fresh(bed)
    right.spawn("pages quiet 0 2 3").expect("accesses", 60)  # now it waits for another one
    right.kill()
    right.status(10)
    device = f"guest_device {bed.device(left, 'paged')}"
    for word, value in ((0, "0x4"), (511, "0x3")):  # it wrote 1 to the first, then added one three times to all
        found = [left.run(f"{device} peek {PAGES + 0x1000 * page + 8 * word}")[0] for page in range(16)]
        check(set(found) == {value}, f"word {word} of the pages: {found}")
