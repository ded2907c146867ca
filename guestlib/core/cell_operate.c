/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_operate.c: operations by number: each a write section of this handle, or as the policy says.
 */
#include "cell_operation.h"
#include "cell_requests.h"
#include "platform.h"

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

/* The last ticket's was done, or asked for: nothing is kept back. */
static void count_not_kept(struct ist_cell *cell, uint64_t before)
{
	/* Under way with another, as far as this tells: the one before is not collected. */
	ist_cell_count(cell, IST_CELL_COUNT_TOGETHER,
		       before && ist_cell_result_at(cell, before)->ticket == before);
	cell->requests.asks = cell->ticket;
	ist_cell_use(cell, IST_CELL_COUNT_OPERATIONS);
}

/* Where results will be. Many a handle never submits anything: it has none. */
static int make_results(struct ist_cell *cell)
{
	_Static_assert(IST_CELL_IN_FLIGHT * sizeof(*cell->results) == 48u << 10, "as is promised");
	cell->results = ist_platform_alloc(IST_CELL_IN_FLIGHT * sizeof(*cell->results));
	return cell->results ? 0 : -ENOMEM;
}

static __attribute__((noinline)) int submit_any(struct ist_cell *cell, uint32_t number,
						const uint64_t *arguments, uint64_t timeout_ns,
						uint64_t *ticket)
{
	struct ist_cell_result *free_one = NULL;
	uint64_t before = cell->ticket, next = before;
	unsigned i;
	int error;

	if (!ist_cell_function_of(cell, number))
		return -EINVAL;
	if (!cell->results && make_results(cell))
		return -ENOMEM;
	/* Results are collected in any order: numbers whose place is taken are left out. */
	for (i = 0; i < IST_CELL_IN_FLIGHT && !free_one; i++)
		if (!ist_cell_result_at(cell, ++next)->ticket)
			free_one = ist_cell_result_at(cell, next);
	if (!free_one)
		return -EAGAIN;
	if (ist_unlikely((cell->section | (uint32_t)cell->error) != 0))
		return ist_cell_refuse(cell);
	error = cell->policy->submit
			? cell->policy->submit(cell, number, arguments, free_one, timeout_ns)
			: ist_cell_operate_held(cell, number, arguments, &free_one->value,
						timeout_ns);
	if (error)
		return error;
	free_one->ticket = cell->ticket = *ticket = next;
	if (free_one->sequence < IST_CELL_KEPT)
		count_not_kept(cell, before);
	return 0;
}

int ist_cell_submit(struct ist_cell *cell, uint32_t number,
		    const uint64_t arguments[IST_CELL_ARGUMENTS], uint64_t timeout_ns,
		    uint64_t *ticket)
{
	uint64_t next = cell->ticket + 1;
	struct ist_cell_result *result;

	/* Many at a time, and nothing stands in the way: a few stores, and all of them private. */
	if (ist_unlikely(!cell->requests.keeps || !ist_cell_function_of(cell, number) ||
			 ist_cell_result_at(cell, next)->ticket ||
			 (cell->section | (uint32_t)cell->error) != 0))
		return submit_any(cell, number, arguments, timeout_ns, ticket);
	result = ist_cell_result_at(cell, next);
	ist_cell_keep(result, number, arguments);
	result->ticket = cell->ticket = *ticket = next;
	return 0;
}

static inline int hand_out(struct ist_cell_result *found, int64_t *result)
{
	found->ticket = 0;
	if (result)
		*result = found->value;
	return 0;
}

/* What is not there yet. */
static __attribute__((noinline)) int collect_late(struct ist_cell *cell, uint64_t ticket,
						  int64_t *result, uint64_t timeout_ns)
{
	struct ist_cell_result *late = ist_cell_result_at(cell, ticket);
	int error = cell->policy->settle(cell, late, timeout_ns);

	return error ? error : hand_out(late, result);
}

int ist_cell_collect(struct ist_cell *cell, uint64_t ticket, int64_t *result, uint64_t timeout_ns)
{
	struct ist_cell_result *found;

	/* 0 is none; nor is any, before the first. */
	if (ist_unlikely(ticket - 1 >= cell->ticket))
		return -EINVAL;
	found = ist_cell_result_at(cell, ticket);
	if (ist_unlikely(found->ticket != ticket))
		return -EINVAL;
	/* Other policies have done it when it was submitted. */
	if (ist_unlikely(found->sequence != 0))
		return collect_late(cell, ticket, result, timeout_ns);
	return hand_out(found, result);
}
