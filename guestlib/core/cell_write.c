/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_write.c: write sections.
 *
 * A short content is made in this seat's own line: private until the end of the section, which
 * commits to it by one store of `redo` and then moves it to the head. A longer one is made in the
 * slot that is not published, and published by one store. Either way there is nothing to undo.
 *
 * Where the cell migrates an application's section changes a short one in the head itself, while
 * the own line keeps what was there: the line that others wait for is on its way as soon as the
 * section stores to it, not when it ends. What is undone is published again. Operations are over
 * too soon for that.
 */
#include "cell_operation.h"
#include "cell_turn.h"
#include "copy.h"

/* The slot that is not published, with what the section may find there. */
static ist_inline int prepare_slot(struct ist_cell *cell, uint32_t flags, void **out)
{
	uint64_t *target = ist_cell_next_slot(cell, cell->version);
	const uint64_t *source;

	if (!(flags & IST_CELL_REPLACE)) {
		source = ist_cell_published(cell, cell->version);
		if (!source)
			return ist_cell_break(cell);
		/* Readers may still be looking there: what they find, they throw away. */
		ist_copy_shared(target, source, cell->words);
	}
	*out = target;
	return 0;
}

/* This seat's own line, with the head's content. */
static ist_inline void prepare_own(struct ist_cell *cell)
{
	const uint64_t *from = cell->memory->data;
	uint64_t *to = cell->own->data;

	/* Often this seat was the last to write: then it is there. */
	if (cell->mine == cell->version)
		return;
	/* All there can be: others wait, and a loop is longer than what it leaves out. */
	_Static_assert(IST_CELL_WORDS == 5, "one by one");
	to[0] = ist_load(&from[0]);
	to[1] = ist_load(&from[1]);
	to[2] = ist_load(&from[2]);
	to[3] = ist_load(&from[3]);
	to[4] = ist_load(&from[4]);
}

/* The head is changed from here on; readers and repairers find the own line. */
static ist_inline void *open_head(struct ist_cell *cell)
{
	struct ist_cell_memory *memory = cell->memory;

	prepare_own(cell);
	cell->mine = cell->version;
	/* Release, both: who finds the head open finds the line that counts. Partners: the acquires
	   of inherit() and look_at_seat(). */
	ist_store_release(&cell->own->redo, cell->version);
	ist_store_release(&memory->version,
			  IST_CELL_VERSION(IST_CELL_NUMBER(cell->version), IST_CELL_OPEN));
	/* Before the section's stores: who sees one of them sees the head open when it looks at it
	   again. Partner: the acquires of look_at_head(). */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return memory->data;
}

/* The cell is held: the section begins. */
static ist_inline int prepare(struct ist_cell *cell, uint32_t flags, uint32_t in_place, void **out)
{
	uint64_t version = ist_load_acquire(&cell->memory->version);

	if (ist_unlikely(cell->in_head ? IST_CELL_WHERE(version) != IST_CELL_HEAD
				       : IST_CELL_WHERE(version) >= IST_CELL_HEAD))
		return ist_cell_break(cell);
	cell->version = version;
	cell->section = IST_SECTION_WRITE;
	if (ist_unlikely(!cell->in_head))
		return prepare_slot(cell, flags, out);
	cell->open = in_place;
	if (in_place) {
		*out = open_head(cell);
		return 0;
	}
	prepare_own(cell);
	*out = cell->own->data;
	return 0;
}

/* Migratory: reading was followed by writing. */
static ist_inline void remember(struct ist_cell *cell)
{
	if (!cell->was_read)
		return;
	cell->was_read = 0;
	if (cell->follows < 3)
		cell->follows++;
}

/* Holds the cell: mostly it was this seat's last, and one swap of eight bytes does. */
static ist_inline int take(struct ist_cell *cell, uint64_t timeout_ns)
{
	struct ist_directory *shared = &cell->memory->directory;
	uint64_t control = ist_load(&shared->control), next = coh_retake(control, cell->seat);

	if (ist_unlikely(cell->section != IST_SECTION_NONE))
		return -EBUSY;
	if (ist_likely(!cell->error && next)) {
		COH_AT(shared, COH_TAKE, cell->seat, IST_CELL_HELD(cell, control));
		if (ist_likely(coh_cas_control(shared, &control, next))) {
			COH_TRACE(shared, COH_TAKE, cell->seat, IST_CELL_HELD(cell, control),
				  IST_CELL_HELD(cell, next));
			cell->control = next;
			IST_CELL_TRACE(cell, COH_INSTALL);
			return 0;
		}
	}
	return ist_cell_turn(cell, timeout_ns);
}

static ist_inline int begin(struct ist_cell *cell, uint32_t flags, uint32_t in_place,
			    uint64_t timeout_ns, void **out)
{
	int error;

	if (ist_unlikely(flags & ~IST_CELL_REPLACE))
		return -EINVAL;
	error = take(cell, timeout_ns);
	if (ist_unlikely(error))
		return error;
	remember(cell);
	return prepare(cell, flags, in_place, out);
}

int ist_cell_begin_held(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns, void **out)
{
	return begin(cell, flags, 0, timeout_ns, out);
}

