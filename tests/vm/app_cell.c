/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_cell.c: two instances share cells: they add to one record by turns and at will, hand one
 * over, and one tells the other the latest of something. Each checks what it sees.
 *
 *   cell left|right ROUNDS [POOL]
 *
 * With POOL the contents are in that region, which is incoherent.
 */
#include <isthmus/isthmus.h>

#include "number.h"

struct record {
	uint64_t sum, by[2], last, check;
};

static struct ist_cell *cell;
static const char *pool;
static int failed;

static void check(int good, const char *what, int64_t n)
{
	if (good)
		return;
	ist_print("bad: %s: %ld\n", what, (long)n);
	failed = 1;
}

static int open_cell(struct ist_group *group, const char *name, size_t size, enum ist_policy policy)
{
	const struct ist_cell_options options = {
		.size = size, .policy = policy, .content_region = pool};

	return ist_cell_open(group, name, &options, &cell);
}

static int sound(const struct record *record)
{
	return record->sum == record->by[0] + record->by[1] &&
	       record->check == record->sum * 3 + record->last;
}

static int add(uint64_t self)
{
	struct record *record;
	void *content;
	int n = ist_cell_write_begin(cell, 0, IST_FOREVER, &content);

	if (n)
		return n;
	record = content;
	if (record->sum)
		check(sound(record), "torn in a section", (int64_t)record->sum);
	record->sum++;
	record->by[self]++;
	record->last = self;
	record->check = record->sum * 3 + self;
	return ist_cell_write_end(cell);
}

/* Both add as fast as they can, and read in between. */
static int at_will(struct ist_group *group, uint64_t self, uint64_t rounds)
{
	struct record record;
	uint64_t version = 0, i, seen;
	int n = open_cell(group, "sum", sizeof(record), IST_MIGRATORY);

	for (i = 0; i < rounds && !n; i++) {
		n = add(self);
		seen = version;
		if (!n)
			n = ist_cell_read(cell, &record, &version, IST_FOREVER);
		if (n)
			break;
		check(sound(&record) && record.by[self] == i + 1, "torn", (int64_t)i);
		check(version == record.sum && version > seen, "version", (int64_t)version);
	}
	/* Until the other has done as much. */
	while (!n && version < 2 * rounds)
		n = ist_cell_wait(cell, &version, IST_FOREVER);
	if (!n)
		n = ist_cell_read(cell, &record, &version, IST_FOREVER);
	if (!n)
		ist_print("sum %lu: %lu and %lu\n", (unsigned long)record.sum,
			  (unsigned long)record.by[0], (unsigned long)record.by[1]);
	ist_cell_close(cell);
	return n;
}

/* A record goes to and fro: each waits for the other's version, and makes the next. */
static int to_and_fro(struct ist_group *group, uint64_t self, uint64_t rounds)
{
	uint64_t version = 0, content[100], i;
	int n = open_cell(group, "ball", sizeof(content), IST_READ_MOSTLY);

	while (!n && version < 2 * rounds) {
		if (version % 2 == self) {
			for (i = 0; i < 100; i++)
				content[i] = version + 1 + i;
			n = ist_cell_write(cell, content, IST_FOREVER);
			version++;
			continue;
		}
		n = ist_cell_wait(cell, &version, IST_FOREVER);
		if (!n)
			n = ist_cell_read(cell, content, &version, IST_FOREVER);
		for (i = 0; i < 100 && !n; i++)
			check(content[i] == version + i, "ball", (int64_t)version);
	}
	ist_print("ball %lu\n", (unsigned long)version);
	ist_cell_close(cell);
	return n;
}

/* The left one tells, the right one listens: in order, the last one always. */
static int telling(struct ist_group *group, uint64_t self, uint64_t rounds)
{
	uint64_t version = 0, content[2], i;
	int n = open_cell(group, "news", sizeof(content), IST_PRODUCER_CONSUMER);

	for (i = 1; i <= rounds && !n && self == 0; i++) {
		content[0] = i;
		content[1] = ~i;
		n = ist_cell_write(cell, content, IST_FOREVER);
	}
	while (!n && self == 1 && version < rounds) {
		uint64_t before = version;

		n = ist_cell_wait(cell, &version, IST_FOREVER);
		if (!n)
			n = ist_cell_read(cell, content, &version, IST_FOREVER);
		if (!n)
			check(version > before && content[0] == version && content[1] == ~version,
			      "news", (int64_t)version);
	}
	ist_print("news %lu\n", (unsigned long)(self ? version : rounds));
	ist_cell_close(cell);
	return n;
}

int main(int argc, char **argv)
{
	uint64_t self = argc > 1 && argv[1][0] == 'r', rounds = argc > 2 ? number(argv[2]) : 1000;
	struct ist_group *group;
	int n = ist_group_open(NULL, &group);

	pool = argc > 3 ? argv[3] : NULL;
	if (n) {
		ist_print("bad: open: %d\n", n);
		return 1;
	}
	n = at_will(group, self, rounds);
	if (!n)
		n = to_and_fro(group, self, rounds / 10);
	if (!n && !pool) /* what is told is pushed, in coherent memory */
		n = telling(group, self, rounds);
	check(n == 0, "error", n);
	ist_group_close(group);
	return failed;
}
