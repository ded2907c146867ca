/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_host_return.c: libisthmus in processes whose broker is killed and followed by another one:
 * they go on all the while, and come back without anybody's doing more than to wait.
 */
#include <check.h>
#include <stdint.h>

#include "guestlib/platform/host/host.h"
#include "tests/served_group.h"
#include "tests/suite.h"
#include "words.h"

#define ROUNDS 2u

static struct served served;
static struct ist_group *group;
static pid_t right, third;
static int starter;

/* Rings back as long as it is told numbers; 0 ends it. */
static void echo(struct ist_group *mine)
{
	uint32_t rung = 0, word;

	do {
		must(ist_doorbell_wait(mine, 1, &rung, PATIENCE_NS) == 0);
		word = get(flags(mine)); /* as it was for this ring */
		set(flags(mine) + 1, word);
		/* An incarnation that it is not told of yet cannot be rung. */
		while (ist_doorbell_ring(mine, 0, 2))
			ist_peer_wait(mine, "nobody", 10000000, NULL);
	} while (word != 0);
}

/* Forked before there is a thread; joins as third when it is told to. */
static void start_as(void (*also)(struct fixture *))
{
	int pipes[2];
	char what;

	served_start_as(&served, also);
	must(pipe2(pipes, O_CLOEXEC) == 0);
	third = fork();
	must(third >= 0);
	if (third == 0) {
		close(pipes[1]);
		must(read(pipes[0], &what, 1) == 1);
		peer_be("third", echo);
	}
	close(pipes[0]);
	starter = pipes[1];
	right = peer_start("right", echo);
	must(ist_group_open("ping", &group) == 0);
	must(ist_peer_wait(group, "right", PATIENCE_NS, NULL) == 0);
}

static uint32_t seen; /* of vector 2 */

static struct ist_host *host(void)
{
	return group->platform;
}

/* A word to that peer, and back. */
static void say(uint32_t id, uint32_t word)
{
	set(flags(group), word);
	ck_assert_int_eq(ist_doorbell_ring(group, id, 1), 0);
	ck_assert_int_eq(ist_doorbell_wait(group, 2, &seen, PATIENCE_NS), 0);
	ck_assert_uint_eq(get(flags(group) + 1), word);
}

/* A newcomer gets the doorbells of who was there before the broker when that is back. */
static void await_bells(uint32_t id)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;

	while (ist_doorbell_ring(group, id, 0) == -EPIPE) {
		ck_assert_uint_lt(ist_time_ns(), deadline);
		ist_peer_wait(group, "nobody", 10000000, NULL);
	}
}

static void await_back(void)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;

	/* Waiting is all that it takes: for a peer that never comes. */
	while (ist_load32(&host()->peers.gone)) {
		ck_assert_uint_lt(ist_time_ns(), deadline);
		ist_peer_wait(group, "nobody", 10000000, NULL);
	}
}

START_TEST(processes_go_on_and_come_back)
{
	struct ist_peer_info self;
	unsigned fds;

	start_as(NULL);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		say(1, 2 * round);
		fds = count_descriptors();
		served_murder(&served);
		say(1, 2 * round + 1);
		ck_assert_int_eq(ist_peer_wait(group, "nobody", 60000000, NULL), -ETIMEDOUT);
		served_fork(&served, true);
		say(1, 100 + round);
		await_back();
		ck_assert_uint_eq(count_descriptors(), fds);
	}
	/* A newcomer is heard of, and hears of both. */
	must(write(starter, "", 1) == 1);
	ck_assert_int_eq(ist_peer_wait(group, "third", PATIENCE_NS, NULL), 0);
	say(2, 7);
	ck_assert_int_eq(ist_peer_get(group, 0, &self), 0);
	ck_assert_uint_eq(self.incarnation, 1);
	ck_assert_int_eq(ist_peer_get(group, 1, &self), 0);
	ck_assert_uint_eq(self.incarnation, 1);
	/* An end is heard of, too. */
	peer_kill(third);
	while (ist_peer_get(group, 2, &self) == 0 && self.state != IST_PEER_DEAD)
		ist_peer_wait(group, "nobody", 10000000, NULL);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), -EPIPE);
	say(1, 0);
	peer_join(right);
	ist_group_close(group);
	served_stop(&served);
}
END_TEST

/* A pager is a thread, which waits: its process has to do nothing at all. */
START_TEST(a_pager_comes_back)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;

	start_as(served_paged);
	say(1, 1);
	served_murder(&served);
	say(1, 2); /* pages go to and fro without a broker */
	served_fork(&served, true);
	while (ist_load32(&host()->peers.gone)) {
		ck_assert_uint_lt(ist_time_ns(), deadline);
		ist_sleep_ns(1000000);
	}
	must(write(starter, "", 1) == 1);
	ck_assert_int_eq(ist_peer_wait(group, "third", PATIENCE_NS, NULL), 0);
	say(2, 3);
	say(1, 0);
	peer_join(right);
	set(flags(group), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 2, 1), 0);
	peer_join(third);
	ist_group_close(group);
	served_stop(&served);
}
END_TEST

/* It ends while no broker is there, which its successor is told by the next join. */
START_TEST(who_closes_without_a_broker_may_open_again)
{
	struct ist_peer_info self;

	start_as(NULL);
	say(1, 1);
	served_murder(&served);
	ist_group_close(group);
	served_fork(&served, true);
	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	seen = 0;
	ck_assert_int_eq(ist_peer_get(group, 0, &self), 0);
	ck_assert_uint_eq(self.incarnation, 2);
	ck_assert_int_eq(ist_peer_wait(group, "right", PATIENCE_NS, NULL), 0);
	await_bells(1);
	say(1, 0);
	peer_join(right);
	peer_kill(third);
	ist_group_close(group);
	served_stop(&served);
}
END_TEST

/* A broker that began anew has nobody's place: there is no coming back, and no waiting for it. */
START_TEST(another_group_of_that_name)
{
	uint64_t deadline = ist_time_ns() + PATIENCE_NS;
	char path[sizeof(served.fixture.dir) + 16];

	start_as(NULL);
	say(1, 1);
	served_murder(&served);
	snprintf(path, sizeof(path), "%s/ping.state", served.fixture.dir);
	must(unlink(path) == 0);
	served_fork(&served, true);
	while (ist_load32(&host()->peers.gone) != IST_HOST_GONE_OVER) {
		ck_assert_uint_lt(ist_time_ns(), deadline);
		ist_peer_wait(group, "nobody", 10000000, NULL);
	}
	say(1, 0);
	peer_join(right);
	peer_kill(third);
	ist_group_close(group);
	served_stop(&served);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_return");
	TCase *tests = tcase_create("return");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, processes_go_on_and_come_back);
	tcase_add_test(tests, a_pager_comes_back);
	tcase_add_test(tests, who_closes_without_a_broker_may_open_again);
	tcase_add_test(tests, another_group_of_that_name);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
