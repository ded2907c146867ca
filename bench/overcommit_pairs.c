/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overcommit_pairs.c: pairs that play ping-pong, over channels that may sleep, and work between
 * receiving and answering. The pings count round trips.
 */
#include "overcommit.h"

#define LAST 2u /* what a message says beside the group of the next one: there is none */

struct pair {
	struct ist_channel *out[GROUPS], *in[GROUPS];
};

static int open_pair(struct contest *c, struct pair *p, int ponging)
{
	const struct ist_channel_options options = {"main", 0, 0, 4096};
	/* The pair's members are neighbours: 0 and 1, 2 and 3. */
	char there[] = "pair0-there", back[] = "pair0-back";
	int error = 0;

	for (unsigned i = 0; i < GROUPS && !error; i++) {
		there[4] = back[4] = (char)('0' + ist_group_self(c->group[i]) / 2);
		error = ist_channel_open(c->group[i], ponging ? back : there, IST_SENDER, &options,
					 &p->out[i]);
		if (!error)
			error = ist_channel_open(c->group[i], ponging ? there : back, IST_RECEIVER,
						 &options, &p->in[i]);
	}
	for (unsigned i = 0; i < GROUPS && !error; i++) {
		error = ist_channel_wait_peer(p->out[i], 20000000000ull);
		if (!error)
			error = ist_channel_wait_peer(p->in[i], 20000000000ull);
	}
	return error;
}

int contest_ping(struct contest *c)
{
	struct pair p;
	uint64_t next = 0;
	int error = open_pair(c, &p, 0);

	while (!error && !(next & LAST)) {
		uint64_t here = next, reply, now = ist_time_ns();
		int64_t got;

		next = now >= c->end ? LAST : contest_group(now);
		got = ist_channel_send(p.out[here], &next, sizeof(next), IST_FOREVER);
		if (got == 0)
			got = ist_channel_recv(p.in[here], &reply, sizeof(reply), IST_FOREVER);
		if (got != sizeof(reply))
			error = got < 0 ? (int)got : -EPROTO;
		contest_work(c, c->work_ns);
		contest_count(c, now);
	}
	return error;
}

int contest_pong(struct contest *c)
{
	struct pair p;
	uint64_t next = 0;
	int error = open_pair(c, &p, 1);

	while (!error && !(next & LAST)) {
		uint64_t here = next;
		int64_t got = ist_channel_recv(p.in[here], &next, sizeof(next), IST_FOREVER);

		if (got != sizeof(next) || next > LAST)
			return got < 0 ? (int)got : -EPROTO;
		contest_work(c, c->work_ns);
		error = (int)ist_channel_send(p.out[here], &next, sizeof(next), IST_FOREVER);
	}
	c->end = c->start; /* it has nothing to report */
	return error;
}
