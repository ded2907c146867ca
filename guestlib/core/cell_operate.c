/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operate.c: operations by number: each a write section of this handle, or as the policy says.
 */
#include "cell_operation.h"
#include "cell_requests.h"

int ist_cell_define(struct ist_cell *cell, uint32_t number, ist_cell_function *function)
{
	if (number < IST_OPERATION_OWN || number >= IST_CELL_OPERATIONS)
		return -EINVAL;
	cell->functions[number] = function;
	return 0;
}

/* An adaptive cell may do as it did at its last look, whatever others do by now; but what this
   handle has left for others comes first. */
static inline int is_here(const struct ist_cell *cell)
{
	return !cell->policy->operate ||
	       (cell->kind == IST_CELL_ADAPTIVE && !cell->watch.shipped && !ist_cell_pending(cell));
}

int ist_cell_operate(struct ist_cell *cell, uint32_t number,
		     const uint64_t arguments[IST_CELL_ARGUMENTS], int64_t *result,
		     uint64_t timeout_ns)
{
	int64_t value;
	int error;

	if (!ist_cell_function_of(cell, number))
		return -EINVAL;
	if (ist_unlikely((cell->section | (uint32_t)cell->error) != 0))
		return ist_cell_refuse(cell);
	ist_cell_use(cell, IST_CELL_COUNT_OPERATIONS);
	error = is_here(cell) ? ist_cell_operate_held(cell, number, arguments, &value, timeout_ns)
			      : cell->policy->operate(cell, number, arguments, &value, timeout_ns);
	if (!error && result)
		*result = value;
	return error;
}
