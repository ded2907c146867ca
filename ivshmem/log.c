/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c: events to stderr, one line each. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_SIZE 512

enum ivshm_log_level ivshm_log_level = IVSHM_LOG_WARN;
const char *ivshm_log_name = "isthmus";

void ivshm_log(enum ivshm_log_level level, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list arguments;
	size_t length;

	if (level > ivshm_log_level)
		return;
	length = (size_t)snprintf(line, sizeof(line), "%.64s: ", ivshm_log_name);
	va_start(arguments, format);
	vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	va_end(arguments);
	for (; line[length]; length++) {
		if ((unsigned char)line[length] < ' ' || line[length] == 0x7f)
			line[length] = '?';
	}
	line[length++] = '\n';
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nobody is left to tell */
}

int ivshm_fail(char *error, size_t error_size, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return code;
}
