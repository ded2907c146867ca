/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_near.c: handles that keep a copy of the version they read last: what they read is what
 * others read; the group's memory is looked at once a version, which page protection tells; and the
 * copy is where the instance's memory is to be.
 */
#include <check.h>
#include <numaif.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "platform/memory.h"
#include "tests/suite.h"

#define REGION (1u << 20)
#define POOL (1u << 20)
#define PAGE 4096u
#define SECOND 1000000000ull
#define LARGE 40000u /* each slot has whole pages that nothing else is in */

static struct ist_group *alice, *bob;
static struct ist_cell *writer, *reader;
static struct ist_cell_options options;
static uint8_t content[LARGE], was[LARGE];

static const struct {
	enum ist_policy policy;
	const char *pool;
} kinds[] = {
	{IST_READ_MOSTLY, NULL}, {IST_ADAPTIVE, NULL},     {IST_MIGRATORY, NULL},
	{IST_DELEGATED, NULL},   {IST_WRITE_SHARED, NULL}, {IST_READ_MOSTLY, "pool"},
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void setup(void)
{
	const struct mem_pool pool = {.size = POOL, .peers = 4};

	mem_create_pool(REGION, &pool);
	alice = mem_join(0);
	bob = mem_join(1);
}

static void teardown(void)
{
	ist_cell_close(writer);
	ist_cell_close(reader);
	writer = reader = NULL;
	mem_forget(alice);
	mem_forget(bob);
	mem_destroy();
}

static void open_both(enum ist_policy policy, size_t size, const char *pool)
{
	options = (struct ist_cell_options){
		.size = size, .policy = policy, .seats = 4, .content_region = pool};
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &writer), 0);
	options.flags = IST_CELL_NEAR;
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &reader), 0);
}

/* A version of its own in every byte that a word of 8 tells apart. */
static void publish(struct ist_cell *cell, unsigned number)
{
	size_t i;

	memcpy(was, content, sizeof(was));
	for (i = 0; i < options.size; i++)
		content[i] = (uint8_t)(number * 37 + i * 11 + 1);
	ck_assert_int_eq(ist_cell_write(cell, content, SECOND), 0);
}

static void expect(unsigned number)
{
	static uint8_t read[LARGE + 8];
	const void *place;
	uint64_t version;
	unsigned i;

	for (i = 0; i < 3; i++) {
		memset(read, 0xee, sizeof(read));
		ck_assert_int_eq(ist_cell_read(reader, read, &version, 0), 0);
		ck_assert_uint_eq(version, number);
		ck_assert_mem_eq(read, content, options.size);
		ck_assert_uint_eq(read[options.size], 0xee); /* and not a byte more */
		ck_assert_int_eq(ist_cell_read_begin(reader, 0, &place), 0);
		ck_assert_mem_eq(place, content, options.size);
		ck_assert_int_eq(ist_cell_read_end(reader), 0);
	}
}

START_TEST(as_others_read)
{
	static const size_t sizes[] = {41, 104, LARGE};
	size_t size = sizes[_i % 3];
	unsigned number;

	memset(content, 0, sizeof(content));
	open_both(kinds[_i / 3].policy, size, kinds[_i / 3].pool);
	expect(0);
	for (number = 1; number < 20; number++) {
		publish(number % 4 ? writer : reader, number);
		if (number % 5)
			expect(number);
	}
	/* Who operates, or is in a section, has what is published, and not what it read. */
	ck_assert_int_eq(ist_cell_read(reader, was, NULL, 0), 0);
	publish(writer, number);
	if (kinds[_i / 3].policy != IST_WRITE_SHARED) {
		void *place;

		ck_assert_int_eq(ist_cell_write_begin(reader, 0, SECOND, &place), 0);
		ck_assert_mem_eq(place, content, size);
		ck_assert_int_eq(ist_cell_read(reader, was, NULL, 0), -EBUSY);
		ck_assert_int_eq(ist_cell_write_abort(reader), 0);
	}
	expect(number);
}
END_TEST

/* In place: what was begun stays what it was, whatever is published meanwhile, and is not refused.
 */
START_TEST(sections_are_not_refused)
{
	const void *place;
	unsigned number;

	open_both(IST_READ_MOSTLY, LARGE, NULL);
	publish(writer, 1);
	ck_assert_int_eq(ist_cell_read_begin(reader, 0, &place), 0);
	for (number = 2; number < 6; number++)
		publish(writer, number);
	for (number = 0; number < LARGE; number++)
		ck_assert_uint_eq(((const uint8_t *)place)[number],
				  (uint8_t)(37 + number * 11 + 1));
	ck_assert_int_eq(ist_cell_read_end(reader), 0);
	expect(5);
}
END_TEST

