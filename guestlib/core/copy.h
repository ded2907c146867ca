/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h: copying messages. Short ones in a few overlapping moves: no call, no loop, and few enough
 * stores that the line leaves the store buffer in one go.
 */
#ifndef IST_CORE_COPY_H
#define IST_CORE_COPY_H

#include <stddef.h>
#include <stdint.h>

static inline void ist_copy(void *to, const void *from, size_t size)
{
	uint8_t *t = (uint8_t *)to;
	const uint8_t *f = (const uint8_t *)from;

	if (size > 64) {
		__builtin_memcpy(t, f, size);
	} else if (size > 32) {
		__builtin_memcpy(t, f, 32);
		__builtin_memcpy(t + size - 32, f + size - 32, 32);
	} else if (size >= 16) {
		__builtin_memcpy(t, f, 16);
		__builtin_memcpy(t + size - 16, f + size - 16, 16);
	} else if (size >= 8) {
		__builtin_memcpy(t, f, 8);
		__builtin_memcpy(t + size - 8, f + size - 8, 8);
	} else if (size >= 4) {
		__builtin_memcpy(t, f, 4);
		__builtin_memcpy(t + size - 4, f + size - 4, 4);
	} else {
		while (size--)
			t[size] = f[size];
	}
}

#endif
