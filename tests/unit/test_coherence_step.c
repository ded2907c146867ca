/* SPDX-License-Identifier: BSD-2-Clause */
/* test_coherence_step.c: every transition of the directory word and every guard. */
#include "tests/coherence_words.h"
#include "tests/suite.h"

static uint64_t asked(struct ist_directory word, unsigned type, unsigned peer, uint32_t *actions)
{
	struct coh_result result;

	ck_assert_int_eq(step(word, type, peer, 0, &result), 0);
	*actions = result.actions & (COH_ASK_INV | COH_ASK_DOWN);
	return result.holders;
}

START_TEST(claims)
{
	uint32_t ask;

	becomes(word_of(NONE, NOBODY, NOBODY, 0, E), COH_CLAIM_S, B, 0,
		word_of(NONE, IS(B), NOBODY, 0, E + 1));
	becomes(word_of(SHARED, NOBODY, NOBODY, 5, E), COH_CLAIM_X, C, 0,
		word_of(SHARED, IS(C), NOBODY, 5, E + 1));
	becomes(word_of(MODIFIED, NOBODY, IS(A), 1, E), COH_CLAIM_S, A, 0,
		word_of(MODIFIED, IS(A), IS(A), 1, E + 1));
	/* whom they ask */
	ck_assert_uint_eq(asked(word_of(NONE, NOBODY, NOBODY, 0, E), COH_CLAIM_X, A, &ask), 0);
	ck_assert_uint_eq(ask, 0);
	ck_assert_uint_eq(asked(word_of(SHARED, NOBODY, NOBODY, 7, E), COH_CLAIM_S, A, &ask), 0);
	ck_assert_uint_eq(ask, 0);
	ck_assert_uint_eq(asked(word_of(SHARED, NOBODY, NOBODY, 7, E), COH_CLAIM_X, B, &ask), 5);
	ck_assert_uint_eq(ask, COH_ASK_INV);
	ck_assert_uint_eq(asked(word_of(SHARED, NOBODY, NOBODY, 2, E), COH_CLAIM_X, B, &ask), 0);
	ck_assert_uint_eq(ask, 0);
	ck_assert_uint_eq(asked(word_of(MODIFIED, NOBODY, IS(C), 4, E), COH_CLAIM_S, B, &ask), 4);
	ck_assert_uint_eq(ask, COH_ASK_DOWN);
	ck_assert_uint_eq(asked(word_of(MODIFIED, NOBODY, IS(C), 4, E), COH_CLAIM_X, B, &ask), 4);
	ck_assert_uint_eq(ask, COH_ASK_INV);
	ck_assert_uint_eq(asked(word_of(MODIFIED, NOBODY, IS(C), 4, E), COH_CLAIM_X, C, &ask), 0);
	ck_assert_uint_eq(ask, 0);
	/* one at a time, its own thread's included */
	for (unsigned type = COH_CLAIM_S; type <= COH_CLAIM_X; type++) {
		refused(word_of(SHARED, IS(A), NOBODY, 1, E), type, B, E, -EBUSY);
		refused(word_of(SHARED, IS(A), NOBODY, 1, E), type, A, E, -EBUSY);
		refused(word_of(POISONED, NOBODY, NOBODY, 0, E), type, A, E, -EIO);
	}
}
END_TEST

