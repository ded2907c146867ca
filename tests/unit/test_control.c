/* SPDX-License-Identifier: BSD-2-Clause */
/* test_control.c: what is answered at the control socket, of what there is and to what is asked. */
#include <check.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "ivshmem/log.h"
#include "tests/process_peer.h"
#include "tests/suite.h"

#include "tests/control_group.h"

START_TEST(a_status)
{
	struct raw left = raw_live(&f, "left");
	struct ivshm_control m;
	int fd = control_connect(&f);

	owner.process[1] = (struct ivshm_process){
		.ended = true, .status = 3 << 8, .since_ns = ivshm_clock_ns()};
	control_ask(fd, IVSHM_CONTROL_STATUS, "");
	expect(fd, IVSHM_CONTROL_UP, &m);
	ck_assert_int_eq(m.row.pid, getpid());
	ck_assert_str_eq(m.text, "no-such-file.yml");
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const names[] = {"left", "right", "third"};

		expect(fd, IVSHM_CONTROL_INSTANCE, &m);
		ck_assert_uint_eq(m.row.index, i);
		ck_assert_str_eq(m.row.name, names[i]);
		ck_assert_int_eq(m.row.pid, 0);
		ck_assert_uint_eq(m.row.process,
				  i == 1 ? IVSHM_CONTROL_ENDED : IVSHM_CONTROL_NEVER);
		ck_assert_int_eq(m.row.code, i == 1 ? 3 << 8 : 0);
	}
	expect(fd, IVSHM_CONTROL_GROUP, &m);
	ck_assert_str_eq(m.row.name, "ping");
	ck_assert_uint_eq(m.row.size, 0x20000);
	ck_assert_uint_eq(m.row.page_size, 4096);
	ck_assert_uint_eq(m.row.count, 4);
	ck_assert_uint_eq(m.row.vectors, 3);
	ck_assert_uint_eq(m.row.flags, 0);
	expect(fd, IVSHM_CONTROL_REGION, &m);
	ck_assert_str_eq(m.row.name, "shared");
	ck_assert_uint_eq(m.row.offset, 0x5000);
	expect(fd, IVSHM_CONTROL_REGION, &m);
	ck_assert_str_eq(m.row.name, "table");
	ck_assert_uint_eq(m.row.size, 0x2000);
	ck_assert_uint_eq(m.row.coherence, IST_COHERENCE_INCOHERENT);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_str_eq(m.row.name, "left");
	ck_assert_uint_eq(m.row.state, IST_PEER_LIVE);
	ck_assert_uint_eq(m.row.incarnation, 1);
	ck_assert_int_eq(m.row.pid, getpid());
	/* The fixture's HELLO has kind 0, an app VM's. */
	ck_assert_uint_eq(m.row.flags, IVSHM_CONTROL_JOINED | IVSHM_CONTROL_ENFORCED);
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE | IST_RIGHT_WRITE << 2);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_uint_eq(m.row.flags, 0);
	ck_assert_uint_eq(m.row.incarnation, 0);
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE | IST_RIGHT_READ << 2);
	expect(fd, IVSHM_CONTROL_PEER, &m);
	ck_assert_str_eq(m.row.name, "third");
	ck_assert_uint_eq(m.row.rights, IST_RIGHT_WRITE);
	expect_done(fd);
	raw_leave(&f, &left);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_ABSENT);
	ck_assert_uint_eq(control_peer(&f, 0).incarnation, 1);
}
END_TEST

/* Each state that a peer goes through is told, with what belongs to it. */
START_TEST(states)
{
	struct raw left = raw_join(&f, "left");

	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_JOINING);
	raw_send(left.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_LIVE);
	raw_send(left.socket, IST_WIRE_BYE, "");
	fixture_settle(&f);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_LEAVING);
	raw_close(&left);
	fixture_settle(&f);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_ABSENT);
	ck_assert_int_eq(control_peer(&f, 0).pid, 0);
	ck_assert_uint_eq(control_peer(&f, 0).flags, 0);
}
END_TEST

