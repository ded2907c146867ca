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
#include "flush.h"
#include "group.h"
#include "wait.h"
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
	IST_SECTION_PRIVATE, /* of writing, in a copy */
};

struct ist_cell;
struct ist_cell_result;

struct ist_cell_policy {
	/* Bytes behind the slots that all seats share, and then that each has of its own, for a
	   content of this size. */
	uint64_t (*common)(uint64_t size);
	uint64_t (*area)(uint64_t size);
	/* This handle is about to own its seat: makes void what an earlier owner left there. */
	void (*seated)(struct ist_cell *cell);
	/* Once, when the handle is made, and when it goes. 0; -ENOMEM. */
	int (*init)(struct ist_cell *cell);
	void (*fini)(struct ist_cell *cell);
	/* As the calls of these names, in place of the core's. */
	int (*write_begin)(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns, void **out);
	int (*write_end)(struct ist_cell *cell);
	int (*write_abort)(struct ist_cell *cell);
	/* As ist_cell_read(), in place of the core's. */
	int (*read)(struct ist_cell *cell, void *to, uint64_t *number, uint64_t timeout_ns);
	/* The latest version this handle can see, in place of the core's. 0, or -errno. */
	int (*latest)(struct ist_cell *cell, uint64_t *number);
	/* `content` has just been published, or may have been by one that died. The cell is held.
	 */
	void (*published)(struct ist_cell *cell, uint64_t number, const uint64_t *content);
	/* As ist_cell_operate(), of an operation that is known. */
	int (*operate)(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		       int64_t *value, uint64_t timeout_ns);
	/* Begins it; its result will be in `result`. 0, or -errno: it was not begun. */
	int (*submit)(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
		      struct ist_cell_result *result, uint64_t timeout_ns);
	/* Waits until it is there. */
	int (*settle)(struct ist_cell *cell, struct ist_cell_result *result, uint64_t timeout_ns);
};

/* An operation that was submitted; or asked for, and is waited for. */
struct ist_cell_result {
	uint64_t ticket;   /* 0: free */
	uint64_t sequence; /* of the request whose result it will be; 0: it is there; or KEPT */
	union {
		int64_t value;
		uint64_t arguments[IST_CELL_ARGUMENTS]; /* of what is KEPT, until it is done */
	};
};

/* Delegated: what a handle knows of its requests. */
struct ist_cell_requests {
	uint64_t asked;    /* sequence of the last one */
	uint64_t done;     /* results are known up to this one */
	uint64_t served;   /* what a pass that is being published has done of them; 0: nothing */
	uint32_t logged;   /* and of others */
	uint32_t first;    /* seat that the next pass looks at first */
	uint64_t answered; /* seats that the last pass did something for */
	uint32_t patience; /* looks for a result before trying to hold the cell */
	uint32_t usual;    /* looks until another had done the last one; 0: this handle did it */
	uint32_t owes;     /* a repair is still to be told */
	uint32_t keeps;    /* operations are kept back: of the last ones it did many at a time */
	uint64_t asks; /* the last ticket that was not kept back, or is not any more: those behind
			  it are, after all that was asked for */
	/* Of sequence % IST_CELL_REQUESTS; NULL: nobody waits for it any more. */
	struct ist_cell_result *results[IST_CELL_REQUESTS];
};

/* Adaptive: what a handle has counted, and when it looks at the clock. */
struct ist_cell_watch {
	uint32_t counts[IST_CELL_COUNTS]; /* what the seat's are to be at the next look */
	uint32_t busy;                    /* ns they took, idle times left out */
	uint32_t left;                    /* uses until then */
	uint32_t every;                   /* uses between two looks */
	uint32_t due;                     /* to judge, as soon as it holds the cell */
	uint32_t migratory;               /* it was, at the last look; or it always is */
	uint64_t looked;
};

/* Write-shared: a handle's private copy. */
struct ist_cell_copy {
	uint64_t *is;         /* what the application changes */
	uint64_t *was;        /* its twin */
	uint64_t number;      /* of the version both were copied from; IST_CELL_NOTHING */
	uint64_t patience_ns; /* of the section's end: the timeout of its begin */
	ist_cell_merge_function *merge;
};

/* IST_CELL_NEAR: a handle's own copy of a version. */
struct ist_cell_near {
	uint64_t *copy;  /* NULL: it has none */
	uint64_t number; /* of the version; IST_CELL_NOTHING */
};

