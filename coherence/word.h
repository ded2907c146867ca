/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * word.h: the directory word: is it well-formed, and how it is read and changed where it is shared.
 *
 * The word is 16 bytes that change by one compare-and-swap. Two things follow.
 *
 * - Two loads do not read it at one instant: a snapshot may be of no moment at all, and then may
 *   look malformed although nobody did wrong. A compare-and-swap against a snapshot tells the word
 *   as it is. So decide on a snapshot, swap, and on failure decide again on what the swap returned;
 *   and before a word is called malformed, coh_confirm() it.
 * - `control` alone may be swapped (8 bytes, cheaper) where the step keeps state and owner: whether
 *   a word is well-formed depends on `sharers` through these two only, so whatever another peer
 * does to `sharers` in between, old and new word are well-formed or malformed alike. coh_step()
 * sets COH_CONTROL_ONLY for such steps. Both widths lock the same line, so each is atomic against
 * the other.
 *
 * While a peer is busy and owner of a MODIFIED word, no correct peer changes the word but itself
 * (no other has a bit to give up, and nobody can claim): it may RELEASE by a plain store-release of
 * `control`. Partner: the acquire of the next claim.
 */
#ifndef COH_WORD_H
#define COH_WORD_H

#include <isthmus/abi.h>

/**
 * coh_check - 0, or -EPROTO: `word` is one that no correct peer of a group of `peers` (1 to
 * IST_PEERS_MAX) writes. Pure.
 */
int coh_check(struct ist_directory word, unsigned peers);

/** coh_bit - the set of `peer` (below IST_PEERS_MAX) alone. Defined for any number. */
static inline uint64_t coh_bit(unsigned peer)
{
	return (uint64_t)1 << peer % IST_PEERS_MAX;
}

/** coh_equal - both words are the same, bit by bit. */
static inline int coh_equal(struct ist_directory a, struct ist_directory b)
{
	return a.control == b.control && a.sharers == b.sharers;
}

/*
 * What follows touches shared memory. It is not for kernels (they have their own words for it, and
 * `cmpxchg16b` is not to be had in ring 0 of every machine this runs on: see docs/protocol.md).
 */
#ifndef __KERNEL__

/** coh_load - a snapshot: each half atomic (acquire), both not at one instant. Needs no right to
 * write. */
static inline struct ist_directory coh_load(const struct ist_directory *shared)
{
	struct ist_directory word;

	word.control = __atomic_load_n(&shared->control, __ATOMIC_ACQUIRE);
	word.sharers = __atomic_load_n(&shared->sharers, __ATOMIC_ACQUIRE);
	return word;
}

#if defined(__SANITIZE_THREAD__)
#define COH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COH_TSAN 1
#endif
#endif
#ifdef COH_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define COH_TSAN_RELEASE(address) __tsan_release(address)
#define COH_TSAN_ACQUIRE(address) __tsan_acquire(address)
#else
#define COH_TSAN_RELEASE(address) ((void)(address))
#define COH_TSAN_ACQUIRE(address) ((void)(address))
#endif

/**
 * coh_cas - change the word from *expected to `desired`, if that is what it is. The linearisation
 * point of every step that changes a word. Sequentially consistent, as every locked instruction is;
 * partners are the other peers' swaps of the same word. `shared` is aligned to 16.
 * Returns 1; 0 it was another, which is now in *expected (read at one instant).
 */
static inline int coh_cas(struct ist_directory *shared, struct ist_directory *expected,
			  struct ist_directory desired)
{
#ifdef __x86_64__
	unsigned char done;

	/* Not the compiler's builtin: that is a call into libatomic, which app VMs do not have. */
	COH_TSAN_RELEASE(shared);
	__asm__ __volatile__("lock cmpxchg16b %1"
			     : "=@ccz"(done), "+m"(*shared), "+a"(expected->control),
			       "+d"(expected->sharers)
			     : "b"(desired.control), "c"(desired.sharers)
			     : "memory");
	COH_TSAN_ACQUIRE(shared);
	return done;
#else
	union {
		struct ist_directory word;
		unsigned __int128 all;
	} was = {*expected}, becomes = {desired};
	int done = __atomic_compare_exchange_n((unsigned __int128 *)(void *)shared, &was.all,
					       becomes.all, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);

	*expected = was.word;
	return done;
#endif
}

/**
 * coh_cas_control - coh_cas() for a step with COH_CONTROL_ONLY: of `control` alone. Returns 1; 0 it
 * was another, and then *control is what it was (`sharers` has to be loaded anew).
 */
static inline int coh_cas_control(struct ist_directory *shared, uint64_t *control, uint64_t desired)
{
	return __atomic_compare_exchange_n(&shared->control, control, desired, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/**
 * coh_confirm - make *word, a snapshot, what the word was at one instant, by swapping it for
 * itself. Needs the right to write. One try is enough.
 */
static inline void coh_confirm(struct ist_directory *shared, struct ist_directory *word)
{
	coh_cas(shared, word, *word);
}

#endif
#endif
