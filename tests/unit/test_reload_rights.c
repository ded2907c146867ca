/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reload_rights.c: other rights: who is told of them in which order, who has to answer, and
 * who is only asked.
 */
#include <check.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/fast_ticks.h"
#include "tests/process_peer.h"
#include "tests/reload_texts.h"
#include "tests/suite.h"

static struct fixture f;

#include "tests/reload_group.h"

/* Roster and vector 0 first; the answer when the VM has answered, and not before. */
START_TEST(less)
{
	struct raw left = raw_live(&f, "left");
	struct ist_wire told;
	uint64_t changes;
	int fd;

	rings(left.own[0]);
	changes = raw_changes(&left);
	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	ck_assert_uint_eq(roster_right(&left, SHARED, 1), IST_RIGHT_WRITE);
	ck_assert_uint_gt(raw_changes(&left), changes);
	ck_assert_uint_gt(rings(left.own[0]), 0);
	told = expect_right(left.socket, SHARED, IST_RIGHT_READ);
	ck_assert(is_quiet(fd));
	right_done(left.socket, told, 0);
	ck_assert_str_eq(answer(fd), SHARED_RO_LINE "= 0");
	ck_assert_uint_eq(owner.prepared + owner.committed, 2);
	ck_assert(is_quiet(left.socket));

	/* The same again: nothing changes. */
	fd = ask_reload(0);
	ck_assert_str_eq(answer(fd), "= 0");
	raw_leave(&f, &left);
}
END_TEST

/* The roster tells of more when the VM has it. */
START_TEST(more)
{
	struct raw right = raw_live(&f, "right");
	struct ist_wire told;
	int fd;

	write_file((struct text){.table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	ck_assert(is_quiet(fd));
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	ck_assert_uint_eq(owner.committed, 0);
	right_done(right.socket, told, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_WRITE);
	ck_assert_str_eq(answer(fd), TABLE_RW_LINE "= 0");
	raw_leave(&f, &right);
}
END_TEST

/* One gets more and another less: what cannot be had is found out before anything is taken. */
START_TEST(more_is_refused)
{
	struct raw left = raw_live(&f, "left"), right = raw_live(&f, "right");
	struct ivshm_packet packet;
	struct ist_wire told;
	int fd;

	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	right_done(right.socket, told, ENOMEM);
	ck_assert_str_eq(answer(fd), line("! group 'ping': 'right' (pid %d) cannot have more: "
					  "Cannot allocate memory\n= 12",
					  getpid()));
	ck_assert_uint_eq(owner.committed, 0);
	ck_assert_uint_eq(owner.abandoned, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	ck_assert_uint_eq(roster_right(&left, TABLE, 1), IST_RIGHT_READ);
	/* It was told of nothing, and has what it had. */
	ck_assert(is_quiet(left.socket));
	ck_assert(is_quiet(right.socket));
	raw_leave(&f, &right);
	raw_leave(&f, &left);
}
END_TEST

/* Who does not answer when it gets more is told again what it has; its late answer is no matter. */
START_TEST(more_is_not_answered)
{
	struct raw right = raw_live(&f, "right");
	struct ist_wire first, second;
	int fd;

	write_file((struct text){.table = TABLE_RW});
	fd = ask_reload(0);
	ck_assert_str_eq(answer(fd),
			 line("! group 'ping': 'right' (pid %d) does not answer\n= 110", getpid()));
	first = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);
	second = expect_right(right.socket, TABLE, IST_RIGHT_READ);
	right_done(right.socket, first, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	right_done(right.socket, second, 0);
	ck_assert_uint_eq(roster_right(&right, TABLE, 1), IST_RIGHT_READ);
	ck_assert_uint_eq(owner.committed, 0);
	raw_leave(&f, &right);
}
END_TEST

/* Who does not answer when it gets less is named, and the lesser right stands. */
START_TEST(less_is_not_answered)
{
	struct raw left = raw_live(&f, "left"), again;
	int fd;

	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	ck_assert_str_eq(answer(fd),
			 line(SHARED_RO_LINE
			      "! group 'ping': 'left' (pid %d) does not answer: it may still have "
			      "what it had\n= 5",
			      getpid()));
	ck_assert_uint_eq(owner.committed, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);
	raw_leave(&f, &left);
	again = raw_live(&f, "left");
	ck_assert_uint_eq(roster_right(&again, SHARED, 0), IST_RIGHT_READ);
	raw_leave(&f, &again);
}
END_TEST

/* With --force it is killed: that is the answer. */
START_TEST(force)
{
	struct process left = process_start(&f); /* it answers when it is told to, and is not */

	ck_assert_str_eq(process_ask(&f, &left, "join left"), "0 +0.1");
	ck_assert_str_eq(process_ask(&f, &left, "ready"), "0");
	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(IVSHM_CONTROL_FORCE)),
			 line(SHARED_RO_LINE
			      "group 'ping': 'left' (pid %d) does not answer: killed\n= 0",
			      (int)left.pid));
	must(waitpid(left.pid, NULL, 0) == left.pid);
	close(left.control);
}
END_TEST

/* It has hung up and lives: nobody can tell it anything. */
START_TEST(hung_up)
{
	struct raw left = raw_live(&f, "left");

	raw_close(&left);
	fixture_settle(&f);
	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(0)),
			 line(SHARED_RO_LINE
			      "! group 'ping': 'left' (pid %d) does not answer: it may still have "
			      "what it had\n= 5",
			      getpid()));
}
END_TEST

