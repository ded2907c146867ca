/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell_read.c: reading a cell: the version, its content, the version again. No shared line is
 * written.
 *
 * A writer that stops or dies is in nobody's way: its version is published by one store, or, in the
 * head, moved there from its seat, where readers find it meanwhile. Only versions that follow each
 * other faster than a reader can copy are: so after IST_CELL_LOOKS it takes its turn with the
 * writers.
 */
#include "cell.h"
#include "copy.h"

#define MOVE_LOOKS 16u /* at a version that is being moved, before its seat is looked at */

/* A word, of which the content has `left` bytes, at most. */
static inline void put(void *to, uint64_t word, size_t left)
{
	__builtin_memcpy(to, &word, left < sizeof(word) ? left : sizeof(word));
}

/* A content of this size out of words that change: the look that follows is not earlier. */
static inline void copy_words(void *to, const uint64_t *from, size_t size)
{
	uint8_t *bytes = to;
	size_t i;

	/* Acquire: pair with the releases of ist_cell_move(), and of who gave a seat its content.
	 */
	for (i = 0; i + sizeof(*from) <= size; i += sizeof(*from))
		put(bytes + i, ist_load_acquire(&from[i / sizeof(*from)]), sizeof(*from));
	if (ist_unlikely(i < size))
		put(bytes + i, ist_load_acquire(&from[i / sizeof(*from)]), size - i);
}

/*
 * Where a reader looks at a seat, its owner writes its next section when it goes on, and the reader
 * finds out: a race that ThreadSanitizer does not know to be harmless. There readers take their
 * turn instead.
 */
#ifdef IST_TSAN
#define SEATS_ARE_READ 0
#else
#define SEATS_ARE_READ 1
#endif

/* The head is being changed: the content is in the seat of who is busy, the next one if that is
   being moved, or still the one from before the section. */
static int look_at_seat(const struct ist_cell *cell, uint64_t version, void *to, uint64_t *number)
{
	uint64_t control = ist_load_acquire(&cell->memory->directory.control);
	uint32_t holder = IST_DIR_BUSY(control) - 1;
	const struct ist_cell_seat *seat;
	uint64_t redo;

	if (!SEATS_ARE_READ || holder >= cell->seats)
		return -EAGAIN;
	seat = &cell->all[holder];
	redo = ist_load_acquire(&seat->redo);
	if (!ist_cell_line_counts(version, redo))
		return -EAGAIN;
	copy_words(to, seat->data, cell->size);
	/* It still is, so its writer has not gone on; or another seat does it, with the same
	   content. */
	if (ist_load(&cell->memory->version) != version)
		return -EAGAIN;
	*number = IST_CELL_NUMBER(version) + (IST_CELL_WHERE(version) == IST_CELL_MOVING);
	return 0;
}

/* A move is a few stores, most often: as soon done as the seat's line fetched, which its owner
   would have to fetch back. What the version is then. */
static uint64_t until_moved(const struct ist_cell *cell, uint64_t version)
{
	uint64_t now = version;
	unsigned i;

	for (i = 0; i < MOVE_LOOKS && now == version; i++) {
		ist_relax();
		now = ist_load_acquire(&cell->memory->version);
	}
	return now;
}

static int look_at_head(const struct ist_cell *cell, void *to, uint64_t *number)
{
	const struct ist_cell_memory *memory = cell->memory;
	/* Acquire: pairs with the release of the last store in ist_cell_move(). */
	uint64_t version = ist_load_acquire(&memory->version);

	if (ist_unlikely(IST_CELL_WHERE(version) == IST_CELL_MOVING)) {
		version = until_moved(cell, version);
		if (IST_CELL_WHERE(version) == IST_CELL_MOVING)
			return look_at_seat(cell, version, to, number);
	}
	if (cell->in_place && IST_CELL_WHERE(version) == IST_CELL_OPEN)
		return look_at_seat(cell, version, to, number);
	if (ist_unlikely(IST_CELL_WHERE(version) != IST_CELL_HEAD))
		return -EPROTO;
	copy_words(to, memory->data, cell->size);
	if (ist_unlikely(ist_load(&memory->version) != version))
		return -EAGAIN;
	*number = IST_CELL_NUMBER(version);
	return 0;
}

static int look_at_slot(struct ist_cell *cell, void *to, uint64_t *number)
{
	const struct ist_cell_memory *memory = cell->memory;
	/* Acquire: pairs with the release that publishes, in cell_write.c. */
	uint64_t version = ist_load_acquire(&memory->version);
	const uint64_t *slot = ist_cell_published(cell, version);
	size_t whole = cell->size / sizeof(*slot), left = cell->size % sizeof(*slot);

	if (!slot)
		return -EPROTO;
	if (cell->size <= IST_CELL_INLINE) { /* a replica's: no call for a few words */
		copy_words(to, slot, cell->size);
	} else {
		ist_copy_shared(to, slot, whole);
		if (left)
			put((uint8_t *)to + whole * sizeof(*slot), ist_load_acquire(&slot[whole]),
			    left);
	}
	/* A slot is written again only after the other one was published. */
	if (ist_load_acquire(&memory->version) != version)
		return -EAGAIN;
	*number = IST_CELL_NUMBER(version);
	return 0;
}

