/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h: copying messages. Short ones in a few overlapping moves: no call, no loop, and few enough
 * stores that the line leaves the store buffer in one go.
 */
#ifndef IST_CORE_COPY_H
#define IST_CORE_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "words.h"

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

/*
 * Copies content out of, or into, memory that another copies into, or out of, at the same time, in
 * words or larger pieces. Reading: no load is made later than what follows this, nor earlier than
 * what was acquired before. Writing: no store is made earlier than what precedes this. The two are
 * for machines that keep loads in order among themselves, and stores, as x86 does: there it is the
 * compiler alone that must not move them. ThreadSanitizer sees words.
 */
static inline void ist_copy_shared(uint64_t *to, const uint64_t *from, size_t words)
{
#if defined(__x86_64__) && !defined(IST_TSAN)
	__asm__ volatile("" ::: "memory");
	__builtin_memcpy(to, from, words * sizeof(*to));
	__asm__ volatile("" ::: "memory");
#else
	size_t i;

	for (i = 0; i < words; i++)
		__atomic_store_n(&to[i], __atomic_load_n(&from[i], __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
#endif
}

#endif
