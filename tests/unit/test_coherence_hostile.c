/* SPDX-License-Identifier: BSD-2-Clause */
/* test_coherence_hostile.c: words and events that no correct peer gives; the fast forms. */
#include "tests/coherence_words.h"
#include "tests/suite.h"
#include "tests/xorshift.h"

START_TEST(malformed_words)
{
	const struct ist_directory bad[] = {
		word_of(NONE, NOBODY, NOBODY, 1, E),
		word_of(NONE, NOBODY, IS(A), 0, E),
		word_of(NONE, NOBODY, IS(A), 1, E),
		word_of(SHARED, NOBODY, NOBODY, 0, E),
		word_of(SHARED, NOBODY, IS(A), 1, E),
		word_of(SHARED, NOBODY, NOBODY, 9, E),
		word_of(SHARED, IS(PEERS), NOBODY, 1, E),
		word_of(NONE, 0x7f, NOBODY, 0, E),
		word_of(MODIFIED, NOBODY, NOBODY, 0, E),
		word_of(MODIFIED, NOBODY, NOBODY, 1, E),
		word_of(MODIFIED, NOBODY, IS(A), 0, E),
		word_of(MODIFIED, NOBODY, IS(A), 2, E),
		word_of(MODIFIED, NOBODY, IS(A), 3, E),
		word_of(MODIFIED, NOBODY, IS(PEERS), 8, E),
		word_of(MODIFIED, NOBODY, 0x7f, 1, E),
		word_of(POISONED, NOBODY, NOBODY, 4, E),
		word_of(POISONED, NOBODY, IS(A), 0, E),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(coh_check(bad[i], PEERS), -EPROTO);
		for (unsigned type = 1; type <= COH_STEP_LAST; type++) {
			if (type == COH_BREAK)
				becomes(bad[i], type, A, 0, word_of(POISONED, 0, 0, 0, E + 1));
			else if (coh_step_changes_word(type))
				refused(bad[i], type, A, E, -EPROTO);
		}
	}
}
END_TEST

START_TEST(events_that_are_none)
{
	struct ist_directory word = word_of(NONE, NOBODY, NOBODY, 0, E);
	struct coh_event event = {COH_CLAIM_S, 0, 0};
	struct coh_result result;

	refused(word, COH_CLAIM_S, PEERS, 0, -EINVAL);
	refused(word, COH_CLAIM_S, UINT32_MAX, 0, -EINVAL);
	refused(word, 0, A, 0, -EINVAL);
	refused(word, COH_STEP_LAST + 1, A, 0, -EINVAL);
	refused(word, UINT32_MAX, A, 0, -EINVAL);
	for (unsigned type = 1; type <= COH_STEP_LAST; type++) {
		ck_assert_str_ne(coh_step_name(type), "?");
		if (!coh_step_changes_word(type))
			refused(word, type, A, 0, -EINVAL);
	}
	ck_assert_str_eq(coh_step_name(COH_STEP_LAST + 1), "?");
	ck_assert_int_eq(coh_step(word, &event, IST_PEERS_MAX + 1, &result), -EINVAL);
	ck_assert_int_eq(coh_step(word, &event, 0, &result), -EINVAL);
}
END_TEST

/* As ck_assert(), which writes to a file each time. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("not so: " #condition);                                       \
	} while (0)

/* Words from a hostile peer: noise, and well-formed ones with a few bits changed. */
static struct ist_directory hostile(uint64_t *random, unsigned peers)
{
	uint64_t r = xorshift(random);
	unsigned peer = (unsigned)(r >> 8) % peers, state = r & 3;
	unsigned busy = r & 4 ? (unsigned)(r >> 16) % (peers + 2) : 0;
	struct ist_directory word = {xorshift(random), xorshift(random)};

	if ((r >> 48) % 8 == 0)
		return word;
	word = word_of(state, busy, state == MODIFIED ? IS(peer) : 0,
		       state == MODIFIED ? coh_bit(peer)
		       : state == SHARED ? word.sharers & (~(uint64_t)0 >> (64 - peers))
					 : 0,
		       r >> 40);
	if ((r >> 52) % 8 == 0)
		word.control ^= coh_bit((unsigned)(r >> 24) % 64);
	if ((r >> 56) % 8 == 0)
		word.sharers ^= coh_bit((unsigned)(r >> 30) % 64);
	return word;
}

