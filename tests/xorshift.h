/* SPDX-License-Identifier: BSD-2-Clause */
/* xorshift.h: random numbers that cost nothing, the same from the same seed (Marsaglia, 2003). */
#ifndef TESTS_XORSHIFT_H
#define TESTS_XORSHIFT_H

#include <stdint.h>

/* The next state, which is the number, too. Not from 0. */
static inline uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
