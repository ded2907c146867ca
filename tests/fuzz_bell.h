/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_bell.h: for fuzzers of the broker: doorbells that are rung by a write, as nobody here fills one. */
#ifndef TESTS_FUZZ_BELL_H
#define TESTS_FUZZ_BELL_H

#include "ivshmem/bell.h"

#include <sys/eventfd.h>

/* Instead of asynchronous I/O, whose end takes the kernel longer than all the rest. */
int ivshm_bell_create(struct ivshm_bell *bell)
{
	bell->context = 0;
	return 0;
}

void ivshm_bell_destroy(struct ivshm_bell *bell)
{
	(void)bell;
}

int ivshm_bell_ring(struct ivshm_bell *bell, int source, int eventfd)
{
	(void)bell;
	(void)source;
	return eventfd_write(eventfd, 1);
}

#endif
