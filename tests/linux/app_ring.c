/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_ring.c: ring I N LAPS [GROUP [PREFIX]]: instance I of N passes a token on, from channel
 * PREFIX-I-1 to channel PREFIX-I, LAPS times round. Each checks the token, adds one and passes it
 * on; instance 0 starts it and says "ring ok" when it has come back from the last lap. Every 16th
 * token is a long one. Any error is said, and ends it with status 1.
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define WORDS_MAX 512u
#define TIMEOUT 60000000000ull

static uint64_t token[WORDS_MAX];
static struct ist_channel *in, *out;

static unsigned number(const char *text)
{
	unsigned n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n;
}

/* PREFIX-NUMBER, below 100. */
static const char *channel_name(char *name, const char *prefix, unsigned n)
{
	char *end = name;

	while (*prefix != 0 && end < name + 24)
		*end++ = *prefix++;
	*end++ = '-';
	*end++ = (char)('0' + n / 10);
	*end++ = (char)('0' + n % 10);
	*end = 0;
	return name;
}

static size_t words_of(uint64_t n)
{
	return n % 16 == 15 ? WORDS_MAX : 1 + n % 7;
}

static int pass(uint64_t n)
{
	size_t words = words_of(n);

	for (size_t i = 0; i < words; i++)
		token[i] = n + i;
	return ist_channel_send(out, token, words * sizeof(token[0]), TIMEOUT);
}

static int take(uint64_t n)
{
	int64_t size = ist_channel_recv(in, token, sizeof(token), TIMEOUT);

	if (size < 0)
		return (int)size;
	if ((size_t)size != words_of(n) * sizeof(token[0]))
		return -EPROTO;
	for (size_t i = 0; i < words_of(n); i++)
		if (token[i] != n + i)
			return -EPROTO;
	return 0;
}

/* The token's number counts all hops: instance i passes on number i, i + n, i + 2n... */
static int go_round(unsigned me, unsigned members, unsigned laps)
{
	int error = 0;

	for (uint64_t lap = 0; lap < laps && error == 0; lap++) {
		uint64_t n = lap * members + me;

		if (me != 0)
			error = take(n - 1);
		if (error == 0)
			error = pass(n);
		if (me == 0 && error == 0)
			error = take(n + members - 1);
	}
	return error;
}

int main(int argc, char **argv)
{
	const char *prefix = argc > 5 ? argv[5] : "ring";
	const char *group_name = argc > 4 ? argv[4] : NULL;
	unsigned me, members;
	struct ist_group *group;
	char name[32];
	int error;

	if (argc < 4 || number(argv[2]) < 2) {
		ist_print("usage: ring I N LAPS [GROUP [PREFIX]]\n");
		return 2;
	}
	me = number(argv[1]);
	members = number(argv[2]);
	error = ist_group_open(group_name, &group);
	if (error != 0) {
		ist_print("ring: joining the group: error %d\n", error);
		return 1;
	}
	error = ist_channel_open(group, channel_name(name, prefix, me), IST_SENDER, NULL, &out);
	if (error == 0)
		error = ist_channel_open(group,
					 channel_name(name, prefix, (me + members - 1) % members),
					 IST_RECEIVER, NULL, &in);
	if (error == 0)
		error = ist_channel_wait_peer(out, TIMEOUT);
	if (error == 0)
		error = ist_channel_wait_peer(in, TIMEOUT);
	if (error == 0)
		error = go_round(me, members, number(argv[3]));
	if (error == 0)
		ist_print("ring ok %s in %s as %u\n", prefix, ist_group_name(group),
			  ist_group_self(group));
	else
		ist_print("ring: %s: error %d\n", prefix, error);
	ist_channel_close(in);
	ist_channel_close(out);
	ist_group_close(group);
	return error == 0 ? 0 : 1;
}
