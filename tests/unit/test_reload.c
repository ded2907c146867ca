/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reload.c: going over to another configuration: that it is all or nothing, that there is one
 * at a time, and instances that come and go.
 */
#include <check.h>
#include <sys/stat.h>

#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/reload_texts.h"
#include "tests/suite.h"

static struct fixture f;

#include "tests/reload_group.h"

/* Another one meanwhile, a START, and who asked hangs up: the first goes on. */
START_TEST(second)
{
	struct raw left = raw_live(&f, "left");
	int fd, other;

	write_file((struct text){.shared = SHARED_RO});
	fd = ask_reload(0);
	other = ask_reload(0);
	ck_assert_str_eq(answer(other), "= 16");
	other = control_connect(&f);
	control_ask(other, IVSHM_CONTROL_START, "third");
	ck_assert_str_eq(answer(other), "= 16");
	ck_assert_uint_eq(owner.starts, 0);
	close(fd);
	fixture_settle(&f);
	right_done(left.socket, expect_right(left.socket, SHARED, IST_RIGHT_READ), 0);
	ck_assert_str_eq(answer(ask_reload(0)), "= 0");
	raw_leave(&f, &left);
}
END_TEST

START_TEST(dry_run)
{
	struct raw left = raw_live(&f, "left");

	write_file((struct text){.shared = SHARED_RO, .table = TABLE_RW, .more = EXTRA_TEXT});
	ck_assert_str_eq(answer(ask_reload(IVSHM_CONTROL_DRY)),
			 SHARED_RO_LINE TABLE_RW_LINE EXTRA_LINE "= 0");
	ck_assert_uint_eq(owner.prepared, 0);
	ck_assert(is_quiet(left.socket));
	ck_assert_uint_eq(roster_right(&left, SHARED, 0), IST_RIGHT_WRITE);
	raw_leave(&f, &left);
}
END_TEST

START_TEST(wrong_file)
{
	write_file((struct text){.shared = "size: 1X", .table = "size: 8K, colour: red"});
	ck_assert_str_eq(
		answer(ask_reload(0)),
		line("! %s:8:30: error: 'size': expected a size like 4096, 64M or 2G, found '1X'\n"
		     "! %s:9:33: error: unknown key 'colour'\n= 22",
		     file, file));
	ck_assert_uint_eq(owner.prepared, 0);
	unlink(file);
	ck_assert_str_eq(
		answer(ask_reload(0)),
		line("! %s:1:1: error: cannot read the file: No such file or directory\n= 2",
		     file));
	must(mkfifo(file, 0600) == 0);
	ck_assert_str_eq(answer(ask_reload(0)), line("! %s: not a file\n= 22", file));
}
END_TEST

START_TEST(owner_refuses)
{
	owner.result = -ESHUTDOWN;
	write_file((struct text){.shared = SHARED_RO});
	ck_assert_str_eq(answer(ask_reload(0)), "! all is being ended\n= 108");
	ck_assert_uint_eq(owner.committed, 0);
	owner.result = 0;
	ck_assert_str_eq(answer(ask_reload(0)), SHARED_RO_LINE "= 0");
}
END_TEST

/* What may change when the instance does not run, may not when it does. */
START_TEST(running)
{
	owner.process[0] = (struct ivshm_process){.pid = 77, .pidfd = -1, .since_ns = 1};
	write_file((struct text){.left = "kind: process, command: [y]"});
	ck_assert_str_eq(answer(ask_reload(0)),
			 "! not while it runs: instance 'left': another 'command': 'left' has pid "
			 "77\n= 16");
	owner.process[0] = (struct ivshm_process){.ended = true};
	ck_assert_str_eq(answer(ask_reload(0)), "instance 'left': another 'command'\n= 0");
}
END_TEST

