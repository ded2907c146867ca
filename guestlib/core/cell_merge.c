/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_merge.c: the policy write-shared: a write section is in a private copy; at its end the words
 * that differ from the copy's twin are merged into the latest version, in a section that holds the
 * cell.
 *
 * The copy is in nobody's memory but this instance's, so nobody else can merge it: who dies takes
 * its changes along, unless the section that merges them has published; and that one does so once
 * and whole, as every section.
 */
#include "cell.h"
#include "copy.h"
#include "platform.h"

#define LINE_WORDS ((uint32_t)(IST_LINE / sizeof(uint64_t)))
#define LINES_EXPECTED 4u /* of each slot; beyond them the processor sees where it goes */
#define DEATHS 64u /* of others, while this one waits for its turn: beyond them a peer plays */

static int init(struct ist_cell *cell)
{
	struct ist_cell_copy *own = &cell->own_copy;

	own->number = IST_CELL_NOTHING;
	own->is = ist_platform_alloc(2 * cell->words * sizeof(*own->is));
	if (!own->is)
		return -ENOMEM;
	own->was = own->is + cell->words;
	return 0;
}

static void fini(struct ist_cell *cell)
{
	ist_platform_free(cell->own_copy.is);
}

/* The bytes in which two words differ, all bits of them. */
static uint64_t bytes_changed(uint64_t was, uint64_t is)
{
	uint64_t bits = was ^ is;

	bits |= bits >> 4;
	bits |= bits >> 2;
	bits |= bits >> 1;
	return (bits & 0x0101010101010101u) * 0xff;
}

static uint64_t merge(const struct ist_cell *cell, uint64_t now, uint64_t was, uint64_t is)
{
	uint64_t mask;

	switch (cell->merge) {
	case IST_CELL_MERGE_REPLACE:
		mask = bytes_changed(was, is);
		return (now & ~mask) | (is & mask);
	case IST_CELL_MERGE_SUM:
		return now + (is - was);
	case IST_CELL_MERGE_MIN:
		return is < now ? is : now;
	case IST_CELL_MERGE_MAX:
		return is > now ? is : now;
	case IST_CELL_MERGE_OR:
		return now | is;
	default:
		return cell->own_copy.merge(now, was, is);
	}
}

int ist_cell_define_merge(struct ist_cell *cell, uint32_t number, ist_cell_merge_function *function)
{
	if (number < IST_CELL_MERGE_OWN || number != cell->merge)
		return -EINVAL;
	cell->own_copy.merge = function;
	return 0;
}

/* The latest version becomes copy and twin, if they are not that already. */
static int refresh(struct ist_cell *cell, uint64_t timeout_ns)
{
	struct ist_cell_copy *own = &cell->own_copy;
	uint64_t version = ist_load_acquire(&cell->memory->version), number;
	int error;

	if (ist_likely(IST_CELL_NUMBER(version) == own->number &&
		       IST_CELL_WHERE(version) != IST_CELL_MOVING))
		return 0;
	own->number = IST_CELL_NOTHING;
	error = ist_cell_read_core(cell, own->was, &number, timeout_ns);
	if (error)
		return error;
	__builtin_memcpy(own->is, own->was, cell->words * sizeof(*own->is));
	own->number = number;
	return 0;
}

static int write_begin(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns, void **out)
{
	int error;

	/* First: what is told of a death is told once, and by a call that is right. */
	if (ist_unlikely(flags & ~IST_CELL_REPLACE))
		return -EINVAL;
	if (cell->merge >= IST_CELL_MERGE_OWN && !cell->own_copy.merge)
		return -EINVAL;
	error = ist_cell_refuse(cell);
	if (!error)
		error = refresh(cell, timeout_ns);
	if (error)
		return error;
	cell->own_copy.patience_ns = timeout_ns;
	cell->section = IST_SECTION_PRIVATE;
	*out = cell->own_copy.is;
	return 0;
}

