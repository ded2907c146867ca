/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_hostile.c: cells under a peer that writes whatever it may, wherever it may. The victim
 * never crashes, hangs or looks outside the group, gets only documented errors, and a cell that was
 * spoiled can be closed and made anew. Also what is left when a guest's device is taken away, and
 * clients that die alone.
 */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "cell.h"
#include "platform/memory.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

#define REGION (1u << 20)
#define POOL (1u << 18)
#define MILLISECOND 1000000ull

static struct ist_group *victim;
static struct ist_cell_options options;
static int stop;

static const struct {
	enum ist_policy policy;
	size_t size;
	const char *pool;
} kinds[] = {
	{IST_MIGRATORY, 40, NULL},         {IST_READ_MOSTLY, 8, NULL},
	{IST_READ_MOSTLY, 1000, NULL},     {IST_MIGRATORY, 4096, NULL},
	{IST_PRODUCER_CONSUMER, 40, NULL}, {IST_PRODUCER_CONSUMER, 1000, NULL},
	{IST_DELEGATED, 8, NULL},          {IST_DELEGATED, 1000, NULL},
	{IST_ADAPTIVE, 40, NULL},          {IST_READ_MOSTLY, 8, "pool"},
	{IST_DELEGATED, 1000, "pool"},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void choose(int kind)
{
	options = (struct ist_cell_options){.region = "main",
					    .size = kinds[kind].size,
					    .policy = kinds[kind].policy,
					    .seats = 4,
					    .content_region = kinds[kind].pool};
}

static void setup(void)
{
	mem_create_pool(REGION, &(struct mem_pool){.size = POOL});
	victim = mem_join(0);
	stop = 0;
}

static void teardown(void)
{
	mem_forget(victim);
	mem_destroy();
}

static uint8_t *object(void)
{
	return mem_region() + IST_ARENA_SIZE;
}

/* Words that look right: fields within bounds, versions near those that are there. */
static uint64_t plausible(uint64_t *state, const uint64_t *word)
{
	uint64_t random = xorshift(state);

	switch (random % 6) {
	case 0:
		return IST_DIR_CONTROL(random >> 8 & 3, random >> 16 & 7, random >> 24 & 7,
				       random >> 32);
	case 1:
		return *word + (random >> 8) % 9 - 4;
	case 2:
		return 1ull << (random >> 8 & 3);
	case 3:
		return IST_OWNER(random >> 8 & 3, random >> 16 & 3, 0);
	case 4:
		return 0;
	default:
		return random;
	}
}

struct target {
	size_t from, size;
};

static void *scribble(void *argument)
{
	const struct target *target = argument;
	uint64_t state = 88172645463325252ull, random, *word;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		random = xorshift(&state);
		word = (uint64_t *)(void *)(mem_region() + target->from +
					    ((random >> 32) % target->size & ~7ull));
		__atomic_store_n(word, plausible(&state, word), __ATOMIC_RELAXED);
		/* Now and then the victim gets somewhere. */
		if (random % 16 == 0)
			ist_sleep_ns(20000);
	}
	return NULL;
}

static int documented(int n)
{
	return n == 0 || n == -EPROTO || n == -ETIMEDOUT || n == -EOWNERDEAD;
}

static void use(struct ist_cell *cell, unsigned *broken)
{
	static uint8_t content[4096];
	const uint64_t one[IST_CELL_ARGUMENTS] = {0, 1};
	struct ist_cell_info info;
	uint64_t version = 0;
	const void *in;
	void *out;
	int n = 0, j;

	for (j = 0; j < 60 && n != -EPROTO; j++) {
		switch (j % 5) {
		case 0:
			n = ist_cell_read(cell, content, &version, MILLISECOND);
			break;
		case 1:
			n = ist_cell_write(cell, content, MILLISECOND);
			break;
		case 2:
			n = ist_cell_write_begin(cell, 0, MILLISECOND, &out);
			if (n == 0) {
				memset(out, j, options.size);
				n = j % 2 ? ist_cell_write_end(cell) : ist_cell_write_abort(cell);
			}
			break;
		case 3:
			n = ist_cell_read_begin(cell, MILLISECOND, &in);
			if (n == 0) {
				memcpy(content, in, options.size);
				n = ist_cell_read_end(cell);
				if (n == -EAGAIN)
					n = 0;
			}
			break;
		default:
			n = ist_cell_operate(cell, IST_OPERATION_ADD, one, NULL, MILLISECOND);
			if (n == 0)
				n = ist_cell_wait(cell, &version, MILLISECOND / 10);
		}
		ck_assert_msg(documented(n), "step %d: %d", j, n);
		n = n ? n : ist_cell_info(cell, &info);
		ck_assert_msg(documented(n), "info: %d", n);
		n = n == -EPROTO && !cell->error ? 0 : n;
	}
	*broken += n == -EPROTO;
	/* For good. */
	if (n == -EPROTO) {
		ck_assert_int_eq(ist_cell_read(cell, content, NULL, MILLISECOND), -EPROTO);
		ck_assert_int_eq(ist_cell_write(cell, content, MILLISECOND), -EPROTO);
		ck_assert_int_eq(ist_cell_wait(cell, &version, MILLISECOND), -EPROTO);
	}
}

