/* SPDX-License-Identifier: BSD-2-Clause */
/* words.h: access to words that other instances read or write at the same time. */
#ifndef IST_CORE_WORDS_H
#define IST_CORE_WORDS_H

#include <stdint.h>

/* For content that another may change meanwhile: what was read is looked at once it is known to be
   whole, which ThreadSanitizer does not know. */
#if defined(__SANITIZE_THREAD__)
#define IST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IST_TSAN 1
#endif
#endif

#define ist_likely(x) (__builtin_expect(!!(x), 1) != 0)
#define ist_unlikely(x) (__builtin_expect(!!(x), 0) != 0)

/* For what is in one piece wherever it is used: between taking something and letting it go. */
#define ist_inline inline __attribute__((always_inline))

static inline uint64_t ist_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t ist_load_acquire(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint32_t ist_load32(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void ist_store_release(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void ist_store32(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void ist_store32_release(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Acquire and release. On failure *expected is what was found. */
static inline int ist_cas(uint64_t *word, uint64_t *expected, uint64_t value)
{
	return __atomic_compare_exchange_n(word, expected, value, 0, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* The arm/kick handshake's fence: my store before, your word after. */
static inline void ist_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* This line is about to be written: fetches it as its owner, not to share it. A hint. */
static inline void ist_prefetch_write(const void *line)
{
#if defined(__x86_64__)
	/* The compiler's builtin is a prefetch for reading unless the target is said to have this;
	   every 64-bit x86 processor takes it, at worst as nothing. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

static inline void ist_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("" ::: "memory");
#endif
}

#endif