int ist_cell_write_begin(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns, void **out)
{
	if (ist_unlikely(cell->policy->write_begin != NULL))
		return cell->policy->write_begin(cell, flags, timeout_ns, out);
	if (ist_likely(cell->section == IST_SECTION_NONE && !cell->error))
		ist_cell_use(cell, IST_CELL_COUNT_WRITES);
	/* Who replaces all of it has it at hand, and is soon done. */
	return begin(cell, flags, ist_cell_opens(cell) & ~flags, timeout_ns, out);
}

/* Publishes what the section has made. The cell is held. */
static ist_inline void publish(struct ist_cell *cell, uint32_t open)
{
	uint64_t number = IST_CELL_NUMBER(cell->version) + 1, next;
	const uint64_t *content = cell->own->data;

	if (open) {
		next = IST_CELL_VERSION(number, IST_CELL_HEAD);
		/* Release: pairs with the acquire in look_at_head(). */
		ist_store_release(&cell->memory->version, next);
		content = cell->memory->data;
	} else if (ist_likely(cell->in_head)) {
		next = IST_CELL_VERSION(number, IST_CELL_HEAD);
		/* Release: who finds the commitment finds the content. From here on it will be
		   published, by this seat or by who finds it dead. Partners: the acquires of
		   inherit() and look_at_seat(). */
		ist_store_release(&cell->own->redo, next);
		ist_cell_move(cell, cell->version, next);
		cell->mine = next;
	} else {
		next = IST_CELL_VERSION(number, IST_CELL_WHERE(cell->version) ^ 1);
		if (ist_unlikely(cell->pool.flush != NULL))
			ist_cell_send(cell, next);
		else /* Release: pairs with the acquire in look_at_slot(). */
			ist_store_release(&cell->memory->version, next);
		content = ist_cell_next_slot(cell, cell->version);
	}
	cell->seen = number;
	if (ist_unlikely(cell->tells))
		cell->policy->published(cell, number, content);
}

int ist_cell_end_held(struct ist_cell *cell)
{
	if (ist_unlikely(cell->section != IST_SECTION_WRITE))
		return cell->error ? cell->error : -EINVAL;
	publish(cell, cell->open);
	IST_CELL_TRACE(cell, COH_DROP);
	cell->section = IST_SECTION_NONE;
	return ist_cell_release(cell);
}

/* In one piece, and the function found before: between the swap and the release it is time that
   others wait. */
int ist_cell_operate_held(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			  int64_t *value, uint64_t timeout_ns)
{
	ist_cell_function *function = ist_cell_function_of(cell, number);
	void *content;
	int error;

	ist_prefetch_write(cell->memory);
	error = begin(cell, 0, 0, timeout_ns, &content);
	if (ist_unlikely(error))
		return error;
	*value = function(content, cell->size, arguments);
	publish(cell, 0);
	IST_CELL_TRACE(cell, COH_DROP);
	cell->section = IST_SECTION_NONE;
	return ist_cell_release(cell);
}

int ist_cell_write_end(struct ist_cell *cell)
{
	if (ist_unlikely(cell->policy->write_end != NULL))
		return cell->policy->write_end(cell);
	return ist_cell_end_held(cell);
}

int ist_cell_abandon(struct ist_cell *cell)
{
	uint64_t next = IST_CELL_VERSION(IST_CELL_NUMBER(cell->version) + 1, IST_CELL_HEAD);

	if (cell->section != IST_SECTION_WRITE || !cell->open) {
		cell->mine = IST_CELL_NOTHING;
	} else {
		/* As who finds this seat dead does. */
		ist_store_release(&cell->own->redo, next);
		ist_cell_move(cell, cell->version, next);
		cell->mine = next;
		cell->seen = IST_CELL_NUMBER(next);
	}
	IST_CELL_TRACE(cell, COH_DROP);
	cell->section = IST_SECTION_NONE;
	return ist_cell_release(cell);
}

int ist_cell_write_abort(struct ist_cell *cell)
{
	if (cell->policy->write_abort)
		return cell->policy->write_abort(cell);
	if (cell->section != IST_SECTION_WRITE)
		return cell->error ? cell->error : -EINVAL;
	return ist_cell_abandon(cell);
}

/* The end of a section that the caller knows nothing of: it must not stay open. */
static int end_for_good(struct ist_cell *cell)
{
	int error = ist_cell_write_end(cell);

	if (ist_unlikely(error && cell->section != IST_SECTION_NONE))
		ist_cell_write_abort(cell);
	return error;
}

int ist_cell_write(struct ist_cell *cell, const void *from, uint64_t timeout_ns)
{
	void *content;
	uint64_t *slot, rest = 0;
	size_t whole = cell->size / sizeof(rest), left = cell->size % sizeof(rest);
	int error = ist_cell_write_begin(cell, IST_CELL_REPLACE, timeout_ns, &content);

	if (error)
		return error;
	if (cell->in_head) {
		ist_copy(content, from, cell->size);
		return end_for_good(cell);
	}
	slot = content;
	ist_copy_shared(slot, from, whole);
	if (left) {
		__builtin_memcpy(&rest, (const uint8_t *)from + whole * sizeof(rest), left);
		ist_store_release(&slot[whole], rest);
	}
	return end_for_good(cell);
}
