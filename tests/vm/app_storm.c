/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_storm.c: stormed | storm: one instance rings another's doorbells without a pause, in a group
 * without a limit and in one with. The stormed one prints what it has seen of each, by the rings
 * that were made meanwhile and not by time, and ends with 0 when
 *
 *   - the limit lets through less than a quarter of what comes without, and
 *   - whoever rings last is heard, on every vector, whatever came before: ROUNDS times in both
 */
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define VECTOR 2u
#define RINGS 100000u /* of a window */
#define WINDOWS 3u
#define WINDOWS_MAX 60u /* in which the limit has to be noticed */
#define ROUNDS 40u
#define BURST 3000u
#define MS 1000000ull
#define PATIENCE (20000 * MS)

struct shared {
	uint64_t command; /* to the storm: a group's index + 1, rings without end; or QUIT */
	uint64_t rings;   /* made so far */
	uint64_t round;   /* to the storm: of bursts; group and vector follow from it */
	uint64_t done;    /* rounds; stored before a burst's last ring */
};
#define QUIT 3u

static struct ist_group *group[2]; /* open, limited */
static struct shared *shared;

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static unsigned group_of(uint64_t round)
{
	return round % 2 ? 1 : 0;
}

static uint32_t vector_of(uint64_t round)
{
	return 1 + (uint32_t)(round / 2 % 3);
}

static int storm(void)
{
	struct ist_peer_info peer[2];
	uint64_t command, round, rings = 0;
	unsigned i;

	for (i = 0; i < 2; i++)
		if (ist_peer_wait(group[i], "stormed", PATIENCE, &peer[i]))
			return 1;
	while ((command = load(&shared->command)) != QUIT) {
		round = load(&shared->round);
		if (command) {
			ist_doorbell_ring(group[command - 1], peer[command - 1].id, VECTOR);
			store(&shared->rings, ++rings);
		} else if (round != load(&shared->done)) {
			for (i = 0; i < BURST; i++) {
				if (i == BURST - 1)
					store(&shared->done, round);
				ist_doorbell_ring(group[group_of(round)], peer[group_of(round)].id,
						  vector_of(round));
			}
		} else {
			ist_sleep_ns(MS / 10);
		}
	}
	return 0;
}

/* How often the vector came while RINGS rings were made; -1: they are not made. */
static int64_t window(unsigned index, uint32_t *seen)
{
	uint64_t first = load(&shared->rings), deadline = ist_time_ns() + PATIENCE;
	uint32_t before = *seen;

	while (load(&shared->rings) - first < RINGS) {
		ist_doorbell_wait(group[index], VECTOR, seen, MS);
		if (ist_time_ns() > deadline)
			return -1;
	}
	return (int64_t)(*seen - before);
}

static int compare(void)
{
	uint32_t seen[2] = {0};
	int64_t least = 0, came;
	unsigned i;

	store(&shared->command, 1);
	for (i = 0; i < WINDOWS; i++) {
		came = window(0, &seen[0]);
		if (came < 0)
			return -1;
		if (!i || came < least)
			least = came;
	}
	ist_print("no limit: %d in %u rings\n", (int)least, RINGS);
	store(&shared->command, 2);
	for (i = 0; i < WINDOWS_MAX; i++) {
		came = window(1, &seen[1]);
		if (came < 0)
			return -1;
		if (came * 4 < least)
			break;
	}
	ist_print("limit: %d in %u rings, in window %u\n", (int)came, RINGS, i);
	store(&shared->command, 0);
	return i < WINDOWS_MAX ? 0 : -1;
}

/* The last ring of each burst comes after `done`: who has not seen that is still to be woken. */
static int last_rings(void)
{
	uint32_t seen[2][4] = {{0}};
	uint64_t round;

	for (round = 1; round <= ROUNDS; round++) {
		unsigned index = group_of(round);
		uint32_t vector = vector_of(round);

		store(&shared->round, round);
		while (load(&shared->done) != round)
			if (ist_doorbell_wait(group[index], vector, &seen[index][vector],
					      PATIENCE)) {
				ist_print("round %u: vector %u of '%s' was lost\n", (unsigned)round,
					  vector, ist_group_name(group[index]));
				return -1;
			}
	}
	return 0;
}

static int stormed(void)
{
	int bad;

	if (ist_peer_wait(group[0], "storm", PATIENCE, NULL))
		return 1;
	bad = compare() || last_rings();
	store(&shared->command, QUIT);
	return bad != 0;
}

int main(int argc, char **argv)
{
	struct ist_region_info region;

	if (argc < 2 || ist_group_open("open", &group[0]) || ist_group_open("limited", &group[1]) ||
	    ist_region_find(group[0], "raw", &region))
		return 2;
	shared = region.address;
	return argv[1][5] ? stormed() : storm();
}
