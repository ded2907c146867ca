/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operate.c: operations by number: each a write section of this handle, or as the policy says.
 */
#include "cell_operation.h"

int ist_cell_define(struct ist_cell *cell, uint32_t number, ist_cell_function *function)
{
	if (number < IST_OPERATION_OWN || number >= IST_CELL_OPERATIONS)
		return -EINVAL;
	cell->functions[number] = function;
	return 0;
}

/* The cell is held for it here, or it is left to the policy. */
static ist_inline int operate(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			      int64_t *result, uint64_t timeout_ns)
{
	int64_t *value = result ? result : &cell->alone.value;

	return ist_likely(cell->here)
		       ? ist_cell_operate_held(cell, number, arguments, value, timeout_ns)
		       : cell->policy->operate(cell, number, arguments, value, timeout_ns);
}

static __attribute__((noinline)) int operate_watched(struct ist_cell *cell, uint32_t number,
						     const uint64_t *arguments, int64_t *result,
						     uint64_t timeout_ns)
{
	ist_cell_watch(cell, IST_CELL_COUNT_OPERATIONS);
	return operate(cell, number, arguments, result, timeout_ns);
}

/* What it calls it jumps to: so no register is saved here. */
int ist_cell_operate(struct ist_cell *cell, uint32_t number,
		     const uint64_t arguments[IST_CELL_ARGUMENTS], int64_t *result,
		     uint64_t timeout_ns)
{
	if (ist_unlikely(!ist_cell_function_of(cell, number)))
		return -EINVAL;
	if (ist_unlikely((cell->section | (uint32_t)cell->error) != 0))
		return ist_cell_refuse(cell);
	if (ist_cell_count_uses(cell, IST_CELL_COUNT_OPERATIONS, 1))
		return operate_watched(cell, number, arguments, result, timeout_ns);
	return operate(cell, number, arguments, result, timeout_ns);
}
