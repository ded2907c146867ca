/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fast_ticks.h: a broker's ticks, a hundred times as fast: what it gives up on after 5 s, it does
 * in 50 ms. Include it once.
 */
#ifndef TESTS_FAST_TICKS_H
#define TESTS_FAST_TICKS_H

#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* In the place of libc's. */
int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	struct itimerspec fast = *new;

	fast.it_interval.tv_nsec /= 100;
	fast.it_value.tv_nsec /= 100;
	return (int)syscall(SYS_timerfd_settime, fd, flags, &fast, old);
}

#endif
