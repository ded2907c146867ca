/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.c: the bare floor of this machine: two threads, two cache lines, round after round.
 *
 *   floor [ROUNDS [CPU CPU]]      one line a round: which placement the two CPUs have just now
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

static const struct plan plan = {.warm = 100, .batches = 50, .singles = 1000};

static struct bare_line ping_lines[BARE_PAIRS], pong_lines[BARE_PAIRS];

static int rounds = 10;
static int cpus[2] = {0, 1};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *pong(void *unused)
{
	struct bare b = {pong_lines, ping_lines};

	(void)unused;
	pin(cpus[1]);
	for (int i = 0; i < rounds; i++)
		bare_pong(&b, &plan);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bare b = {ping_lines, pong_lines};
	struct summary s;
	pthread_t thread;

	if (argc > 1)
		rounds = atoi(argv[1]);
	if (argc > 3) {
		cpus[0] = atoi(argv[2]);
		cpus[1] = atoi(argv[3]);
	}
	pin(cpus[0]);
	if (pthread_create(&thread, NULL, pong, NULL) != 0)
		return 1;
	for (int i = 0; i < rounds; i++) {
		bare_ping(&b, &plan, &s);
		printf("run case=floor unit=ns n=%llu min=%.1f p50=%.1f p99=%.1f p999=%.1f\n",
		       (unsigned long long)s.n, s.min, s.p50, s.p99, s.p999);
		fflush(stdout);
	}
	pthread_join(thread, NULL);
	return 0;
}
