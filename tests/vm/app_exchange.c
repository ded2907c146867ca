/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_exchange.c: exchange source|sink: numbered messages without end, for tests that kill one of
 * the two. Each tells the region "raw" how far it is, so that the survivor and the successor can
 * check what the dead one had done. It prints
 *
 *   gone ERROR at TIME after COUNT   the other end is away; TIME is ist_time_ns()
 *   back COUNT                       a successor of it is there
 *   bad ...                          something that must not happen; then it ends with status 1
 */
#include <isthmus/abi.h>
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define SLOTS 4096u
#define MESSAGE_MAX 3000u

struct raw {
	uint64_t committed[SLOTS]; /* messages sent, by the source's life */
	uint64_t taken[2];         /* the sink's last: source's life, number + 1 */
	uint64_t lives;            /* of sources: an incarnation may have several, one a process */
};

struct message {
	uint64_t life; /* of the source */
	uint64_t number;
	uint8_t bytes[MESSAGE_MAX];
};

static struct raw *raw;
static struct message message;

static size_t size_of(uint64_t number)
{
	/* Mostly short ones, and every eighth of another length. */
	return offsetof(struct message, bytes) +
	       (number % 8 ? number % 40 : number * 37 % MESSAGE_MAX);
}

static uint8_t byte_of(uint64_t life, uint64_t number, size_t i)
{
	return (uint8_t)(life * 101 + number * 31 + i * 7);
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static int gone(struct ist_channel *channel, int64_t error, uint64_t count)
{
	int result;

	ist_print("gone %d at %lu after %lu\n", (int)error, (unsigned long)ist_time_ns(),
		  (unsigned long)count);
	result = ist_channel_wait_peer(channel, IST_FOREVER);
	if (!result)
		ist_print("back %lu\n", (unsigned long)count);
	return result;
}

static int source(struct ist_channel *channel)
{
	uint64_t life = __atomic_add_fetch(&raw->lives, 1, __ATOMIC_RELAXED);
	uint64_t number = 0;
	size_t i, size;
	int error;

	store(&raw->committed[life % SLOTS], 0);
	message.life = life;
	for (;;) {
		message.number = number;
		size = size_of(number);
		for (i = 0; i < size - offsetof(struct message, bytes); i++)
			message.bytes[i] = byte_of(life, number, i);
		error = ist_channel_send(channel, &message, size, IST_FOREVER);
		if (error == -EOWNERDEAD || error == -EPIPE)
			error = gone(channel, error, number);
		else if (!error)
			store(&raw->committed[life % SLOTS], ++number);
		if (error) {
			ist_print("bad: send: %d\n", error);
			return 1;
		}
	}
}

static int check(int64_t length, uint64_t life, uint64_t number)
{
	size_t i, size = size_of(message.number);

	if (message.life != life || message.number != number || length != (int64_t)size)
		return 0;
	for (i = 0; i < size - offsetof(struct message, bytes); i++)
		if (message.bytes[i] != byte_of(life, number, i))
			return 0;
	return 1;
}

static int sink(struct ist_channel *channel)
{
	uint64_t life = load(&raw->taken[0]), number = load(&raw->taken[1]), committed;
	int64_t length;
	int first = 1;

	for (;;) {
		length = ist_channel_recv(channel, &message, sizeof(message), IST_FOREVER);
		if (length == -EOWNERDEAD || length == -EPIPE) {
			/* Everything that its send() returned from, and at most one more. */
			committed = load(&raw->committed[life % SLOTS]);
			if (life && (number < committed || number > committed + 1)) {
				ist_print("bad: got %lu of %lu committed\n", (unsigned long)number,
					  (unsigned long)committed);
				return 1;
			}
			if (gone(channel, length, number))
				return 1;
			continue;
		}
		/* A new sink is given again what its predecessor had not given back, and may find
		   that it had taken one more than it said. */
		if (first && length >= 0 && message.life == life && message.number <= number + 1)
			number = message.number;
		if (length >= 0 && message.life > life && message.number == 0) {
			life = message.life;
			number = 0;
		}
		first = 0;
		if (length < 0 || !check(length, life, number)) {
			ist_print("bad: %ld, message %lu/%lu instead of %lu/%lu\n", (long)length,
				  (unsigned long)message.life, (unsigned long)message.number,
				  (unsigned long)life, (unsigned long)number);
			return 1;
		}
		number++;
		store(&raw->taken[0], life);
		store(&raw->taken[1], number);
	}
}

int main(int argc, char **argv)
{
	enum ist_role role = argc > 1 && argv[1][1] == 'i' ? IST_RECEIVER : IST_SENDER;
	struct ist_region_info region;
	struct ist_channel *channel;
	struct ist_peer_info self;
	struct ist_group *group;
	int error;

	error = ist_group_open(NULL, &group);
	if (!error)
		error = ist_region_find(group, "raw", &region);
	if (!error)
		error = ist_peer_get(group, ist_group_self(group), &self);
	if (!error)
		error = ist_channel_open(group, "data", role, NULL, &channel);
	if (error) {
		ist_print("bad: cannot begin: %d\n", error);
		return 1;
	}
	raw = region.address;
	error = ist_channel_wait_peer(channel, IST_FOREVER);
	ist_print("begin %u\n", self.incarnation);
	if (error)
		return 1;
	return role == IST_SENDER ? source(channel) : sink(channel);
}
