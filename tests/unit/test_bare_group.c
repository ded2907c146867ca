/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bare_group.c: how an app VM joins groups: which one, and what of a roster it refuses. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

#include "guestlib/platform/bare/heap.c"
#include "guestlib/platform/bare/platform.c"

#define GROUP_SIZE 0x10000u

/* What start.S, runtime.c and clock.c have in an app VM. */
uint32_t ist_bare_counts[IST_GROUPS_MAX][IST_VECTORS_MAX];
uint32_t ist_bare_totals[IST_GROUPS_MAX];
const struct ist_boot *ist_bare_boot;

static const uint32_t *waited_for;

void ist_bare_wait_until(const uint32_t *counter, uint32_t seen, uint64_t deadline)
{
	(void)seen;
	(void)deadline;
	waited_for = counter;
}

static struct ist_boot boot;
static _Alignas(4096) uint8_t memory[2][GROUP_SIZE];
static uint32_t registers[2][64];
static struct ist_group group;

static struct ist_roster *roster_of(unsigned index)
{
	return (struct ist_roster *)(memory[index] + IST_ROSTER_OFFSET);
}

static struct ist_region *region_of(unsigned index, unsigned region)
{
	return (struct ist_region *)(memory[index] + IST_REGION_TABLE_OFFSET) + region;
}

static void add_group(const char *name)
{
	unsigned index = boot.groups++;
	struct ist_boot_group *g = &boot.group[index];
	struct ist_roster *roster = roster_of(index);

	strcpy(g->name, name);
	g->memory = (uintptr_t)memory[index];
	g->memory_size = GROUP_SIZE;
	g->registers = (uintptr_t)registers[index];
	g->id = 1;
	g->incarnation = 5;
	g->vectors = 4;
	g->max_peers = 3;
	g->rights[0] = IST_RIGHT_WRITE;
	g->rights[1] = IST_RIGHT_READ;
	roster->magic = IST_ROSTER_MAGIC;
	roster->abi_major = IST_ABI_MAJOR;
	roster->abi_minor = IST_ABI_MINOR + 1;
	roster->features_optional = ~0ull;
	roster->page_size = IST_PAGE;
	roster->total_size = GROUP_SIZE;
	roster->max_peers = 3;
	roster->vectors = 4;
	roster->regions = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct ist_region *region = region_of(index, i);

		strcpy(region->name, i ? "right" : "left");
		region->offset = IST_REGIONS_OFFSET + i * IST_PAGE;
		region->size = IST_PAGE;
		region->readers = 2;
		region->writers = i ? 0 : 2;
	}
}

static void setup(void)
{
	memset(&boot, 0, sizeof(boot));
	memset(memory, 0, sizeof(memory));
	memset(places, 0, sizeof(places));
	memset(&group, 0, sizeof(group));
	ist_bare_boot = &boot;
	add_group("one");
}

START_TEST(joins)
{
	ck_assert_int_eq(ist_platform_open(NULL, &group), 0);
	ck_assert_str_eq(group.name, "one");
	ck_assert_ptr_eq(group.base, memory[0]);
	ck_assert_uint_eq(group.size, GROUP_SIZE);
	ck_assert_uint_eq(group.id, 1);
	ck_assert_uint_eq(group.incarnation, 5);
	ck_assert_uint_eq(group.vectors, 4);
	ck_assert_uint_eq(group.max_peers, 3);
	ck_assert_uint_eq(group.regions, 2);
	ck_assert_str_eq(group.region[1].name, "right");
	ck_assert_uint_eq(group.region[0].right, IST_RIGHT_WRITE);
	ck_assert_uint_eq(group.region[1].right, IST_RIGHT_READ);
	ck_assert_uint_eq(group.region[1].offset, IST_REGIONS_OFFSET + IST_PAGE);
}
END_TEST

START_TEST(which)
{
	struct ist_group again = {0}, other = {0};

	ck_assert_int_eq(ist_platform_open("two", &group), -ENOENT);
	add_group("two");
	ck_assert_int_eq(ist_platform_open(NULL, &group), -EINVAL);
	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_int_eq(ist_platform_open("one", &again), -EBUSY);
	ck_assert_int_eq(ist_platform_open("two", &other), 0);
	ist_platform_close(&group);
	ck_assert_int_eq(ist_platform_open("one", &again), 0);
	boot.groups = 0;
	ck_assert_int_eq(ist_platform_open(NULL, &group), -ENOENT);
}
END_TEST