START_TEST(sets)
{
	becomes(word_of(NONE, IS(A), NOBODY, 0, E), COH_SET_S, A, E,
		word_of(SHARED, IS(A), NOBODY, 1, E));
	becomes(word_of(SHARED, IS(A), NOBODY, 6, E), COH_SET_S, A, E,
		word_of(SHARED, IS(A), NOBODY, 7, E));
	becomes(word_of(SHARED, IS(B), NOBODY, 2, E), COH_SET_S, B, E,
		word_of(SHARED, IS(B), NOBODY, 2, E));
	becomes(word_of(MODIFIED, IS(B), IS(B), 2, E), COH_SET_S, B, E,
		word_of(MODIFIED, IS(B), IS(B), 2, E));
	becomes(word_of(NONE, IS(C), NOBODY, 0, E), COH_SET_X, C, E,
		word_of(MODIFIED, IS(C), IS(C), 4, E));
	becomes(word_of(SHARED, IS(C), NOBODY, 4, E), COH_SET_X, C, E,
		word_of(MODIFIED, IS(C), IS(C), 4, E));
	becomes(word_of(MODIFIED, IS(C), IS(C), 4, E), COH_SET_X, C, E,
		word_of(MODIFIED, IS(C), IS(C), 4, E));
	/* not before the holders have answered */
	refused(word_of(MODIFIED, IS(A), IS(B), 2, E), COH_SET_S, A, E, -EAGAIN);
	refused(word_of(MODIFIED, IS(A), IS(B), 2, E), COH_SET_X, A, E, -EAGAIN);
	refused(word_of(SHARED, IS(A), NOBODY, 3, E), COH_SET_X, A, E, -EAGAIN);
	/* not without the claim, nor with an older one, nor with another's */
	for (unsigned type = COH_SET_S; type <= COH_SET_X; type++) {
		refused(word_of(NONE, NOBODY, NOBODY, 0, E), type, A, E, -ESTALE);
		refused(word_of(NONE, IS(A), NOBODY, 0, E), type, A, E - 1, -ESTALE);
		refused(word_of(NONE, IS(B), NOBODY, 0, E), type, A, E, -ESTALE);
		refused(word_of(POISONED, IS(A), NOBODY, 0, E), type, A, E, -EIO);
	}
}
END_TEST

START_TEST(rights_follow_from_set)
{
	struct coh_result result;

	ck_assert_int_eq(step(word_of(NONE, IS(A), 0, 0, E), COH_SET_S, A, E, &result), 0);
	ck_assert_uint_eq(result.actions & (COH_MAY_READ | COH_MAY_WRITE), COH_MAY_READ);
	ck_assert_int_eq(step(word_of(NONE, IS(A), 0, 0, E), COH_SET_X, A, E, &result), 0);
	ck_assert_uint_eq(result.actions & (COH_MAY_READ | COH_MAY_WRITE),
			  COH_MAY_READ | COH_MAY_WRITE);
	/* a claim gives none */
	ck_assert_int_eq(step(word_of(NONE, 0, 0, 0, E), COH_CLAIM_X, A, E, &result), 0);
	ck_assert_uint_eq(result.actions & (COH_MAY_READ | COH_MAY_WRITE), 0);
}
END_TEST

START_TEST(releases)
{
	becomes(word_of(MODIFIED, IS(A), IS(A), 1, E), COH_RELEASE, A, E,
		word_of(MODIFIED, NOBODY, IS(A), 1, E));
	/* given up before SET */
	becomes(word_of(SHARED, IS(A), NOBODY, 6, E), COH_RELEASE, A, E,
		word_of(SHARED, NOBODY, NOBODY, 6, E));
	becomes(word_of(POISONED, IS(A), NOBODY, 0, E), COH_RELEASE, A, E,
		word_of(POISONED, NOBODY, NOBODY, 0, E));
	refused(word_of(SHARED, IS(B), NOBODY, 1, E), COH_RELEASE, A, E, -ESTALE);
	refused(word_of(SHARED, NOBODY, NOBODY, 1, E), COH_RELEASE, A, E, -ESTALE);
	refused(word_of(SHARED, IS(A), NOBODY, 1, E), COH_RELEASE, A, E - 1, -ESTALE);
}
END_TEST

