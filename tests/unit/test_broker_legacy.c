/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_legacy.c: peers of QEMU's ivshmem-server protocol: every byte that they are told,
 * that all doorbells reach, and how they end.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/log.h"
#include "tests/legacy_group.h"
#include "tests/suite.h"

/* ---- What it is told ------------------------------------------------------------------------- */

/* Version, ID, memory, the others' doorbells, its own: nothing else, and in this order. */
START_TEST(greeting)
{
	struct raw left = raw_live(&f, "left");
	const struct ist_peer *peer = (const void *)(left.map + IST_PEER_TABLE_OFFSET);
	int others[FIXTURE_VECTORS], own[FIXTURE_VECTORS];
	struct legacy third;
	struct ivshm_packet p;
	struct stat status;
	int memory;

	rings(left.own[0]);
	third = legacy_start(&f, "third");
	memory = legacy_welcome(&f, third.socket, 2);
	ck_assert_int_eq(fstat(memory, &status), 0);
	ck_assert_uint_eq((uint64_t)status.st_size, left.size);
	legacy_expect_bells(&f, third.socket, 0, FIXTURE_VECTORS, others);
	legacy_expect_bells(&f, third.socket, 2, FIXTURE_VECTORS, own);
	nothing_more(third.socket);

	p = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ck_assert_uint_eq(p.wire.id, 2);
	ck_assert_uint_eq(p.wire.kind, IST_KIND_QEMU);
	ck_assert_uint_eq(p.wire.incarnation, 1);
	raw_keep_peer(&left, &p);
	ck_assert_uint_eq(raw_word(&left, 2), IST_PEER_WORD(IST_PEER_LIVE, 1));
	ck_assert_str_eq(peer[2].name, "third");
	ck_assert_uint_eq(peer[2].kind, IST_KIND_QEMU);
	ck_assert_uint_eq(peer[2].vectors, FIXTURE_VECTORS);
	ck_assert_uint_eq(rings(left.own[0]), 2); /* JOINING, LIVE */
	ck_assert_uint_eq(rings(own[0]), 1);      /* it is told as all are */
	for (unsigned v = 0; v < FIXTURE_VECTORS; v++) {
		ck_assert_int_eq(eventfd_write(others[v], 1), 0);
		ck_assert_int_eq(eventfd_write(left.peer[2][v], 1), 0);
		for (unsigned w = 0; w < FIXTURE_VECTORS; w++) {
			ck_assert_uint_eq(rings(left.own[w]), v == w);
			ck_assert_uint_eq(rings(own[w]), v == w);
		}
	}
	*(volatile uint8_t *)(uintptr_t)(map_memory(memory) + IST_REGIONS_OFFSET) = 77;
	ck_assert_uint_eq(left.map[IST_REGIONS_OFFSET], 77);
	close_all(others, FIXTURE_VECTORS);
	close_all(own, FIXTURE_VECTORS);
	legacy_kill(&f, &third);
	close(third.socket);
	raw_leave(&f, &left);
}
END_TEST

/* Two of them: the first is told of the second; a peer of ours comes, goes and comes again. */
START_TEST(comings_and_goings)
{
	int third_own[FIXTURE_VECTORS], right_own[FIXTURE_VECTORS], bell[FIXTURE_VECTORS];
	struct legacy third = legacy_start(&f, "third"), right;

	close(legacy_welcome(&f, third.socket, 2));
	legacy_expect_bells(&f, third.socket, 2, FIXTURE_VECTORS, third_own);
	right = legacy_start(&f, "right");
	close(legacy_welcome(&f, right.socket, 1));
	legacy_expect_bells(&f, right.socket, 2, FIXTURE_VECTORS, bell);
	ck_assert_int_eq(eventfd_write(bell[1], 1), 0);
	ck_assert_uint_eq(rings(third_own[1]), 1);
	close_all(bell, FIXTURE_VECTORS);
	legacy_expect_bells(&f, right.socket, 1, FIXTURE_VECTORS, right_own);
	legacy_expect_bells(&f, third.socket, 1, FIXTURE_VECTORS, bell);
	ck_assert_int_eq(eventfd_write(bell[2], 1), 0);
	ck_assert_uint_eq(rings(right_own[2]), 1);
	close_all(bell, FIXTURE_VECTORS);

	for (unsigned n = 0; n < 3; n++) {
		struct raw left = raw_live(&f, "left");

		ck_assert_int_ge(left.peer[1][0], 0);
		ck_assert_int_ge(left.peer[2][0], 0);
		/* A number for each incarnation: QEMU takes none a second time. */
		legacy_expect_bells(&f, right.socket, 64 * n, FIXTURE_VECTORS, bell);
		ck_assert_int_eq(eventfd_write(bell[0], 1), 0);
		ck_assert_uint_ge(rings(left.own[0]), 1);
		close_all(bell, FIXTURE_VECTORS);
		legacy_expect_bells(&f, third.socket, 64 * n, FIXTURE_VECTORS, bell);
		close_all(bell, FIXTURE_VECTORS);
		rings(right_own[0]);
		raw_leave(&f, &left);
		ck_assert_uint_ge(rings(right_own[0]), 1);
		ck_assert_int_eq(legacy_expect(&f, right.socket, 64 * n), -1);
		ck_assert_int_eq(legacy_expect(&f, third.socket, 64 * n), -1);
	}

	legacy_kill(&f, &right);
	ck_assert_int_eq(legacy_expect(&f, third.socket, 1), -1);
	nothing_more(third.socket);
	close(right.socket);
	close(third.socket);
	close_all(right_own, FIXTURE_VECTORS);
	close_all(third_own, FIXTURE_VECTORS);
	legacy_kill(&f, &third);
}
END_TEST

/* ---- How it ends ----------------------------------------------------------------------------- */

/* Its process counts, not its connection, whichever of them ends first. */
START_TEST(ends)
{
	struct raw left = raw_live(&f, "left");
	struct legacy third = join("third", 2, 1);
	uint8_t bytes[8];
	int descriptor, fd;

	expect_come(&left, 2, 1);
	legacy_kill(&f, &third);
	raw_await_word(&f, &left, 2, IST_PEER_WORD(IST_PEER_DEAD, 1));
	expect_gone(&left, 2, 1);
	ck_assert_int_eq(legacy_try(third.socket, bytes, &descriptor), -EPIPE);
	close(third.socket);

	third = join("third", 64 + 2, 1);
	expect_come(&left, 2, 2);
	ck_assert_uint_eq(raw_word(&left, 2), IST_PEER_WORD(IST_PEER_LIVE, 2));
	close(third.socket);
	fixture_settle(&f);
	ck_assert_uint_eq(raw_word(&left, 2), IST_PEER_WORD(IST_PEER_LEAVING, 2));
	fd = legacy_connect(&f, "third");
	legacy_expect_end(&f, fd); /* not its: the memory may still be mapped */
	close(fd);
	legacy_kill(&f, &third);
	raw_await_word(&f, &left, 2, IST_PEER_WORD(IST_PEER_DEAD, 2));
	expect_gone(&left, 2, 2);
	third = join("third", 128 + 2, 1);
	expect_come(&left, 2, 3);
	legacy_kill(&f, &third);
	close(third.socket);
	raw_leave(&f, &left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, QEMU's protocol");
	TCase *tcase = tcase_create("peers");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, greeting);
	tcase_add_test(tcase, comings_and_goings);
	tcase_add_test(tcase, ends);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
