/* SPDX-License-Identifier: BSD-2-Clause */
/* bell_count_absent.c: bell_count.h where the build has no BPF: nothing can be created. */
#include "bell_count.h"
#include "log.h"

#include <errno.h>

int ivshm_bell_count_create(uint32_t eventfds, char *error, size_t error_size,
			    struct ivshm_bell_count **out)
{
	(void)eventfds;
	(void)out;
	return ivshm_fail(error, error_size, -EOPNOTSUPP, "built without BPF");
}

void ivshm_bell_count_destroy(struct ivshm_bell_count *count)
{
	(void)count;
}

int ivshm_bell_count_add(struct ivshm_bell_count *count, uint64_t eventfd)
{
	(void)count;
	(void)eventfd;
	return -EOPNOTSUPP;
}

void ivshm_bell_count_remove(struct ivshm_bell_count *count, uint64_t eventfd)
{
	(void)count;
	(void)eventfd;
}

int ivshm_bell_count_read(const struct ivshm_bell_count *count, uint64_t eventfd, uint64_t *rings)
{
	(void)count;
	(void)eventfd;
	(void)rings;
	return -ENOENT;
}
