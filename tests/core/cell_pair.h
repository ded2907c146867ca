/* SPDX-License-Identifier: BSD-2-Clause */
/* cell_pair.h: two peers that share a cell, of each policy and size. */
#ifndef CORE_CELL_PAIR_H
#define CORE_CELL_PAIR_H

#include <check.h>
#include <string.h>

#include "cell.h"
#include "platform/memory.h"

#define REGION (4u << 20)
#define SECOND 1000000000ull

static struct ist_group *alice, *bob;
static struct ist_cell *a, *b;

static const enum ist_policy policies[] = {IST_READ_MOSTLY, IST_MIGRATORY, IST_PRODUCER_CONSUMER,
					   IST_DELEGATED, IST_ADAPTIVE};
#define POLICIES ((int)(sizeof(policies) / sizeof(policies[0])))
/* In the head; just in it; just not; odd; a page. */
static const size_t sizes[] = {1, 8, 40, 41, 100, 4096};
#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

static struct ist_cell_options options;
static unsigned undone; /* sections in place that came to nothing: a number each */

static inline void setup(void)
{
	undone = 0;
	mem_create(REGION);
	alice = mem_join(0);
	bob = mem_join(1);
	options = (struct ist_cell_options){.region = "main", .size = 40, .policy = IST_MIGRATORY};
}

static inline void teardown(void)
{
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static inline void open_both(int kind)
{
	options.policy = policies[kind / SIZES];
	options.size = sizes[kind % SIZES];
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", NULL, &b), 0);
	ck_assert_uint_eq(ist_cell_size(b), options.size);
}

static inline void close_both(void)
{
	ist_cell_close(a);
	ist_cell_close(b);
}

static inline void fill(uint8_t *content, unsigned number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		content[i] = (uint8_t)(number * 37 + i);
}

/* Whether it is the whole of version `number` as fill() makes it; 0 is all zeros. */
static inline int whole(const uint8_t *content, unsigned number)
{
	size_t i;

	for (i = 0; i < options.size; i++)
		if (content[i] != (number ? (uint8_t)(number * 37 + i) : 0))
			return 0;
	return 1;
}

static inline void write_number(struct ist_cell *cell, unsigned number)
{
	static uint8_t content[4096];

	fill(content, number);
	ck_assert_int_eq(ist_cell_write(cell, content, SECOND), 0);
}

static inline void expect(struct ist_cell *cell, unsigned number)
{
	static uint8_t content[4096 + 8];
	uint64_t version;
	const void *place;

	memset(content, 0xee, sizeof(content));
	ck_assert_int_eq(ist_cell_read(cell, content, &version, 0), 0);
	ck_assert_uint_eq(version, number + undone);
	ck_assert(whole(content, number));
	ck_assert_uint_eq(content[options.size], 0xee); /* and not a byte more */
	ck_assert_int_eq(ist_cell_read_begin(cell, 0, &place), 0);
	ck_assert(whole(place, number));
	ck_assert_int_eq(ist_cell_read_end(cell), 0);
}

#endif
