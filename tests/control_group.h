/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control_group.h: the group of broker_fixture.h served with a control socket, and what is to be
 * answered there. Include it once.
 */
#ifndef TESTS_CONTROL_GROUP_H
#define TESTS_CONTROL_GROUP_H

#include <check.h>

#include "tests/control_fixture.h"

static struct fixture f;

/* A fixture of Check's: before and after each test. */
static inline void control_start(void)
{
	static char path[] = "no-such-file.yml";

	memset(&owner, 0, sizeof(owner));
	fixture_configure(&f);
	f.config.path = path;
	ck_assert_int_eq(fixture_serve(&f), 0);
	ck_assert_int_eq(control_serve(&f), 0);
}

static inline void control_stop(void)
{
	fixture_stop(&f);
}

/* The next that is answered is this. */
static inline void expect(int fd, uint32_t type, struct ivshm_control *out)
{
	ck_assert_int_eq(control_receive(&f, fd, out), 0);
	ck_assert_uint_eq(out->row.type, type);
}

/* It answers with this and hangs up. */
static inline void expect_error(int fd, int code, const char *text)
{
	struct ivshm_control message;

	expect(fd, IVSHM_CONTROL_ERROR, &message);
	ck_assert_str_eq(message.text, text);
	ck_assert_int_eq(message.row.code, code);
	ck_assert_int_eq(control_receive(&f, fd, &message), -EPIPE);
	close(fd);
}

static inline void expect_done(int fd)
{
	struct ivshm_control message;

	expect(fd, IVSHM_CONTROL_DONE, &message);
	ck_assert_int_eq(control_receive(&f, fd, &message), -EPIPE);
	close(fd);
}

#endif