/* An event that has something to do with the word more often than not. */
static struct coh_event event_for(struct ist_directory word, uint64_t *random, unsigned peers)
{
	uint64_t r = xorshift(random);
	struct coh_event event = {.type = r & 31, .peer = (unsigned)(r >> 8) % (peers + 1)};

	if (r & 32 && IST_DIR_BUSY(word.control))
		event.peer = IST_DIR_BUSY(word.control) - 1;
	else if (r & 64 && IST_DIR_OWNER(word.control))
		event.peer = IST_DIR_OWNER(word.control) - 1;
	event.epoch = r & 128 ? IST_DIR_EPOCH(word.control) : xorshift(random);
	return event;
}

/* Whatever the word: the result is well-formed, and takes nothing from a peer but the event's. */
START_TEST(hostile_words)
{
	uint64_t random = 0x9e3779b97f4a7c15u, done = 0, broken = 0;

	for (unsigned i = 0; i < 4000000; i++) {
		unsigned peers = 1 + (unsigned)(xorshift(&random) % 64);
		struct ist_directory word = hostile(&random, peers);
		struct coh_event event = event_for(word, &random, peers);
		struct coh_result out;
		int n = coh_step(word, &event, peers, &out), well = !coh_check(word, peers);

		if (n) {
			REQUIRE(n == -EINVAL || well || n == -EPROTO);
			REQUIRE(n != -EPROTO || !well);
			continue;
		}
		done++;
		broken += !well;
		REQUIRE(well || event.type == COH_BREAK);
		REQUIRE(!coh_check(out.word, peers));
		REQUIRE(!(out.holders & coh_bit(event.peer)));
		REQUIRE(!(out.holders & ~word.sharers));
		if (well && event.type != COH_TAKE)
			REQUIRE(!((out.word.sharers ^ word.sharers) & ~coh_bit(event.peer)));
		if (out.actions & COH_CONTROL_ONLY)
			REQUIRE(out.word.sharers == word.sharers);
	}
	/* it was not all refused */
	ck_assert_uint_gt(done, 100000);
	ck_assert_uint_gt(broken, 10000);
}
END_TEST

/* The fast forms are coh_step()'s. */
START_TEST(fast_forms)
{
	uint64_t random = 88172645463325252u, taken = 0, taken_over = 0;

	for (unsigned i = 0; i < 2000000; i++) {
		struct ist_directory word = hostile(&random, 64);
		unsigned peer = event_for(word, &random, 64).peer % 64;
		struct coh_event event = {COH_TAKE, peer, 0};
		uint64_t control = coh_retake(word.control, peer);
		struct ist_directory next = {~0ull, ~0ull};
		struct coh_result out;

		/* Of the whole word: malformed ones too. */
		if (coh_retaken(word, peer, 64, &next)) {
			taken_over += IST_DIR_OWNER(word.control) != peer + 1;
			REQUIRE(!coh_step(word, &event, 64, &out));
			REQUIRE(coh_equal(out.word, next));
		} else {
			REQUIRE(coh_step(word, &event, 64, &out) ||
				IST_DIR_STATE(word.control) != IST_DIR_MODIFIED);
		}
		if (coh_check(word, 64))
			continue;
		if (!control) {
			REQUIRE(coh_step(word, &event, 64, &out) ||
				!(out.actions & COH_CONTROL_ONLY));
			continue;
		}
		taken++;
		REQUIRE(!coh_step(word, &event, 64, &out));
		REQUIRE(out.word.control == control);
		REQUIRE(out.actions & COH_CONTROL_ONLY);
		event = (struct coh_event){COH_RELEASE, peer, out.epoch};
		REQUIRE(!coh_step(out.word, &event, 64, &out));
		REQUIRE(out.word.control == coh_released(control));
	}
	ck_assert_uint_gt(taken, 10000);
	ck_assert_uint_gt(taken_over, 10000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coherence hostile");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, malformed_words);
	tcase_add_test(tcase, events_that_are_none);
	tcase_add_test(tcase, hostile_words);
	tcase_add_test(tcase, fast_forms);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
