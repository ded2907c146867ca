/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_litmus.c: the litmus tests through cells: a word is a cell of its own, a load reads it, a
 * store writes it; of each policy that is linearizable, in the head and in slots.
 *
 *   litmus ID PEERS ROUNDS
 */
#include <isthmus/isthmus.h>

#include "number.h"

int main(int argc, char **argv);

#define CELLS 9u
#define WORDS_MAX 8u

static struct ist_group *group;
static uint64_t *meet;
static uint32_t self, peers;
static int sleeps = 1;
static struct ist_cell *cells[CELLS];
static uint64_t words; /* of a cell's content: all are its value */

static uint64_t load_word(uint64_t word)
{
	uint64_t content[WORDS_MAX] = {0};
	int error = ist_cell_read(cells[word], content, NULL, IST_FOREVER);

	if (error)
		ist_print("bad: reading: %d\n", error);
	for (uint64_t i = 1; i < words; i++)
		if (content[i] != content[0])
			ist_print("bad: torn: %lu and %lu\n", content[0], content[i]);
	return content[0];
}

static void store_word(uint64_t word, uint64_t value)
{
	uint64_t content[WORDS_MAX];
	int error;

	for (uint64_t i = 0; i < words; i++)
		content[i] = value;
	error = ist_cell_write(cells[word], content, IST_FOREVER);
	if (error)
		ist_print("bad: writing: %d\n", error);
}

#include "litmus.h"

static int open_cells(unsigned kind, enum ist_policy policy)
{
	const struct ist_cell_options options = {
		.region = "data", .size = words * sizeof(uint64_t), .policy = policy, .seats = 4};
	char name[] = "word-0-0";
	int error = 0;

	name[5] = (char)('0' + kind);
	for (unsigned i = 0; i < CELLS && !error; i++) {
		name[7] = (char)('0' + i);
		error = ist_cell_open(group, name, &options, &cells[i]);
	}
	return error;
}

int main(int argc, char **argv)
{
	static const enum ist_policy policies[] = {IST_READ_MOSTLY, IST_MIGRATORY, IST_DELEGATED,
						   IST_ADAPTIVE};
	struct ist_region_info region;
	int wrong = 0, error = argc == 4 ? ist_group_open(NULL, &group) : -EINVAL;

	if (!error)
		error = ist_region_find(group, "meet", &region);
	if (!error) {
		meet = region.address;
		self = (uint32_t)number(argv[1]);
		peers = (uint32_t)number(argv[2]);
	}
	for (unsigned kind = 0; kind < 8 && !error; kind++) {
		words = kind % 2 ? WORDS_MAX : 1;
		error = open_cells(kind, policies[kind / 2]);
		if (!error)
			wrong |= litmus(number(argv[3]));
		for (unsigned i = 0; i < CELLS; i++) {
			ist_cell_close(cells[i]);
			cells[i] = NULL;
		}
	}
	if (error)
		ist_print("bad: %d\n", error);
	return error != 0 || wrong;
}
