/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cell.h: a handle of a cell, private state. Where things are in the object was computed once from
 * checked sizes; what is in shared memory is read once and checked against that.
 *
 * A policy is what it does otherwise than the core: struct ist_cell_policy, most of it NULL.
 */
#ifndef IST_CORE_CELL_H
#define IST_CORE_CELL_H

#include <isthmus/cell.h>

#include "coherence/step.h"
#include "coherence/trace.h"
#include "group.h"
#include "words.h"

#define IST_CELL_WORDS (IST_CELL_INLINE / sizeof(uint64_t))
/* Looks at a version before a reader takes its turn with the writers. */
#define IST_CELL_LOOKS 8u
#define IST_CELL_NOTHING UINT64_MAX /* no version */

enum ist_cell_section {
	IST_SECTION_NONE,
	IST_SECTION_COPY,  /* of reading: a private copy */
	IST_SECTION_PLACE, /* of reading, in a slot */
	IST_SECTION_HELD,  /* of reading, and the cell is held */
	IST_SECTION_WRITE,
};

struct ist_cell;

struct ist_cell_policy {
	/* Bytes that each seat has of its own behind the slots, for a content of this size. */
	uint64_t (*area)(uint64_t size);
	/* As ist_cell_read(), in place of the core's. */
	int (*read)(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns);
	/* The latest version this handle can see, in place of the core's. 0, or -errno. */
	int (*latest)(struct ist_cell *cell, uint64_t *number);
	/* `content` has just been published, or may have been by one that died. The cell is held.
	 */
	void (*published)(struct ist_cell *cell, uint64_t number, const uint64_t *content);
};

struct ist_cell_result {
	uint64_t ticket; /* 0: free */
	int64_t value;
};

struct ist_cell {
	/* Every section. */
	struct ist_cell_memory *memory;
	struct ist_cell_seat *own;
	uint32_t section; /* enum ist_cell_section */
	int error;        /* -EPROTO and -ENODEV for good; -EOWNERDEAD until it is told */
	uint32_t seat;
	uint32_t words;   /* of the content */
	uint64_t control; /* of the directory word, while this handle holds the cell; 0: it does not
			   */
	uint64_t version; /* the published one's word, in a section */
	uint64_t mine;    /* the version whose content own->data has */
	uint64_t seen;    /* number of the latest version seen: they never go back */
	const struct ist_cell_policy *policy;
	size_t size;
	uint32_t in_head; /* the content is in the head */
	uint32_t follows; /* migratory: how often of late reading was followed by writing, 0 .. 3 */
	uint32_t was_read; /* the last section was one of reading */
	uint32_t refused;  /* read sections in a row that were overwritten */

	uint8_t *slots;
	uint64_t slot_stride;
	uint8_t *areas;
	uint64_t area_stride;
	struct ist_cell_seat *all; /* seats */
	uint32_t seats;
	uint32_t kind; /* IST_CELL_*: that it was made with */
	uint32_t subscribed;
	uint32_t vector;
	uint32_t flags;
	uint32_t looks;        /* of a waiter, since it last looked whether the holder is alive */
	uint64_t changes_seen; /* the roster's word when the consumers were last looked at */
	uint64_t spin_ns;      /* how long to spin before sleeping, adapted */
	uint64_t wanted;       /* a version other than this one is waited for; what was found */
	void *place;           /* where a reader that waits for its turn wants the content */
	struct ist_group *group;
	uint64_t copy[IST_CELL_WORDS]; /* of a read section */
	ist_cell_function *functions[IST_CELL_OPERATIONS];
	struct ist_cell_result results[IST_CELL_IN_FLIGHT];
	uint64_t ticket; /* the last one given out */
};

static inline uint64_t *ist_cell_slot(const struct ist_cell *cell, uint32_t where)
{
	return (uint64_t *)(void *)(cell->slots + IST_CELL_SLOT(where) * cell->slot_stride);
}

static inline uint8_t *ist_cell_area(const struct ist_cell *cell, uint32_t seat)
{
	return cell->areas + seat * cell->area_stride;
}

static inline uint64_t ist_cell_everybody(const struct ist_cell *cell)
{
	return cell->seats >= IST_CELL_SEATS_MAX ? UINT64_MAX : ((uint64_t)1 << cell->seats) - 1;
}

/* Whether `where` is where the content of a version of this cell can be. */
static inline int ist_cell_where_valid(const struct ist_cell *cell, uint32_t where)
{
	return cell->in_head == (where >= IST_CELL_HEAD);
}

/* cell_take.c */

/*
 * Tries to hold the cell, by any way: 0; -EAGAIN somebody else does; -EOWNERDEAD its holder was
 * gone, and what it left is repaired; -EPROTO; -ENODEV.
 */