/* Holds the cell. A repair on the way is told by the next call: this one has something to do. */
static int hold(struct ist_cell *cell, uint64_t **content)
{
	int error = -EOWNERDEAD, died = 0;
	unsigned tries;
	void *out = NULL;

	for (tries = 0; tries < DEATHS && error == -EOWNERDEAD; tries++) {
		error = ist_cell_begin_held(cell, 0, cell->own_copy.patience_ns, &out);
		died |= error == -EOWNERDEAD;
	}
	if (died && !cell->error)
		cell->error = -EOWNERDEAD;
	*content = out;
	return error;
}

/* What differs between copy and twin, of `words` of them from the i-th on: 0, nothing. */
static inline __attribute__((always_inline)) uint64_t differ(const struct ist_cell *cell,
							     uint32_t i, uint32_t words)
{
	const struct ist_cell_copy *own = &cell->own_copy;
	uint64_t bits = 0;
	uint32_t k;

	for (k = i; k < i + words; k++)
		bits |= own->is[k] ^ own->was[k];
	return bits;
}

/* These words: those that this section has changed are merged into what the content has. */
static void merge_words(struct ist_cell *cell, uint64_t *content, uint32_t i, uint32_t words)
{
	const struct ist_cell_copy *own = &cell->own_copy;
	uint32_t k;

	for (k = i; k < i + words; k++)
		/* As any store of a section. Who still reads here throws it away. */
		if (own->is[k] != own->was[k])
			ist_store_release(&content[k], merge(cell, ist_load(&content[k]),
							     own->was[k], own->is[k]));
}

/* The cell is held: its content gets what this section changed, and this handle what others did. */
static void merge_all(struct ist_cell *cell, uint64_t *content)
{
	struct ist_cell_copy *own = &cell->own_copy;
	uint32_t i;

	for (i = 0; i + LINE_WORDS <= cell->words; i += LINE_WORDS)
		if (differ(cell, i, LINE_WORDS))
			merge_words(cell, content, i, LINE_WORDS);
	merge_words(cell, content, i, cell->words - i);
	ist_copy_shared(own->was, content, cell->words);
	__builtin_memcpy(own->is, own->was, cell->words * sizeof(*own->is));
}

/* Whether this section has changed anything. */
static int changed(const struct ist_cell *cell)
{
	uint32_t i;

	for (i = 0; i + LINE_WORDS <= cell->words; i += LINE_WORDS)
		if (differ(cell, i, LINE_WORDS))
			return 1;
	return differ(cell, i, cell->words - i) != 0;
}

/* Most of what the turn will need, on its way all at once. */
static void expect_turn(const struct ist_cell *cell)
{
	uint64_t line;

	ist_prefetch_write(cell->memory);
	/* Of a replica these would be others' lines, which this peer must not own. */
	if (cell->pool.flush)
		return;
	/* One will be copied from: but written to, next time. */
	for (line = 0; line < cell->slot_stride && line < LINES_EXPECTED * IST_LINE;
	     line += IST_LINE) {
		ist_prefetch_write(cell->slots + line);
		ist_prefetch_write(cell->slots + cell->slot_stride + line);
	}
}

static int write_end(struct ist_cell *cell)
{
	struct ist_cell_copy *own = &cell->own_copy;
	uint64_t *content;
	int error;

	if (cell->section != IST_SECTION_PRIVATE)
		return cell->error ? cell->error : -EINVAL;
	cell->section = IST_SECTION_NONE;
	if (!changed(cell))
		return 0;
	expect_turn(cell);
	error = hold(cell, &content);
	if (error == -ETIMEDOUT || error == -EOWNERDEAD) {
		cell->section = IST_SECTION_PRIVATE;
		return error;
	}
	if (error)
		return error;
	merge_all(cell, content);
	own->number = IST_CELL_NUMBER(cell->version) + 1;
	return ist_cell_end_held(cell);
}

static int write_abort(struct ist_cell *cell)
{
	if (cell->section != IST_SECTION_PRIVATE)
		return cell->error ? cell->error : -EINVAL;
	cell->own_copy.number = IST_CELL_NOTHING;
	cell->section = IST_SECTION_NONE;
	return 0;
}

const struct ist_cell_policy ist_cell_merged = {
	.init = init,
	.fini = fini,
	.write_begin = write_begin,
	.write_end = write_end,
	.write_abort = write_abort,
};
