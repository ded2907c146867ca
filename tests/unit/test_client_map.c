/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_map.c: what a peer may access of a group's memory, and what is where in it. */
#include <check.h>
#include <string.h>

#include "ivshmem/client.h"
#include "tests/suite.h"

#define AT(page) (IST_REGIONS_OFFSET + (page)*4096ull)

/* Regions of one page each, from the roster on, then a gap, then output sections of a page each. */
static struct ivshm_client client;
static struct ivshm_client_range range[IVSHM_CLIENT_RANGES_MAX];

static void add(const char *name, uint32_t right)
{
	struct ivshm_client_region *region = &client.region[client.regions];

	*region = (struct ivshm_client_region){
		.offset = AT(client.regions), .size = 4096, .right = right};
	strcpy(region->name, name);
	client.regions++;
}

static void setup(void)
{
	memset(&client, 0, sizeof(client));
	client.size = 0x40000;
	client.page_size = 4096;
	client.max_peers = 3;
	client.id = 1;
	add("hidden", IST_RIGHT_NONE);
	add("one", IST_RIGHT_WRITE);
	add("two", IST_RIGHT_WRITE);
	add("three", IST_RIGHT_READ);
	client.output_offset = AT(6);
	client.output_size = 4096;
}

static void expect(unsigned i, uint64_t offset, uint64_t size, uint32_t right)
{
	ck_assert_uint_eq(range[i].offset, offset);
	ck_assert_uint_eq(range[i].size, size);
	ck_assert_uint_eq(range[i].right, right);
}

START_TEST(ranges)
{
	ck_assert_uint_eq(ivshm_client_ranges(&client, range), 6);
	expect(0, 0, IST_REGIONS_OFFSET, IST_RIGHT_READ);
	expect(1, AT(1), 2 * 4096, IST_RIGHT_WRITE); /* as one */
	expect(2, AT(3), 4096, IST_RIGHT_READ);
	expect(3, AT(6), 4096, IST_RIGHT_READ);
	expect(4, AT(7), 4096, IST_RIGHT_WRITE); /* its own */
	expect(5, AT(8), 4096, IST_RIGHT_READ);
	/* The roster and what follows it, no outputs. */
	client.region[0].right = IST_RIGHT_READ;
	client.output_offset = client.output_size = 0;
	ck_assert_uint_eq(ivshm_client_ranges(&client, range), 3);
	expect(0, 0, AT(1), IST_RIGHT_READ);
	client.regions = 0;
	ck_assert_uint_eq(ivshm_client_ranges(&client, range), 1);
	expect(0, 0, IST_REGIONS_OFFSET, IST_RIGHT_READ);
}
END_TEST

START_TEST(places)
{
	static const struct {
		uint64_t offset;
		unsigned index;
		uint64_t within;
		const char *name;
	} place[] = {
		{0, IST_REGIONS_MAX, 0, "roster"},
		{AT(0) - 1, IST_REGIONS_MAX, AT(0) - 1, "roster"},
		{AT(0), 0, 0, "hidden"},
		{AT(2) + 5, 2, 5, "two"},
		{AT(4) - 1, 3, 4095, "three"},
		{AT(4), IST_REGIONS_MAX, AT(4), "unused"},
		{AT(6), IST_REGIONS_MAX, AT(6), "output sections"},
		{AT(9) - 1, IST_REGIONS_MAX, AT(9) - 1, "output sections"},
		{AT(9), IST_REGIONS_MAX, AT(9), "unused"},
		{UINT64_MAX, IST_REGIONS_MAX, UINT64_MAX, "unused"},
	};

	for (unsigned i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
		uint64_t offset = place[i].offset;
		const char *name;

		ck_assert_uint_eq(ivshm_client_locate(&client, &offset, &name), place[i].index);
		ck_assert_uint_eq(offset, place[i].within);
		ck_assert_str_eq(name, place[i].name);
	}
}
END_TEST

START_TEST(read_write_section)
{
	ck_assert_uint_eq(ivshm_client_rw_size(&client), AT(6) - IST_STATE_TABLE_SIZE);
	client.output_offset = client.output_size = 0;
	ck_assert_uint_eq(ivshm_client_rw_size(&client), AT(4) - IST_STATE_TABLE_SIZE);
	client.regions = 0;
	ck_assert_uint_eq(ivshm_client_rw_size(&client), AT(0) - IST_STATE_TABLE_SIZE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_map");
	TCase *tcase = tcase_create("map");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, ranges);
	tcase_add_test(tcase, places);
	tcase_add_test(tcase, read_write_section);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
