/* SPDX-License-Identifier: BSD-2-Clause */
/* app.h: what an application needs beside sharing, the same in an app VM and in a process. */
#ifndef ISTHMUS_APP_H
#define ISTHMUS_APP_H

#include <isthmus/types.h>

IST_BEGIN_DECLS

/**
 * ist_time_ns - the host's monotonic clock, in nanoseconds
 *
 * In an app VM from the TSC, calibrated by the hypervisor to CLOCK_MONOTONIC; no exit. Times of
 * different instances on one host compare; but a process of a Linux guest gets its guest's
 * CLOCK_MONOTONIC, which counts from the guest's boot. Any thread.
 */
IST_API uint64_t ist_time_ns(void);

/** ist_sleep_ns - sleep at least that long without burning CPU. */
IST_API void ist_sleep_ns(uint64_t ns);

/**
 * ist_print - print to the instance's console
 *
 * Formats: %d %i %u %x %X %c %s %p %% with l, ll, z, width, precision of strings, and flags 0 and
 * -; and %f with a precision. A line is written at once. Returns the number of bytes printed.
 */
IST_API int ist_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * ist_exits - VM exits of the calling vCPU so far
 * @out: the count, modulo 2^32
 *
 * Costs one exit itself. Returns 0; -ENODEV in a process: it has none, or, in a guest, cannot tell.
 */
IST_API int ist_exits(uint32_t *out);

IST_END_DECLS

#endif
