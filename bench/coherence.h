/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence.h: what the parts of the benchmark of contention share.
 *
 * A *load* is what the instances do to shared objects (coherence_load_*.c); a *strategy* is how an
 * object is shared (coherence_by_*.c). A load knows no strategy and a strategy knows no load: they
 * meet in the two tables below. A case is a load with a strategy that can do what it needs.
 */
#ifndef BENCH_COHERENCE_H
#define BENCH_COHERENCE_H

#include "script.h"

#define INSTANCES_MAX 8u
#define OBJECTS_MAX 64u
#define WORDS_MAX 512u
#define IN_FLIGHT 1024u
#define SAMPLES_EACH (SAMPLES_MAX / INSTANCES_MAX)

/* ---- Objects --------------------------------------------------------------------------------- */

/* Where an instance is. One for all objects of a case. */
struct site {
	unsigned me, count; /* instances; their peer IDs too */
	int crowded;        /* several of them share a processor */
	struct ist_group *group;
	uint8_t *common; /* of the strategy, for all objects: its `common` bytes */
	struct object *objects;
	unsigned object_count;
	unsigned load; /* which one it is: what is there by name, and learns, is a load's own */
};

/* One shared object, as one instance sees it: the strategy's head, and a record of words. */
struct object {
	struct site *site;
	void *head;
	uint64_t *data; /* copy 0; the copy of instance i is i * `copy` bytes further */
	size_t copy;
	unsigned words, index;
	void *handle; /* of this instance: the strategy's */
	/* Of this instance, for own_apply(): memory that is its own until reap(), NULL: to be found,
	   by the strategy's function. */
	uint64_t *own;
	int (*find_own)(struct object *object);
};

/* What can be done to a record under exclusion. The argument and the result of each: */
enum operation {
	OP_ADD_EACH, /* adds the argument to every word; what the first word was */
	OP_ADD_ONE,  /* adds 1 to the word of that number; the sum of all words before */
	OP_OWN,      /* adds 1 to the word of that number, which nobody else writes; 0 */
	OP_SET,      /* sets every word to the argument; 0 */
	OPERATIONS,
};

/*
 * The words are loaded and stored singly (relaxed, a plain mov): a seqlock's reader may look on. So
 * all strategies are measured with the same stores.
 */
static inline uint64_t word_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void word_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline __attribute__((always_inline)) uint64_t operate(uint64_t *data, unsigned words,
							      unsigned op, uint64_t argument)
{
	uint64_t result = 0;

	switch (op) {
	case OP_ADD_EACH:
		result = word_get(data);
		for (unsigned i = 0; i < words; i++)
			word_set(data + i, word_get(data + i) + argument);
		break;
	case OP_ADD_ONE:
		for (unsigned i = 0; i < words; i++)
			result += word_get(data + i);
		word_set(data + argument, word_get(data + argument) + 1);
		break;
	case OP_OWN:
		word_set(data + argument, word_get(data + argument) + 1);
		break;
	default:
		for (unsigned i = 0; i < words; i++)
			word_set(data + i, argument);
		break;
	}
	return result;
}

static inline __attribute__((always_inline)) void copy_words(uint64_t *to, const uint64_t *from,
							     unsigned words)
{
	for (unsigned i = 0; i < words; i++)
		to[i] = word_get(from + i);
}

/* ---- Strategies ------------------------------------------------------------------------------ */

/* What loads need, and what a strategy can keep right. */
#define NEED_OWN 1u     /* words of one object that one instance each writes */
#define NEED_COUNTER 2u /* OP_ADD_EACH to an object of one word */
#define NEED_RECORD 4u  /* any operation and read() of objects of many words */
#define NEED_LATEST 8u  /* what one instance sets, the others read */
#define NEED_SECTION 16u
#define NEED_ALONE 32u /* one instance works, the others sleep */
#define NEED_ANY (NEED_OWN | NEED_COUNTER | NEED_RECORD | NEED_LATEST | NEED_SECTION | NEED_ALONE)

