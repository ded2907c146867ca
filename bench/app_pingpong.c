/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_pingpong.c: two instances, one group, messages to and fro: what does one cost?
 *
 *   pingpong ping|pong [rounds=N] [seconds=N] [cases=NAME,NAME...]
 *
 * Both are given the same list (none: what the demo shows) and go through it in step. Every case is
 * run between two bare ping-pongs (the brackets), so that the reader can tell in which placement of
 * the two processors it ran. `ping` measures and prints one "run" line a run; bench/run.py reads
 * them.
 */
#include "pingpong.h"

int main(int argc, char **argv);

#define LINK(name, flags, lines, bytes)                                                            \
	{                                                                                          \
		{name "-there", name "-back"}, flags, lines, bytes, NULL, NULL                     \
	}
static struct link polling = LINK("poll", IST_CHANNEL_POLL, 0, 0);
static struct link adaptive = LINK("adaptive", 0, 0, 0);
static struct link stream = LINK("stream", IST_CHANNEL_POLL, 1024, 0);
static struct link bulk = LINK("bulk", IST_CHANNEL_POLL, 0, POOL_SIZE);
static struct link *const links[] = {&polling, &adaptive, &stream, &bulk};

/* ---- In step --------------------------------------------------------------------------------- */

int barrier(struct bench *b)
{
	return step(&b->steps);
}

static int bracket(struct bench *b)
{
	int error = barrier(b);

	if (error == 0)
		b->bracket = bracket_between(b->raw->bare, b->me);
	return error;
}

/* ---- The script ------------------------------------------------------------------------------ */

#define TRIPS                                                                                      \
	{                                                                                          \
		2000, 300, 10000                                                                   \
	}

static const struct test tests[] = {
	{"rtt-8-poll", "ns", rtt_place_8, &polling, TRIPS, 8},
	{"rtt-56-poll", "ns", rtt_place_56, &polling, TRIPS, 56},
	{"rtt-256-poll", "ns", rtt_place_256, &polling, TRIPS, 256},
	{"rtt-4096-poll", "ns", rtt_place_4096, &polling, TRIPS, 4096},
	{"rtt-8-adaptive", "ns", rtt_place_8, &adaptive, TRIPS, 8},
	{"rtt-56-adaptive", "ns", rtt_place_56, &adaptive, TRIPS, 56},
	{"rtt-256-adaptive", "ns", rtt_place_256, &adaptive, TRIPS, 256},
	{"rtt-4096-adaptive", "ns", rtt_place_4096, &adaptive, TRIPS, 4096},
	{"rtt-8-sendrecv", "ns", rtt_copy_8, &polling, TRIPS, 8},
	{"rtt-56-sendrecv", "ns", rtt_copy_56, &polling, TRIPS, 56},
	{"oneway-8-poll", "M/s", run_oneway, &stream, {0, 1000, 1024}, 8},
	{"oneway-64-poll", "M/s", run_oneway, &stream, {0, 1000, 1024}, 64},
	{"sweep-65536", "GB/s", run_bulk, NULL, {2 * POOL_SIZE / BLOCK, 128, 16}, BLOCK},
	{"oneway-65536-poll", "GB/s", run_bulk, &bulk, {2 * POOL_SIZE / BLOCK, 128, 16}, BLOCK},
	{"doorbell-wake", "ns", run_wake, NULL, {0, 0, 1000}, 0},
	/* A million round trips to count exits over. */
	{"million", "ns", rtt_place_8, &polling, {0, 15625, 0}, 8},
	{"idle-cpu", "%", run_idle, &adaptive, {0}, 8},
};

static int run_test(struct bench *b, const struct test *test)
{
	double before = b->bracket;
	int64_t exits;
	int error;

	b->link = test->link;
	error = barrier(b);
	exits = exits_now();
	if (error == 0)
		error = test->run(b, test);
	if (exits >= 0)
		exits = (uint32_t)(exits_now() - exits) - b->exits_cost;
	b->raw->exits[b->me].value = (uint64_t)exits;
	if (error == 0)
		error = bracket(b);
	if (error == 0 && b->me == 0)
		ist_print("run case=%s unit=%s n=%llu min=%.2f p50=%.2f p99=%.2f p999=%.2f "
			  "before=%.1f after=%.1f exits=%lld exits_peer=%lld\n",
			  test->name, test->unit, (unsigned long long)b->summary.n, b->summary.min,
			  b->summary.p50, b->summary.p99, b->summary.p999, before, b->bracket,
			  (long long)exits, (long long)b->raw->exits[1].value);
	if (error != 0)
		ist_print("pingpong: %s: error %d\n", test->name, error);
	return error;
}

static int open_links(struct bench *b)
{
	int error = 0;

	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]) && error == 0; i++) {
		struct link *l = links[i];
		struct ist_channel_options options = {"channels", l->lines, l->flags, l->bytes};

		error = ist_channel_open(b->group, l->names[b->me], IST_SENDER, &options, &l->out);
		if (error == 0)
			error = ist_channel_open(b->group, l->names[b->other], IST_RECEIVER,
						 &options, &l->in);
		if (error == 0)
			error = ist_channel_wait_peer(l->out, 5000000000u);
		if (error == 0)
			error = ist_channel_wait_peer(l->in, 5000000000u);
	}
	return error;
}

static void close_links(void)
{
	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		ist_channel_close(links[i]->out);
		ist_channel_close(links[i]->in);
	}
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static int join(struct bench *b)
{
	struct ist_region_info region;
	struct ist_peer_info peer;
	int error = ist_group_open(NULL, &b->group);

	if (error != 0)
		return error;
	error = ist_region_find(b->group, "raw", &region);
	if (error != 0)
		return error;
	if (region.right != IST_WRITE || region.size < POOL_OFFSET + POOL_SIZE)
		return -EINVAL;
	ist_print("joined group %s as peer %u\n", ist_group_name(b->group),
		  ist_group_self(b->group));
	b->raw = region.address;
	b->steps = (struct steps){.lines = b->raw->barrier, .me = b->me, .count = 2};
	b->pool = (uint8_t *)region.address + POOL_OFFSET;
	error = ist_peer_wait(b->group, b->other == 0 ? "ping" : "pong", 20000000000u, &peer);
	b->other_id = peer.id;
	return error;
}

int main(int argc, char **argv)
{
	static struct bench b;
	const char *cases = argument(argc, argv, "cases=");
	unsigned rounds = number(argument(argc, argv, "rounds="), 3);
	int64_t exits;
	int error;

	if (cases == NULL)
		cases = "million,rtt-8-poll,rtt-56-poll,rtt-256-poll,rtt-4096-poll,oneway-8-poll,"
			"oneway-64-poll,sweep-65536,oneway-65536-poll";
	b.idle_ns = number(argument(argc, argv, "seconds="), 10) * 1000000000ull;
	b.me = argument(argc, argv, "pong") != NULL;
	b.other = 1 - b.me;
	error = join(&b);
	if (error == 0)
		error = open_links(&b);
	if (error != 0) {
		ist_print("pingpong: joining the group: error %d\n", error);
		return 1;
	}
	exits = exits_now();
	b.exits_cost = (uint32_t)(exits_now() - exits);
	ns_per_tick();
	error = bracket(&b);
	for (unsigned round = 0; round < rounds && error == 0; round++)
		for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]) && error == 0; i++)
			if (listed(cases, tests[i].name))
				error = run_test(&b, &tests[i]);
	if (error == 0)
		error = barrier(&b);
	close_links();
	ist_group_close(b.group);
	return error == 0 ? 0 : 1;
}