/* Replicas: where the content is, and how it gets there and here. */
struct ist_cell_pool {
	const struct ist_flush *flush; /* NULL: it is no replica */
	uint64_t *valid;               /* of this peer: struct ist_replica */
	uint32_t peers;                /* IDs that have slots */
};

/* No section's and no error's number. */
#define IST_CELL_NOTE_COUNT 0x100u /* adaptive: it is counted */
#define IST_CELL_NOTE_WRITE 0x200u /* migratory, or it is now: a write may follow */

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
	uint32_t in_head;  /* the content is in the head, */
	uint32_t in_place; /* and may be changed there, */
	uint32_t open;     /* as the write section does that this handle is in */
	uint32_t tells;    /* policy->published is to know of what is published next */
	uint32_t quick;    /* words that are read out of the head, and nothing else; 0: not so */
	uint32_t noted;    /* IST_CELL_NOTE_*: what a reading counts for */
	uint32_t here;     /* operations are sections of this handle: the policy knows no others, or
			      it is adaptive, had none at its last look, and none is under way */
	uint32_t follows; /* migratory: how often of late reading was followed by writing, 0 .. 3 */
	uint32_t was_read; /* the last section was one of reading */
	uint32_t refused;  /* read sections in a row that were overwritten */
	uint32_t waited;   /* looks of the last wait for its turn, until they are counted, */
	uint32_t left_out; /* and those it left out, */
	uint32_t apart;    /* as that was of use lately: 0 it was not, .. 16 at the last wait */
	uint32_t waits;    /* since it was not */

	uint8_t *slots; /* of a replica: in the pool, two a peer */
	uint64_t slot_stride;
	struct ist_cell_pool pool;
	uint8_t *areas;
	uint64_t area_stride;
	uint8_t *common;
	struct ist_cell_seat *all; /* seats */
	uint32_t seats;
	uint32_t kind;  /* IST_CELL_*: that it was made with */
	uint32_t merge; /* IST_CELL_MERGE_* */
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
	struct ist_cell_result *results; /* of ticket % IST_CELL_IN_FLIGHT; NULL: there never was
					    one */
	uint64_t ticket;                 /* the last one given out */
	struct ist_cell_result alone;    /* of the operation that is waited for at once */
	struct ist_cell_requests requests;
	struct ist_cell_copy own_copy;
	struct ist_cell_near near;
	struct ist_cell_watch watch;
};

static inline uint64_t *ist_cell_slot(const struct ist_cell *cell, uint32_t where)
{
	return (uint64_t *)(void *)(cell->slots + IST_CELL_SLOT(where) * cell->slot_stride);
}

/* Of a replica: a slot of this peer, which has some. */
static inline uint64_t *ist_cell_peer_slot(const struct ist_cell *cell, uint64_t peer,
					   uint32_t where)
{
	return (uint64_t *)(void *)(cell->slots +
				    (2 * peer + IST_CELL_SLOT(where)) * cell->slot_stride);
}

/* cell_replica.c: what this peer's cache has of the slot is made to be this version. */
void ist_cell_fetch(struct ist_cell *cell, const uint64_t *slot, uint64_t version);

/* What was stored in the own slot goes home, and then is published as `version`. */
void ist_cell_send(struct ist_cell *cell, uint64_t version);

static inline const uint64_t *ist_cell_replica(struct ist_cell *cell, uint64_t version)
{
	uint32_t where = IST_CELL_WHERE(version);
	/* Acquire: pairs with the release in ist_cell_send(). */
	uint64_t peer = ist_load_acquire(&cell->memory->data[where]) - 1;
	const uint64_t *slot;

	if (ist_unlikely(peer >= cell->pool.peers))
		return NULL;
	slot = ist_cell_peer_slot(cell, peer, where);
	/* Acquire: pairs with the release in ist_cell_fetch(), of a neighbour. */
	if (ist_unlikely(ist_load_acquire(cell->pool.valid) != IST_CELL_NUMBER(version) + 1))
		ist_cell_fetch(cell, slot, version);
	return slot;
}

