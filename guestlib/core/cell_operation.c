/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operation.c: the library's own operations, each on one word. */
#include "cell_operation.h"

/* What the word `was` becomes: an expression of it and of the arguments. */
#define OPERATION(name, becomes)                                                                   \
	static int64_t name(void *content, size_t size, const uint64_t *arguments)                 \
	{                                                                                          \
		void *word = ist_cell_word_at(content, size, arguments[0]);                        \
		uint64_t value = arguments[1], was, is;                                            \
                                                                                                   \
		if (ist_unlikely(!word))                                                           \
			return -EINVAL;                                                            \
		/* The content need not be of words for the compiler. */                           \
		__builtin_memcpy(&was, word, sizeof(was));                                         \
		is = (becomes);                                                                    \
		__builtin_memcpy(word, &is, sizeof(is));                                           \
		return ist_cell_result_of(was);                                                    \
	}
OPERATION(add, was + value)
OPERATION(store, value)
OPERATION(smaller, value < was ? value : was)
OPERATION(larger, value > was ? value : was)
OPERATION(set_bits, was | value)
OPERATION(mask, was &value)
OPERATION(compare, was == value ? arguments[2] : was)

void ist_cell_know_own(struct ist_cell *cell)
{
	cell->functions[IST_OPERATION_ADD] = add;
	cell->functions[IST_OPERATION_STORE] = store;
	cell->functions[IST_OPERATION_MIN] = smaller;
	cell->functions[IST_OPERATION_MAX] = larger;
	cell->functions[IST_OPERATION_OR] = set_bits;
	cell->functions[IST_OPERATION_AND] = mask;
	cell->functions[IST_OPERATION_COMPARE] = compare;
}
