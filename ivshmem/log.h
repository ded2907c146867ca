/* SPDX-License-Identifier: BSD-2-Clause */
/* log.h: events to stderr, one line each, and the one line an error is told in. */
#ifndef IVSHM_LOG_H
#define IVSHM_LOG_H

#include <stddef.h>

enum ivshm_log_level {
	IVSHM_LOG_ERROR,
	IVSHM_LOG_WARN,
	IVSHM_LOG_INFO,
	IVSHM_LOG_DEBUG,
};

/* What is less important than this is not written. Set it before there are threads. */
extern enum ivshm_log_level ivshm_log_level;

/* Who says it: "isthmus" until somebody else sets it, likewise. */
extern const char *ivshm_log_name;

/*
 * Writes "NAME: TEXT" as one line with one write(2), so that lines of several threads and
 * processes do not mix. Control characters (a peer may have chosen the text) become '?'.
 */
void ivshm_log(enum ivshm_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Formats an error's line into `error` and returns `code`: return ivshm_fail(..., -errno, ...). */
int ivshm_fail(char *error, size_t error_size, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
