/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_broker_bells.c: a broker tells of each peer how often it was rung: as often as its eventfds
 * say. Where this kernel lets nobody count: that it does not know, and all else goes on.
 */
#include <check.h>

#include "ivshmem/bell_count.h"
#include "ivshmem/log.h"
#include "tests/control_fixture.h"
#include "tests/restart_fixture.h"
#include "tests/suite.h"

#define LEFT 0u
#define RIGHT 1u
#define THIRD 2u
#define WORD(state, incarnation) IST_PEER_WORD(IST_PEER_##state, incarnation)

static struct restart r;
static struct raw left, right;
static bool counts; /* this kernel lets us */

/* As `up` does it. */
static int count_and_serve(struct ivshm_broker *broker, const char *dir, char *error, size_t size)
{
	ivshm_broker_count_bells(broker);
	return ivshm_broker_serve_control(broker, dir, &control_ops, NULL, error, size);
}

static int create(struct ivshm_config *config, const char *dir, char *error, size_t size,
		  struct ivshm_broker **out)
{
	int result = ivshm_broker_create(config, dir, error, size, out);

	return result ? result : count_and_serve(*out, dir, error, size);
}

static int attach(struct ivshm_config *config, const char *dir, char *error, size_t size,
		  struct ivshm_broker **out)
{
	int result = ivshm_broker_attach(config, dir, error, size, out);

	return result ? result : count_and_serve(*out, dir, error, size);
}

static void setup(void)
{
	static char path[] = "no-such-file.yml";

	ivshm_log_level = IVSHM_LOG_ERROR;
	fixture_configure(&r.f);
	r.f.config.path = path;
	restart_two(&r, create, &left, &right);
}

static void teardown(void)
{
	raw_close(&left);
	raw_close(&right);
	restart_end(&r);
}

/* What its doorbells have had since the last look, which only the test takes from them. */
static uint64_t rung(const struct raw *raw)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < FIXTURE_VECTORS; i++)
		all += rings(raw->own[i]);
	return all;
}

static void expect(uint32_t id, bool known, uint64_t doorbells)
{
	struct ivshm_control_row row = control_peer(&r.f, id);

	ck_assert_uint_eq(row.flags & IVSHM_CONTROL_COUNTED,
			  known && counts ? IVSHM_CONTROL_COUNTED : 0);
	ck_assert_uint_eq(row.doorbells, known && counts ? doorbells : 0);
}

/* The broker rings who joins and who is there; peers ring each other. */
START_TEST(by_everybody)
{
	uint64_t l, p;

	ck_assert_uint_eq(control_peer(&r.f, RIGHT).incarnation,
			  1); /* all is done that was asked before */
	l = rung(&left);
	p = rung(&right);
	ck_assert_uint_gt(l, 0);
	ck_assert_uint_gt(p, 0);
	expect(LEFT, true, l);
	expect(RIGHT, true, p);
	for (unsigned i = 0; i < 100; i++)
		must(eventfd_write(left.peer[RIGHT][i % FIXTURE_VECTORS], 1) == 0);
	expect(LEFT, true, l);
	expect(RIGHT, true, p + 100);
	ck_assert_uint_eq(rung(&right), 100);
	expect(THIRD, false, 0);
}
END_TEST

/* The next incarnation begins anew, whatever rings the doorbells of the one before. */
START_TEST(an_incarnation)
{
	int late = dup(left.peer[RIGHT][1]);

	must(eventfd_write(late, 1) == 0);
	raw_send(right.socket, IST_WIRE_BYE, "");
	shutdown(right.socket, SHUT_RDWR);
	raw_await_word(&r.f, &left, RIGHT, WORD(ABSENT, 1));
	raw_close(&right);
	expect(RIGHT, false, 0);
	right = raw_live(&r.f, "right");
	raw_await_word(&r.f, &left, RIGHT, WORD(LIVE, 2));
	must(eventfd_write(late, 1) == 0);
	ck_assert_uint_eq(control_peer(&r.f, RIGHT).incarnation, 2);
	expect(RIGHT, true, rung(&right));
	close(late);
}
END_TEST

/* From when its doorbells are back; one that is not back has brought nobody's. */
START_TEST(a_restart)
{
	rung(&left);
	rung(&right);
	restart_kill(&r);
	must(eventfd_write(left.peer[RIGHT][1], 1) == 0);
	must(restart_begin(&r, attach) == 0);
	expect(RIGHT, false, 0);
	ck_assert_uint_eq(rung(&right), 1); /* nobody has counted that one */
	raw_return(&r.f, &left, "left");
	raw_return(&r.f, &right, "right");
	ck_assert_uint_eq(control_peer(&r.f, RIGHT).incarnation, 1);
	expect(LEFT, true, rung(&left));
	expect(RIGHT, true, rung(&right));
	must(eventfd_write(right.peer[LEFT][2], 1) == 0);
	ck_assert_uint_eq(rung(&left), 1);
}
END_TEST

/* Neither of one that counts, nor of one that this kernel refuses. */
START_TEST(nothing_is_left)
{
	unsigned descriptors = count_descriptors();
	struct ivshm_bell_count *count;
	char error[256] = "";
	int result;

	for (unsigned i = 0; i < 2; i++) {
		result = ivshm_bell_count_create(16, error, sizeof(error), &count);
		ck_assert_int_eq(result == 0, counts);
		if (result == 0)
			ivshm_bell_count_destroy(count);
		else
			ck_assert_str_ne(error, "");
		ck_assert_uint_eq(count_descriptors(), descriptors);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker, doorbells");
	TCase *kept = tcase_create("kept");
	struct ivshm_bell_count *count;
	char error[256];

	counts = ivshm_bell_count_create(1, error, sizeof(error), &count) == 0;
	if (counts)
		ivshm_bell_count_destroy(count);
	else
		printf("# doorbells are not counted: %s\n", error);
	tcase_add_checked_fixture(kept, setup, teardown);
	tcase_add_test(kept, by_everybody);
	tcase_add_test(kept, an_incarnation);
	tcase_add_test(kept, a_restart);
	tcase_add_test(kept, nothing_is_left);
	tcase_set_timeout(kept, 60); /* the test bed's machine is emulated */
	suite_add_tcase(suite, kept);
	return suite_run(suite);
}
