/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_channel_kill.c: death at every instruction.
 *
 * A child does one operation on a channel, and is stopped at each instruction that stores to the
 * shared memory (stops.h). Ahead of each, and at the end, the memory is saved: the states a death
 * can leave behind, all of them. In each, the survivor must get what was committed, whole and once,
 * learn of the death, and go on with the next incarnation.
 *
 * All of it three times: the whole peer dies; a client of a peer dies, a process in a Linux guest,
 * and the roster says nothing; the same, and the survivor is a process in that guest, too.
 */
#include <stdio.h>

#include "steps.h"
#include "tests/suite.h"

#define REGION 65536u
#define SECOND 1000000000ull

struct scene {
	const char *name;
	void (*prepare)(void);
	void (*operate)(void); /* in the child that dies */
	int (*survive)(void);  /* 0, or the line that failed */
	uint32_t victim;
};

enum death { OF_A_PEER, OF_A_CLIENT, OF_A_NEIGHBOUR, DEATHS };
static enum death death;
static uint32_t clients;

static struct ist_group *alice, *bob;
static struct ist_channel *s, *r;
static const struct ist_channel_options options = {"main", 8, IST_CHANNEL_POLL, 1024};
static unsigned committed; /* messages before the operation */

/* Peer 0 is Alice's. Bob is one of his own, or a neighbour of hers. */
static struct ist_group *join(uint32_t id)
{
	uint32_t peer = death == OF_A_NEIGHBOUR ? 0 : id;

	if (death == OF_A_PEER)
		return mem_join(id);
	return mem_join_client(peer, ++clients);
}

static void start(void)
{
	s = r = NULL;
	clients = 0;
	mem_create(REGION);
	mem_forget(mem_join(0));
	mem_forget(mem_join(1));
	alice = join(0);
	bob = join(1);
}

static void die(uint32_t id)
{
	if (death == OF_A_PEER)
		mem_die(id);
	else
		mem_die_client(id ? bob : alice);
}

static size_t size_of(unsigned number)
{
	static const size_t sizes[] = {8, 300, 0, 56, 1000, 57, 20, 600};

	return sizes[number % 8];
}

static void fill(uint8_t *data, unsigned number)
{
	size_t i;

	for (i = 0; i < size_of(number); i++)
		data[i] = (uint8_t)(number * 31 + i);
}

static int send_message(unsigned number)
{
	uint8_t data[1024];

	fill(data, number);
	return ist_channel_try_send(s, data, size_of(number));
}

/* The number of the next message when it is whole, or an error; -1000: it is none that was sent. */
static int recv_message(unsigned first, unsigned last)
{
	uint8_t data[1024], wanted[1024];
	int64_t n = ist_channel_try_recv(r, data, sizeof(data));
	unsigned number;

	if (n < 0)
		return (int)n;
	for (number = first; number <= last; number++) {
		fill(wanted, number);
		if ((size_t)n == size_of(number) && memcmp(data, wanted, (size_t)n) == 0)
			return (int)number;
	}
	return -1000;
}

static int open_sender(void)
{
	return ist_channel_open(alice, "c", IST_SENDER, &options, &s);
}

static int open_receiver(void)
{
	return ist_channel_open(bob, "c", IST_RECEIVER, &options, &r);
}

static void prepare_both(void)
{
	ck_assert_int_eq(open_sender(), 0);
	ck_assert_int_eq(open_receiver(), 0);
	/* Not at the start of lines and ring: two laps on. */
	for (committed = 0; committed < 18; committed++) {
		ck_assert_int_eq(send_message(committed), 0);
		ck_assert_int_eq(recv_message(committed, committed), (int)committed);
	}
	ck_assert_int_eq(recv_message(0, 0), -EAGAIN);
}

static void prepare_pending(void)
{
	prepare_both();
	ck_assert_int_eq(send_message(committed++), 0);
	ck_assert_int_eq(send_message(committed++), 0);
}

static void prepare_short_next(void)
{
	prepare_both();
	ck_assert_int_eq(send_message(committed++), 0); /* 19: 56 bytes */
}

