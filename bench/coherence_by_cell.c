/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_cell.c: our cells, a strategy a policy. A cell is found by the number of its load,
 * its size and its number, in a region of its policy's (a replica: its head in "heads", its content
 * in "pool", which is declared incoherent and is not); what earlier runs left in it is set to zero
 * first. So an adaptive one knows its load from the third run on.
 */
#include "coherence.h"
#include <isthmus/cell.h>

#define TOGETHER 32u /* divides IN_FLIGHT */

/* Operations posted, and not submitted yet; and submitted, and not collected. */
static uint64_t posted[TOGETHER][IST_CELL_ARGUMENTS], tickets[IN_FLIGHT];
static unsigned posted_op; /* of all of them */
static unsigned posted_count, submitted, collected;

#define OPERATION(name, op)                                                                        \
	static int64_t name(void *content, size_t size, const uint64_t *arguments)                 \
	{                                                                                          \
		uint64_t argument = arguments[1];                                                  \
		unsigned words = (unsigned)(size / sizeof(uint64_t));                              \
                                                                                                   \
		/* An argument comes from shared memory. */                                        \
		if (((op) == OP_ADD_ONE || (op) == OP_OWN) && argument >= words)                   \
			return -EINVAL;                                                            \
		return (int64_t)operate(content, words, op, argument);                             \
	}
OPERATION(add_each, OP_ADD_EACH)
OPERATION(add_one, OP_ADD_ONE)
OPERATION(own, OP_OWN)
OPERATION(set, OP_SET)

static ist_cell_function *const functions[OPERATIONS] = {
	[OP_ADD_EACH] = add_each,
	[OP_ADD_ONE] = add_one,
	[OP_OWN] = own,
	[OP_SET] = set,
};

static int cell_attach(struct object *o, enum ist_policy policy, const char *pool)
{
	static const char *const regions[] = {"cells-0", "cells-1", "cells-2",
					      "cells-3", "cells-4", "cells-5"};
	struct ist_cell_options options = {
		.region = pool == NULL ? regions[policy] : "heads",
		.content_region = pool,
		.size = o->words * sizeof(uint64_t),
		.policy = policy,
		.merge = IST_MERGE_SUM,
		.flags = o->site->crowded ? 0 : IST_CELL_POLL,
		.seats = INSTANCES_MAX,
	};
	char name[] = "cell-00-000-00";
	struct ist_cell *cell;
	int error;

	name[5] = (char)('0' + o->site->load / 10);
	name[6] = (char)('0' + o->site->load % 10);
	for (unsigned i = 10, rest = o->words; i > 7; i--, rest /= 10)
		name[i] = (char)('0' + rest % 10);
	name[12] = (char)('0' + o->index / 10);
	name[13] = (char)('0' + o->index % 10);
	error = ist_cell_open(o->site->group, name, &options, &cell);
	for (unsigned op = 0; op < OPERATIONS && error == 0; op++)
		error = ist_cell_define(cell, IST_OPERATION_OWN + op, functions[op]);
	o->handle = error == 0 ? cell : NULL;
	return error;
}

static void cell_detach(struct object *o)
{
	ist_cell_close(o->handle);
}

static int cell_init(struct object *o)
{
	static const uint64_t zero[WORDS_MAX];

	return ist_cell_write(o->handle, zero, IST_FOREVER);
}

static int cell_read(struct object *o, uint64_t *copy)
{
	return ist_cell_read(o->handle, copy, NULL, IST_FOREVER);
}

static int cell_enter(struct object *o, uint64_t **data)
{
	return ist_cell_write_begin(o->handle, 0, IST_FOREVER, (void **)data);
}

static int cell_leave(struct object *o)
{
	return ist_cell_write_end(o->handle);
}

/* In a section of this instance. */
static int cell_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	uint64_t *data;
	int error = cell_enter(o, &data);

	if (error != 0)
		return error;
	*result = operate(data, o->words, op, argument);
	return cell_leave(o);
}

/* A counter is what one of the library's own operations is for, which has its word first. */
static uint32_t number_of(const struct object *o, unsigned op)
{
	return op == OP_ADD_EACH && o->words == 1 ? IST_OPERATION_ADD : IST_OPERATION_OWN + op;
}

