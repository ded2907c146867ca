/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nth_call.h: the n-th call that a broker makes fails, of those that a program puts itself in the
 * place of. Include it once.
 */
#ifndef TESTS_NTH_CALL_H
#define TESTS_NTH_CALL_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

static struct {
	bool armed;              /* the broker runs, not the test */
	unsigned calls, fail_at; /* of a run */
	const char *failed;      /* what was made to fail, when it was */
} fault;

static inline bool fails(const char *name, int error)
{
	if (!fault.armed || ++fault.calls != fault.fail_at)
		return false;
	fault.failed = name;
	errno = error;
	return true;
}

/* The C library's. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A function of the C library with a result of `none` on errors. */
#define FAULT(type, none, name, error, parameters, ...)                                            \
	type name parameters                                                                       \
	{                                                                                          \
		return fails(#name, error) ? none : REAL(name)(__VA_ARGS__);                       \
	}

#endif