/* The kernel takes a moment to stop what it was told to. */
static void await_flag(uint32_t id, uint32_t flag, bool set)
{
	for (unsigned i = 0; i < 2000 && !(control_peer(&f, id).flags & flag) == set; i++)
		usleep(10000);
	ck_assert_int_eq(!!(control_peer(&f, id).flags & flag), set);
}

START_TEST(stalled)
{
	struct process left;

	fixture_configure(&f);
	f.config.path = f.dir;
	left = process_start(&f);
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(control_serve(&f), 0);
	process_ask(&f, &left, "join left");
	process_ask(&f, &left, "ready");
	ck_assert_uint_eq(control_peer(&f, 0).flags & IVSHM_CONTROL_STALLED, 0); /* it sleeps */

	must(kill(left.pid, SIGSTOP) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_LIVE);
	must(kill(left.pid, SIGCONT) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, false);
	ck_assert_str_eq(process_ask(&f, &left, "count 1"), "0"); /* it goes on as before */

	must(ptrace(PTRACE_SEIZE, left.pid, NULL, NULL) == 0);
	ck_assert_uint_eq(control_peer(&f, 0).flags & IVSHM_CONTROL_STALLED, 0);
	must(ptrace(PTRACE_INTERRUPT, left.pid, NULL, NULL) == 0);
	must(waitpid(left.pid, NULL, 0) == left.pid);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	must(ptrace(PTRACE_DETACH, left.pid, NULL, NULL) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, false);

	must(kill(left.pid, SIGSTOP) == 0);
	await_flag(0, IVSHM_CONTROL_STALLED, true);
	process_kill(&left); /* a stalled one that dies is dead */
	fixture_settle(&f);
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_DEAD);
	ck_assert_uint_eq(control_peer(&f, 0).flags, 0);
	fixture_stop(&f);
}
END_TEST

START_TEST(requests)
{
	struct ivshm_control m;
	int fd = control_connect(&f), other;

	control_ask(fd, IVSHM_CONTROL_START, "left");
	expect_done(fd);
	ck_assert_uint_eq(owner.starts, 1);

	owner.result = -ENOENT;
	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_START, "left");
	expect_error(fd, ENOENT, "instance 'left' could not start: No such file or directory");
	owner.result = -ESHUTDOWN;
	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_START, "left");
	expect_error(fd, ESHUTDOWN, "all is being ended");

	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_STOP, "left");
	expect_error(fd, ESRCH, "instance 'left' does not run");
	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_STOP, "nobody");
	expect_error(fd, ENOENT, "no instance 'nobody'");
	ck_assert_uint_eq(owner.stops, 0);

	/* Two wait for one end, and one for another's. */
	owner.result = 0;
	owner.process[0].pid = owner.process[1].pid = getpid();
	owner.process[0].pidfd = owner.process[1].pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	fd = control_connect(&f);
	other = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_STOP, "left");
	control_ask(other, IVSHM_CONTROL_STOP, "right");
	fixture_settle(&f);
	ck_assert_uint_eq(owner.stops, 2);
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EAGAIN);
	ivshm_control_ended(f.broker, 0);
	expect_done(fd);
	ck_assert_int_eq(ivshm_control_receive(other, &m, MSG_DONTWAIT), -EAGAIN);
	close(other); /* has had enough */
	fixture_settle(&f);
	ivshm_control_ended(f.broker, 1);
	close(owner.process[0].pidfd);

	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_DOWN, "");
	other = control_connect(&f);
	control_ask(other, IVSHM_CONTROL_DOWN, "");
	fixture_settle(&f);
	ck_assert_uint_eq(owner.downs, 2);
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EAGAIN);
	control_stop();
	ck_assert_int_eq(ivshm_control_receive(fd, &m, MSG_DONTWAIT), -EPIPE);
	ck_assert_int_eq(ivshm_control_receive(other, &m, MSG_DONTWAIT), -EPIPE);
	close(fd);
	close(other);
	control_start();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *plain = tcase_create("control");
	TCase *own = tcase_create("own");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(plain, control_start, control_stop);
	tcase_add_test(plain, a_status);
	tcase_add_test(plain, states);
	tcase_add_test(plain, requests);
	suite_add_tcase(suite, plain);
	tcase_add_test(own, stalled);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
