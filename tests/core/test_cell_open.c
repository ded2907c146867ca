/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cell_open.c: what is refused when a cell is opened, its seats, and as many peers as there
 * can be.
 */
#include <check.h>
#include <string.h>

#include "cell_pair.h"
#include "tests/suite.h"

START_TEST(refused_openings)
{
	struct ist_cell_options wrong = options;
	struct ist_channel *channel;

	ck_assert_int_eq(ist_cell_open(alice, "c", NULL, &a), -ENOENT);
	ck_assert_int_eq(ist_cell_open(alice, "a b", &options, &a), -EINVAL);
	ck_assert_int_eq(ist_cell_open(alice, "", &options, &a), -EINVAL);
	ck_assert_int_eq(ist_cell_open(alice, NULL, &options, &a), -EINVAL);
	wrong.size = (16u << 20) + 1;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong.size = 8u << 20;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -ENOSPC);
	wrong = options, wrong.seats = 65;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.flags = 4;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.policy = (enum ist_policy)6;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.merge = (enum ist_merge)5;
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EINVAL);
	wrong = options, wrong.region = "nowhere";
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -ENOENT);
	wrong.region = "view";
	ck_assert_int_eq(ist_cell_open(alice, "c", &wrong, &a), -EACCES);
	ck_assert_int_eq(ist_channel_open(alice, "ch", IST_SENDER, NULL, &channel), 0);
	ck_assert_int_eq(ist_cell_open(alice, "ch", &options, &a), -EEXIST);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_channel_open(bob, "c", IST_SENDER, NULL, &channel), -EEXIST);
	wrong = options, wrong.size++;
	ck_assert_int_eq(ist_cell_open(bob, "c", &wrong, &b), -EMSGSIZE);
	wrong = options, wrong.policy = IST_READ_MOSTLY; /* it keeps its own */
	ck_assert_int_eq(ist_cell_open(bob, "c", &wrong, &b), 0);
	ck_assert_uint_eq(b->kind, IST_MIGRATORY);
	close_both();
	ist_channel_close(channel);
	ist_cell_close(NULL);
}
END_TEST

START_TEST(seats)
{
	struct ist_cell *third;
	struct ist_cell_info info;

	options.seats = 2;
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &a), 0);
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &third), 0);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), -ENOSPC);
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_uint_eq(info.seats, 2);
	ck_assert_uint_eq(info.seats_taken, 2);
	ck_assert_uint_eq(info.size, 40);
	ck_assert_int_eq(info.policy, IST_MIGRATORY);
	ck_assert_int_eq(info.now, IST_MIGRATORY);
	ck_assert_uint_eq(info.version, 0);
	ist_cell_close(third);
	ck_assert_int_eq(ist_cell_open(bob, "c", &options, &b), 0);
	write_number(b, 1);
	ck_assert_int_eq(ist_cell_info(a, &info), 0);
	ck_assert_uint_eq(info.version, 1);
	ck_assert_uint_eq(info.repairs, 0);
	close_both();
}
END_TEST

START_TEST(sixty_four_peers)
{
	struct ist_group *groups[64] = {alice, bob};
	struct ist_cell *cells[64], *more;
	unsigned i, number = 0;

	options.policy = policies[_i / SIZES];
	options.size = sizes[_i % SIZES];
	for (i = 0; i < 64; i++) {
		if (i > 1)
			groups[i] = mem_join(i);
		ck_assert_int_eq(ist_cell_open(groups[i], "c", &options, &cells[i]), 0);
		expect(cells[i], 0);
	}
	ck_assert_int_eq(ist_cell_open(alice, "c", &options, &more), -ENOSPC);
	for (i = 0; i < 200; i++) {
		write_number(cells[i * 29 % 64], ++number);
		expect(cells[i * 37 % 64], number);
	}
	for (i = 0; i < 64; i++)
		expect(cells[i], number);
	/* Half die, one of them in a section, and come back. */
	for (i = 0; i < 64; i += 2) {
		void *content;

		if (i == 62) {
			ck_assert_int_eq(ist_cell_write_begin(cells[i], 0, 0, &content), 0);
			undone += ist_cell_opens(cells[i]);
			memset(content, 0x99, options.size);
		}
		mem_die(i);
		mem_forget_cell(cells[i]);
	}
	for (i = 0; i < 64; i += 2) {
		mem_forget(groups[i]);
		groups[i] = mem_join(i);
		ck_assert_int_eq(ist_cell_open(groups[i], "c", &options, &cells[i]), 0);
	}
	alice = groups[0];
	/* Somebody is told, once. */
	for (i = 0, number = 0; i < 64; i++)
		number += ist_cell_read(cells[i], (uint8_t[4096]){0}, NULL, 0) == -EOWNERDEAD;
	ck_assert_uint_eq(number, 1);
	for (i = 0; i < 64; i++) {
		expect(cells[i], 200);
		ist_cell_close(cells[i]);
		if (i > 1)
			mem_forget(groups[i]);
	}
}
END_TEST

/* One that a library from before ABI 1.3 has made is opened, and its head never is; what says that
   it may be where it cannot is no cell. */
START_TEST(made_by_an_older_library)
{
	struct ist_object *slot = (struct ist_object *)(void *)(mem_region() + 128);
	uint64_t kind = (uint64_t)policies[_i / SIZES];
	void *content;
	unsigned may;

	open_both(_i);
	close_both();
	may = sizes[_i % SIZES] <= IST_CELL_INLINE &&
	      (kind == IST_CELL_MIGRATORY || kind == IST_CELL_ADAPTIVE);
	ck_assert_uint_eq(slot->parameters[1], kind | (may ? IST_CELL_IN_PLACE : 0));

	slot->parameters[1] = kind;
	open_both(_i);
	ck_assert_uint_eq(b->kind, kind);
	write_number(b, 1);
	ck_assert_int_eq(ist_cell_write_begin(a, 0, 0, &content), 0);
	ck_assert(!ist_cell_opens(a));
	ck_assert_uint_ge(IST_CELL_WHERE(a->memory->version),
			  sizes[_i % SIZES] <= IST_CELL_INLINE ? IST_CELL_HEAD : 0);
	fill(content, 2);
	expect(b, 1);
	ck_assert_int_eq(ist_cell_write_end(a), 0);
	expect(b, 2);
	close_both();

	slot->parameters[1] = kind | IST_CELL_IN_PLACE << 1;
	ck_assert_int_eq(ist_cell_open(alice, "c", NULL, &a), -EPROTO);
	slot->parameters[1] = kind | IST_CELL_IN_PLACE;
	ck_assert_int_eq(ist_cell_open(alice, "c", NULL, &a), may ? 0 : -EPROTO);
	if (may)
		ist_cell_close(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell, openings");
	TCase *test = tcase_create("sections");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, refused_openings);
	tcase_add_test(test, seats);
	tcase_add_loop_test(test, sixty_four_peers, 0, POLICIES * SIZES);
	tcase_add_loop_test(test, made_by_an_older_library, 0, POLICIES * SIZES);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
