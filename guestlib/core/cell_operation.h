/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operation.h: what an operation does to the content, by its number: the library's own, and
   those that a handle has been told. */
#ifndef IST_CORE_CELL_OPERATION_H
#define IST_CORE_CELL_OPERATION_H

#include "cell.h"

/* Every bit of the result, whichever sign the compiler sees in it. */
static inline int64_t ist_cell_result_of(uint64_t word)
{
	int64_t result;

	__builtin_memcpy(&result, &word, sizeof(result));
	return result;
}

/* One of the library's own, on one word. */
static inline int64_t ist_cell_operate_word(uint32_t number, void *content, size_t size,
					    const uint64_t arguments[IST_CELL_ARGUMENTS])
{
	uint64_t offset = arguments[0], value = arguments[1], was, is;
	uint8_t *word = (uint8_t *)content + offset;

	/* Arguments may come from shared memory. */
	if (offset % sizeof(was) || offset > size || size - offset < sizeof(was))
		return -EINVAL;
	__builtin_memcpy(&was, word, sizeof(was));
	switch (number) {
	case IST_OPERATION_ADD:
		is = was + value;
		break;
	case IST_OPERATION_STORE:
		is = value;
		break;
	case IST_OPERATION_MIN:
		is = value < was ? value : was;
		break;
	case IST_OPERATION_MAX:
		is = value > was ? value : was;
		break;
	case IST_OPERATION_OR:
		is = was | value;
		break;
	case IST_OPERATION_AND:
		is = was & value;
		break;
	default:
		is = was == value ? arguments[2] : was;
	}
	__builtin_memcpy(word, &is, sizeof(is));
	return ist_cell_result_of(was);
}

/* Whether a number names an operation in this handle. */
static inline int ist_cell_knows(const struct ist_cell *cell, uint32_t number)
{
	return number <= IST_OPERATION_COMPARE ||
	       (number < IST_CELL_OPERATIONS && cell->functions[number]);
}

/* Does one that it knows, on the content. Its result. */
static inline int64_t ist_cell_perform(const struct ist_cell *cell, uint32_t number, void *content,
				       const uint64_t arguments[IST_CELL_ARGUMENTS])
{
	return number <= IST_OPERATION_COMPARE
		       ? ist_cell_operate_word(number, content, cell->size, arguments)
		       : cell->functions[number](content, cell->size, arguments);
}

#endif