static void prepare_long_next(void)
{
	prepare_pending(); /* 20: 1000 bytes do not fit behind what is pending: make room */
	ck_assert_int_eq(recv_message(18, 18), 18);
	ck_assert_int_eq(recv_message(19, 19), 19);
	ck_assert_int_eq(recv_message(0, 0), -EAGAIN);
}

static void prepare_many(void)
{
	unsigned i;

	prepare_both();
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(send_message(committed++), 0);
}

static void prepare_dead_sender(void)
{
	prepare_pending();
	die(0);
	alice = join(0);
}

static void prepare_dead_receiver(void)
{
	prepare_pending();
	die(1);
	bob = join(1);
}

static void prepare_nothing(void)
{
	committed = 0;
}

static void do_send(void)
{
	send_message(committed);
}

static void do_close_sender(void)
{
	ist_channel_close(s);
}

static void do_close_receiver(void)
{
	ist_channel_close(r);
}

static void do_open_sender(void)
{
	open_sender();
}

static void do_open_receiver(void)
{
	open_receiver();
}

static void do_recv_all(void)
{
	while (recv_message(0, 0) != -EAGAIN)
		;
}

static int gone(int result)
{
	return result == -EOWNERDEAD || result == -EPIPE;
}

/* Bob survives Alice. */
static int survive_sender(void)
{
	unsigned next, number;
	int n;

	die(0);
	for (next = committed;; next++) {
		n = recv_message(committed >= 3 ? committed - 3 : 0, committed);
		if (n < 0)
			break;
		if (next == committed)
			next = (unsigned)n;
		must((unsigned)n == next);
	}
	must(gone(n));
	must(recv_message(0, 0) == n);
	alice = join(0);
	must(open_sender() == 0);
	must(ist_channel_wait_peer(r, SECOND) == 0);
	for (number = 100; number < 120; number++) {
		must(send_message(number) == 0);
		must(recv_message(number, number) == (int)number);
	}
	must(recv_message(0, 0) == -EAGAIN);
	return 0;
}

/* The same, and every message sent before was received: what is pending comes to the last one. */
static int survive_send(void)
{
	unsigned next = 0;
	int n, count = 0;

	die(0);
	while ((n = recv_message(committed - 2, committed)) >= 0) {
		must(!count++ || (unsigned)n == next);
		next = (unsigned)n + 1;
	}
	must(count ? next == committed || next == committed + 1 : 1);
	must(n == -EOWNERDEAD);
	committed = 0;
	return survive_sender();
}

/* Alice survives Bob: the next Bob gets all that he had not taken, from where he was or earlier. */
static int survive_receiver(void)
{
	unsigned next = 0, number, first = committed > 8 ? committed - 8 : 0;
	int n, count = 0;

	die(1);
	n = ist_channel_try_send(s, "x", 1);
	must(gone(n));
	bob = join(1);
	must(open_receiver() == 0);
	must(ist_channel_wait_peer(s, SECOND) == 0);
	while ((n = recv_message(first, committed)) >= 0) {
		must(!count++ || (unsigned)n == next);
		next = (unsigned)n + 1;
	}
	must(n == -EAGAIN);
	must(!count || next == committed);
	for (number = 100; number < 120; number++) {
		must(send_message(number) == 0);
		must(recv_message(number, number) == (int)number);
	}
	return 0;
}

/* Alice died while she made the channel or attached: the next ones can. */
static int survive_open_sender(void)
{
	unsigned number;

	die(0);
	alice = join(0);
	must(open_sender() == 0);
	if (!r)
		must(open_receiver() == 0);
	for (number = committed >= 2 ? committed - 2 : 0; number < committed; number++)
		must(recv_message(number, number) == (int)number);
	/* Of one or two ends he is told once each at the most. */
	for (number = 0; number < 3 && gone(recv_message(0, 0)); number++)
		;
	must(ist_channel_wait_peer(r, SECOND) == 0);
	for (number = 100; number < 120; number++) {
		must(send_message(number) == 0);
		must(recv_message(number, number) == (int)number);
	}
	return 0;
}

