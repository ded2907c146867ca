/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_push.c: the policy producer-consumer: every version is pushed into a box of each consumer,
 * which looks nowhere else. A seat consumes from its first read or wait on.
 */
#include "cell.h"
#include "copy.h"

static struct ist_cell_box *box_of(const struct ist_cell *cell, uint32_t seat)
{
	return (struct ist_cell_box *)(void *)ist_cell_area(cell, seat);
}

static uint64_t box_size(uint64_t size)
{
	return offsetof(struct ist_cell_box, data) + size;
}

/* Consumers that are gone: nothing is pushed to them any more. */
static uint64_t still_there(struct ist_cell *cell, uint64_t consumers)
{
	/* Acquire: pairs with the broker's release after it wrote the tables. */
	uint64_t changes = ist_load_acquire(ist_group_changes(cell->group)), gone = 0, i;

	if (changes == cell->changes_seen)
		return consumers;
	for (i = 0; i < cell->seats; i++)
		if (consumers >> i & 1 &&
		    ist_group_fate(cell->group, ist_load_acquire(&cell->all[i].owner)) !=
			    IST_FATE_HERE)
			gone |= (uint64_t)1 << i;
	if (gone)
		__atomic_fetch_and(&cell->memory->consumers, ~gone, __ATOMIC_RELAXED);
	cell->changes_seen = changes;
	return consumers & ~gone;
}

static void published(struct ist_cell *cell, uint64_t number, const uint64_t *content)
{
	struct ist_cell_box *box;
	uint64_t consumers;

	/* This version before, the consumers after: either a new one is seen here, or it sees the
	   version. Pairs with the one in subscribe(). */
	ist_fence();
	consumers =
		still_there(cell, ist_load(&cell->memory->consumers) & ist_cell_everybody(cell));
	for (; consumers; consumers &= consumers - 1) {
		box = box_of(cell, (uint32_t)__builtin_ctzll(consumers));
		/* Odd, content, even: as the reader of a box expects. */
		ist_store_release(&box->version, number << 1 | 1);
		ist_copy_shared(box->data, content, cell->words);
		ist_store_release(&box->version, number << 1);
	}
}

static void subscribe(struct ist_cell *cell)
{
	/* A locked instruction, so a fence: pairs with the one in published(). */
	__atomic_fetch_or(&cell->memory->consumers, (uint64_t)1 << cell->seat, __ATOMIC_SEQ_CST);
	cell->subscribed = 1;
}

/* One look into the box. -EAGAIN: it is being written, or has nothing that is new enough. */
static int look(struct ist_cell *cell, void *to, uint64_t *number)
{
	const struct ist_cell_box *box = box_of(cell, cell->seat);
	const uint64_t *content = box->data; /* and on behind the first line */
	/* Acquire, and the same after the content: pair with the releases in published(). */
	uint64_t version = ist_load_acquire(&box->version), rest;
	size_t whole = cell->size / sizeof(rest), left = cell->size % sizeof(rest);

	if (version & 1 || version >> 1 < cell->seen)
		return -EAGAIN;
	ist_copy_shared(to, content, whole);
	if (left) {
		rest = ist_load_acquire(&content[whole]);
		__builtin_memcpy((uint8_t *)to + whole * sizeof(rest), &rest, left);
	}
	if (ist_load_acquire(&box->version) != version)
		return -EAGAIN;
	*number = version >> 1;
	cell->seen = *number;
	return 0;
}

static int read_box(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns)
{
	unsigned i;

	if (!cell->subscribed)
		subscribe(cell);
	else
		for (i = 0; i < IST_CELL_LOOKS; i++) {
			if (look(cell, to, number) == 0)
				return 0;
			ist_relax();
		}
	/* Nothing was pushed yet, or the producer stopped over the box: the cell itself has it. */
	return ist_cell_read_core(cell, to, number, timeout_ns);
}

static int latest(struct ist_cell *cell, uint64_t *number)
{
	uint64_t version;

	if (!cell->subscribed) {
		subscribe(cell);
		*number = IST_CELL_NUMBER(ist_load_acquire(&cell->memory->version));
		return ist_cell_see(cell, *number);
	}
	version = ist_load_acquire(&box_of(cell, cell->seat)->version);
	/* Nothing newer was pushed: then it is what the cell itself had. */
	*number = version & 1 || version >> 1 < cell->seen ? cell->seen : version >> 1;
	return 0;
}

const struct ist_cell_policy ist_cell_push = {
	.area = box_size,
	.read = read_box,
	.latest = latest,
	.published = published,
};
