/* SPDX-License-Identifier: BSD-2-Clause */
/* pingpong.h: what the parts of pingpong share: its two sides in step, its cases. */
#ifndef BENCH_PINGPONG_H
#define BENCH_PINGPONG_H

#include "script.h"

#define BLOCK 65536u
#define POOL_OFFSET (1u << 20)
#define POOL_SIZE (4u << 20)

/*
 * The beginning of the region "raw": one writer a line pair, index 0 is ping's. The pool of the
 * sweep comes after it.
 */
struct raw {
	struct bare_line barrier[2], flag[2], wake[2], exits[2];
	struct bare_line bare[2][BARE_PAIRS];
};

/* A pair of channels, one each way, open from beginning to end. */
struct link {
	const char *names[2]; /* by sender */
	uint32_t flags, lines;
	uint64_t bytes;
	struct ist_channel *out, *in;
};

struct bench {
	struct ist_group *group;
	struct raw *raw;
	uint8_t *pool;
	unsigned me, other; /* 0: ping, which measures; 1: pong */
	uint32_t other_id;
	struct steps steps;
	uint64_t idle_ns;
	uint32_t exits_cost; /* of reading them */
	struct link *link;   /* of the case that runs */
	void *room;          /* reserved in it, for the next message */
	struct summary summary;
	double bracket;
};

struct test {
	const char *name;
	const char *unit;
	/* Both sides run it; ping's fills in the summary. Returns 0 or -errno. */
	int (*run)(struct bench *b, const struct test *test);
	struct link *link;
	struct plan plan;
	size_t size;
};

/* Waits until the other side is here too, at most 20 s. Returns 0; -ETIMEDOUT. */
int barrier(struct bench *b);

/* pingpong_trips.c: round trips over two channels, in place and by copy */
int rtt_place_8(struct bench *b, const struct test *test);
int rtt_place_56(struct bench *b, const struct test *test);
int rtt_place_256(struct bench *b, const struct test *test);
int rtt_place_4096(struct bench *b, const struct test *test);
int rtt_copy_8(struct bench *b, const struct test *test);
int rtt_copy_56(struct bench *b, const struct test *test);

/* pingpong_stream.c: one way; ping receives, so that it measures what has arrived */
int run_oneway(struct bench *b, const struct test *test);
int run_bulk(struct bench *b, const struct test *test);

/* pingpong_wake.c: doorbells and sleeping */
int run_wake(struct bench *b, const struct test *test);
int run_idle(struct bench *b, const struct test *test);

#endif