/* All functions return 0 or -errno; an error ends the benchmark. Those marked * may be NULL. */
struct strategy {
	const char *name;
	unsigned can;    /* NEED_* */
	size_t head;     /* bytes of its own in each object */
	int packed;      /* the record follows the head at once, not in the next line pair */
	int copies;      /* each instance has its own copy of the record */
	size_t common;   /* bytes of its own for all objects together */
	const char *why; /* when it cannot be here at all: the reason, and `can` is 0 */

	/* Once, in every instance, before the first case. * */
	int (*open)(struct site *site);
	void (*close)(struct site *site); /* * */

	/* In every instance, for each object of a case: before init, and after all have ended. * */
	int (*attach)(struct object *object);
	void (*detach)(struct object *object);

	/* In the first instance, for each object of a case; its memory is zero. * */
	int (*init)(struct object *object);

	int (*apply)(struct object *object, unsigned op, uint64_t argument, uint64_t *result);
	/* A consistent copy of the record, in private memory. */
	int (*read)(struct object *object, uint64_t *copy);

	/* NEED_SECTION: exclusive access to the record in place. * */
	int (*enter)(struct object *object, uint64_t **data);
	int (*leave)(struct object *object);

	/*
	 * post: apply() whose result nobody waits for, with at most IN_FLIGHT of them under way.
	 * reap: all that was posted or applied is done, and seen by everybody. NULL: it is when
	 * apply() returns. *
	 */
	int (*post)(struct object *object, unsigned op, uint64_t argument);
	int (*reap)(struct object *object);

	/* Called by every instance between its operations and while it waits at a barrier. * */
	int (*serve)(struct site *site);

	/* In the first instance at the end of a case: what the record has come to. NULL: read(). */
	void (*settle)(struct object *object, uint64_t *words);
};

/* The strategies, a file or a few lines each. */
extern const struct strategy by_plain, by_private, by_atomic, by_bound, by_ttas, by_ttas_packed,
	by_ticket, by_ticket_packed, by_mcs, by_seqlock, by_doorbell, by_message, by_mutex,
	by_robust, by_rwlock, by_cell_reads, by_cell_migratory, by_cell_latest, by_cell_merged,
	by_cell_delegated, by_cell_adaptive, by_cell_replica;

/* ---- Loads ----------------------------------------------------------------------------------- */

/* A sample of fixed size of a stream of unknown length, each of the stream as likely as any other.
 */
struct reservoir {
	uint32_t *samples; /* SAMPLES_EACH, shared: the first instance merges them */
	uint64_t seen;
};

/* What an instance says of its part of a run. Written by it alone; read after the barrier. */
struct report {
	uint64_t ops;              /* operations done */
	uint64_t updates;          /* those of them that changed the record */
	uint64_t torn;             /* reads whose words cannot have been written together */
	uint64_t value;            /* NEED_LATEST: the last one set */
	uint64_t start, end;       /* ticks */
	int64_t exits;             /* of the run; -1: not known */
	uint32_t handovers, waits; /* samples there are */
	int64_t error;
} __attribute__((aligned(128)));

struct bench {
	struct site site;
	struct shared *shared;
	struct steps steps;
	const struct load *load;
	const struct strategy *by;
	struct report report; /* of this run, of this instance */
	struct reservoir handover, wait;
	struct summary alone;   /* NEED_ALONE: the measured times */
	uint64_t deadline;      /* ticks */
	uint64_t least;         /* operations that this instance does in any case */
	uint64_t looked;        /* ticks, when the clock was looked at last */
	unsigned looks, stride; /* operations since then; how many until it is looked at again */
	uint64_t random;
};

struct load {
	const char *name;
	const char *unit; /* of p50 to max, and of what the case is judged by: "M/s" or "ns" */
	unsigned needs;
	unsigned words, objects;
	unsigned first; /* the first instance whose operations count for fairness */
	/* In every instance, before the run is timed. NULL: nothing. */
	void (*prepare)(struct bench *b);
	/* In every instance. Counts in b->report while going(b). */
	int (*run)(struct bench *b);
	/* In the first instance, after all: how many words are not what the reports add up to. */
	uint64_t (*check)(struct bench *b);
};

