/* SPDX-License-Identifier: BSD-2-Clause */
/* test_layout.c: offsets and sizes of groups. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "ivshmem/layout.h"
#include "tests/suite.h"

#define K (1ull << 10)
#define M (1ull << 20)
#define G (1ull << 30)
#define LIMIT (1ull << 46)

static struct ivshm_region_config regions[IST_REGIONS_MAX];

static struct ivshm_group_config group_of(unsigned count, uint64_t page_size)
{
	return (struct ivshm_group_config){
		.page_size = page_size,
		.max_peers = 2,
		.regions = regions,
		.regions_count = count,
	};
}

START_TEST(nothing_but_tables)
{
	struct ivshm_group_config group = group_of(0, 4 * K);
	struct ivshm_layout layout;

	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.used_size, IST_REGIONS_OFFSET);
	ck_assert_uint_eq(layout.output_offset, 0);
	ck_assert_uint_eq(layout.total_size, 32 * K);
}
END_TEST

START_TEST(small_pages)
{
	struct ivshm_group_config group = group_of(2, 4 * K);
	struct ivshm_layout layout;

	regions[0].size = 4 * K;
	regions[1].size = 8 * M;
	group.output_size = 64 * K;
	group.max_peers = 8;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.region_offset[0], 0x5000);
	ck_assert_uint_eq(layout.region_offset[1], 0x6000);
	ck_assert_uint_eq(layout.output_offset, 0x6000 + 8 * M);
	ck_assert_uint_eq(layout.used_size, 0x6000 + 8 * M + 512 * K);
	ck_assert_uint_eq(layout.total_size, 16 * M);
}
END_TEST

START_TEST(page_directories)
{
	struct ivshm_group_config group = group_of(3, 4 * K);
	struct ivshm_layout layout;

	regions[0].size = 4 * K;
	regions[1].size = 8 * M;
	regions[2].size = 4 * K;
	regions[0].coherence = regions[1].coherence = IST_COHERENCE_PAGE;
	group.output_size = 64 * K;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.output_offset, 0x7000 + 8 * M);
	ck_assert_uint_eq(layout.directory_offset[0], 0x7000 + 8 * M + 128 * K);
	ck_assert_uint_eq(layout.directory_offset[1], 0x8000 + 8 * M + 128 * K);
	ck_assert_uint_eq(layout.directory_offset[2], 0);
	/* 2048 entries of 128 bytes, 128 before them, 2 * 256 of attention behind */
	ck_assert_uint_eq(layout.used_size, 0x8000 + 8 * M + 128 * K + 260 * K);
	regions[0].coherence = regions[1].coherence = 0;
	group.regions_count = 1;
	regions[0].coherence = IST_COHERENCE_PAGE;
	regions[0].size = LIMIT - 32 * K;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
	regions[0].coherence = 0;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
}
END_TEST

START_TEST(large_pages_align)
{
	struct ivshm_group_config group = group_of(2, 2 * M);
	struct ivshm_layout layout;

	regions[0].size = 2 * M;
	regions[1].size = 6 * M;
	group.output_size = 2 * M;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.region_offset[0], 2 * M);
	ck_assert_uint_eq(layout.region_offset[1], 4 * M);
	ck_assert_uint_eq(layout.output_offset, 10 * M);
	ck_assert_uint_eq(layout.used_size, 14 * M);
	ck_assert_uint_eq(layout.total_size, 16 * M);

	group = group_of(1, G);
	regions[0].size = G;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.region_offset[0], G);
	ck_assert_uint_eq(layout.total_size, 2 * G);

	group = group_of(0, 2 * M);
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.total_size, 2 * M);
}
END_TEST

START_TEST(total_is_a_power_of_two)
{
	struct ivshm_group_config group = group_of(1, 4 * K);
	struct ivshm_layout layout;

	regions[0].size = 64 * K - IST_REGIONS_OFFSET;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.used_size, 64 * K);
	ck_assert_uint_eq(layout.total_size, 64 * K);
	regions[0].size += 4 * K;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.total_size, 128 * K);
}
END_TEST

START_TEST(configured_size)
{
	struct ivshm_group_config group = group_of(1, 4 * K);
	struct ivshm_layout layout;

	regions[0].size = 8 * M;
	group.size = 64 * M;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.used_size, 8 * M + 0x5000);
	ck_assert_uint_eq(layout.total_size, 64 * M);

	group.size = 8 * M;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ENOSPC);
	ck_assert_uint_eq(layout.used_size, 8 * M + 0x5000);
	ck_assert_uint_eq(layout.total_size, 16 * M);
}
END_TEST

START_TEST(too_large)
{
	struct ivshm_group_config group = group_of(1, 4 * K);
	struct ivshm_layout layout;

	regions[0].size = LIMIT - IST_REGIONS_OFFSET;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.total_size, LIMIT);
	regions[0].size = LIMIT;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
	regions[0].size = 0ull - 4 * K;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);

	regions[0].size = 4 * K;
	group.max_peers = IST_PEERS_MAX;
	group.output_size = LIMIT;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
	group.output_size = LIMIT / IST_PEERS_MAX;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
	group.output_size = (LIMIT - 0x6000) / IST_PEERS_MAX & ~(4 * K - 1);
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);

	group = group_of(0, 4 * K);
	group.size = 2 * LIMIT;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
}
END_TEST

START_TEST(many_large_regions)
{
	struct ivshm_group_config group = group_of(IST_REGIONS_MAX, G);
	struct ivshm_layout layout;

	for (unsigned i = 0; i < IST_REGIONS_MAX; i++)
		regions[i].size = LIMIT / 2;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), -ERANGE);
	for (unsigned i = 0; i < IST_REGIONS_MAX; i++)
		regions[i].size = G;
	ck_assert_int_eq(ivshm_layout_compute(&group, &layout), 0);
	ck_assert_uint_eq(layout.region_offset[IST_REGIONS_MAX - 1], IST_REGIONS_MAX * G);
	ck_assert_uint_eq(layout.total_size, 64 * G);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layout");
	TCase *tests = tcase_create("layout");

	tcase_add_test(tests, nothing_but_tables);
	tcase_add_test(tests, small_pages);
	tcase_add_test(tests, page_directories);
	tcase_add_test(tests, large_pages_align);
	tcase_add_test(tests, total_is_a_power_of_two);
	tcase_add_test(tests, configured_size);
	tcase_add_test(tests, too_large);
	tcase_add_test(tests, many_large_regions);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
