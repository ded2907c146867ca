/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_submit.c: operations whose results are collected later, one at a time or several. */
#include "cell_operation.h"
#include "cell_requests.h"
#include "copy.h"
#include "platform.h"

#include <isthmus/app.h>

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

/* Many at a time, and nothing stands in the way: each is a few stores, and all of them private. */
static ist_inline int keeps(const struct ist_cell *cell, uint32_t number)
{
	return ist_likely(cell->requests.keeps && ist_cell_function_of(cell, number) &&
			  (cell->section | (uint32_t)cell->error) == 0);
}

int ist_cell_submit(struct ist_cell *cell, uint32_t number,
		    const uint64_t arguments[IST_CELL_ARGUMENTS], uint64_t timeout_ns,
		    uint64_t *ticket)
{
	uint64_t next = cell->ticket + 1;
	struct ist_cell_result *result;

	if (ist_unlikely(!keeps(cell, number) || ist_cell_result_at(cell, next)->ticket))
		return submit_any(cell, number, arguments, timeout_ns, ticket);
	result = ist_cell_result_at(cell, next);
	ist_cell_keep(result, number, arguments);
	result->ticket = cell->ticket = *ticket = next;
	return 0;
}

/* As many as there are places for in a row. */
static unsigned keep_batch(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			   unsigned count, uint64_t *tickets)
{
	uint64_t next = cell->ticket + 1;
	struct ist_cell_result *result;
	unsigned i;

	for (i = 0; i < count; i++, next++, arguments += IST_CELL_ARGUMENTS) {
		result = ist_cell_result_at(cell, next);
		if (ist_unlikely(result->ticket))
			break;
		/* Those of the first ones have left the store buffer, unlike in ist_cell_keep(). */
		ist_copy(result->arguments, arguments, sizeof(result->arguments));
		result->sequence = IST_CELL_KEPT + number;
		result->ticket = tickets[i] = next;
	}
	cell->ticket = next - 1;
	return i;
}

/* What is left of a batch's time. *deadline is 0 before the first call, which is about all of it.
 */
static uint64_t time_left(uint64_t *deadline, uint64_t timeout_ns)
{
	uint64_t now;

	if (timeout_ns == 0 || timeout_ns == IST_FOREVER)
		return timeout_ns;
	now = ist_time_ns();
	if (!*deadline)
		*deadline = ist_later(now, timeout_ns);
	return *deadline > now ? *deadline - now : 0;
}

/* What a batch returns of which `done` are, and the next one could not be. A death is told once: so
   by the next call, where this one has something else to say. */
static int batch_over(struct ist_cell *cell, unsigned done, int error)
{
	if (!done)
		return error;
	if (error == -EOWNERDEAD && !cell->error)
		cell->error = error;
	return (int)done;
}

int ist_cell_submit_batch(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			  unsigned count, uint64_t timeout_ns, uint64_t *tickets)
{
	const size_t each = IST_CELL_ARGUMENTS;
	uint64_t deadline = 0;
	unsigned begun = 0;
	int error = 0;

	if (count > INT32_MAX)
		return -EINVAL;
	while (begun < count && !error) {
		if (keeps(cell, number))
			begun += keep_batch(cell, number, arguments + begun * each, count - begun,
					    tickets + begun);
		if (begun == count)
			break;
		error = submit_any(cell, number, arguments + begun * each,
				   time_left(&deadline, timeout_ns), &tickets[begun]);
		begun += !error;
	}
	return batch_over(cell, begun, error);
}

static inline int hand_out(struct ist_cell_result *found, int64_t *result)
{
	found->ticket = 0;
	if (result)
		*result = found->value;
	return 0;
}

/* Whether there is what a ticket names. 0 is none; nor is any, before the first. */
static ist_inline int is_out(struct ist_cell *cell, uint64_t ticket)
{
	return ist_likely(ticket - 1 < cell->ticket &&
			  ist_cell_result_at(cell, ticket)->ticket == ticket);
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
	if (ist_unlikely(!is_out(cell, ticket)))
		return -EINVAL;
	/* Other policies have done it when it was submitted. */
	if (ist_unlikely(ist_cell_result_at(cell, ticket)->sequence != 0))
		return collect_late(cell, ticket, result, timeout_ns);
	return hand_out(ist_cell_result_at(cell, ticket), result);
}

int ist_cell_collect_batch(struct ist_cell *cell, const uint64_t *tickets, unsigned count,
			   int64_t *results, uint64_t timeout_ns)
{
	uint64_t deadline = 0;
	unsigned i;
	int error = 0;

	if (count > INT32_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (ist_unlikely(!is_out(cell, tickets[i])))
			error = -EINVAL;
		else if (ist_unlikely(ist_cell_result_at(cell, tickets[i])->sequence != 0))
			error = collect_late(cell, tickets[i], results ? &results[i] : NULL,
					     time_left(&deadline, timeout_ns));
		else
			hand_out(ist_cell_result_at(cell, tickets[i]),
				 results ? &results[i] : NULL);
		if (ist_unlikely(error))
			break;
	}
	return batch_over(cell, i, error);
}
