/* SPDX-License-Identifier: BSD-2-Clause */
/* test_linearize.c: the checker of histories takes good ones and refuses bad ones. */
#include <check.h>
#include <stdlib.h>

#include "tests/linearize.h"
#include "tests/suite.h"

#define NONE 0

struct history {
	const char *what;
	int good;
	struct lin_operation operations[8];
};

static const struct history histories[] = {
	{"nothing", 1, {{0}}},
	{"one after the other", 1, {{LIN_WRITE, 5, 0, 1, 2}, {LIN_READ, 0, 5, 3, 4}}},
	{"a stale read", 0, {{LIN_WRITE, 5, 0, 1, 2}, {LIN_READ, 0, 0, 3, 4}}},
	{"a value from nowhere", 0, {{LIN_WRITE, 5, 0, 1, 2}, {LIN_READ, 0, 6, 3, 4}}},
	{"a value before it was written", 0, {{LIN_READ, 0, 5, 1, 2}, {LIN_WRITE, 5, 0, 3, 4}}},
	{"read while written, the old", 1, {{LIN_WRITE, 5, 0, 1, 4}, {LIN_READ, 0, 0, 2, 3}}},
	{"read while written, the new", 1, {{LIN_WRITE, 5, 0, 1, 4}, {LIN_READ, 0, 5, 2, 3}}},
	{"new, then old, while written",
	 0,
	 {{LIN_WRITE, 5, 0, 1, 6}, {LIN_READ, 0, 5, 2, 3}, {LIN_READ, 0, 0, 4, 5}}},
	{"old, then new, while written",
	 1,
	 {{LIN_WRITE, 5, 0, 1, 6}, {LIN_READ, 0, 0, 2, 3}, {LIN_READ, 0, 5, 4, 5}}},
	{"two readers disagree",
	 0,
	 {{LIN_WRITE, 5, 0, 1, 10},
	  {LIN_WRITE, 6, 0, 2, 11},
	  {LIN_READ, 0, 5, 3, 4},
	  {LIN_READ, 0, 6, 5, 6},
	  {LIN_READ, 0, 5, 7, 8}}},
	{"an addition lost",
	 0,
	 {{LIN_ADD, 1, 0, 1, 3}, {LIN_ADD, 1, 0, 2, 4}, {LIN_READ, 0, 2, 5, 6}}},
	{"additions at once",
	 1,
	 {{LIN_ADD, 1, 1, 1, 3}, {LIN_ADD, 1, 0, 2, 4}, {LIN_READ, 0, 2, 5, 6}}},
	{"a killed writer's value is read",
	 1,
	 {{LIN_WRITE, 5, 0, 1, NONE}, {LIN_READ, 0, 5, 2, 3}}},
	{"a killed writer's value is not read",
	 1,
	 {{LIN_WRITE, 5, 0, 1, NONE}, {LIN_READ, 0, 0, 2, 3}}},
	{"a killed writer's value comes late",
	 1,
	 {{LIN_WRITE, 5, 0, 1, NONE}, {LIN_READ, 0, 0, 2, 3}, {LIN_READ, 0, 5, 4, 5}}},
	{"a killed writer's value comes and goes",
	 0,
	 {{LIN_WRITE, 5, 0, 1, NONE}, {LIN_READ, 0, 5, 2, 3}, {LIN_READ, 0, 0, 4, 5}}},
	{"a swap that saw what it should",
	 1,
	 {{LIN_WRITE, 5, 0, 1, 2}, {LIN_SWAP, 6, 5, 3, 4}, {LIN_READ, 0, 6, 5, 6}}},
	{"a swap that saw what was gone", 0, {{LIN_WRITE, 5, 0, 1, 2}, {LIN_SWAP, 6, 0, 3, 4}}},
	{"a killed swap is seen",
	 1,
	 {{LIN_SWAP, 5, 0, 1, NONE}, {LIN_SWAP, 6, 5, 2, 3}, {LIN_READ, 0, 6, 4, 5}}},
	{"a killed swap is seen before it began",
	 0,
	 {{LIN_READ, 0, 5, 1, 2}, {LIN_SWAP, 5, 0, 3, NONE}}},
	{"a killed addition, done twice", 0, {{LIN_ADD, 1, 0, 1, NONE}, {LIN_READ, 0, 2, 2, 3}}},
};

static size_t count_of(const struct history *history)
{
	size_t count = 0;

	while (count < 8 && history->operations[count].type != LIN_NOTHING)
		count++;
	return count;
}

START_TEST(known_histories)
{
	const struct history *history = &histories[_i];

	struct lin_operation settled[8];
	size_t i, count = count_of(history);

	ck_assert_msg(lin_check(history->operations, count, 0) == history->good, "%s",
		      history->what);
	/* Once it is decided what became of the killed, the same. */
	memcpy(settled, history->operations, sizeof(settled));
	for (i = 0; i < count; i++)
		if (settled[i].type == LIN_ADD)
			return;
	lin_settle(settled, count);
	ck_assert_msg(lin_check(settled, count, 0) == history->good, "%s, settled", history->what);
}
END_TEST

/*
 * Histories of a register, made with a known order: taken; and with one result of them replaced by
 * a value that the register never held: refused.
 */
static uint64_t state;

static uint64_t next_random(uint64_t below)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (state >> 33) % below;
}

#define COUNT 400u

static void make(struct lin_operation *operations)
{
	uint64_t value = 0, now[4] = {0};
	size_t i;

	/* The i-th takes effect at moment 100 i; call and return are around it, in four processes.
	 */
	for (i = 0; i < COUNT; i++) {
		struct lin_operation *operation = &operations[i];
		uint64_t moment = 1000 + 100 * i, process = next_random(4);
		uint64_t earliest = now[process] > moment - 700 ? now[process] : moment - 700;

		while (earliest >= moment) {
			process = (process + 1) % 4;
			earliest = now[process] > moment - 700 ? now[process] : moment - 700;
		}
		*operation = (struct lin_operation){
			.type = LIN_READ + next_random(4), .argument = i + 1, .result = value};
		operation->call = earliest + 1 + next_random(moment - earliest);
		/* Unique moments: the last digits are the operation's own. */
		operation->call = operation->call * 1000 + 2 * i;
		now[process] = moment + next_random(90);
		operation->returned = now[process] * 1000 + 2 * i + 1;
		if (operation->type == LIN_WRITE || operation->type == LIN_SWAP)
			value = operation->argument;
		if (operation->type == LIN_ADD)
			value += operation->argument;
	}
}

START_TEST(made_histories)
{
	static struct lin_operation operations[COUNT];
	size_t i;

	state = (uint64_t)_i;
	make(operations);
	ck_assert(lin_check(operations, COUNT, 0));
	do
		i = next_random(COUNT);
	while (operations[i].type == LIN_WRITE);
	operations[i].result += 1ul << 40;
	ck_assert(!lin_check(operations, COUNT, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linearize");
	TCase *test = tcase_create("histories");

	tcase_add_loop_test(test, known_histories, 0,
			    (int)(sizeof(histories) / sizeof(histories[0])));
	tcase_add_loop_test(test, made_histories, 0, 50);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
