/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap_call.h: functions that the linker sends to a test (WRAP_ in the Makefile), which fail when
 * the test's fails() says so, and says why in errno.
 */
#ifndef TESTS_WRAP_CALL_H
#define TESTS_WRAP_CALL_H

#define WRAP(type, failure, name, parameters, arguments)                                           \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails() ? (failure) : __real_##name arguments;                              \
	}

#endif
