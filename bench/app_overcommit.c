/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_overcommit.c: what the run-state page is worth where there are more busy VMs than processors.
 *
 *   overcommit ping|pong [seconds] [work, ns]      `isthmus up bench/overcommit.yaml` after `make`
 *
 * Each pair plays ping-pong, working between receiving and answering. It is in two groups that
 * differ in nothing but that one has a run-state page, and goes from one to the other and back,
 * every quarter of a second by the host's clock, so that all pairs use the same one at a time. The
 * ping counts round trips in each and prints the ratio of each pair of neighbouring quarters.
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define PHASE_NS 250000000ull
#define PHASES_MAX 2048u
#define GROUPS 2u /* 0: blind, 1: with the page */
#define LAST 2u   /* what a message says beside the group of the next one: there is none */

struct pair {
	struct ist_group *group[GROUPS];
	struct ist_channel *out[GROUPS], *in[GROUPS];
	uint64_t work_ns;
};

static uint32_t trips[PHASES_MAX];

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (uint64_t)(*text++ - '0');
	return value;
}

static void work(const struct pair *p)
{
	uint64_t until = ist_time_ns() + p->work_ns;

	while (p->work_ns && ist_time_ns() < until)
		;
}

static int ping(struct pair *p, uint64_t seconds)
{
	uint64_t start = (ist_time_ns() / PHASE_NS + 2) * PHASE_NS, end, now;
	uint64_t n = 0, next = 0;

	end = start + seconds * 1000000000ull;
	if (end - start > PHASES_MAX * PHASE_NS)
		return -EINVAL;
	while (!(next & LAST)) {
		uint64_t here = next, reply;
		int64_t got;

		now = ist_time_ns();
		next = now >= end ? LAST : now / PHASE_NS % GROUPS;
		got = ist_channel_send(p->out[here], &next, sizeof(next), IST_FOREVER);
		if (got == 0)
			got = ist_channel_recv(p->in[here], &reply, sizeof(reply), IST_FOREVER);
		if (got != sizeof(reply))
			return got < 0 ? (int)got : -EPROTO;
		work(p);
		if (now >= start && now < end)
			trips[(now - start) / PHASE_NS]++;
		n++;
	}
	/* Quarters begin with the group of the clock's. */
	for (uint64_t i = 0; i + 1 < seconds * 4; i += 2) {
		uint64_t first = (start / PHASE_NS + i) % GROUPS;

		ist_print("quarters blind=%u page=%u\n", trips[i + first], trips[i + 1 - first]);
	}
	return 0;
}

static int pong(struct pair *p)
{
	uint64_t next = 0;

	while (!(next & LAST)) {
		uint64_t here = next;
		int64_t got = ist_channel_recv(p->in[here], &next, sizeof(next), IST_FOREVER);

		if (got != sizeof(next) || next > LAST)
			return got < 0 ? (int)got : -EPROTO;
		work(p);
		got = ist_channel_send(p->out[here], &next, sizeof(next), IST_FOREVER);
		if (got != 0)
			return (int)got;
	}
	return 0;
}

static int open_group(struct pair *p, unsigned i, int ponging)
{
	static const char *const names[GROUPS] = {"blind", "page"};
	const struct ist_channel_options options = {"main", 0, 0, 4096};
	int error = ist_group_open(names[i], &p->group[i]);
	/* The pair's members are neighbours: 0 and 1, 2 and 3. */
	char there[] = "pair0-there", back[] = "pair0-back";

	if (error)
		return error;
	there[4] = back[4] = (char)('0' + ist_group_self(p->group[i]) / 2);
	error = ist_channel_open(p->group[i], ponging ? back : there, IST_SENDER, &options,
				 &p->out[i]);
	if (!error)
		error = ist_channel_open(p->group[i], ponging ? there : back, IST_RECEIVER,
					 &options, &p->in[i]);
	if (!error)
		error = ist_channel_wait_peer(p->out[i], 20000000000ull);
	if (!error)
		error = ist_channel_wait_peer(p->in[i], 20000000000ull);
	return error;
}

int main(int argc, char **argv)
{
	static struct pair p;
	int ponging = argc > 1 && argv[1][1] == 'o', error = 0;

	p.work_ns = argc > 3 ? number(argv[3]) : 0;
	for (unsigned i = 0; i < GROUPS && !error; i++)
		error = open_group(&p, i, ponging);
	if (!error)
		error = ponging ? pong(&p) : ping(&p, argc > 2 ? number(argv[2]) : 10);
	if (error)
		ist_print("overcommit: error %d\n", error);
	return error != 0;
}
