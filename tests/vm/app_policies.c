/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_policies.c: two instances count in one cell, by operations singly and many at a time, and by
 * sections that are merged; under each policy that does it in a way of its own. Each checks what it
 * sees, and nothing may be lost or done twice.
 *
 *   policies left|right ROUNDS
 */
#include <isthmus/isthmus.h>

#include "number.h"

#define FLIGHT 16u

static struct ist_cell *cell;
static int failed;

static void check(int good, const char *what, int64_t n)
{
	if (good)
		return;
	ist_print("bad: %s: %ld\n", what, (long)n);
	failed = 1;
}

/* Results of one instance's operations go up, with every operation. */
static int many(uint64_t rounds, int64_t *last)
{
	const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};
	uint64_t tickets[FLIGHT];
	int64_t result;
	unsigned i;
	int n = 0;

	for (; rounds >= FLIGHT && !n; rounds -= FLIGHT) {
		for (i = 0; i < FLIGHT && !n; i++)
			n = ist_cell_submit(cell, IST_OPERATION_ADD, one, IST_FOREVER, &tickets[i]);
		for (i = 0; i < FLIGHT && !n; i++) {
			n = ist_cell_collect(cell, tickets[i], &result, IST_FOREVER);
			check(n || result > *last, "order", result);
			*last = result;
		}
	}
	for (; rounds > 0 && !n; rounds--) {
		n = ist_cell_operate(cell, IST_OPERATION_ADD, one, &result, IST_FOREVER);
		check(n || result > *last, "order", result);
		*last = result;
	}
	return n;
}

static int merged(uint64_t rounds)
{
	void *content;
	int n = 0;

	for (; rounds > 0 && !n; rounds--) {
		n = ist_cell_write_begin(cell, 0, IST_FOREVER, &content);
		if (n)
			break;
		++*(uint64_t *)content;
		n = ist_cell_write_end(cell);
	}
	return n;
}

/* Until the other has done as much. */
static int finish(const char *name, uint64_t expected)
{
	uint64_t content[64], version = 0;
	int n = ist_cell_read(cell, content, &version, IST_FOREVER);

	while (!n && content[0] < expected) {
		n = ist_cell_wait(cell, &version, IST_FOREVER);
		if (!n)
			n = ist_cell_read(cell, content, &version, IST_FOREVER);
	}
	if (!n)
		ist_print("%s %lu\n", name, (unsigned long)content[0]);
	return n;
}

static int count(struct ist_group *group, const char *name, enum ist_policy policy, size_t size,
		 uint64_t rounds)
{
	const struct ist_cell_options options = {
		.size = size, .policy = policy, .merge = IST_MERGE_SUM, .seats = 4};
	int64_t last = -1;
	int n = ist_cell_open(group, name, &options, &cell);

	if (n)
		return n;
	n = policy == IST_WRITE_SHARED ? merged(rounds) : many(rounds / 2, &last);
	if (!n && policy != IST_WRITE_SHARED)
		n = many(FLIGHT - 1, &last); /* singly */
	if (!n && policy != IST_WRITE_SHARED)
		n = many(rounds - rounds / 2 - (FLIGHT - 1), &last);
	if (!n)
		n = finish(name, 2 * rounds);
	ist_cell_close(cell);
	return n;
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 2 ? number(argv[2]) : 1000;
	struct ist_group *group;
	int n = ist_group_open(NULL, &group);

	if (n) {
		ist_print("bad: open: %d\n", n);
		return 1;
	}
	n = count(group, "delegated", IST_DELEGATED, 8, rounds);
	if (!n)
		n = count(group, "delegated-long", IST_DELEGATED, 512, rounds);
	if (!n)
		n = count(group, "write-shared", IST_WRITE_SHARED, 64, rounds);
	if (!n)
		n = count(group, "adaptive", IST_ADAPTIVE, 40, rounds);
	check(n == 0, "error", n);
	ist_group_close(group);
	return failed;
}