/* The pages that only a slot is in. */
static void protect_slots(int protection)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		uintptr_t slot = (uintptr_t)ist_cell_slot(writer, IST_CELL_SLOT(i));
		uintptr_t first = (slot + PAGE - 1) / PAGE * PAGE;

		ck_assert_int_eq(
			mprotect((void *)first, (slot + LARGE - first) / PAGE * PAGE, protection),
			0);
	}
}

/* What reading does in a process of its own: 0, or the signal that ended it. */
static int reading_ends_in(struct ist_cell *cell)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(ist_cell_read(cell, was, NULL, 0));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(looked_at_once_a_version)
{
	unsigned number;

	open_both(IST_READ_MOSTLY, LARGE, NULL);
	for (number = 1; number < 4; number++) {
		publish(writer, number);
		protect_slots(PROT_NONE);
		/* Nobody has read it: the slot is where it is. */
		ck_assert_int_eq(reading_ends_in(reader), SIGSEGV);
		protect_slots(PROT_READ | PROT_WRITE);
		ck_assert_int_eq(ist_cell_read(reader, was, NULL, 0), 0);
		protect_slots(PROT_NONE);
		expect(number);
		ck_assert_int_eq(reading_ends_in(reader), 0);
		/* Without a copy each reading looks there. */
		ck_assert_int_eq(reading_ends_in(writer), SIGSEGV);
		protect_slots(PROT_READ | PROT_WRITE);
	}
}
END_TEST

/* A version goes back, or is where none can be: told at a copy as at the content. */
START_TEST(impossible_versions)
{
	uint64_t *version;

	open_both(IST_READ_MOSTLY, LARGE, NULL);
	publish(writer, 1);
	publish(writer, 2);
	expect(2);
	version = &writer->memory->version;
	*version = _i ? IST_CELL_VERSION(2, IST_CELL_HEAD) : IST_CELL_VERSION(1, IST_CELL_SLOT(1));
	ck_assert_int_eq(ist_cell_read(reader, was, NULL, 0), -EPROTO);
	ck_assert_int_eq(ist_cell_read(reader, was, NULL, 0), -EPROTO);
}
END_TEST

/* Nothing that is in a line of the reader's already is copied once more. */
START_TEST(no_copy_where_none_helps)
{
	open_both(_i ? IST_PRODUCER_CONSUMER : IST_READ_MOSTLY, _i ? LARGE : IST_CELL_INLINE, NULL);
	ck_assert_ptr_null(reader->near.copy);
	publish(writer, 1);
	expect(1);
}
END_TEST

/* What this process' kernel says of the mapping that an address is in: "START POLICY ...". */
static void policy_of(const void *address, char *policy)
{
	FILE *maps = fopen("/proc/self/numa_maps", "r");
	char line[1024], found[64] = "";
	unsigned long start;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx %63s", &start, found) == 2 && start <= (uintptr_t)address)
			strcpy(policy, found);
	fclose(maps);
}

/* As `isthmus up` makes a process one of a node: the copy is memory of its own, and there. */
START_TEST(on_the_node_of_its_instance)
{
	const unsigned long nodes = 1;
	char policy[64] = "";
	int where = -1;
	void *page;

	ck_assert_int_eq(set_mempolicy(MPOL_BIND, &nodes, 8 * sizeof(nodes)), 0);
	open_both(IST_READ_MOSTLY, LARGE, NULL);
	publish(writer, 1);
	expect(1);
	page = (uint8_t *)reader->near.copy + LARGE / 2;
	ck_assert((uint8_t *)page < mem_base() || (uint8_t *)page >= mem_base() + mem_size());
	policy_of(page, policy);
	ck_assert_str_eq(policy, "bind:0");
	ck_assert_int_eq(move_pages(0, 1, &page, NULL, &where, 0), 0);
	ck_assert_int_eq(where, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("near copies");
	TCase *tcase = tcase_create("near");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, as_others_read, 0, 3 * KINDS);
	tcase_add_test(tcase, sections_are_not_refused);
	tcase_add_test(tcase, looked_at_once_a_version);
	tcase_add_loop_test(tcase, impossible_versions, 0, 2);
	tcase_add_loop_test(tcase, no_copy_where_none_helps, 0, 2);
	tcase_add_test(tcase, on_the_node_of_its_instance);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
