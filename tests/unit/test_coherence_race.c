/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_coherence_race.c: one word that threads swap in both widths and release by a plain store:
 * no step is lost, and what is done while busy is seen by the next.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "coherence/step.h"
#include "tests/suite.h"

#define THREADS 3u
#define ROUNDS 50000u

static _Alignas(64) struct ist_directory shared;
static _Alignas(64) unsigned long counter; /* plain: the word alone keeps them apart */
static unsigned long swapped[THREADS], retaken[THREADS], malformed;
static int over;

/* TAKE, by the fast form where it will do. Returns `control` as it is then. */
static uint64_t take(unsigned me)
{
	struct coh_event event = {.type = COH_TAKE, .peer = me};
	struct coh_result result;

	for (;;) {
		struct ist_directory word = coh_load(&shared);
		uint64_t fast = coh_retake(word.control, me);
		int n;

		if (fast && coh_cas_control(&shared, &word.control, fast)) {
			retaken[me]++;
			return fast;
		}
		n = coh_retaken(word, me, THREADS, &result.word)
			    ? 0
			    : coh_step(word, &event, THREADS, &result);
		if (!n && coh_cas(&shared, &word, result.word)) {
			swapped[me]++;
			return result.word.control;
		}
		if (n == -EPROTO)
			coh_confirm(&shared, &word);
		if (coh_check(word, THREADS))
			__atomic_add_fetch(&malformed, n == -EPROTO, __ATOMIC_RELAXED);
		if (n == -EBUSY)
			sched_yield();
	}
}

static void *taker(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t control = take(me);

		counter++;
		/* a release; partner: the acquire in the swap of the next take() */
		__atomic_store_n(&shared.control, coh_released(control), __ATOMIC_RELEASE);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Looks at the word all the time: confirmed, it is never malformed. */
static void *looker(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		struct ist_directory word = coh_load(&shared);

		if (coh_check(word, THREADS)) {
			coh_confirm(&shared, &word);
			if (coh_check(word, THREADS))
				__atomic_add_fetch(&malformed, 1, __ATOMIC_RELAXED);
		}
		sched_yield();
	}
	return NULL;
}

START_TEST(no_step_is_lost)
{
	pthread_t threads[THREADS], looks;
	unsigned long steps = 0, came_back = 0;

	ck_assert_int_eq(pthread_create(&looks, NULL, looker, NULL), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, taker, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_join(looks, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		steps += swapped[i] + retaken[i];
		came_back += retaken[i];
	}
	ck_assert_uint_eq(counter, THREADS * ROUNDS);
	ck_assert_uint_eq(steps, THREADS * ROUNDS);
	/* every TAKE changed the epoch by one: none was swapped over another */
	ck_assert_uint_eq(IST_DIR_EPOCH(shared.control), THREADS * ROUNDS);
	ck_assert_uint_eq(malformed, 0);
	ck_assert_int_eq(coh_check(shared, THREADS), 0);
	/* both widths were at work */
	ck_assert_uint_gt(came_back, 0);
	ck_assert_uint_gt(steps, came_back);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coherence race");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, no_step_is_lost);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