int ist_cell_look(struct ist_cell *cell, void *to, uint64_t *number)
{
	int error = cell->in_head ? look_at_head(cell, to, number) : look_at_slot(cell, to, number);

	if (ist_unlikely(error))
		return error == -EPROTO ? ist_cell_break(cell) : error;
	return ist_cell_see(cell, *number);
}

/* For who waits for its turn, with cell->place and cell->wanted for what it looks for. */
static int look_or_take(struct ist_cell *cell)
{
	int error = ist_cell_look(cell, cell->place, &cell->wanted);

	if (error != -EAGAIN)
		return error;
	/* Versions follow each other: so whoever holds the cell now is neither dead nor stopped for
	   long, or the next look will do. */
	error = ist_cell_try_take(cell);
	if (error)
		return error;
	error = ist_cell_look(cell, cell->place, &cell->wanted);
	if (error == -EAGAIN) /* it is held, and yet it changes */
		return ist_cell_break(cell);
	if (error)
		return error;
	IST_CELL_TRACE(cell, COH_DROP);
	return ist_cell_release(cell);
}

int ist_cell_read_core(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns)
{
	unsigned i;
	int error;

	for (i = 0; i < IST_CELL_LOOKS; i++) {
		error = ist_cell_look(cell, to, number);
		if (ist_likely(error != -EAGAIN))
			return error;
		ist_relax();
	}
	cell->place = to;
	error = look_or_take(cell);
	if (error == -EAGAIN)
		error = ist_cell_await(cell, look_or_take, &cell->memory->waiters, timeout_ns);
	*number = cell->wanted;
	return error;
}

int ist_cell_refuse(struct ist_cell *cell)
{
	int error = cell->error;

	if (!error)
		return cell->section == IST_SECTION_NONE ? 0 : -EBUSY;
	if (error == -EOWNERDEAD)
		cell->error = 0;
	return error;
}

/* A migratory cell's reader that usually writes next asks for the line as a writer does. */
static inline void expect_write(struct ist_cell *cell)
{
	if (!(cell->noted & IST_CELL_NOTE_WRITE))
		return;
	if (cell->was_read && cell->follows)
		cell->follows--;
	cell->was_read = 1;
	if (cell->follows >= 2)
		ist_prefetch_write(cell->memory);
}

static int read_near(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns)
{
	int error = ist_cell_renew(cell, timeout_ns);

	if (!error) {
		*number = cell->near.number;
		ist_copy(to, cell->near.copy, cell->size);
	}
	return error;
}

/* What is not a few whole words in the head, or was not there at the first look. */
static __attribute__((noinline)) int read_any(struct ist_cell *cell, void *to, uint64_t *version,
					      uint64_t timeout_ns)
{
	uint64_t number = 0;
	int error;

	if (cell->near.copy)
		error = read_near(cell, to, &number, timeout_ns);
	else if (cell->policy->read)
		error = cell->policy->read(cell, to, &number, timeout_ns);
	else
		error = ist_cell_read_core(cell, to, &number, timeout_ns);

	if (!error && version)
		*version = number;
	return error;
}

/* One look at the head, as look_at_head(): 0; -EAGAIN it is not as simple as that. */
static inline int read_quick(struct ist_cell *cell, void *to, uint64_t *number)
{
	const struct ist_cell_memory *memory = cell->memory;
	uint8_t *bytes = to; /* aligned or not */
	uint32_t words = cell->quick;
	uint64_t version;

	/* A consumer with a box of its own leaves this line to the producer. */
	if (!words)
		return -EAGAIN;
	/* Acquire: pairs with the release of the last store in ist_cell_move(). */
	version = ist_load_acquire(&memory->version);
	if (ist_unlikely(IST_CELL_WHERE(version) != IST_CELL_HEAD))
		return -EAGAIN;
	switch (words) {
	case 5:
		put(bytes + 32, ist_load_acquire(&memory->data[4]), 8);
		__attribute__((fallthrough));
	case 4:
		put(bytes + 24, ist_load_acquire(&memory->data[3]), 8);
		__attribute__((fallthrough));
	case 3:
		put(bytes + 16, ist_load_acquire(&memory->data[2]), 8);
		__attribute__((fallthrough));
	case 2:
		put(bytes + 8, ist_load_acquire(&memory->data[1]), 8);
		__attribute__((fallthrough));
	case 1:
		put(bytes, ist_load_acquire(&memory->data[0]), 8);
		break;
	default:
		return -EAGAIN;
	}
	*number = IST_CELL_NUMBER(version);
	/* Older than one seen before: for who looks closer to tell. */
	if (ist_unlikely(ist_load(&memory->version) != version || *number < cell->seen))
		return -EAGAIN;
	cell->seen = *number;
	return 0;
}
_Static_assert(IST_CELL_WORDS == 5, "read_quick() has a case for each number of words");

