/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_delegate.c: the policy delegated, as who asks sees it: does its operations itself when the
 * cell is free, else leaves them in its own lines, where whoever holds the cell finds them, and
 * looks there for the results; or takes the cell after all, when nobody has done them.
 */
#include "cell_operation.h"
#include "cell_requests.h"
#include "copy.h"

/* Looks for a result while the cell is free: as many as handing it over costs, about. */
#define PATIENCE_MAX 60u
#define LOOKS_A_TRY 4u /* looks at the own line for one at the line that all share */
#define USUAL_MAX 30u  /* looks until somebody has served: twice as many are patience enough */

static uint64_t common_size(uint64_t size)
{
	(void)size;
	return 2 * (sizeof(struct ist_cell_log) + IST_CELL_LOG_MAX * sizeof(struct ist_cell_entry));
}

static uint64_t area_size(uint64_t size)
{
	(void)size;
	return (1 + IST_CELL_REQUESTS) * sizeof(struct ist_cell_request);
}

/*
 * Another owner's sequences begin beyond all that a pass which is under way may have seen, so that
 * the results it delivers late are nobody's.
 */
static void seated(struct ist_cell *cell)
{
	struct ist_cell_request *desk = ist_cell_desk(cell, cell->seat);
	uint64_t asked = ist_load_acquire(&desk->asked), done = ist_load_acquire(&desk->done);
	unsigned i;

	for (i = 0; i <= IST_CELL_REQUESTS; i++)
		ist_store_release(&desk[i].operation, 0);
	if (done != asked)
		asked = (done > asked ? done : asked) + IST_CELL_REQUESTS;
	/* After ten years of nothing else; or a hostile peer was here. */
	if (asked >> 55) {
		asked = 0;
		ist_store_release(&desk->asked, 0);
		ist_store_release(&desk->done, 0);
	}
	cell->requests.asked = cell->requests.done = asked;
}

static uint32_t patience_of(const struct ist_cell *cell)
{
	uint32_t most = 8 + cell->words / 2;

	return most < PATIENCE_MAX ? most : PATIENCE_MAX;
}

/* For who waits until its request `wanted` is done. */
static int ready(struct ist_cell *cell)
{
	struct ist_cell_requests *own = &cell->requests;
	uint32_t looks = ++cell->looks;
	int error = ist_cell_harvest(cell);

	if (error)
		return error;
	if (own->done >= cell->wanted) {
		own->patience = patience_of(cell);
		own->usual = looks < USUAL_MAX ? looks : USUAL_MAX;
		return 0;
	}
	/* The 64th look, and that of who is about to sleep, is at whoever holds it. */
	if (looks % 64) {
		/* Looking there takes the line from who serves: not before it is late. */
		if (looks % LOOKS_A_TRY || looks < 2 * own->usual)
			return -EAGAIN;
		if (IST_DIR_BUSY(ist_load(&cell->memory->directory.control))) {
			own->patience = patience_of(cell);
			return -EAGAIN;
		}
		if (looks < own->patience && ist_cell_pending(cell) <= ist_cell_worth(cell))
			return -EAGAIN;
	}
	error = ist_cell_pass(cell, NULL);
	if (!error)
		own->usual = 0;
	if (error == -EOWNERDEAD)
		own->owes = 1; /* what was asked for comes first */
	if (error == -EOWNERDEAD || error == -ETIMEDOUT)
		return -EAGAIN;
	own->patience /= 2;
	return error;
}

static int await(struct ist_cell *cell, uint64_t sequence, uint64_t timeout_ns)
{
	struct ist_cell_requests *own = &cell->requests;
	uint32_t pending = (uint32_t)ist_cell_pending(cell), looks;
	int error;

	cell->wanted = sequence;
	/* The first look is at the cell, too, unless another has served lately; the only one is at
	   whoever holds it. */
	cell->looks = timeout_ns ? LOOKS_A_TRY - 1 : 63;
	if (timeout_ns && pending > ist_cell_worth(cell))
		own->usual = 0;
	if (timeout_ns && own->usual)
		cell->looks = 0;
	error = ready(cell);
	if (error == -EAGAIN) {
		looks = cell->looks;
		error = ist_cell_await(cell, ready, &cell->memory->waiters, timeout_ns);
		ist_cell_waited(cell, cell->looks - looks, pending);
	} else if (pending > 1) {
		/* Done together: each of them would have had to hold the cell. */
		ist_cell_count(cell, IST_CELL_COUNT_WAITS, pending);
	}
	if (own->owes && !cell->error) {
		own->owes = 0;
		cell->error = -EOWNERDEAD;
	}
	return error;
}

