/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_sleep.c: sleeps for argv[1] milliseconds and argv[3] (no) microseconds, argv[2] times (once),
 * and prints how long it took.
 */
#include <isthmus/isthmus.h>

#define NS_PER_MS 1000000u
#define NS_PER_US 1000u

static unsigned number(const char *text)
{
	unsigned value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (unsigned)(*text++ - '0');
	return value;
}

int main(int argc, char **argv)
{
	unsigned ms = argc > 1 ? number(argv[1]) : 0;
	unsigned times = argc > 2 ? number(argv[2]) : 1;
	unsigned us = argc > 3 ? number(argv[3]) : 0;
	uint64_t each = (uint64_t)ms * NS_PER_MS + (uint64_t)us * NS_PER_US;
	uint64_t start = ist_time_ns(), elapsed;

	for (unsigned i = 0; i < times; i++)
		ist_sleep_ns(each);
	elapsed = ist_time_ns() - start;
	ist_print("slept %u times %u ms in %.3f ms\n", times, ms, (double)elapsed / NS_PER_MS);
	return elapsed < times * each;
}
