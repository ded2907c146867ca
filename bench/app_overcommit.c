/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_overcommit.c: what the run-state page is worth where there are more busy instances than
 * processors (bench/overcommit.py).
 *
 *   overcommit ping|pong|crowd instances=N seconds=N work=NS [hold=NS]
 *
 * All instances are in two groups that differ in nothing but that one has a run-state page, and go
 * from one to the other and back every quarter of a second by the host's clock, all at the same
 * time. Each prints what it has done in each two neighbouring quarters.
 */
#include "overcommit.h"
#include "script.h"

int main(int argc, char **argv);

#define PATIENCE_NS 20000000000ull
#define TRIALS 500u

static void steps_of_work(uint64_t count)
{
	uint64_t x = count;

	for (; count; count--)
		__asm__ volatile("imul $3, %0, %0" : "+r"(x));
}

void contest_work(const struct contest *c, uint64_t ns)
{
	steps_of_work(ns * 1000 / c->ns_per_kilo);
}

/* How long a thousand steps take, by the quickest: in others something came between. */
static uint64_t ns_per_kilo(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < TRIALS; i++) {
		uint64_t ns = ist_time_ns();

		steps_of_work(10000);
		ns = (ist_time_ns() - ns) / 10;
		least = ns && ns < least ? ns : least;
	}
	return least;
}

/* Until the page says something of everybody. */
static int wait_for_all(struct ist_group *group, unsigned instances)
{
	uint64_t until = ist_time_ns() + PATIENCE_NS;

	for (unsigned i = 0; i < instances; i++)
		while (ist_peer_running(group, i) < 0) {
			if (ist_time_ns() > until)
				return -ENODATA;
			ist_sleep_ns(1000000);
		}
	return 0;
}

static int play(struct contest *c, int argc, char **argv)
{
	static const char *const names[GROUPS] = {"blind", "page"};
	uint64_t round_ns = GROUPS * QUARTER_NS,
		 seconds = number(argument(argc, argv, "seconds="), 6);
	int error = 0;

	if (argc < 2 || seconds * 1000000000ull > QUARTERS_MAX * QUARTER_NS)
		return -EINVAL;
	c->work_ns = number(argument(argc, argv, "work="), 0);
	c->hold_ns = number(argument(argc, argv, "hold="), 0);
	c->ns_per_kilo = ns_per_kilo();
	for (unsigned i = 0; i < GROUPS && !error; i++)
		error = ist_group_open(names[i], &c->group[i]);
	if (!error)
		error = wait_for_all(c->group[1], number(argument(argc, argv, "instances="), 1));
	if (error)
		return error;
	c->start = (ist_time_ns() / round_ns + 2) * round_ns;
	c->end = c->start + seconds * 1000000000ull / round_ns * round_ns;
	return argv[1][0] == 'c'   ? contest_crowd(c)
	       : argv[1][1] == 'o' ? contest_pong(c)
				   : contest_ping(c);
}

int main(int argc, char **argv)
{
	static struct contest c;
	int error = play(&c, argc, argv);

	if (error)
		ist_print("overcommit: error %d\n", error);
	/* By the host's clock: what others have done at the same time goes by the same number. */
	for (uint64_t i = 0; c.start + i * QUARTER_NS < c.end && !error; i += GROUPS)
		ist_print("quarters at=%u blind=%u page=%u\n", (uint32_t)(c.start / QUARTER_NS + i),
			  c.done[i], c.done[i + 1]);
	return error != 0;
}
