/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_lock.h: makes a strategy of a lock. LOCK_FUNCTIONS(id, type, ...) defines the
 * operations, with the lock's functions inlined into them; LOCK_STRATEGY gives them a name.
 *
 * The lock's functions take (type *lock, struct object *object) and return 0 or -errno.
 */
#ifndef BENCH_COHERENCE_LOCK_H
#define BENCH_COHERENCE_LOCK_H

#include "coherence.h"

#define LOCK_WRITE_FUNCTIONS(id, type, lock, unlock)                                               \
	static int id##_apply(struct object *o, unsigned op, uint64_t argument, uint64_t *result)  \
	{                                                                                          \
		int error = lock((type *)o->head, o);                                              \
                                                                                                   \
		if (error != 0)                                                                    \
			return error;                                                              \
		*result = operate(o->data, o->words, op, argument);                                \
		return unlock((type *)o->head, o);                                                 \
	}                                                                                          \
	static int id##_enter(struct object *o, uint64_t **data)                                   \
	{                                                                                          \
		*data = o->data;                                                                   \
		return lock((type *)o->head, o);                                                   \
	}                                                                                          \
	static int id##_leave(struct object *o)                                                    \
	{                                                                                          \
		return unlock((type *)o->head, o);                                                 \
	}

#define LOCK_READ_FUNCTION(id, type, lock, unlock)                                                 \
	static int id##_read(struct object *o, uint64_t *copy)                                     \
	{                                                                                          \
		int error = lock((type *)o->head, o);                                              \
                                                                                                   \
		if (error != 0)                                                                    \
			return error;                                                              \
		copy_words(copy, o->data, o->words);                                               \
		return unlock((type *)o->head, o);                                                 \
	}

/* A lock that knows no readers. */
#define LOCK_FUNCTIONS(id, type, lock, unlock)                                                     \
	LOCK_WRITE_FUNCTIONS(id, type, lock, unlock)                                               \
	LOCK_READ_FUNCTION(id, type, lock, unlock)

/* The rest are further members of the strategy. */
#define LOCK_STRATEGY(id, text, type, ...)                                                         \
	{                                                                                          \
		.name = text, .can = NEED_ANY, .head = sizeof(type), .apply = id##_apply,          \
		.read = id##_read, .enter = id##_enter, .leave = id##_leave, __VA_ARGS__           \
	}

#endif