START_TEST(answers)
{
	static const unsigned all[] = {COH_ACK_INV, COH_ACK_DOWN, COH_REVOKE};

	for (unsigned i = 0; i < 3; i += 2) {
		becomes(word_of(SHARED, IS(A), NOBODY, 7, E), all[i], B, E,
			word_of(SHARED, IS(A), NOBODY, 5, E));
		becomes(word_of(SHARED, IS(A), NOBODY, 2, E), all[i], B, E,
			word_of(NONE, IS(A), NOBODY, 0, E));
		becomes(word_of(MODIFIED, IS(A), IS(B), 2, E), all[i], B, E,
			word_of(NONE, IS(A), NOBODY, 0, E));
		refused(word_of(SHARED, IS(A), NOBODY, 5, E), all[i], B, E, -EALREADY);
	}
	becomes(word_of(MODIFIED, IS(A), IS(B), 2, E), COH_ACK_DOWN, B, E,
		word_of(SHARED, IS(A), NOBODY, 2, E));
	refused(word_of(SHARED, IS(A), NOBODY, 2, E), COH_ACK_DOWN, B, E, -EALREADY);
	refused(word_of(MODIFIED, IS(A), IS(C), 4, E), COH_ACK_DOWN, B, E, -EALREADY);
	for (unsigned i = 0; i < 3; i++) {
		/* of an old epoch, and of one to come */
		refused(word_of(MODIFIED, IS(A), IS(B), 2, E), all[i], B, E - 1, -ESTALE);
		refused(word_of(MODIFIED, IS(A), IS(B), 2, E), all[i], B, E + 1, -ESTALE);
		/* nobody asks any more */
		refused(word_of(MODIFIED, NOBODY, IS(B), 2, E), all[i], B, E, -ESTALE);
		/* its own transition is no question to it */
		refused(word_of(MODIFIED, IS(B), IS(B), 2, E), all[i], B, E, -EBUSY);
	}
}
END_TEST

START_TEST(gives_up_unasked)
{
	becomes(word_of(SHARED, NOBODY, NOBODY, 3, E), COH_EVICT, A, E,
		word_of(SHARED, NOBODY, NOBODY, 2, E));
	becomes(word_of(MODIFIED, NOBODY, IS(A), 1, E), COH_EVICT, A, E,
		word_of(NONE, NOBODY, NOBODY, 0, E));
	becomes(word_of(MODIFIED, IS(B), IS(A), 1, E), COH_EVICT, A, E,
		word_of(NONE, IS(B), NOBODY, 0, E));
	refused(word_of(SHARED, NOBODY, NOBODY, 2, E), COH_EVICT, A, E, -EALREADY);
	/* the peer's other thread has requested since: the bit is that one's */
	refused(word_of(SHARED, NOBODY, NOBODY, 1, E), COH_EVICT, A, E - 1, -ESTALE);
	refused(word_of(SHARED, IS(A), NOBODY, 1, E), COH_EVICT, A, E, -EBUSY);
}
END_TEST

START_TEST(takes)
{
	becomes(word_of(NONE, NOBODY, NOBODY, 0, E), COH_TAKE, A, 0,
		word_of(MODIFIED, IS(A), IS(A), 1, E + 1));
	becomes(word_of(MODIFIED, NOBODY, IS(C), 4, E), COH_TAKE, A, 0,
		word_of(MODIFIED, IS(A), IS(A), 1, E + 1));
	becomes(word_of(SHARED, NOBODY, NOBODY, 1, E), COH_TAKE, A, 0,
		word_of(MODIFIED, IS(A), IS(A), 1, E + 1));
	refused(word_of(SHARED, NOBODY, NOBODY, 3, E), COH_TAKE, A, 0, -EAGAIN);
	refused(word_of(SHARED, NOBODY, NOBODY, 2, E), COH_TAKE, A, 0, -EAGAIN);
	refused(word_of(MODIFIED, IS(C), IS(C), 4, E), COH_TAKE, A, 0, -EBUSY);
	refused(word_of(MODIFIED, IS(A), IS(A), 1, E), COH_TAKE, A, 0, -EBUSY);
	refused(word_of(POISONED, NOBODY, NOBODY, 0, E), COH_TAKE, A, 0, -EIO);
}
END_TEST

