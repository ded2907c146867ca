/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h: why something could not be done: one line. Who hears of it last logs it. */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <errno.h>

#include "ivshmem/log.h"

#include "options.h"

struct vmm_error {
	char text[320];
};

/* Keeps the formatted text ("%m": what errno means), gives -number. */
#define vmm_fail(error, number, ...)                                                               \
	ivshm_fail((error)->text, sizeof((error)->text), -(number), __VA_ARGS__)

#endif