extern const struct load load_words_line, load_words_page, load_record_40, load_record_64,
	load_record_4096, load_handover_40, load_handover_4096, load_latest, load_reads_90,
	load_reads_99, load_reads_999, load_counter, load_counter_flight, load_hot, load_hot_flight,
	load_table, load_alone_read, load_alone_write;

/* coherence_run.c: what loads are made of */

/* The shared words of a run. `stopped` is when the first instance found the time to be over. */
#define CASE_OFFSET (1u << 20)
#define CASE_SIZE (6u << 20)
struct shared {
	struct bare_line barrier[INSTANCES_MAX];
	struct bare_line bare[2][BARE_PAIRS];
	struct bare_line stopped;
	struct report report[INSTANCES_MAX];
	uint32_t samples[2][INSTANCES_MAX][SAMPLES_EACH];
};
_Static_assert(sizeof(struct shared) <= CASE_OFFSET, "the objects come behind");

/* Looks at the clock, which going() does not do each time. Returns 0 when the time is over. */
int look(struct bench *b);

/*
 * Once before each operation: whether there is to be another. A look at a line that nobody writes
 * meanwhile, and now and then at the clock: whoever runs ends the run for all.
 */
static inline int going(struct bench *b)
{
	if (__atomic_load_n(&b->shared->stopped.value, __ATOMIC_RELAXED) != 0)
		return b->report.ops < b->least;
	return ++b->looks < b->stride || look(b);
}

/*
 * The same for operations of a few nanoseconds, once before several of them: how many there are
 * before it is to be asked again.
 */
static inline unsigned turn(struct bench *b)
{
	if (__atomic_load_n(&b->shared->stopped.value, __ATOMIC_RELAXED) != 0)
		return b->report.ops < b->least;
	return look(b) ? b->stride : 0;
}

/* After each operation, with its error: counts it, and does what the strategy owes the others. */
static inline int counted(struct bench *b, int error)
{
	b->report.ops++;
	if (error == 0 && b->by->serve != NULL)
		error = b->by->serve(&b->site);
	return error;
}

/* xorshift64: a number that is different each time and the same in every run. */
static inline uint64_t random_next(struct bench *b)
{
	uint64_t x = b->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return b->random = x;
}

void reservoir_add(struct bench *b, struct reservoir *reservoir, uint64_t ticks);

/* One operation on a record of equal words: a read, `reads` times in a thousand, or an update. */
int mixed_once(struct bench *b, struct object *o, unsigned reads);

/*
 * An operation in memory of the instance's own. One function for all strategies that have such
 * memory: in one each, the same instructions took 1.9 or 2.6 ns, by where the compiler put them.
 */
int own_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result);

/* Passes the time without touching the objects, until the clock shows that. */
int idle_until(struct bench *b, uint64_t ticks);

uint64_t ns_to_ticks(double ns);

/*
 * What the record of an object has come to, in the first instance after the end. Returns 0, or 1
 * when it cannot be read.
 */
uint64_t settled(struct bench *b, struct object *o, uint64_t *words);

/* Every word of every object is the number of updates; the sum over the objects is. */
uint64_t check_each(struct bench *b);

/* coherence_outcome.c: in the first instance, when all reports of a run are there. */
struct outcome {
	uint64_t ops, torn, wrong;
	double ns;                     /* from the first start to the end */
	double fair;                   /* operations of the slowest, over those of the fastest */
	int64_t exits;                 /* of all; -1: not known */
	struct summary handover, wait; /* of an instance alone: `handover` is its section */
	double max;                    /* the longest hand-over */
};

/* Adds up the reports, merges the samples and checks the result. *out is zero before. */
void outcome_make(struct bench *b, struct outcome *out);

/* Prints the "run" line, with the bare round trips before and after the run. */
void outcome_print(const struct bench *b, const struct outcome *o, double before, double after);

/* Whether words read together were all the same. */
static inline int same_words(const uint64_t *copy, unsigned words)
{
	uint64_t different = 0;

	for (unsigned i = 1; i < words; i++)
		different |= copy[i] ^ copy[0];
	return different == 0;
}

#endif