START_TEST(death)
{
	/* a holder's bit, whoever is busy; the epoch stays, so answers under way still count */
	becomes(word_of(SHARED, NOBODY, NOBODY, 7, E), COH_REAP, B, 0,
		word_of(SHARED, NOBODY, NOBODY, 5, E));
	becomes(word_of(SHARED, IS(A), NOBODY, 2, E), COH_REAP, B, 0,
		word_of(NONE, IS(A), NOBODY, 0, E));
	becomes(word_of(MODIFIED, IS(A), IS(B), 2, E), COH_REAP, B, 0,
		word_of(NONE, IS(A), NOBODY, 0, E));
	/* busy: answers under way count no more */
	becomes(word_of(MODIFIED, IS(B), IS(A), 1, E), COH_REAP, B, 0,
		word_of(MODIFIED, NOBODY, IS(A), 1, E + 1));
	becomes(word_of(MODIFIED, IS(B), IS(B), 2, E), COH_REAP, B, 0,
		word_of(NONE, NOBODY, NOBODY, 0, E + 1));
	becomes(word_of(SHARED, IS(B), NOBODY, 3, E), COH_REAP, B, 0,
		word_of(SHARED, NOBODY, NOBODY, 1, E + 1));
	becomes(word_of(POISONED, IS(B), NOBODY, 0, E), COH_REAP, B, 0,
		word_of(POISONED, NOBODY, NOBODY, 0, E + 1));
	refused(word_of(SHARED, IS(A), NOBODY, 5, E), COH_REAP, B, 0, -EALREADY);
	/* content that was being written over: lost with its owner, not with a reader */
	becomes(word_of(MODIFIED, IS(A), IS(B), 2, E), COH_REAP_LOST, B, 0,
		word_of(POISONED, IS(A), NOBODY, 0, E));
	becomes(word_of(MODIFIED, IS(B), IS(B), 2, E), COH_REAP_LOST, B, 0,
		word_of(POISONED, NOBODY, NOBODY, 0, E + 1));
	becomes(word_of(SHARED, NOBODY, NOBODY, 2, E), COH_REAP_LOST, B, 0,
		word_of(NONE, NOBODY, NOBODY, 0, E));
	becomes(word_of(MODIFIED, IS(B), IS(A), 1, E), COH_REAP_LOST, B, 0,
		word_of(MODIFIED, NOBODY, IS(A), 1, E + 1));
}
END_TEST

START_TEST(poison)
{
	becomes(word_of(POISONED, NOBODY, NOBODY, 0, E), COH_RESTORE, B, 0,
		word_of(MODIFIED, IS(B), IS(B), 2, E + 1));
	refused(word_of(POISONED, IS(A), NOBODY, 0, E), COH_RESTORE, B, 0, -EBUSY);
	refused(word_of(NONE, NOBODY, NOBODY, 0, E), COH_RESTORE, B, 0, -EALREADY);
	refused(word_of(NONE, NOBODY, NOBODY, 0, E), COH_BREAK, B, 0, -EALREADY);
	becomes(word_of(MODIFIED, IS(A), NOBODY, 0, E), COH_BREAK, B, 0,
		word_of(POISONED, NOBODY, NOBODY, 0, E + 1));
}
END_TEST