int ist_cell_try_take(struct ist_cell *cell);

/* The same, waiting. What has still to be told comes first. -ETIMEDOUT. */
int ist_cell_take(struct ist_cell *cell, uint64_t timeout_ns);

/*
 * The seat `dead` is busy in `word`, and whoever had it is gone: holds the cell in its place,
 * finishes what it had committed, lets the cell go. -EOWNERDEAD; -EAGAIN the word has changed;
 * -EPROTO.
 */
int ist_cell_repair(struct ist_cell *cell, struct ist_directory word, uint32_t dead);

/* As ist_cell_break(): 1 when the platform has lost the group, else 0. */
int ist_cell_spoil(struct ist_cell *cell);

/*
 * What is there, no correct peer writes: -EPROTO for good, for all where the word can be changed.
 * When the platform has lost the group that is why: -ENODEV. Returns which.
 */
static inline int ist_cell_break(struct ist_cell *cell)
{
	return ist_cell_spoil(cell) ? -ENODEV : -EPROTO;
}

/* cell_wait.c */

/* Waits for `ready` to stop returning -EAGAIN; sleeps with its bit in `mask`. */
int ist_cell_await(struct ist_cell *cell, int (*ready)(struct ist_cell *), uint64_t *mask,
		   uint64_t timeout_ns);

/* Rings for one that waits for its turn, and for all that wait for a version. */
void ist_cell_wake(struct ist_cell *cell);

/* Every section's end */

/* For traces: the word with this control while this seat is busy, and its owner. */
#define IST_CELL_HELD(cell, control) ((struct ist_directory){(control), coh_bit((cell)->seat)})

/* The head's content becomes own->data, its version `next`. The cell is held, own->redo is `next`.
 */
static inline void ist_cell_move(struct ist_cell *cell, uint64_t version, uint64_t next)
{
	struct ist_cell_memory *memory = cell->memory;
	uint32_t i;

	/* Release, all of them: who sees one of these words sees the version say MOVING, or a later
	   one, when it looks at it again. Partner: the acquires of look_at_head(). */
	ist_store_release(&memory->version,
			  IST_CELL_VERSION(IST_CELL_NUMBER(version), IST_CELL_MOVING));
	for (i = 0; i < cell->words; i++)
		ist_store_release(&memory->data[i], ist_load(&cell->own->data[i]));
	ist_store_release(&memory->version, next);
}

/* Lets the cell go, and wakes who waits. 0; -EPROTO, -ENODEV: it was not this handle's any more. */
static inline int ist_cell_release(struct ist_cell *cell)
{
	struct ist_cell_memory *memory = cell->memory;
	uint64_t control = cell->control;

	COH_AT(&memory->directory, COH_RELEASE, cell->seat, IST_CELL_HELD(cell, control));
	cell->control = 0;
	if (ist_unlikely(ist_load(&memory->directory.control) != control))
		return ist_cell_break(cell);
	/* Nobody correct changes the word of who is busy and its owner: a store does
	   (coherence/word.h). Release: pairs with the acquire of the swap that takes the cell next.
	 */
	ist_store_release(&memory->directory.control, coh_released(control));
	COH_TRACE(&memory->directory, COH_RELEASE, cell->seat, IST_CELL_HELD(cell, control),
		  IST_CELL_HELD(cell, coh_released(control)));
	/* No fence: cell_wait.c. */
	if (ist_unlikely(ist_load(&memory->waiters) | ist_load(&memory->watchers)))
		ist_cell_wake(cell);
	return 0;
}

/* cell_read.c */

/* One look: the version and its content. 0; -EAGAIN it changed meanwhile; -EPROTO, -ENODEV. */
int ist_cell_look(struct ist_cell *cell, void *to, uint64_t *number);

/* The core's ist_cell_read(). */
int ist_cell_read_core(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns);

/* A version was seen: 0, or what it means that it is older than one before. */
static inline int ist_cell_see(struct ist_cell *cell, uint64_t number)
{
	if (ist_unlikely(number < cell->seen))
		return ist_cell_break(cell);
	cell->seen = number;
	return 0;
}

/* cell_operate.c */

/* Whether a number names an operation in this handle. */
int ist_cell_knows(const struct ist_cell *cell, uint32_t number);

/* Does one that it knows, on the content. Its result. */
int64_t ist_cell_perform(const struct ist_cell *cell, uint32_t number, void *content,
			 const uint64_t arguments[IST_CELL_ARGUMENTS]);

/* cell_push.c */
extern const struct ist_cell_policy ist_cell_push;

#endif
