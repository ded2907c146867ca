/* SPDX-License-Identifier: BSD-2-Clause */
/* pingpong_wake.c: waking and being woken, and waiting for nothing. */
#include "pingpong.h"

/* Rings, and waits to be rung: half of it is the way from ring to the woken waiter. */
int run_wake(struct bench *b, const struct test *test)
{
	uint32_t vector = ist_group_vectors(b->group) - 1, seen = 0;
	uint64_t *mine = &b->raw->wake[b->me].value, *theirs = &b->raw->wake[b->other].value;
	unsigned count = test->plan.singles;
	double half = ns_per_tick() / 2;
	uint64_t start;
	int error;

	__atomic_store_n(mine, 0, __ATOMIC_RELEASE);
	error = barrier(b);
	for (unsigned i = 0; i < count && error == 0; i++) {
		start = ticks();
		if (b->me == 0) {
			__atomic_store_n(mine, i + 1, __ATOMIC_RELEASE);
			error = ist_doorbell_ring(b->group, b->other_id, vector);
		}
		while (error == 0 && __atomic_load_n(theirs, __ATOMIC_ACQUIRE) != i + 1)
			error = ist_doorbell_wait(b->group, vector, &seen, 5000000000u);
		if (b->me != 0 && error == 0) {
			__atomic_store_n(mine, i + 1, __ATOMIC_RELEASE);
			error = ist_doorbell_ring(b->group, b->other_id, vector);
		}
		samples[i] = elapsed(start);
	}
	sort(samples, count);
	b->summary = (struct summary){
		.n = count,
		.min = percentile(samples, count, 0) * half,
		.p50 = percentile(samples, count, 500) * half,
		.p99 = percentile(samples, count, 990) * half,
		.p999 = percentile(samples, count, 999) * half,
	};
	return error;
}

/* Pong waits for a message that comes late: the runner looks at its CPU time meanwhile. */
int run_idle(struct bench *b, const struct test *test)
{
	uint64_t value = 0;

	(void)test;
	if (b->me != 0) {
		int64_t got = ist_channel_recv(b->link->in, &value, sizeof(value), IST_FOREVER);

		return got < 0 ? (int)got : 0;
	}
	ist_print("idle begin\n");
	ist_sleep_ns(b->idle_ns);
	ist_print("idle end\n");
	return ist_channel_send(b->link->out, &value, sizeof(value), IST_FOREVER);
}
