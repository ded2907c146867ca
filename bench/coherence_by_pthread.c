/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_by_pthread.c: the C library's process-shared mutex, robust mutex and read-write lock.
 * They sleep in the kernel of the host (futex), which an app VM has not got: there `doorbell`
 * (coherence_by_doorbell.c) stands in for the mutex.
 */
#include "coherence_lock.h"

#if __STDC_HOSTED__
#include <pthread.h>

static inline int mutex_lock(pthread_mutex_t *lock, struct object *o)
{
	(void)o;
	return -pthread_mutex_lock(lock);
}

static inline int mutex_unlock(pthread_mutex_t *lock, struct object *o)
{
	(void)o;
	return -pthread_mutex_unlock(lock);
}

static int mutex_make(struct object *o, int robust)
{
	pthread_mutexattr_t attributes;
	int error = pthread_mutexattr_init(&attributes);

	if (error != 0)
		return -error;
	error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_mutexattr_setrobust(&attributes, robust);
	if (error == 0)
		error = pthread_mutex_init(o->head, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -error;
}

static int mutex_init(struct object *o)
{
	return mutex_make(o, PTHREAD_MUTEX_STALLED);
}

static int robust_init(struct object *o)
{
	return mutex_make(o, PTHREAD_MUTEX_ROBUST);
}

static inline int rwlock_write(pthread_rwlock_t *lock, struct object *o)
{
	(void)o;
	return -pthread_rwlock_wrlock(lock);
}

static inline int rwlock_read_lock(pthread_rwlock_t *lock, struct object *o)
{
	(void)o;
	return -pthread_rwlock_rdlock(lock);
}

static inline int rwlock_unlock(pthread_rwlock_t *lock, struct object *o)
{
	(void)o;
	return -pthread_rwlock_unlock(lock);
}

static int rwlock_init(struct object *o)
{
	pthread_rwlockattr_t attributes;
	int error = pthread_rwlockattr_init(&attributes);

	if (error != 0)
		return -error;
	error = pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_rwlock_init(o->head, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	return -error;
}

LOCK_FUNCTIONS(mutex, pthread_mutex_t, mutex_lock, mutex_unlock)
LOCK_WRITE_FUNCTIONS(rwlock, pthread_rwlock_t, rwlock_write, rwlock_unlock)
LOCK_READ_FUNCTION(rwlock, pthread_rwlock_t, rwlock_read_lock, rwlock_unlock)

const struct strategy by_mutex = LOCK_STRATEGY(mutex, "mutex", pthread_mutex_t, .init = mutex_init);
const struct strategy by_robust =
	LOCK_STRATEGY(mutex, "robust", pthread_mutex_t, .init = robust_init);
const struct strategy by_rwlock =
	LOCK_STRATEGY(rwlock, "rwlock", pthread_rwlock_t, .init = rwlock_init);

#else
#define NO_FUTEX "an app VM has no futex: `doorbell` stands in for it"
const struct strategy by_mutex = {.name = "mutex", .why = NO_FUTEX};
const struct strategy by_robust = {.name = "robust", .why = NO_FUTEX};
const struct strategy by_rwlock = {.name = "rwlock", .why = NO_FUTEX};
#endif
