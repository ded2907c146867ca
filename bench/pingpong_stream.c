/* SPDX-License-Identifier: BSD-2-Clause */
/* pingpong_stream.c: one way: small messages in bursts, blocks in place, and the bare sweep. */
#include "pingpong.h"

#define BURST 32u
#define BLOCKS (POOL_SIZE / BLOCK)

static uint8_t buffer[BURST * 64];

/* From samples of `work` units each, to rates: p99 is what 99 % of the samples reach. */
static void summarize_rate(struct summary *s, unsigned count, double work, uint64_t n)
{
	double ns = ns_per_tick();

	sort(samples, count);
	s->n = n;
	s->min = work / (percentile(samples, count, 1000) * ns);
	s->p50 = work / (percentile(samples, count, 500) * ns);
	s->p99 = work / (percentile(samples, count, 990) * ns);
	s->p999 = work / (percentile(samples, count, 999) * ns);
}

static int receive_burst(struct bench *b, const struct test *test, uint64_t *n)
{
	struct ist_message messages[BURST];
	int got;

	for (unsigned i = 0; i < BURST; i++)
		messages[i] = (struct ist_message){buffer + i * test->size, test->size};
	do
		got = ist_channel_try_recv_batch(b->link->in, messages, BURST);
	while (got == -EAGAIN);
	for (int i = 0; i < got; i++) {
		uint64_t value;

		__builtin_memcpy(&value, messages[i].data, sizeof(value));
		if (value != (*n)++ || messages[i].size != test->size)
			return -EPROTO;
	}
	return got < 0 ? got : 0;
}

static int send_burst(struct bench *b, const struct test *test, uint64_t *n, uint64_t total)
{
	struct ist_message messages[BURST];
	unsigned count = total - *n < BURST ? (unsigned)(total - *n) : BURST;
	int sent;

	for (unsigned i = 0; i < count; i++) {
		uint64_t value = *n + i;

		messages[i] = (struct ist_message){buffer + i * test->size, test->size};
		__builtin_memcpy(messages[i].data, &value, sizeof(value));
	}
	do
		sent = ist_channel_try_send_batch(b->link->out, messages, count);
	while (sent == -EAGAIN);
	if (sent < 0)
		return sent;
	*n += (unsigned)sent;
	return 0;
}

/* plan.batches samples of plan.singles messages. */
int run_oneway(struct bench *b, const struct test *test)
{
	uint64_t n = 0, last = 0, total = (uint64_t)test->plan.batches * test->plan.singles;
	unsigned sample = 0;
	uint64_t start;
	int error = 0;

	if (b->me != 0) {
		while (n < total && error == 0)
			error = send_burst(b, test, &n, total);
		return error;
	}
	for (start = ticks(); n < total && error == 0;) {
		error = receive_burst(b, test, &n);
		/* Bursts do not end where samples do: scale to the messages there were. */
		if (n - last >= test->plan.singles) {
			samples[sample++] = (uint32_t)((uint64_t)elapsed(start) *
						       test->plan.singles / (n - last));
			last = n;
			start = ticks();
		}
	}
	/* The first samples begin before the sender does; messages a microsecond are M/s. */
	summarize_rate(&b->summary, sample, test->plan.singles * 1000.0, n);
	return error;
}

/* Bulk: every byte is written in place, and read in place. */
static __attribute__((noinline)) void fill_block(void *block, uint64_t value)
{
	uint64_t *word = block;

	for (size_t i = 0; i < BLOCK / 8; i++)
		word[i] = value + i;
}

static __attribute__((noinline)) uint64_t sum_block(const void *block)
{
	const uint64_t *word = block;
	uint64_t sum = 0;

	for (size_t i = 0; i < BLOCK / 8; i++)
		sum += word[i];
	return sum;
}

static uint64_t expected_sum(uint64_t value)
{
	return BLOCK / 8 * value + (uint64_t)(BLOCK / 8) * (BLOCK / 8 - 1) / 2;
}

static int channel_put(struct bench *b, uint64_t n)
{
	void *block;
	int error = ist_channel_reserve(b->link->out, BLOCK, IST_FOREVER, &block);

	if (error != 0)
		return error;
	fill_block(block, n);
	return ist_channel_commit(b->link->out, BLOCK);
}

static int channel_get(struct bench *b, uint64_t n)
{
	const void *block;
	int64_t got = ist_channel_peek(b->link->in, IST_FOREVER, &block);

	if (got != BLOCK)
		return got < 0 ? (int)got : -EPROTO;
	if (sum_block(block) != expected_sum(n))
		return -EPROTO;
	return ist_channel_release(b->link->in);
}

/* The bare floor of the above: the pool, and one flag line each way. */
static int sweep_put(struct bench *b, uint64_t n)
{
	while (n - __atomic_load_n(&b->raw->flag[0].value, __ATOMIC_ACQUIRE) >= BLOCKS)
		__builtin_ia32_pause();
	fill_block(b->pool + n % BLOCKS * BLOCK, n);
	__atomic_store_n(&b->raw->flag[1].value, n + 1, __ATOMIC_RELEASE);
	return 0;
}

static int sweep_get(struct bench *b, uint64_t n)
{
	while (__atomic_load_n(&b->raw->flag[1].value, __ATOMIC_ACQUIRE) <= n)
		__builtin_ia32_pause();
	if (sum_block(b->pool + n % BLOCKS * BLOCK) != expected_sum(n))
		return -EPROTO;
	__atomic_store_n(&b->raw->flag[0].value, n + 1, __ATOMIC_RELEASE);
	return 0;
}

int run_bulk(struct bench *b, const struct test *test)
{
	int bare = test->link == NULL;
	uint64_t total = test->plan.warm + (uint64_t)test->plan.batches * test->plan.singles;
	uint64_t start = ticks();
	unsigned sample = 0;
	int error = 0;

	if (bare) {
		b->raw->flag[b->me].value = 0;
		error = barrier(b);
	}
	for (uint64_t n = 0; n < total && error == 0; n++) {
		if (b->me != 0)
			error = bare ? sweep_put(b, n) : channel_put(b, n);
		else
			error = bare ? sweep_get(b, n) : channel_get(b, n);
		if (n + 1 == test->plan.warm) {
			start = ticks();
		} else if (b->me == 0 && n + 1 > test->plan.warm &&
			   (n + 1 - test->plan.warm) % test->plan.singles == 0) {
			samples[sample++] = elapsed(start);
			start = ticks();
		}
	}
	if (b->me == 0 && error == 0) /* bytes a nanosecond are GB/s */
		summarize_rate(&b->summary, sample, (double)test->plan.singles * BLOCK, total);
	return error;
}
