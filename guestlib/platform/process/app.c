/* SPDX-License-Identifier: BSD-2-Clause */
/* app.c: time and console of a process. */
#include <isthmus/app.h>
#include <isthmus/errno.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ull

uint64_t ist_time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void ist_sleep_ns(uint64_t ns)
{
	uint64_t now = ist_time_ns();
	uint64_t end = ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
	struct timespec until = {.tv_sec = (time_t)(end / NS_PER_S),
				 .tv_nsec = (long)(end % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

int ist_print(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	fwrite(text, 1, (size_t)length, stdout);
	if (memchr(text, '\n', (size_t)length))
		fflush(stdout);
	free(text);
	return length;
}

/* In a guest there are exits, but its kernel cannot count them. */
int ist_exits(uint32_t *out)
{
	(void)out;
	return -ENODEV;
}