/* A process is told, and named; nobody waits for it. */
START_TEST(asked)
{
	struct raw left = live_as("left", 2, IST_KIND_PROCESS);

	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(0)),
			 line(SHARED_RO_LINE
			      "group 'ping': 'left' (pid %d) is only asked: a process\n= 0",
			      getpid()));
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);

	/* And back: the roster follows what it has. */
	write_file((struct text){0});
	ck_assert_str_eq(answer(ask_reload(0)),
			 "group 'ping': region 'shared' is rw instead of ro for 'left'\n= 0");
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_WRITE), 0);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);
}
END_TEST

/* Who speaks an older ABI: a VM keeps what it has, and so does everybody; a process is named. */
START_TEST(older)
{
	struct raw left = live_as("left", 1, IST_KIND_APP);

	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(
		answer(ask_reload(0)),
		line("! not while it runs: group 'ping': region 'shared' is ro instead of rw for "
		     "'left': 'left' (pid %d) speaks ABI 1.1, this takes 1.2\n= 16",
		     getpid()));
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);

	left = live_as("left", 1, IST_KIND_PROCESS);
	ck_assert_str_eq(answer(ask_reload(0)),
			 line(SHARED_RO_LINE
			      "group 'ping': 'left' (pid %d) is only asked: a process, which hears "
			      "of it when it joins again\n= 0",
			      getpid()));
	ck_assert(is_quiet(left.socket));
	raw_leave(&f, &left);
}
END_TEST

/* A QEMU is told nothing, and has everything mapped: the roster says what it is asked. */
START_TEST(asked_of_qemu)
{
	int fd;

	reload_stop();
	start_with((struct text){.left = "kind: qemu, autostart: false",
				 .more = "    legacy: trusted\n"});
	fd = ivshm_door_enter(&ivshm_legacy_door, f.dir, "left@ping");
	must(fd >= 0);
	fixture_settle(&f);
	write_file((struct text){.left = "kind: qemu, autostart: false",
				 .more = "    legacy: trusted\n",
				 .shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(0)),
			 line(SHARED_RO_LINE
			      "group 'ping': 'left' (pid %d) is only asked: it is a QEMU\n= 0",
			      getpid()));
	close(fd);
}
END_TEST

/* An app that runs as a process: its pager cannot let go of a region. */
START_TEST(pages_of_a_process)
{
	struct text text = {.shared = "size: 64K, access: rw, coherence: page",
			    .left = "kind: app, image: /etc/passwd, memory: 16M"};
	struct raw raw;

	reload_stop();
	start_with(text);
	raw = live_as("left", 2, IST_KIND_PROCESS);
	text.shared = "size: 64K, access: rw, coherence: page, rights: [{instance: left, access: "
		      "ro}]";
	write_file(text);
	ck_assert_str_eq(
		answer(ask_reload(0)),
		line("! not while it runs: group 'ping': region 'shared' is ro instead of rw for "
		     "'left': 'left' (pid %d) is a process, and the region page-coherent\n= 16",
		     getpid()));
	raw_leave(&f, &raw);
	raw = live_as("left", 2, IST_KIND_APP);
	raw_send(raw.socket, IST_WIRE_BYE, "");
	raw_close(&raw);
	fixture_settle(&f);
	ck_assert_str_eq(answer(ask_reload(0)), SHARED_RO_LINE "= 0");
}
END_TEST

START_TEST(joins_meanwhile)
{
	struct raw right = raw_live(&f, "right"), left;
	struct ist_wire told;
	struct ivshm_packet packet, hello;
	int fd, old;

	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW});
	fd = ask_reload(0);
	told = expect_right(right.socket, TABLE, IST_RIGHT_WRITE);

	/* One that could not be told. */
	old = raw_connect(&f);
	hello = (struct ivshm_packet){
		.wire = {.type = IST_WIRE_HELLO, .abi = IST_ABI_MAJOR << 16 | 1, .name = "left"}};
	must(ivshm_wire_send(old, &hello) == 0);
	raw_expect_error(&f, old, EAGAIN, "group 'ping' is being changed");

	/* It is told what is in force, and then what has changed; and is waited for. */
	left = raw_live(&f, "left");
	packet = raw_expect(&f, right.socket, IST_WIRE_PEER);
	ivshm_wire_close_fds(&packet);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	right_done(right.socket, told, 0);
	ck_assert_uint_eq(owner.committed, 1);
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_READ);
	told = expect_right(left.socket, SHARED, IST_RIGHT_READ);
	ck_assert(is_quiet(fd));
	right_done(left.socket, told, 0);
	ck_assert_str_eq(answer(fd), SHARED_RO_LINE TABLE_RW_LINE "= 0");
	raw_leave(&f, &left);
	raw_leave(&f, &right);
}
END_TEST

/* An answer that nobody asked for. */
START_TEST(wrong_answers)
{
	struct ist_wire none = {.id = 99, .count = 1};
	struct raw left = raw_live(&f, "left");

	right_done(left.socket, (struct ist_wire){.id = 0, .count = 7}, 0); /* late: nothing */
	ck_assert(is_quiet(left.socket));
	right_done(left.socket, none, 0);
	raw_expect_error(&f, left.socket, EPROTO, "an answer to no RIGHT");
	left.socket = -1;
	raw_close(&left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload, rights");
	TCase *tests = tcase_create("reload");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, reload_start, reload_stop);
	tcase_add_test(tests, less);
	tcase_add_test(tests, more);
	tcase_add_test(tests, more_is_refused);
	tcase_add_test(tests, more_is_not_answered);
	tcase_add_test(tests, less_is_not_answered);
	tcase_add_test(tests, force);
	tcase_add_test(tests, hung_up);
	tcase_add_test(tests, asked);
	tcase_add_test(tests, older);
	tcase_add_test(tests, asked_of_qemu);
	tcase_add_test(tests, pages_of_a_process);
	tcase_add_test(tests, joins_meanwhile);
	tcase_add_test(tests, wrong_answers);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
