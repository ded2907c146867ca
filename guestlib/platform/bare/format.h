/* SPDX-License-Identifier: BSD-2-Clause */
/* format.h: printf's formats, as far as ist_print() promises them, into any sink. */
#ifndef IST_BARE_FORMAT_H
#define IST_BARE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

struct ist_sink {
	void (*write)(struct ist_sink *sink, const char *text, size_t length);
};

/*
 * Formats into the sink and returns the number of bytes: %d %i %u %x %X %c %s %p %f %% with l, ll,
 * z, width, precision, and flags 0 and -. What it does not know it writes as it stands.
 */
int ist_format(struct ist_sink *sink, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#endif