static const struct scene scenes[] = {
	{"send, short", prepare_short_next, do_send, survive_send, 0},
	{"send, long", prepare_long_next, do_send, survive_send, 0},
	{"close the sender", prepare_pending, do_close_sender, survive_sender, 0},
	{"receive", prepare_many, do_recv_all, survive_receiver, 1},
	{"close the receiver", prepare_pending, do_close_receiver, survive_receiver, 1},
	{"make the channel", prepare_nothing, do_open_sender, survive_open_sender, 0},
	{"attach a second sender", prepare_dead_sender, do_open_sender, survive_open_sender, 0},
	{"attach a second receiver", prepare_dead_receiver, do_open_receiver, survive_receiver, 1},
};

static uint64_t group_size(void)
{
	return IST_REGIONS_OFFSET + REGION;
}

START_TEST(death_at_every_instruction)
{
	const struct scene *scene = &scenes[_i / DEATHS];
	static uint8_t *states[STEPS_MAX];
	unsigned i, count;

	death = (enum death)(_i % DEATHS);
	start();
	scene->prepare();
	count = steps_collect(scene->operate, group_size(), states);
	ck_assert_uint_gt(count, 2); /* or nothing was done */
	for (i = 0; i < count; i++) {
		int status;
		pid_t child;

		memcpy(mem_base(), states[i], group_size());
		child = fork();
		if (child == 0) {
			int line = scene->survive();

			if (line)
				fprintf(stderr, "%s: death %d: state %u of %u: line %d\n",
					scene->name, death, i, count, line);
			_exit(line != 0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: state %u of %u",
			      scene->name, i, count);
		free(states[i]);
	}
	mem_destroy();
}
END_TEST

/*
 * The other way round: a receiver that finds nothing is stopped at each of its looks, and the
 * sender commits a message and dies. The message comes first, the news of the death after it. Each
 * time in a copy of the receiver, which goes on from there: the receiver itself sees nothing of it.
 */
static struct {
	unsigned looks; /* so far */
	int is_copy;
} receiver;

static int recv_and_learn(int n)
{
	while (n == -EAGAIN)
		n = recv_message(committed, committed);
	must(n == (int)committed);
	while ((n = recv_message(0, 0)) == -EAGAIN)
		;
	must(n == -EOWNERDEAD);
	return 0;
}

static void send_and_die(void)
{
	static uint8_t before[IST_REGIONS_OFFSET + REGION];
	int status;
	pid_t copy;

	memcpy(before, mem_base(), sizeof(before));
	copy = fork();
	ck_assert_int_ge(copy, 0);
	if (copy == 0) {
		stops_end();
		receiver.is_copy = 1;
		if (send_message(committed))
			_exit(2);
		die(0);
		return;
	}
	ck_assert_int_eq(waitpid(copy, &status, 0), copy);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ahead of look %u: status %d",
		      receiver.looks, status);
	memcpy(mem_base(), before, sizeof(before));
	receiver.looks++;
}

START_TEST(commit_and_death_between_any_two_looks)
{
	int n;

	death = (enum death)_i;
	start();
	prepare_both();
	stops_begin(mem_base(), group_size(), STOPS_ACCESSES, send_and_die);
	n = recv_message(committed, committed);
	stops_end();
	if (receiver.is_copy)
		_exit(recv_and_learn(n) != 0);
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_uint_gt(receiver.looks, 2);
	mem_destroy();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("channel_kill");
	TCase *test = tcase_create("steps");

#ifdef __SANITIZE_THREAD__
	printf("TSan does not live with a process that is stopped at its accesses\n");
	return 77;
#endif
	tcase_add_loop_test(test, death_at_every_instruction, 0,
			    (int)(DEATHS * sizeof(scenes) / sizeof(scenes[0])));
	tcase_add_loop_test(test, commit_and_death_between_any_two_looks, 0, DEATHS);
	tcase_set_timeout(test, 240);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
