/* SPDX-License-Identifier: BSD-2-Clause */
/* must.h: what has to hold for a test to go on, in whichever process it is. */
#ifndef TESTS_MUST_H
#define TESTS_MUST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,        \
				strerror(errno));                                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
