/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client.c: the client against a broker that plays its script to the end, or stops. */
#include <check.h>

#include "tests/client_script.h"
#include "tests/suite.h"

START_TEST(joins)
{
	struct ivshm_client *c = &t.state.client;

	setup();
	ck_assert_int_eq(run(), 0);
	ck_assert_str_eq(t.state.heard, " +1.7 +3.2");
	ck_assert_uint_eq(c->id, 1);
	ck_assert_uint_eq(c->incarnation, 7);
	ck_assert_uint_eq(c->vectors, 2);
	ck_assert_uint_eq(c->max_peers, 4);
	ck_assert_uint_eq(c->size, 0x20000);
	ck_assert_uint_eq(c->output_offset, 0x10000);
	ck_assert_uint_eq(c->output_size, 0x1000);
	ck_assert_str_eq(c->group, "ping");
	ck_assert_uint_eq(c->regions, 2);
	ck_assert_str_eq(c->region[1].name, "table");
	ck_assert_uint_eq(c->region[1].offset, 0x6000);
	ck_assert_uint_eq(c->region[1].size, 0xa000);
	ck_assert_uint_eq(c->region[1].right, IST_RIGHT_READ);
	ck_assert_uint_eq(c->region[1].coherence, IST_COHERENCE_INCOHERENT);
	ck_assert_int_eq(fcntl(c->memory, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ivshm_client_dispatch(c), 0);
	ck_assert_int_eq(ivshm_client_ready(c), 0);
	ivshm_client_leave(c);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(57);
}
END_TEST

START_TEST(refused)
{
	setup();
	ivshm_wire_close_fds(&t.script[0]);
	t.script[0] = (struct ivshm_packet){.wire = {.type = IST_WIRE_ERROR,
						     .code = EBUSY,
						     .text = "instance 'right' is busy"}};
	t.steps = 1;
	expect_failure(-EBUSY, "instance 'right' is busy");
	setup();
	ivshm_wire_close_fds(&t.script[3]);
	t.script[3] = (struct ivshm_packet){
		.wire = {.type = IST_WIRE_ERROR, .code = 0x80000000, .text = "worse"}};
	t.steps = 4;
	expect_failure(-EPROTO, "worse");
}
END_TEST

START_TEST(no_broker)
{
	struct ivshm_client c;
	char error[256], path[200];

	ck_assert_int_eq(ivshm_client_join(&c, "/nonexistent/ping.sock", "right", 0, &ops, NULL,
					   error, sizeof(error)),
			 -ENOENT);
	ck_assert_str_eq(error, "/nonexistent/ping.sock: no broker serves this group");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(ivshm_client_join(&c, path, "right", 0, &ops, NULL, error, sizeof(error)),
			 -ENAMETOOLONG);
	path[32] = '\0';
	ck_assert_int_eq(ivshm_client_join(&c, "/x", path, 0, &ops, NULL, error, sizeof(error)),
			 -EINVAL);
}
END_TEST

/* The broker goes silent in the middle of the script: peers told of are taken back. */
START_TEST(silence)
{
	setup();
	t.steps = READY;
	play();
	ck_assert_int_eq(ivshm_client_join(&t.state.client, t.path, "right", IST_KIND_LINUX, &ops,
					   &t.state, t.state.error, sizeof(t.state.error)),
			 -ETIMEDOUT);
	ck_assert_str_eq(t.state.heard, " +1.7 +3.2 -1.7/0 -3.2/0");
	teardown(0);
}
END_TEST

/* After joining: what may come, what may not, and the end. */
START_TEST(updates)
{
	static const struct {
		uint32_t type, id, incarnation, state;
		int result;
		const char *heard;
	} later[] = {
		{IST_WIRE_GONE, 3, 2, IST_PEER_DEAD, 0, " -3.2/4"},
		{IST_WIRE_GONE, 3, 2, IST_PEER_ABSENT, 0, " -3.2/0"},
		{IST_WIRE_GONE, 3, 2, IST_PEER_LIVE, -EPROTO, ""},
		{IST_WIRE_GONE, 3, 1, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 2, 0, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 1, 7, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_GONE, 0xffffffff, 1, IST_PEER_DEAD, -EPROTO, ""},
		{IST_WIRE_PEER, 2, 1, 0, 0, " +2.1"},
		{IST_WIRE_PEER, 3, 3, 0, -EPROTO, ""},
		{IST_WIRE_PEER, 64, 3, 0, -EPROTO, ""},
		{IST_WIRE_WELCOME, 0, 1, 0, -EPROTO, ""},
		{IST_WIRE_REGION, 2, 1, 0, -EPROTO, ""},
		{IST_WIRE_READY, 0, 0, 0, -EPROTO, ""},
		{IST_WIRE_ERROR, 0, 0, 0, -EPROTO, ""},
		{0x10000, 0, 0, 0, -EPROTO, ""},
	};

	for (unsigned i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		struct ivshm_client *c = &t.state.client;
		struct ivshm_packet *p = &t.script[STEPS];
		struct pollfd wait;

		setup();
		if (later[i].type == IST_WIRE_PEER)
			script_peer(p, later[i].id, later[i].incarnation);
		p->wire.type = later[i].type;
		p->wire.id = later[i].id;
		p->wire.incarnation = later[i].incarnation;
		p->wire.state = later[i].state;
		t.steps = STEPS + 1;
		ck_assert_int_eq(run(), 0);
		t.state.heard[0] = '\0';
		wait = (struct pollfd){.fd = c->socket, .events = POLLIN};
		ck_assert_int_eq(poll(&wait, 1, FIXTURE_PATIENCE_MS), 1);
		ck_assert_int_eq(ivshm_client_dispatch(c), later[i].result);
		ck_assert_str_eq(t.state.heard, later[i].heard);
		ivshm_client_leave(c);
		for (uint32_t id = 0; id < 4; id++) {
			for (unsigned v = 0; v < 2 && c->present[id]; v++)
				close(t.state.doorbell[id][v]);
		}
		teardown(7);
	}
}
END_TEST

START_TEST(run_state)
{
	struct ivshm_client *c = &t.state.client;

	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(fcntl(c->run_state, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ivshm_client_thread(c, 12, 1), 0);
	ck_assert_int_eq(ivshm_client_ready(c), 0);
	ivshm_client_leave(c);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown((10 * 100 + 57) & 255); /* THREAD, READY, BYE */
}
END_TEST

START_TEST(no_run_state)
{
	setup();
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(t.state.client.run_state, -1);
	ck_assert_int_eq(ivshm_client_thread(&t.state.client, 12, 1), 0);
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7); /* BYE: no THREAD */
}
END_TEST

START_TEST(broker_gone)
{
	struct pollfd wait;

	setup();
	ck_assert_int_eq(run(), 0);
	must(kill(t.pid, SIGKILL) == 0);
	wait = (struct pollfd){.fd = t.state.client.socket, .events = POLLIN};
	ck_assert_int_eq(poll(&wait, 1, FIXTURE_PATIENCE_MS), 1);
	ck_assert_int_eq(ivshm_client_dispatch(&t.state.client), -EPIPE);
	ck_assert_int_eq(ivshm_client_ready(&t.state.client), -EPIPE); /* and no SIGPIPE */
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tcase = tcase_create("client");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, joins);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, no_broker);
	tcase_add_test(tcase, silence);
	tcase_add_test(tcase, updates);
	tcase_add_test(tcase, run_state);
	tcase_add_test(tcase, no_run_state);
	tcase_add_test(tcase, broker_gone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