/* A holder that was asked by A, which died, is of no account to the next transition. */
START_TEST(stale_answer_after_a_death)
{
	struct ist_directory word = word_of(MODIFIED, NOBODY, IS(B), 2, E);
	struct coh_result result;
	uint64_t question;

	ck_assert_int_eq(step(word, COH_CLAIM_X, A, 0, &result), 0);
	question = result.epoch;
	ck_assert_int_eq(step(result.word, COH_REAP, A, 0, &result), 0);
	refused(result.word, COH_ACK_INV, B, question, -ESTALE);
	ck_assert_int_eq(step(result.word, COH_CLAIM_X, C, 0, &result), 0);
	refused(result.word, COH_ACK_INV, B, question, -ESTALE);
	ck_assert_int_eq(step(result.word, COH_ACK_INV, B, result.epoch, &result), 0);
	ck_assert_uint_eq(result.word.sharers, 0);
}
END_TEST

/* B dies, comes back and gets the unit: what was asked of the old B is not asked of the new one. */
START_TEST(stale_question_of_an_incarnation)
{
	struct ist_directory word = word_of(SHARED, NOBODY, NOBODY, 2, E);
	struct coh_result result;
	uint64_t question;

	ck_assert_int_eq(step(word, COH_CLAIM_X, A, 0, &result), 0);
	question = result.epoch;
	ck_assert_int_eq(step(result.word, COH_REAP, B, 0, &result), 0);
	/* while A's transition lasts, the new B has nothing to give up */
	refused(result.word, COH_ACK_INV, B, question, -EALREADY);
	ck_assert_int_eq(step(result.word, COH_SET_X, A, question, &result), 0);
	ck_assert_int_eq(step(result.word, COH_RELEASE, A, question, &result), 0);
	ck_assert_int_eq(step(result.word, COH_CLAIM_S, B, 0, &result), 0);
	refused(result.word, COH_ACK_INV, B, question, -EBUSY);
	ck_assert_int_eq(step(result.word, COH_ACK_DOWN, A, result.epoch, &result), 0);
	ck_assert_int_eq(step(result.word, COH_SET_S, B, result.epoch, &result), 0);
	ck_assert_int_eq(step(result.word, COH_RELEASE, B, result.epoch, &result), 0);
	refused(result.word, COH_ACK_INV, B, question, -ESTALE);
	refused(result.word, COH_EVICT, B, question, -ESTALE);
	/* and an old claim of its own sets and releases nothing */
	refused(result.word, COH_SET_X, B, question, -ESTALE);
	refused(result.word, COH_RELEASE, B, question, -ESTALE);
}
END_TEST

START_TEST(epoch_wraps)
{
	const uint64_t last = IST_DIR_EPOCH_MASK;
	struct coh_result result;

	becomes(word_of(SHARED, NOBODY, NOBODY, 1, last), COH_CLAIM_X, B, 0,
		word_of(SHARED, IS(B), NOBODY, 1, 0));
	becomes(word_of(NONE, NOBODY, NOBODY, 0, last), COH_TAKE, B, 0,
		word_of(MODIFIED, IS(B), IS(B), 2, 0));
	becomes(word_of(NONE, IS(B), NOBODY, 0, last), COH_REAP, B, 0,
		word_of(NONE, NOBODY, NOBODY, 0, 0));
	refused(word_of(SHARED, IS(B), NOBODY, 1, 0), COH_ACK_INV, A, last, -ESTALE);
	/* bits beyond an epoch's make no epoch */
	refused(word_of(SHARED, IS(B), NOBODY, 1, 0), COH_ACK_INV, A, last + 1, -ESTALE);
	ck_assert_int_eq(step(word_of(SHARED, IS(B), 0, 1, 0), COH_ACK_INV, A, 0, &result), 0);
	ck_assert_uint_eq(coh_retake(word_of(MODIFIED, 0, IS(B), 2, last).control, B),
			  word_of(MODIFIED, IS(B), IS(B), 2, 0).control);
	ck_assert_int_eq(coh_retaken(word_of(MODIFIED, 0, IS(A), 1, last), B, 3, &result.word), 1);
	ck_assert(coh_equal(result.word, word_of(MODIFIED, IS(B), IS(B), 2, 0)));
}
END_TEST

