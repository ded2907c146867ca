/* SPDX-License-Identifier: BSD-2-Clause */
/* test_limits.c: what a peer may make in an arena, as its place in the roster says. */
#include <check.h>

#include "group.h"
#include "platform/memory.h"
#include "tests/suite.h"

#define CHANNEL_SIZE 4096u /* one of 8 lines and no ring: a page up to where that would be */

static const struct ist_channel_options small = {"main", 8, IST_CHANNEL_POLL, 1};
static const struct ist_cell_options cell_options = {.size = 8, .region = "main"};

static struct ist_group *one, *other;

static void setup(void)
{
	mem_create(1 << 20);
	one = mem_join(0);
	other = mem_join(1);
}

static void teardown(void)
{
	mem_forget(one);
	mem_forget(other);
	mem_destroy();
}

static void limit(uint32_t id, uint32_t limits, uint32_t objects, uint64_t memory)
{
	struct ist_peer *peer = (void *)(mem_base() + IST_PEER_TABLE_OFFSET);

	peer[id].objects_max = objects;
	peer[id].memory_max = memory;
	peer[id].limits = limits;
}

static struct ist_object *slot(uint32_t index)
{
	return (struct ist_object *)(void *)(mem_region() + sizeof(struct ist_arena)) + index;
}

/* Opens and closes: the object stays. */
static int make(struct ist_group *group, const char *name)
{
	struct ist_channel *channel;
	int error = ist_channel_open(group, name, IST_SENDER, &small, &channel);

	if (!error)
		ist_channel_close(channel);
	return error;
}

START_TEST(objects)
{
	struct ist_cell *cell;

	limit(0, IST_LIMIT_OBJECTS, 2, 0);
	ck_assert_int_eq(make(one, "a"), 0);
	ck_assert_uint_eq(slot(0)->creator, IST_OWNER(0, one->incarnation, 0));
	ck_assert_int_eq(ist_cell_open(one, "b", &cell_options, &cell), 0);
	ist_cell_close(cell);
	ck_assert_int_eq(make(one, "c"), -EDQUOT);
	ck_assert_int_eq(ist_cell_open(one, "c", &cell_options, &cell), -EDQUOT);
	ck_assert_uint_eq(slot(2)->state, IST_OBJECT_FREE);

	/* What is there is open to all, and who has no limit makes what is not. */
	ck_assert_int_eq(make(one, "a"), 0);
	ck_assert_int_eq(make(other, "c"), 0);
	ck_assert_int_eq(make(one, "c"), 0);
	ck_assert_int_eq(make(one, "d"), -EDQUOT);
	limit(0, IST_LIMIT_OBJECTS, 0, 0);
	ck_assert_int_eq(make(one, "d"), -EDQUOT);
	limit(0, 0, 0, 0);
	ck_assert_int_eq(make(one, "d"), 0);
}
END_TEST

START_TEST(memory)
{
	ck_assert_int_eq(make(one, "a"), 0);
	ck_assert_uint_eq(slot(0)->size, CHANNEL_SIZE);
	limit(0, IST_LIMIT_MEMORY, 0, 2 * CHANNEL_SIZE - 1);
	ck_assert_int_eq(make(one, "b"), -EDQUOT);
	limit(0, IST_LIMIT_MEMORY, 0, 2 * CHANNEL_SIZE);
	ck_assert_int_eq(make(one, "b"), 0);
	ck_assert_int_eq(make(one, "c"), -EDQUOT);
	/* Less than there is already. */
	limit(0, IST_LIMIT_MEMORY, 0, 1);
	ck_assert_int_eq(make(one, "c"), -EDQUOT);
	ck_assert_int_eq(make(other, "c"), 0);
}
END_TEST

/* Whoever comes in its place has what it made on its account. */
START_TEST(incarnations)
{
	struct ist_group *again;

	limit(0, IST_LIMIT_OBJECTS, 1, 0);
	ck_assert_int_eq(make(one, "a"), 0);
	mem_die(0);
	again = mem_join(0);
	ck_assert_uint_ne(again->incarnation, one->incarnation);
	ck_assert_int_eq(make(again, "b"), -EDQUOT);
	ck_assert_int_eq(make(again, "a"), 0);
	mem_forget(again);
}
END_TEST

/* Of an older library, or of a peer that writes what it likes: nobody's, or somebody's. */
START_TEST(creators)
{
	limit(0, IST_LIMIT_OBJECTS, 1, 0);
	ck_assert_int_eq(make(one, "a"), 0);
	slot(0)->creator = 0;
	ck_assert_int_eq(make(one, "b"), 0);
	slot(1)->creator = UINT64_MAX;
	ck_assert_int_eq(make(one, "c"), 0);
	slot(0)->creator = IST_OWNER(0, 77, 5) | IST_OWNER_DIED;
	slot(2)->creator = 0;
	ck_assert_int_eq(make(one, "d"), -EDQUOT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tests = tcase_create("limits");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, objects);
	tcase_add_test(tests, memory);
	tcase_add_test(tests, incarnations);
	tcase_add_test(tests, creators);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
