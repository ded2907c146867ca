/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h: why something could not be done: one line. Who hears of it last logs it. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ivshmem/log.h"

#include "options.h"

struct vmm_error {
	char text[320];
};

/* Keeps the formatted text ("%m": what errno means), gives -number. */
#define vmm_fail(error, number, ...)                                                               \
	ivshm_fail((error)->text, sizeof((error)->text), -(number), __VA_ARGS__)
