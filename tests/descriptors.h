/* SPDX-License-Identifier: BSD-2-Clause */
/* descriptors.h: whether a test leaves descriptors open. */
#ifndef TESTS_DESCRIPTORS_H
#define TESTS_DESCRIPTORS_H

#include <fcntl.h>

#define DESCRIPTORS_MAX 512 /* more than a test ever has */

/* How many descriptors are open. Without opening one. */
static inline unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