static void run(struct target target, unsigned rounds)
{
	unsigned opened = 0, broken = 0, i;
	struct ist_cell *cell;
	pthread_t thread;
	int n;

	/* There is one to spoil. */
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
	ist_cell_close(cell);
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &target), 0);
	/* As often, and until it has been of use: who scribbles may get no processor for a while.
	 */
	for (i = 0; i < rounds || (i < 100 * rounds && !(opened && broken)); i++) {
		n = ist_cell_open(victim, "c", &options, &cell);
		ck_assert_msg(documented(n) || n == -ENOSPC || n == -EEXIST || n == -EMSGSIZE ||
				      n == -EOPNOTSUPP,
			      "open: %d", n);
		if (n) {
			/* What it became is nobody's any more: start anew. */
			memset(mem_region(), 0, sizeof(struct ist_arena));
			continue;
		}
		opened++;
		use(cell, &broken);
		ist_cell_close(cell);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(opened, 0);
	ck_assert_uint_gt(broken, 0);
	/* And it can be had again. */
	memset(mem_region(), 0, REGION);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
	ck_assert_int_eq(ist_cell_write(cell, (uint8_t[4096]){1}, 0), 0);
	ist_cell_close(cell);
}

START_TEST(all_of_the_region)
{
	choose(_i);
	run((struct target){0, IST_ARENA_SIZE + 1024}, 400);
}
END_TEST

START_TEST(the_head)
{
	choose(_i);
	run((struct target){IST_ARENA_SIZE, 24}, 300);
}
END_TEST

START_TEST(the_seats)
{
	choose(_i);
	run((struct target){IST_ARENA_SIZE,
			    sizeof(struct ist_cell_memory) + 4 * sizeof(struct ist_cell_seat)},
	    300);
}
END_TEST

/* By the million: any words at all in head and seats, then one call of each kind. */
START_TEST(any_words)
{
	uint64_t state = 0x9e3779b97f4a7c15ul + (uint64_t)_i, *words, version;
	static uint8_t content[4096];
	struct ist_cell *cell;
	unsigned round, i, errors = 0;

	choose(_i);
	for (round = 0; round < 20000; round++) {
		ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
		words = (uint64_t *)(void *)object();
		for (i = 0; i < 8; i++) {
			uint64_t at = xorshift(&state) % 96;

			if (words + at != &cell->own->owner)
				words[at] = plausible(&state, words + at);
		}
		version = 0;
		errors += ist_cell_read(cell, content, &version, 0) != 0;
		errors += ist_cell_write(cell, content, 0) != 0;
		ck_assert(documented(ist_cell_wait(cell, &version, 0)));
		ist_cell_close(cell);
		memset(mem_region(), 0, sizeof(struct ist_arena) + sizeof(struct ist_object));
		memset(words, 0, 4096);
	}
	ck_assert_uint_gt(errors, 0);
}
END_TEST

/* Broken: for all who have it open; anew for the first who opens it alone. */
START_TEST(broken_and_made_anew)
{
	struct ist_group *other = mem_join(1);
	static uint8_t content[4096] = {7};
	struct ist_cell *a, *b;
	uint64_t version;

	choose(_i);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(other, "c", &options, &b), 0);
	ck_assert_int_eq(ist_cell_write(a, content, 0), 0);
	a->memory->directory.sharers = 0xf0f0;
	ck_assert_int_eq(ist_cell_write(b, content, 0), -EPROTO);
	ck_assert_int_eq(ist_cell_write(a, content, 0), -EPROTO);
	ist_cell_close(a);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &a), -EPROTO);
	ist_cell_close(b);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_read(a, content, &version, 0), 0);
	ck_assert_uint_eq(version, 0);
	ck_assert_uint_eq(content[0], 0);
	ist_cell_close(a);
	mem_forget(other);
}
END_TEST

/* Versions never go back. */
START_TEST(a_version_that_goes_back)
{
	static uint8_t content[4096];
	struct ist_cell *cell;

	choose(_i);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
	ck_assert_int_eq(ist_cell_write(cell, content, 0), 0);
	ck_assert_int_eq(ist_cell_write(cell, content, 0), 0);
	cell->memory->version -= IST_CELL_VERSION(1, 0);
	ck_assert_int_eq(ist_cell_read(cell, content, NULL, 0), -EPROTO);
	ist_cell_close(cell);
}
END_TEST