/* Leaves a request where others find it: the last one asked. There is room for it. */
static inline void leave(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			 struct ist_cell_result *result)
{
	struct ist_cell_requests *own = &cell->requests;
	struct ist_cell_request *desk = ist_cell_desk(cell, cell->seat), *request = desk;
	uint64_t sequence = own->asked + 1;

	/* One that is alone is in the line that is looked at anyway. */
	if (own->asked != own->done)
		request += 1 + sequence % IST_CELL_REQUESTS;
	ist_copy_shared(request->arguments, arguments, IST_CELL_ARGUMENTS);
	__atomic_store_n(&request->operation, IST_CELL_OPERATION(sequence, number),
			 __ATOMIC_RELAXED);
	own->results[sequence % IST_CELL_REQUESTS] = result;
	own->asked = result->sequence = sequence;
	/* Release: pairs with the acquire in combine_seat(). */
	ist_store_release(&desk->asked, sequence);
	if (ist_unlikely(!cell->subscribed)) {
		__atomic_fetch_or(&cell->memory->consumers, coh_bit(cell->seat), __ATOMIC_SEQ_CST);
		cell->subscribed = 1;
	}
}

static inline int is_full(const struct ist_cell *cell)
{
	return cell->requests.asked - cell->requests.done == IST_CELL_REQUESTS;
}

/* The same; waits until there is room. 0, or -errno: it was not left. */
static int ask(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
	       struct ist_cell_result *result, uint64_t timeout_ns)
{
	int error = is_full(cell) ? await(cell, cell->requests.done + 1, timeout_ns) : 0;

	if (!error)
		leave(cell, number, arguments, result);
	return error;
}

/* What was kept back becomes requests: few enough for others to do, so there is room. */
static void ask_kept(struct ist_cell *cell)
{
	uint64_t ticket = cell->requests.asks + 1, last = cell->ticket;
	struct ist_cell_result *kept;

	cell->requests.keeps = 0;
	ist_cell_kept_none(cell);
	for (; ticket <= last; ticket++) {
		kept = ist_cell_kept_at(cell, ticket);
		if (kept)
			leave(cell, (uint32_t)(kept->sequence - IST_CELL_KEPT), kept->arguments,
			      kept);
	}
}

static int submit(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		  struct ist_cell_result *result, uint64_t timeout_ns)
{
	(void)timeout_ns; /* where there is no room for another request it is kept back */
	cell->here = 0;
	if (cell->requests.keeps || ist_cell_kept(cell) || is_full(cell))
		ist_cell_keep(result, number, arguments);
	else
		leave(cell, number, arguments, result);
	return 0;
}

static int settle(struct ist_cell *cell, struct ist_cell_result *result, uint64_t timeout_ns)
{
	if (ist_unlikely(cell->error || cell->section != IST_SECTION_NONE))
		return ist_cell_refuse(cell);
	if (ist_cell_kept(cell) && timeout_ns && ist_cell_pending(cell) <= ist_cell_worth(cell))
		ask_kept(cell);
	return await(cell, result->sequence, timeout_ns);
}

/* Whether to hold the cell rather than to ask: it is free, and nobody else would serve. */
static int is_ours(const struct ist_cell *cell)
{
	uint64_t control;

	/* Another does them: it needs that line more than this one. */
	if (cell->requests.usual)
		return 0;
	control = ist_load(&cell->memory->directory.control);
	return !IST_DIR_BUSY(control) &&
	       (!cell->requests.patience || IST_DIR_OWNER(control) == cell->seat + 1);
}

static int operate(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		   int64_t *value, uint64_t timeout_ns)
{
	struct ist_cell_operation own = {.function = ist_cell_function_of(cell, number),
					 .arguments = arguments};
	struct ist_cell_result *result = &cell->alone;
	int error;

	if (!timeout_ns || is_ours(cell)) {
		error = ist_cell_pass(cell, &own);
		*value = own.value;
		if (!error)
			cell->requests.usual = 0;
		if (error != -ETIMEDOUT || !timeout_ns)
			return error;
	}
	error = ist_cell_kept(cell) ? await(cell, IST_CELL_KEPT, timeout_ns) : 0;
	if (!error)
		error = ask(cell, number, arguments, result, timeout_ns);
	if (error)
		return error;
	error = await(cell, cell->requests.asked, timeout_ns);
	/* It may be done later: its result is nobody's then. */
	if (error)
		cell->requests.results[result->sequence % IST_CELL_REQUESTS] = NULL;
	*value = result->value;
	return error;
}

const struct ist_cell_policy ist_cell_delegate = {
	.common = common_size,
	.area = area_size,
	.seated = seated,
	.published = ist_cell_deliver,
	.operate = operate,
	.submit = submit,
	.settle = settle,
};