START_TEST(sixty_four_peers)
{
	struct ist_directory word = word_of(SHARED, NOBODY, NOBODY, ~0ull, E);
	struct coh_event claim = {COH_CLAIM_X, 63, 0};
	struct coh_result result;

	ck_assert_int_eq(coh_step(word, &claim, 64, &result), 0);
	ck_assert_uint_eq(result.holders, ~0ull >> 1);
	for (unsigned peer = 0; peer < 63; peer++) {
		struct coh_event set = {COH_SET_X, 63, result.epoch};
		struct coh_event ack = {COH_ACK_INV, peer, result.epoch};
		struct coh_result no;

		ck_assert_int_eq(coh_step(result.word, &set, 64, &no), -EAGAIN);
		ck_assert_int_eq(coh_step(result.word, &ack, 64, &result), 0);
	}
	ck_assert_int_eq(coh_step(result.word, &(struct coh_event){COH_SET_X, 63, result.epoch}, 64,
				  &result),
			 0);
	ck_assert_uint_eq(result.word.control, word_of(MODIFIED, 64, 64, 0, E + 1).control);
	ck_assert_uint_eq(result.word.sharers, 1ull << 63);
	ck_assert_int_eq(coh_step(result.word, &(struct coh_event){COH_REAP, 63, 0}, 64, &result),
			 0);
	ck_assert_uint_eq(result.word.sharers, 0);
}
END_TEST

START_TEST(swaps)
{
	_Alignas(16) struct ist_directory shared = word_of(SHARED, NOBODY, NOBODY, 3, E);
	struct ist_directory seen = coh_load(&shared), next = word_of(NONE, NOBODY, NOBODY, 0, E);
	uint64_t control;

	ck_assert(coh_equal(seen, shared));
	ck_assert_int_eq(coh_cas(&shared, &seen, next), 1);
	ck_assert(coh_equal(shared, next));
	/* either half differs: it is told, and nothing changes */
	seen = (struct ist_directory){next.control + 1, next.sharers};
	ck_assert_int_eq(coh_cas(&shared, &seen, word_of(SHARED, 1, 0, 1, 1)), 0);
	ck_assert(coh_equal(seen, next));
	seen = (struct ist_directory){next.control, 8};
	ck_assert_int_eq(coh_cas(&shared, &seen, word_of(SHARED, 1, 0, 1, 1)), 0);
	ck_assert(coh_equal(seen, next));
	ck_assert(coh_equal(shared, next));
	/* a torn snapshot is made whole, and a whole one stays */
	seen = (struct ist_directory){77, 78};
	coh_confirm(&shared, &seen);
	ck_assert(coh_equal(seen, next));
	coh_confirm(&shared, &seen);
	ck_assert(coh_equal(seen, next));
	ck_assert(coh_equal(shared, next));
	control = 5;
	ck_assert_int_eq(coh_cas_control(&shared, &control, 6), 0);
	ck_assert_uint_eq(control, next.control);
	ck_assert_int_eq(coh_cas_control(&shared, &control, 6), 1);
	ck_assert_uint_eq(shared.control, 6);
	ck_assert_uint_eq(shared.sharers, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coherence step");
	TCase *steps = tcase_create("steps");

	tcase_add_test(steps, claims);
	tcase_add_test(steps, sets);
	tcase_add_test(steps, rights_follow_from_set);
	tcase_add_test(steps, releases);
	tcase_add_test(steps, answers);
	tcase_add_test(steps, gives_up_unasked);
	tcase_add_test(steps, takes);
	tcase_add_test(steps, death);
	tcase_add_test(steps, poison);
	tcase_add_test(steps, stale_answer_after_a_death);
	tcase_add_test(steps, stale_question_of_an_incarnation);
	tcase_add_test(steps, epoch_wraps);
	tcase_add_test(steps, sixty_four_peers);
	tcase_add_test(steps, swaps);
	suite_add_tcase(suite, steps);
	return suite_run(suite);
}
