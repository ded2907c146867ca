/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operation.h: what an operation does to the content, by its number, in a handle: the
   library's own, and those that it has been told. */
#ifndef IST_CORE_CELL_OPERATION_H
#define IST_CORE_CELL_OPERATION_H

#include "cell.h"

/* The word that one of the library's own is about; NULL: there is none. Arguments may come from
   shared memory. */
static inline void *ist_cell_word_at(void *content, size_t size, uint64_t offset)
{
	if (ist_unlikely(offset % sizeof(uint64_t) || offset > size ||
			 size - offset < sizeof(uint64_t)))
		return NULL;
	return (uint8_t *)content + offset;
}

/* Every bit of it, whichever sign the compiler sees in it. */
static inline int64_t ist_cell_result_of(uint64_t word)
{
	int64_t result;

	__builtin_memcpy(&result, &word, sizeof(result));
	return result;
}

/* cell_operation.c: the handle knows the library's own. */
void ist_cell_know_own(struct ist_cell *cell);

/* What a number names in this handle; NULL: nothing. Numbers may come from shared memory. */
static inline ist_cell_function *ist_cell_function_of(const struct ist_cell *cell, uint32_t number)
{
	return ist_likely(number < IST_CELL_OPERATIONS) ? cell->functions[number] : NULL;
}

#endif