/* The run-state page is where the boot block says; one too small, or of another kind, is none. */
START_TEST(run_state)
{
	static struct ist_run_state page = {
		.magic = IST_RUN_STATE_MAGIC, .abi_major = IST_ABI_MAJOR, .max_peers = 3};

	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_ptr_null(group.run);
	ist_platform_close(&group);
	group = (struct ist_group){0};
	boot.group[0].run_state = (uintptr_t)&page;
	boot.group[0].run_state_size = sizeof(page) - 1;
	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_ptr_null(group.run);
	ist_platform_close(&group);
	group = (struct ist_group){0};
	boot.group[0].run_state_size = sizeof(page);
	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_ptr_eq(group.run, &page);
	ist_platform_close(&group);
	group = (struct ist_group){0};
	page.magic = 0;
	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_ptr_null(group.run);
	ist_platform_close(&group);
	group = (struct ist_group){0};
	boot.group[0].run_state = 0;
}
END_TEST

START_TEST(doorbells)
{
	struct ist_group other = {0};

	add_group("two");
	ck_assert_int_eq(ist_platform_open("one", &group), 0);
	ck_assert_int_eq(ist_platform_open("two", &other), 0);
	ck_assert_int_eq(ist_platform_ring(&other, 2, 9, 3), 0);
	ck_assert_uint_eq(registers[1][IST_V1_DOORBELL / 4], IST_DOORBELL(2, 3));
	ck_assert_uint_eq(registers[0][IST_V1_DOORBELL / 4], 0);
	ist_bare_counts[1][3] = 7;
	ist_bare_totals[1] = 8;
	ck_assert_uint_eq(ist_platform_count(&other, 3), 7);
	ck_assert_uint_eq(ist_platform_count_all(&other), 8);
	ck_assert_uint_eq(ist_platform_count(&group, 3), 0);
	ck_assert_uint_eq(ist_platform_count_all(&group), 0);
	ist_platform_wait(&other, 8, 0);
	ck_assert_ptr_eq(waited_for, &ist_bare_totals[1]);
}
END_TEST

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		setup();                                                                           \
		change;                                                                            \
		ck_assert_int_eq(ist_platform_open(NULL, &group), -EPROTO);                        \
		setup(); /* and it is not taken for open */                                        \
		ck_assert_int_eq(ist_platform_open(NULL, &group), 0);                              \
	} while (0)

START_TEST(refuses)
{
	struct ist_roster *roster = roster_of(0);
	struct ist_region *region = region_of(0, 1);

	REFUSES(roster->magic++);
	REFUSES(roster->abi_major++);
	REFUSES(roster->features_required = 1ull << 63);
	REFUSES(roster->total_size *= 2);
	REFUSES(roster->max_peers++);
	REFUSES(roster->vectors--);
	REFUSES(roster->regions = IST_REGIONS_MAX + 1);
	REFUSES(roster->regions = UINT32_MAX);
	REFUSES(roster->regions = 3); /* the third has no name */
	REFUSES(memset(region->name, 'x', sizeof(region->name)));
	REFUSES(region->offset++);
	REFUSES(region->offset = IST_ROSTER_OFFSET);
	REFUSES(region->offset = GROUP_SIZE);
	REFUSES(region->offset = 0ull - IST_PAGE);
	REFUSES(region->size++);
	REFUSES(region->size = GROUP_SIZE);
	REFUSES(region->size = 0ull - IST_PAGE);
	REFUSES(region->coherence = 3);
	REFUSES(boot.group[0].rights[1] = 3);
	REFUSES(boot.group[0].memory_size = IST_REGIONS_OFFSET - 1);
	REFUSES(boot.group[0].max_peers = IST_PEERS_MAX + 1);
	REFUSES(boot.group[0].id = 3);
	REFUSES(boot.group[0].vectors = IST_VECTORS_MAX + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bare_group");
	TCase *tests = tcase_create("bare_group");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, joins);
	tcase_add_test(tests, which);
	tcase_add_test(tests, run_state);
	tcase_add_test(tests, doorbells);
	tcase_add_test(tests, refuses);
	return suite_run(suite);
}