/* Where the content is. */
static int cell_operate(struct object *o, unsigned op, uint64_t argument, uint64_t *result)
{
	const uint64_t arguments[IST_CELL_ARGUMENTS] = {0, argument};

	return ist_cell_operate(o->handle, number_of(o, op), arguments, (int64_t *)result,
				IST_FOREVER);
}

/* The oldest of those that are under way, a batch of them. */
static int cell_collect(struct object *o)
{
	unsigned under_way = submitted - collected;
	int n = ist_cell_collect_batch(o->handle, &tickets[collected % IN_FLIGHT],
				       under_way < TOGETHER ? under_way : TOGETHER, NULL,
				       IST_FOREVER);

	if (n > 0)
		collected += (unsigned)n;
	return n < 0 ? n : 0;
}

/* Submits what was posted: batches of TOGETHER, but for the last one before a reap. */
static int cell_submit(struct object *o)
{
	int n = submitted - collected == IN_FLIGHT ? cell_collect(o) : 0;

	for (unsigned done = 0; done < posted_count && n >= 0; done += (unsigned)n) {
		n = ist_cell_submit_batch(o->handle, number_of(o, posted_op), posted[done],
					  posted_count - done, IST_FOREVER,
					  &tickets[submitted % IN_FLIGHT]);
		submitted += n > 0 ? (unsigned)n : 0;
	}
	posted_count = 0;
	return n < 0 ? n : 0;
}

static int cell_post(struct object *o, unsigned op, uint64_t argument)
{
	posted[posted_count][1] = argument;
	posted_op = op;
	return ++posted_count < TOGETHER ? 0 : cell_submit(o);
}

static int cell_reap(struct object *o)
{
	int error = cell_submit(o);

	while (error == 0 && collected != submitted)
		error = cell_collect(o);
	collected = submitted = 0;
	return error;
}

/*
 * Write-shared: a section lasts until reaped, and costs nobody else a wait. Inside it an operation
 * is a store.
 */
static int merged_find(struct object *o)
{
	return cell_enter(o, &o->own);
}

static int merged_attach(struct object *o)
{
	o->find_own = merged_find;
	return cell_attach(o, IST_WRITE_SHARED, NULL);
}

static int merged_reap(struct object *o)
{
	int error = o->own != NULL ? cell_leave(o) : 0;

	o->own = NULL;
	return error;
}

const struct strategy by_cell_merged = {
	.name = "cell-merged",
	.can = NEED_OWN,
	.attach = merged_attach,
	.detach = cell_detach,
	.init = cell_init,
	.apply = own_apply,
	.read = cell_read,
	.reap = merged_reap,
};

#define CELL(id, text, kind, pool, what, ...)                                                      \
	static int id##_attach(struct object *o)                                                   \
	{                                                                                          \
		return cell_attach(o, kind, pool);                                                 \
	}                                                                                          \
	const struct strategy by_cell_##id = {                                                     \
		.name = "cell-" text,                                                              \
		.can = what,                                                                       \
		.attach = id##_attach,                                                             \
		.detach = cell_detach,                                                             \
		.init = cell_init,                                                                 \
		.read = cell_read,                                                                 \
		__VA_ARGS__,                                                                       \
	}
#define IN_SECTIONS .apply = cell_apply, .enter = cell_enter, .leave = cell_leave
CELL(reads, "reads", IST_READ_MOSTLY, NULL, NEED_ANY, IN_SECTIONS);
CELL(replica, "replica", IST_READ_MOSTLY, "pool", NEED_ANY, IN_SECTIONS);
CELL(migratory, "migratory", IST_MIGRATORY, NULL, NEED_ANY, IN_SECTIONS);
CELL(latest, "latest", IST_PRODUCER_CONSUMER, NULL, NEED_LATEST, IN_SECTIONS);
CELL(delegated, "delegated", IST_DELEGATED, NULL, NEED_ANY & ~NEED_SECTION, .apply = cell_operate,
     .post = cell_post, .reap = cell_reap);
/* Operations, where a load has them, so that they can be shipped; and sections, where it has those.
 */
CELL(adaptive, "adaptive", IST_ADAPTIVE, NULL, NEED_ANY, .apply = cell_operate, .enter = cell_enter,
     .leave = cell_leave, .post = cell_post, .reap = cell_reap);
