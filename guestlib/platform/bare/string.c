/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * string.c: the memory functions compilers call, and two for strings.
 *
 * Short blocks are moved in two halves that may overlap, loaded before either is stored, so that
 * there is no loop and no direction to mind; long ones by the processor's own string instructions.
 */
#include "bare.h"

#define REP_MIN 512 /* from here on the string instructions pay for their start */

typedef long long vector __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word64 __attribute__((aligned(1), may_alias));
typedef uint32_t word32 __attribute__((aligned(1), may_alias));
typedef uint16_t word16 __attribute__((aligned(1), may_alias));

#define MOVE_HALVES(type)                                                                          \
	do {                                                                                       \
		type head_ = *(const type *)from,                                                  \
		     tail_ = *(const type *)(from_end - sizeof(type));                             \
		*(type *)to = head_;                                                               \
		*(type *)(to_end - sizeof(type)) = tail_;                                          \
	} while (0)

/* Up to 32 bytes, overlapping or not. */
static inline void move_short(uint8_t *to, const uint8_t *from, size_t size)
{
	uint8_t *to_end = to + size;
	const uint8_t *from_end = from + size;

	if (size >= 16)
		MOVE_HALVES(vector);
	else if (size >= 8)
		MOVE_HALVES(word64);
	else if (size >= 4)
		MOVE_HALVES(word32);
	else if (size >= 2)
		MOVE_HALVES(word16);
	else if (size)
		*to = *from;
}

/* From 32 bytes on; `to` is below `from`, or they do not overlap. */
static inline void move_up(uint8_t *to, const uint8_t *from, size_t size)
{
	vector tail0 = *(const vector *)(from + size - 32);
	vector tail1 = *(const vector *)(from + size - 16);
	uint8_t *end = to + size;

	for (; size > 32; to += 32, from += 32, size -= 32) {
		vector low = *(const vector *)from, high = *(const vector *)(from + 16);

		*(vector *)to = low;
		*(vector *)(to + 16) = high;
	}
	*(vector *)(end - 32) = tail0;
	*(vector *)(end - 16) = tail1;
}

/* From 32 bytes on; `to` is above `from`. */
static void move_down(uint8_t *to, const uint8_t *from, size_t size)
{
	vector head0 = *(const vector *)from;
	vector head1 = *(const vector *)(from + 16);

	for (; size > 32; size -= 32) {
		vector low = *(const vector *)(from + size - 32);
		vector high = *(const vector *)(from + size - 16);

		*(vector *)(to + size - 32) = low;
		*(vector *)(to + size - 16) = high;
	}
	*(vector *)to = head0;
	*(vector *)(to + 16) = head1;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	if (size <= 32)
		move_short(to, from, size);
	else if (size < REP_MIN)
		move_up(to, from, size);
	else
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t size)
{
	size_t distance = (uintptr_t)to - (uintptr_t)from; /* huge when `to` is below */

	if (distance >= size)
		return memcpy(to, from, size);
	if (size <= 32)
		move_short(to, from, size);
	else
		move_down(to, from, size);
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	uint8_t *head = to, *end = head + size;
	uint64_t word = (uint8_t)byte * 0x0101010101010101ull;
	vector fill = {(long long)word, (long long)word};

	if (size >= REP_MIN) {
		__asm__ volatile("rep stosb" : "+D"(head), "+c"(size) : "a"(byte) : "memory");
	} else if (size >= 16) {
		for (; size > 16; head += 16, size -= 16)
			*(vector *)head = fill;
		*(vector *)(end - 16) = fill;
	} else if (size >= 8) {
		*(word64 *)head = word;
		*(word64 *)(end - 8) = word;
	} else if (size >= 4) {
		*(word32 *)head = (uint32_t)word;
		*(word32 *)(end - 4) = (uint32_t)word;
	} else if (size) {
		head[0] = (uint8_t)byte;
		head[size / 2] = (uint8_t)byte;
		end[-1] = (uint8_t)byte;
	}
	return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
	const uint8_t *a = left, *b = right;

	for (; size >= 8 && *(const word64 *)a == *(const word64 *)b; size -= 8) {
		a += 8;
		b += 8;
	}
	for (; size; size--, a++, b++) {
		if (*a != *b)
			return *a < *b ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *text)
{
	const char *end = text;

	/* The empty statement hides the loop from the compiler, which would call strlen for it. */
	while (*end) {
		end++;
		__asm__("" : "+r"(end));
	}
	return (size_t)(end - text);
}

int strcmp(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return (uint8_t)*left - (uint8_t)*right;
}