/* Sizes that lead out of the region. */
START_TEST(impossible_parameters)
{
	struct ist_object *slot = (struct ist_object *)(void *)(mem_region() + 128), was;
	struct ist_cell *cell;
	int field;

	choose(_i);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
	ist_cell_close(cell);
	was = *slot;
	for (field = 0; field < 3; field++) {
		static const uint64_t wrong[] = {UINT64_MAX, 1ull << 63, 1ull << 24, 0};
		unsigned i;

		for (i = 0; i < 4; i++) {
			int n;

			slot->parameters[field] = wrong[i];
			n = ist_cell_open(victim, "c", NULL, &cell);
			/* Another policy may be one that the object has room for. */
			if (n == 0 && field == 1 && wrong[i] == IST_ADAPTIVE)
				ist_cell_close(cell);
			else
				ck_assert_msg(n == -EPROTO, "%d: %d", field, n);
			*slot = was;
		}
	}
	slot->size = 4096; /* there, but too small for it */
	slot->parameters[0] = 4096;
	ck_assert_int_eq(ist_cell_open(victim, "c", NULL, &cell), -EPROTO);
}
END_TEST

static void *lose_later(void *argument)
{
	struct ist_cell *cell = argument;

	/* Once it sleeps, or, if it never does, some time. */
	if (cell->flags & IST_CELL_POLL)
		ist_sleep_ns(10000000);
	else
		while (!__atomic_load_n(&cell->memory->watchers, __ATOMIC_ACQUIRE))
			ist_sleep_ns(100000);
	mem_lose(victim);
	return NULL;
}

/* The device is taken away under a section, and under one that sleeps. */
START_TEST(the_device_goes)
{
	static uint8_t content[4096];
	struct ist_cell *cell, *second;
	uint64_t version = 0;
	pthread_t thread;
	void *out;

	choose(_i / 2);
	options.flags = _i % 2 ? IST_CELL_POLL : 0;
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), 0);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &second), 0);
	ck_assert_int_eq(ist_cell_write_begin(cell, 0, 0, &out), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, lose_later, second), 0);
	ck_assert_int_eq(ist_cell_wait(second, &version, IST_FOREVER), -ENODEV);
	pthread_join(thread, NULL);
	ck_assert_int_eq(ist_cell_write_end(cell), -ENODEV);
	ck_assert_int_eq(ist_cell_write(cell, content, IST_FOREVER), -ENODEV);
	ck_assert_int_eq(ist_cell_write(second, content, IST_FOREVER), -ENODEV);
	ist_cell_close(cell);
	ist_cell_close(second);
	ck_assert_int_eq(ist_cell_open(victim, "c", &options, &cell), -ENODEV);
}
END_TEST

/* Clients of one peer hold what they hold, and die alone. */
START_TEST(clients)
{
	struct ist_group *one, *two;
	static uint8_t content[4096];
	struct ist_cell *first, *second;
	uint64_t version;
	void *out;

	choose(_i);
	one = mem_join_client(0, 1);
	two = mem_join_client(0, 2);
	ck_assert_int_eq(ist_cell_open(one, "c", &options, &first), 0);
	ck_assert_int_eq(ist_cell_open(two, "c", &options, &second), 0);
	ck_assert_uint_eq(mem_holds(), 2);
	ck_assert_int_eq(ist_cell_write(first, content, 0), 0);
	ck_assert_int_eq(ist_cell_write_begin(first, 0, 0, &out), 0);
	memset(out, 0x55, options.size);
	ck_assert_int_eq(ist_cell_write(second, content, 0), -ETIMEDOUT);
	mem_die_client(one);
	mem_forget_cell(first);
	ck_assert_int_eq(ist_cell_write_begin(second, 0, 0, &out), -EOWNERDEAD);
	ck_assert_int_eq(ist_cell_read(second, content, &version, 0), 0);
	ck_assert_uint_eq(version, 1 + ist_cell_opens(second));
	ck_assert_uint_eq(content[0], 0);
	ck_assert_int_eq(ist_cell_write(second, content, 0), 0);
	ist_cell_close(second);
	ck_assert_uint_eq(mem_holds(), 0);
	mem_forget(one);
	mem_forget(two);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell_hostile");
	TCase *fire = tcase_create("under fire"), *test = tcase_create("spoiled");

	tcase_add_checked_fixture(fire, setup, teardown);
#ifndef __SANITIZE_THREAD__ /* races are the point of these */
	tcase_add_loop_test(fire, all_of_the_region, 0, KINDS);
	tcase_add_loop_test(fire, the_head, 0, KINDS);
	tcase_add_loop_test(fire, the_seats, 0, KINDS);
#else
	(void)all_of_the_region;
	(void)the_head;
	(void)the_seats;
#endif
	tcase_set_timeout(fire, 120);
	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, any_words, 0, KINDS);
	tcase_add_loop_test(test, broken_and_made_anew, 0, KINDS);
	tcase_add_loop_test(test, a_version_that_goes_back, 0, KINDS);
	tcase_add_loop_test(test, impossible_parameters, 0, KINDS);
	tcase_add_loop_test(test, the_device_goes, 0, 2 * KINDS);
	tcase_add_loop_test(test, clients, 0, KINDS);
	tcase_set_timeout(test, 120);
	suite_add_tcase(suite, fire);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
