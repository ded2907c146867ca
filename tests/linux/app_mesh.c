/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_mesh.c: mesh I N ROUNDS [GROUP]: instance I of N passes numbered messages to each of the
 * others and takes theirs, ROUNDS from each; then each rings a doorbell of each, on a vector that
 * says who it was, and waits for theirs where doorbells reach it. It says
 *
 *   mesh ok I: messages ROUNDS from 0 2 3, doorbells from 0 2 3 (or: does not hear doorbells)
 *
 * or what went wrong, and ends with status 1. The group is new and has 16 vectors: channels sleep
 * on the first 12, one each, so that nothing but these doorbells rings the last three.
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define MEMBERS_MAX 4u
#define VECTORS 16u
#define WORDS_MAX 300u
#define TIMEOUT 60000000000ull

struct member {
	struct ist_channel *out, *in;
	struct ist_peer_info peer; /* found by name: "m0", "m1"... */
};

static struct member member[MEMBERS_MAX];
static uint64_t message[WORDS_MAX];
static unsigned me, members;

static unsigned number(const char *text)
{
	unsigned n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n;
}

/* Of `from`, among the others of `to`. */
static unsigned vector_of(unsigned from, unsigned to)
{
	return VECTORS - (MEMBERS_MAX - 1) + (from < to ? from : from - 1);
}

static size_t words_of(unsigned from, unsigned to, unsigned round)
{
	return round % 8 == 7 ? WORDS_MAX - from - to : 1 + (round + from) % 7;
}

static uint64_t word_of(unsigned from, unsigned to, unsigned round, size_t i)
{
	return ((uint64_t)round << 32) + (from << 16) + (to << 8) + i;
}

static int send_to(unsigned to, unsigned round)
{
	size_t words = words_of(me, to, round);

	for (size_t i = 0; i < words; i++)
		message[i] = word_of(me, to, round, i);
	return ist_channel_send(member[to].out, message, words * sizeof(message[0]), TIMEOUT);
}

static int take_from(unsigned from, unsigned round)
{
	size_t words = words_of(from, me, round);
	int64_t size = ist_channel_recv(member[from].in, message, sizeof(message), TIMEOUT);

	if (size < 0)
		return (int)size;
	if ((size_t)size != words * sizeof(message[0]))
		return -EPROTO;
	for (size_t i = 0; i < words; i++)
		if (message[i] != word_of(from, me, round, i))
			return -EPROTO;
	return 0;
}

static int open_channel(struct ist_group *group, unsigned from, unsigned to)
{
	struct member *other = &member[from == me ? to : from];
	char name[] = "mesh-00";

	name[5] = (char)('0' + from);
	name[6] = (char)('0' + to);
	return ist_channel_open(group, name, from == me ? IST_SENDER : IST_RECEIVER, NULL,
				from == me ? &other->out : &other->in);
}

/* Everybody is there, and has its ends. */
static int meet(struct ist_group *group)
{
	char name[] = "m0";
	int error = 0;

	for (unsigned i = 0; i < members && !error; i++) {
		name[1] = (char)('0' + i);
		error = ist_peer_wait(group, name, TIMEOUT, &member[i].peer);
		if (!error && i != me)
			error = open_channel(group, me, i);
		if (!error && i != me)
			error = open_channel(group, i, me);
	}
	for (unsigned i = 0; i < members && !error; i++) {
		if (i != me)
			error = ist_channel_wait_peer(member[i].out, TIMEOUT);
		if (i != me && !error)
			error = ist_channel_wait_peer(member[i].in, TIMEOUT);
	}
	return error;
}

static int exchange(unsigned first, unsigned last)
{
	int error = 0;

	for (unsigned round = first; round < last && !error; round++) {
		for (unsigned i = 0; i < members && !error; i++)
			if (i != me)
				error = send_to(i, round);
		for (unsigned i = 0; i < members && !error; i++)
			if (i != me)
				error = take_from(i, round);
	}
	return error;
}

static int ring(struct ist_group *group)
{
	int error = 0;

	for (unsigned i = 0; i < members && !error; i++)
		if (i != me)
			error = ist_doorbell_ring(group, member[i].peer.id, vector_of(me, i));
	for (unsigned i = 0; i < members && !error && ist_group_interrupts(group); i++) {
		uint32_t seen = 0;

		if (i != me)
			error = ist_doorbell_wait(group, vector_of(i, me), &seen, TIMEOUT);
	}
	return error;
}

static const char *others(char *text)
{
	char *end = text;

	for (unsigned i = 0; i < members; i++) {
		if (i == me)
			continue;
		*end++ = ' ';
		*end++ = (char)('0' + i);
	}
	*end = 0;
	return text;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 3 ? number(argv[3]) : 0;
	const char *step = "joining the group";
	struct ist_group *group = NULL;
	char from[2 * MEMBERS_MAX + 1];
	int error, hears = 0;

	me = argc > 3 ? number(argv[1]) : 0;
	members = argc > 3 ? number(argv[2]) : 0;
	if (members < 2 || members > MEMBERS_MAX || me >= members || rounds == 0) {
		ist_print("usage: mesh I N ROUNDS [GROUP]\n");
		return 2;
	}
	error = ist_group_open(argc > 4 ? argv[4] : NULL, &group);
	if (!error && ist_group_vectors(group) != VECTORS)
		error = -EINVAL;
	if (!error) {
		hears = ist_group_interrupts(group);
		step = "meeting";
		error = meet(group);
	}
	if (!error) {
		step = "messages";
		error = exchange(0, rounds);
	}
	if (!error) {
		step = "doorbells";
		error = ring(group);
	}
	if (!error) { /* nobody leaves before all have heard */
		step = "parting";
		error = exchange(rounds, rounds + 1);
	}
	if (error)
		ist_print("mesh: %u: %s: error %d\n", me, step, error);
	else
		ist_print("mesh ok %u: messages %u from%s, %s%s\n", me, rounds, others(from),
			  hears ? "doorbells from" : "does not hear doorbells",
			  hears ? others(from) : "");
	for (unsigned i = 0; i < members; i++) {
		ist_channel_close(member[i].in);
		ist_channel_close(member[i].out);
	}
	ist_group_close(group);
	return error ? 1 : 0;
}
