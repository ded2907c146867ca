// SPDX-License-Identifier: BSD-2-Clause
/* report.c: lines for people. */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* vsnprintf at `used`, never beyond size - 1; returns the new length. */
static size_t append(char *buffer, size_t size, size_t used, const char *format, va_list arguments)
{
	int length = vsnprintf(buffer + used, size - used, format, arguments);

	if (length < 0)
		return used;
	used += (size_t)length;
	return used < size ? used : size - 1;
}

static size_t append_text(char *buffer, size_t size, size_t used, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	used = append(buffer, size, used, format, arguments);
	va_end(arguments);
	return used;
}

void vmm_log(const struct vmm_options *options, enum vmm_level level, const char *format, ...)
{
	char line[512];
	va_list arguments;
	size_t used;
	ssize_t written;

	if ((int)level > options->verbosity)
		return;
	used = append_text(line, sizeof(line) - 1, 0, "isthmus-vm: %s: ", options->name);
	va_start(arguments, format);
	used = append(line, sizeof(line) - 1, used, format, arguments);
	va_end(arguments);
	line[used++] = '\n';
	written = write(STDERR_FILENO, line, used);
	(void)written; /* nobody is left to tell */
}

int vmm_fail(struct vmm_error *error, int number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append(error->text, sizeof(error->text), 0, format, arguments);
	va_end(arguments);
	return -number;
}

int vmm_fail_errno(struct vmm_error *error, const char *format, ...)
{
	int number = errno != 0 ? errno : EIO;
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	used = append(error->text, sizeof(error->text), 0, format, arguments);
	va_end(arguments);
	append_text(error->text, sizeof(error->text), used, ": %s", strerror(number));
	return -number;
}