/* The content of this version, in a slot. NULL: no correct peer says that it is there. */
static inline const uint64_t *ist_cell_published(struct ist_cell *cell, uint64_t version)
{
	if (ist_unlikely(IST_CELL_WHERE(version) >= IST_CELL_HEAD))
		return NULL;
	return ist_likely(!cell->pool.flush) ? ist_cell_slot(cell, IST_CELL_WHERE(version))
					     : ist_cell_replica(cell, version);
}

/* The slot for the content that is to follow this version. */
static inline uint64_t *ist_cell_next_slot(const struct ist_cell *cell, uint64_t version)
{
	return ist_likely(!cell->pool.flush)
		       ? ist_cell_slot(cell, IST_CELL_WHERE(version) ^ 1)
		       : ist_cell_peer_slot(cell, cell->group->id, IST_CELL_WHERE(version) ^ 1);
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
	if (!cell->in_head)
		return where < IST_CELL_HEAD;
	return where >= IST_CELL_HEAD || (cell->in_place && where == IST_CELL_OPEN);
}

/*
 * Whether the line of a seat that is busy, with this `redo`, has what the head is to have: the next
 * version, which it is committed to, or the content from before an open section.
 */
static inline int ist_cell_line_counts(uint64_t version, uint64_t redo)
{
	uint64_t number = IST_CELL_NUMBER(version);

	return redo == IST_CELL_VERSION(number + 1, IST_CELL_HEAD) ||
	       (IST_CELL_WHERE(version) == IST_CELL_OPEN &&
		redo == IST_CELL_VERSION(number, IST_CELL_HEAD));
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

/* The same for who looks itself. */
struct ist_cell_wait {
	int (*ready)(struct ist_cell *cell); /* the look of one that sleeps */
	uint64_t *mask;
	uint64_t timeout_ns; /* not 0 */
	/* 0 until it has looked IST_SPINS_A_LOOK times. */
	uint64_t until; /* then it sleeps; or, polling, it is over */
	uint64_t deadline;
};

/* After each IST_SPINS_A_LOOK looks in vain. -EAGAIN: look again; else what a sleeper's look has
   done, or -ETIMEDOUT. */
int ist_cell_wait_on(struct ist_cell *cell, struct ist_cell_wait *wait);

/* A wait that has begun, to its end. As ist_cell_await(). */
int ist_cell_look_on(struct ist_cell *cell, struct ist_cell_wait *wait);

/* A look of one that did not sleep did it: it pays to look. */
static inline void ist_cell_spun(struct ist_cell *cell)
{
	cell->spin_ns = ist_earlier(cell->spin_ns * 2, IST_SPIN_MAX_NS);
}

/* Rings for one that waits for its turn, and for all that wait for a version. */
void ist_cell_wake(struct ist_cell *cell);

/* Rings for those of `seats` that sleep in `mask`. */
void ist_cell_wake_seats(struct ist_cell *cell, uint64_t *mask, uint64_t seats);

/* Every section's end */

/* For traces: the word with this control while this seat is busy, and its owner. */
#define IST_CELL_HELD(cell, control) ((struct ist_directory){(control), coh_bit((cell)->seat)})
/* For traces: this seat holds the cell, and its permission to write begins (INSTALL), or has ended
   (DROP): behind the last store of its section. */
#define IST_CELL_TRACE(cell, step)                                                                 \
	COH_TRACE(&(cell)->memory->directory, step, (cell)->seat,                                  \
		  IST_CELL_HELD(cell, (cell)->control), IST_CELL_HELD(cell, (cell)->control))

/* The head's content becomes own->data, its version `next`. The cell is held, own->redo is `next`.
 */
static inline void ist_cell_move(struct ist_cell *cell, uint64_t version, uint64_t next)
{
	struct ist_cell_memory *memory = cell->memory;
	const uint64_t *from = cell->own->data;

	/* Release, all of them: who sees one of these words sees the version say MOVING, or a later
	   one, when it looks at it again. Partner: the acquires of look_at_head(). */
	ist_store_release(&memory->version,
			  IST_CELL_VERSION(IST_CELL_NUMBER(version), IST_CELL_MOVING));
	/* All there can be: a loop is longer than what it leaves out. */
	_Static_assert(IST_CELL_WORDS == 5, "one by one");
	ist_store_release(&memory->data[0], ist_load(&from[0]));
	ist_store_release(&memory->data[1], ist_load(&from[1]));
	ist_store_release(&memory->data[2], ist_load(&from[2]));
	ist_store_release(&memory->data[3], ist_load(&from[3]));
	ist_store_release(&memory->data[4], ist_load(&from[4]));
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

/* cell_near.c */

/* Once, when the handle is made, and when it goes. 0; -ENOMEM. */
int ist_cell_near_init(struct ist_cell *cell);
void ist_cell_near_fini(struct ist_cell *cell);

/* The near copy becomes the latest version, if it is not that already. As ist_cell_read_core(). */
int ist_cell_renew(struct ist_cell *cell, uint64_t timeout_ns);

/*
 * ThreadSanitizer does not know that a reader who saw a section's stores throws them away: there
 * sections are never in the head.
 */
#ifdef IST_TSAN
#define IST_CELL_MAY_OPEN 0u
#else
#define IST_CELL_MAY_OPEN 1u
#endif

/* Whether an application's section in this handle would change the head, as the policy is now. */
static inline uint32_t ist_cell_opens(const struct ist_cell *cell)
{
	return IST_CELL_MAY_OPEN & cell->in_place & cell->watch.migratory;
}

/* cell_write.c: sections that hold the cell, whatever the policy, and never in place: a pass' log
   is known by the number that an undone section would publish. As the calls of these names. */
int ist_cell_begin_held(struct ist_cell *cell, uint32_t flags, uint64_t timeout_ns, void **out);
int ist_cell_end_held(struct ist_cell *cell);

/* The cell is held: lets go of it, and what the section has made is nobody's. */
int ist_cell_abandon(struct ist_cell *cell);

/* A version was seen: 0, or what it means that it is older than one before. */
static inline int ist_cell_see(struct ist_cell *cell, uint64_t number)
{
	if (ist_unlikely(number < cell->seen))
		return ist_cell_break(cell);
	cell->seen = number;
	return 0;
}

/* Nothing stands in the way of a section: 0. Else what; a repair is told with that. */
int ist_cell_refuse(struct ist_cell *cell);

/* cell_delegate.c */
extern const struct ist_cell_policy ist_cell_delegate;

/* cell_write.c: an operation that is known, as a write section of this handle. */
int ist_cell_operate_held(struct ist_cell *cell, uint32_t number, const uint64_t *arguments,
			  int64_t *value, uint64_t timeout_ns);

/* cell_adapt.c */
extern const struct ist_cell_policy ist_cell_adaptive;

/* Says what it has counted, and looks at the clock: is it time to judge the pattern? Who reads does
   so at once, and no section is open; who is about to hold the cell does so when it does. */
void ist_cell_watch(struct ist_cell *cell, unsigned what);

/* Counts: so often, IST_CELL_COUNT_*. Private, until the next look at the clock. */
static inline void ist_cell_count(struct ist_cell *cell, unsigned what, uint32_t times)
{
	cell->watch.counts[what] += times;
}

/*
 * It waited, with this many uses, for so many looks. How long it was tells more than how often: who
 * waits does little else, and who does not wait a lot. So a wait is 4 at least, the uses that fit
 * into the shortest. A sleeper's looks say nothing; it waited long enough.
 */
static inline void ist_cell_waited(struct ist_cell *cell, uint32_t looks, uint32_t uses)
{
	ist_cell_count(cell, IST_CELL_COUNT_WAITS, uses + 3 + (looks < 1024 ? looks / 2 : 512));
}

/* Uses begin. Whether ist_cell_watch() is due: where the cell is not adaptive every 2^31 uses. */
static inline int ist_cell_count_uses(struct ist_cell *cell, unsigned what, uint32_t times)
{
	ist_cell_count(cell, what, times);
	cell->watch.left -= times;
	return ist_unlikely((int32_t)cell->watch.left <= 0);
}

/* Uses begin. Of readings: while no section is open. */
static inline void ist_cell_use_many(struct ist_cell *cell, unsigned what, uint32_t times)
{
	if (ist_cell_count_uses(cell, what, times))
		ist_cell_watch(cell, what);
}

/* A use begins. */
static inline void ist_cell_use(struct ist_cell *cell, unsigned what)
{
	ist_cell_use_many(cell, what, 1);
}

/* cell_merge.c */
extern const struct ist_cell_policy ist_cell_merged;

/* cell_push.c */
extern const struct ist_cell_policy ist_cell_push;

#endif