/* The users of a group: the socket opens for them and closes behind them. */
START_TEST(users)
{
	struct stat status;

	write_file((struct text){.more = "    users: [root]\n"});
	ck_assert_str_eq(answer(ask_reload(0)), "group 'ping': other 'users'\n= 0");
	must(stat(f.path, &status) == 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0666);
	write_file((struct text){0});
	ck_assert_str_eq(answer(ask_reload(0)), "group 'ping': other 'users'\n= 0");
	must(stat(f.path, &status) == 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	write_file((struct text){.more = "    users: [nobody-of-that-name]\n"});
	ck_assert_str_eq(answer(ask_reload(0)), "! group 'ping': no user "
						"'nobody-of-that-name'\n= 22");
}
END_TEST

/* ---- Instances ---- */

#define TABLE_OF_LEFT                                                                              \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, access: rw}]"

START_TEST(instance_added_and_removed)
{
	struct raw left = raw_live(&f, "left"), fourth;
	struct ivshm_packet packet;
	int fd;

	/* third, which runs, goes; fourth comes, before all others in the file. */
	owner.process[2] = (struct ivshm_process){.pid = 77, .pidfd = -1, .since_ns = 1};
	write_file((struct text){.table = TABLE_OF_LEFT, .others = FOURTH_TEXT RIGHT_TEXT});
	fd = ask_reload(0);
	ck_assert_uint_eq(owner.stops, 1);
	ck_assert_uint_eq(owner.stopped, 2);
	ck_assert(is_quiet(fd));
	owner.process[2] = (struct ivshm_process){.ended = true};
	ivshm_control_ended(f.broker, 2);
	ck_assert_str_eq(answer(fd), "instance 'fourth' is new\ninstance 'third' is gone\n= 0");
	ck_assert_uint_eq(owner.starts, 1);
	ck_assert_uint_eq(owner.started, 1);
	/* It has the ID that was free; the others have theirs. */
	fourth = live_as("fourth", 2, IST_KIND_PROCESS);
	ck_assert_uint_eq(fourth.id, 2);
	packet = raw_expect(&f, left.socket, IST_WIRE_PEER);
	ck_assert_uint_eq(packet.wire.id, 2);
	ck_assert_str_eq(packet.wire.name, "fourth");
	ivshm_wire_close_fds(&packet);
	raw_leave(&f, &fourth);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "third");
	raw_expect_error(&f, fd, EACCES, "instance 'third' is not in group 'ping'");
	raw_leave(&f, &left);
}
END_TEST

/* An ID in the middle that is nobody's. */
START_TEST(a_hole)
{
	struct raw third;
	int fd;

	write_file((struct text){.others = THIRD_TEXT});
	ck_assert_str_eq(answer(ask_reload(0)), "instance 'right' is gone\n= 0");
	third = raw_live(&f, "third");
	ck_assert_uint_eq(third.id, 2);
	fd = raw_connect(&f);
	raw_send(fd, IST_WIRE_HELLO, "");
	raw_expect_error(&f, fd, EACCES, "instance '' is not in group 'ping'");
	raw_leave(&f, &third);
}
END_TEST

/* One that joined by itself cannot be stopped, so nothing is done. */
START_TEST(not_started_here)
{
	struct raw third = raw_live(&f, "third");

	write_file((struct text){.table = TABLE_OF_LEFT, .others = RIGHT_TEXT});
	ck_assert_str_eq(answer(ask_reload(0)), line("! not while it runs: instance 'third' is "
						     "gone: it was not started here (pid %d)\n"
						     "= 16",
						     getpid()));
	raw_leave(&f, &third);
}
END_TEST

/* STATUS is asked, and not read on, while instances go: it ends where they end. */
START_TEST(status_meanwhile)
{
	unsigned instances = 0, peers = 0;
	int status = control_connect(&f);
	struct ivshm_control m;

	write_file((struct text){.table = TABLE_OF_LEFT, .others = RIGHT_TEXT});
	ck_assert_str_eq(answer(ask_reload(0)), "instance 'third' is gone\n= 0");
	control_ask(status, IVSHM_CONTROL_STATUS, "");
	do {
		must(control_receive(&f, status, &m) == 0);
		instances += m.row.type == IVSHM_CONTROL_INSTANCE;
		peers += m.row.type == IVSHM_CONTROL_PEER;
		if (m.row.type == IVSHM_CONTROL_UP)
			ck_assert_str_eq(m.text, file);
	} while (m.row.type != IVSHM_CONTROL_DONE);
	ck_assert_uint_eq(instances, 2);
	ck_assert_uint_eq(peers, 2);
	close(status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tests = tcase_create("reload");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, reload_start, reload_stop);
	tcase_add_test(tests, second);
	tcase_add_test(tests, dry_run);
	tcase_add_test(tests, wrong_file);
	tcase_add_test(tests, owner_refuses);
	tcase_add_test(tests, running);
	tcase_add_test(tests, users);
	tcase_add_test(tests, instance_added_and_removed);
	tcase_add_test(tests, a_hole);
	tcase_add_test(tests, not_started_here);
	tcase_add_test(tests, status_meanwhile);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
