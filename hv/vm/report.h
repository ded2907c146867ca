/* SPDX-License-Identifier: BSD-2-Clause */
/* report.h: what people are told: one line an event on stderr, one line for a failed start. */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include "options.h"

enum vmm_level { VMM_ERROR = -1, VMM_WARNING = 0, VMM_DETAIL = 1 };

/* "isthmus-vm: NAME: TEXT", in one write. Any thread. */
void vmm_log(const struct vmm_options *options, enum vmm_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct vmm_error {
	char text[320];
};

/* Keeps the text, returns -number. `number` is taken before anything else, so errno may be given.
 */
int vmm_fail(struct vmm_error *error, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with ": " and what errno means appended. */
int vmm_fail_errno(struct vmm_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