static ist_inline int read_once(struct ist_cell *cell, void *to, uint64_t *version,
				uint64_t timeout_ns)
{
	uint64_t number;

	if (ist_unlikely(read_quick(cell, to, &number)))
		return read_any(cell, to, version, timeout_ns);
	if (version)
		*version = number;
	return 0;
}

static __attribute__((noinline)) int read_watched(struct ist_cell *cell, void *to,
						  uint64_t *version, uint64_t timeout_ns)
{
	ist_cell_watch(cell, IST_CELL_COUNT_READS);
	expect_write(cell);
	return read_once(cell, to, version, timeout_ns);
}

/* Where readings count for something, or nothing is to be read now. */
static __attribute__((noinline)) int read_noted(struct ist_cell *cell, void *to, uint64_t *version,
						uint64_t timeout_ns)
{
	if (ist_unlikely((cell->section | (uint32_t)cell->error) != 0))
		return ist_cell_refuse(cell);
	if (cell->noted & IST_CELL_NOTE_COUNT && ist_cell_count_uses(cell, IST_CELL_COUNT_READS, 1))
		return read_watched(cell, to, version, timeout_ns);
	expect_write(cell);
	return read_once(cell, to, version, timeout_ns);
}

/* What calls anything is a function of its own, behind a jump: so no register is saved here. */
int ist_cell_read(struct ist_cell *cell, void *to, uint64_t *version, uint64_t timeout_ns)
{
	uint32_t special = cell->section | (uint32_t)cell->error | cell->noted;

	if (ist_unlikely(special)) {
		if (special != IST_CELL_NOTE_COUNT)
			return read_noted(cell, to, version, timeout_ns);
		if (ist_cell_count_uses(cell, IST_CELL_COUNT_READS, 1))
			return read_watched(cell, to, version, timeout_ns);
	}
	return read_once(cell, to, version, timeout_ns);
}

/* A section that holds the cell, in place. */
static int begin_held(struct ist_cell *cell, uint64_t timeout_ns, const void **out)
{
	int error = ist_cell_take(cell, timeout_ns);
	uint64_t version;

	if (error)
		return error;
	version = ist_load_acquire(&cell->memory->version);
	*out = ist_cell_published(cell, version);
	if (!*out)
		return ist_cell_break(cell);
	cell->section = IST_SECTION_HELD;
	return 0;
}

int ist_cell_read_begin(struct ist_cell *cell, uint64_t timeout_ns, const void **out)
{
	uint64_t number = 0;
	int error;

	if (ist_unlikely(cell->section != IST_SECTION_NONE || cell->error))
		return ist_cell_refuse(cell);
	if (cell->in_head) {
		error = ist_cell_read(cell, cell->copy, &number, timeout_ns);
		if (error)
			return error;
		*out = cell->copy;
		cell->section = IST_SECTION_COPY;
		return 0;
	}
	ist_cell_use(cell, IST_CELL_COUNT_READS);
	if (cell->near.copy) {
		error = ist_cell_renew(cell, timeout_ns);
		if (error)
			return error;
		*out = cell->near.copy;
		cell->section = IST_SECTION_COPY;
		return 0;
	}
	if (cell->refused >= IST_CELL_LOOKS)
		return begin_held(cell, timeout_ns, out);
	cell->version = ist_load_acquire(&cell->memory->version);
	*out = ist_cell_published(cell, cell->version);
	if (!*out)
		return ist_cell_break(cell);
	error = ist_cell_see(cell, IST_CELL_NUMBER(cell->version));
	if (error)
		return error;
	cell->section = IST_SECTION_PLACE;
	return 0;
}

int ist_cell_read_end(struct ist_cell *cell)
{
	uint32_t section = cell->section;

	if (section == IST_SECTION_NONE || section == IST_SECTION_WRITE)
		return cell->error ? cell->error : -EINVAL;
	cell->section = IST_SECTION_NONE;
	if (section == IST_SECTION_HELD) {
		cell->refused = 0;
		IST_CELL_TRACE(cell, COH_DROP);
		return ist_cell_release(cell);
	}
	if (section == IST_SECTION_PLACE) {
		/* What was read was read before this: no later look can be earlier. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (ist_load(&cell->memory->version) != cell->version) {
			cell->refused++;
			return -EAGAIN;
		}
		cell->refused = 0;
	}
	return 0;
}
