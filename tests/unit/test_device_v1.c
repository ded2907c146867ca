// SPDX-License-Identifier: BSD-2-Clause
/* test_device_v1.c: every offset and size of the v1 register page does what its specification says.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/device_v1.h"

#define PAGE 4096u

static const struct ivshm_v1 fresh = {.id = 5, .mask = 0x11111111, .status = 0x22222222};

static int same(const struct ivshm_v1 *left, const struct ivshm_v1 *right)
{
	return left->id == right->id && left->mask == right->mask && left->status == right->status;
}

START_TEST(every_read)
{
	static const unsigned sizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 16};

	for (uint64_t offset = 0; offset < PAGE; offset++) {
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct ivshm_v1 device = fresh, after = fresh;
			uint64_t expected = 0;

			if (sizes[i] == 4 && offset == 0) {
				expected = fresh.mask;
			} else if (sizes[i] == 4 && offset == 4) {
				expected = fresh.status;
				after.status = 0;
			} else if (sizes[i] == 4 && offset == 8) {
				expected = fresh.id;
			}
			ck_assert_uint_eq(ivshm_v1_read(&device, offset, sizes[i]), expected);
			ck_assert_msg(same(&device, &after), "read of %u at %lu has an effect",
				      sizes[i], offset);
		}
	}
}
END_TEST

START_TEST(every_write)
{
	static const uint64_t values[] = {0, 0x30007, 0xffffffffffffffff, 0x8000000012345678};

	for (uint64_t offset = 0; offset < PAGE; offset++) {
		for (unsigned size = 0; size <= 16; size++) {
			for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
				struct ivshm_v1 device = fresh, after = fresh;
				struct ivshm_v1_effect effect =
					ivshm_v1_write(&device, offset, size, values[i]);
				int rings = size == 4 && offset == 12;

				if (size == 4 && offset == 0)
					after.mask = (uint32_t)values[i];
				if (size == 4 && offset == 4)
					after.status = (uint32_t)values[i];
				ck_assert_msg(same(&device, &after),
					      "write of %u at %lu changes the device", size,
					      offset);
				ck_assert_int_eq(effect.ring, rings);
				if (!rings)
					continue;
				ck_assert_uint_eq(effect.peer, values[i] >> 16 & 0xffff);
				ck_assert_uint_eq(effect.vector, values[i] & 0xffff);
			}
		}
	}
}
END_TEST

START_TEST(far_offsets)
{
	struct ivshm_v1 device = fresh;

	ck_assert_uint_eq(ivshm_v1_read(&device, UINT64_MAX - 3, 4), 0);
	ck_assert_uint_eq(ivshm_v1_read(&device, 1ull << 32, 4), 0);
	ck_assert_int_eq(ivshm_v1_write(&device, (1ull << 32) + 12, 4, 1).ring, 0);
	ck_assert(same(&device, &fresh));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_v1");
	TCase *tcase = tcase_create("registers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, every_read);
	tcase_add_test(tcase, every_write);
	tcase_add_test(tcase, far_offsets);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
