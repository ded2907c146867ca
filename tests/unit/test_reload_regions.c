/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reload_regions.c: regions that come to a group that is used. */
#include <check.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/reload_texts.h"
#include "tests/suite.h"

static struct fixture f;

#include "tests/reload_group.h"

START_TEST(region_added)
{
	struct raw left = raw_live(&f, "left"), right;
	const struct ist_roster *roster = (const void *)(left.map + IST_ROSTER_OFFSET);
	const struct ist_region *table = (const void *)(left.map + IST_REGION_TABLE_OFFSET);
	struct ivshm_packet packet;
	struct ist_wire told;
	int fd;

	write_file((struct text){.more = EXTRA_TEXT});
	fd = ask_reload(0);
	packet = raw_expect(&f, left.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.id, EXTRA);
	ck_assert_uint_eq(packet.wire.offset, 0x17000);
	ck_assert_uint_eq(packet.wire.size, 0x4000);
	ck_assert_uint_eq(packet.wire.right, IST_RIGHT_NONE);
	ck_assert_str_eq(packet.wire.name, "extra");
	told = expect_right(left.socket, EXTRA, IST_RIGHT_READ);
	ck_assert_uint_eq(roster->regions, 2);
	right_done(left.socket, told, 0);
	ck_assert_uint_eq(roster->regions, 3);
	ck_assert_str_eq(table[EXTRA].name, "extra");
	ck_assert_uint_eq(table[EXTRA].offset, 0x17000);
	ck_assert_uint_eq(table[EXTRA].size, 0x4000);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 0), IST_RIGHT_READ);
	ck_assert_str_eq(answer(fd), EXTRA_LINE "= 0");
	/* Who comes later is told of three at once. */
	right = live_as("right", 2, IST_KIND_APP);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_READ);
	raw_leave(&f, &right);
	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	raw_leave(&f, &left);
}
END_TEST

/* Who is not told of it, as it could not follow: it is named. */
START_TEST(region_not_seen)
{
	struct raw left = live_as("left", 1, IST_KIND_APP);
	struct raw right = live_as("right", 2, IST_KIND_PROCESS);
	struct ivshm_packet packet;

	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	write_file((struct text){.more = EXTRA_TEXT});
	ck_assert_str_eq(
		answer(ask_reload(0)),
		line(EXTRA_LINE
		     "group 'ping': 'right' (pid %d) sees new regions when it joins again\n"
		     "group 'ping': 'left' (pid %d) sees new regions when it joins again\n= 0",
		     getpid(), getpid()));
	ck_assert(is_quiet(left.socket));
	ck_assert_uint_eq(roster_right(&left, EXTRA, 0), IST_RIGHT_NONE);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_NONE);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 2), IST_RIGHT_READ);
	raw_leave(&f, &right);
	ck_assert_uint_eq(roster_right(&left, EXTRA, 1), IST_RIGHT_READ);
	packet = raw_expect(&f, left.socket, IST_WIRE_GONE);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(region_taken_back)
{
	struct raw left = raw_live(&f, "left");
	const struct ist_roster *roster = (const void *)(left.map + IST_ROSTER_OFFSET);
	struct ivshm_packet packet;
	int fd;

	write_file((struct text){.more = EXTRA_TEXT});
	fd = ask_reload(0);
	raw_expect(&f, left.socket, IST_WIRE_REGION);
	right_done(left.socket, expect_right(left.socket, EXTRA, IST_RIGHT_READ), ENOMEM);
	ck_assert_str_eq(answer(fd),
			 line("! group 'ping': 'left' (pid %d) cannot have more: Cannot allocate "
			      "memory\n= 12",
			      getpid()));
	packet = raw_expect(&f, left.socket, IST_WIRE_REGION);
	ck_assert_uint_eq(packet.wire.id, EXTRA);
	ck_assert_uint_eq(packet.wire.size, 0);
	ck_assert_uint_eq(roster->regions, 2);

	/* And once more, with success. */
	fd = ask_reload(0);
	raw_expect(&f, left.socket, IST_WIRE_REGION);
	right_done(left.socket, expect_right(left.socket, EXTRA, IST_RIGHT_READ), 0);
	ck_assert_str_eq(answer(fd), EXTRA_LINE "= 0");
	ck_assert_uint_eq(roster->regions, 3);
	raw_leave(&f, &left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload, regions");
	TCase *tests = tcase_create("reload");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, reload_start, reload_stop);
	tcase_add_test(tests, region_added);
	tcase_add_test(tests, region_not_seen);
	tcase_add_test(tests, region_taken_back);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
