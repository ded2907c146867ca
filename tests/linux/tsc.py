# SPDX-License-Identifier: BSD-2-Clause
"""tsc.py: how fast this machine's time stamp counter runs. QEMU's emulated processors read the same counter."""
import ctypes
import mmap
import time

RDTSC = bytes.fromhex("0f31" "48c1e220" "4809d0" "c3")  # rdtsc; shl $32,%rdx; or %rdx,%rax; ret
SECONDS = 0.3
TRIES = 50  # of a reading: the one that took least is taken


def khz():
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(RDTSC)
        held = ctypes.c_char.from_buffer(page)
        rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(held))

        def reading():
            found = []
            for _ in range(TRIES):
                before, ticks, after = time.monotonic_ns(), rdtsc(), time.monotonic_ns()
                found.append((after - before, ticks, (before + after) / 2))
            return min(found)[1:]

        ticks, at = reading()
        time.sleep(SECONDS)
        more, later = reading()
        del rdtsc, held  # they hold the page
        return round((more - ticks) * 1e6 / (later - at))
