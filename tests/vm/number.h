/* SPDX-License-Identifier: BSD-2-Clause */
/* number.h: a decimal argument. */
#ifndef TESTS_VM_NUMBER_H
#define TESTS_VM_NUMBER_H

#include <stdint.h>

static inline uint64_t number(const char *text)
{
	uint64_t value = 0;

	for (; *text; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

#endif
