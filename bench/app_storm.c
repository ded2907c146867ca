/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * app_storm.c: what a storm of doorbells takes from others' doorbells, and what the limit takes
 * from doorbells that are no storm.
 *
 *   storm ping|pong|storm seconds phases       bench/storm.sh, after `make`
 *
 * All are in two groups that differ in nothing but that one has no limit ("open"). Ping and pong
 * ring each other's vector 1 and sleep; ping counts round trips by phases of a second of the host's
 * clock, and prints them at each round's end.
 *
 *   3 phases    in "open", and nobody else rings; in "open", and pong's last vector is rung without
 *               a pause; in "limited", the same. The storm uses its CPU in the first phase as well
 *   2 phases    in "open"; in "limited"
 */
#include <isthmus/abi.h>
#include <isthmus/isthmus.h>

int main(int argc, char **argv);

#define PHASE_NS 1000000000ull
#define PATIENCE_NS 10000000ull /* a phase's first rings may come too early */
#define PHASES 3u

static struct ist_group *group[2]; /* open, limited */
static uint64_t end, phases;

static unsigned phase_at(uint64_t now)
{
	return (unsigned)(now / PHASE_NS % phases);
}

static unsigned group_in(unsigned phase)
{
	return phase == phases - 1;
}

static int storm(const struct ist_peer_info *pong)
{
	uint64_t now, rings = 0;
	unsigned i, phase;

	for (now = ist_time_ns(); now < end; now = ist_time_ns()) {
		phase = phase_at(now);
		for (i = 0; phase && i < 32; i++, rings++)
			if (ist_doorbell_ring(group[group_in(phase)], pong[group_in(phase)].id,
					      pong[group_in(phase)].vectors - 1))
				return 0; /* it has ended */
	}
	ist_print("rings %lu\n", (unsigned long)rings);
	return 0;
}

static int rally(const struct ist_peer_info *other, int counts)
{
	uint64_t trips[PHASES] = {0}, now;
	uint32_t seen[2] = {0};
	unsigned i, phase, last = 0;

	while ((now = ist_time_ns()) < end) {
		phase = phase_at(now);
		i = group_in(phase);
		if (counts && phase < last) {
			/* The first round may not be whole. */
			if (trips[0])
				ist_print("round %lu %lu %lu\n", (unsigned long)trips[0],
					  (unsigned long)trips[1], (unsigned long)trips[2]);
			trips[0] = trips[1] = trips[2] = 0;
		}
		last = phase;
		if (counts)
			ist_doorbell_ring(group[i], other[i].id, 1);
		if (ist_doorbell_wait(group[i], 1, &seen[i], PATIENCE_NS))
			continue;
		trips[phase]++;
		if (!counts)
			ist_doorbell_ring(group[i], other[i].id, 1);
	}
	return 0;
}

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (uint64_t)(*text++ - '0');
	return value;
}

int main(int argc, char **argv)
{
	int is_ping = argc > 1 && argv[1][1] == 'i', is_storm = argc > 1 && argv[1][0] == 's';
	struct ist_peer_info other[2];
	unsigned i;

	if (argc != 4 || ist_group_open("open", &group[0]) || ist_group_open("limited", &group[1]))
		return 2;
	phases = number(argv[3]) == PHASES ? PHASES : 2;
	for (i = 0; i < 2; i++)
		if (ist_peer_wait(group[i], is_ping || is_storm ? "pong" : "ping", 10000000000ull,
				  &other[i]))
			return 1;
	end = ist_time_ns() + number(argv[2]) * 1000000000ull;
	return is_storm ? storm(other) : rally(other, is_ping);
}
