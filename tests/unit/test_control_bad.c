/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_control_bad.c: who asks at the control socket what is no request, too many at a time, or
 * takes no answer: nobody waits for them.
 */
#include <check.h>

#include "ivshmem/log.h"
#include "tests/control_group.h"
#include "tests/fast_ticks.h"
#include "tests/suite.h"

START_TEST(garbage)
{
	struct ivshm_control m = {.row = {.type = 99}};
	static char bytes[sizeof(m) + 100];
	static const char not_of_version[] = "not a request of version 3";
	const size_t lengths[] = {1, sizeof(m.row) - 1, sizeof(m), sizeof(bytes)};
	int fd = control_connect(&f);

	ck_assert_int_eq(ivshm_control_send(fd, &m), 0);
	expect_error(fd, EPROTO, "unknown request 99");
	for (unsigned i = 0; i < 4; i++) {
		fd = control_connect(&f);
		memset(bytes, 1, sizeof(bytes));
		memcpy(bytes, &(uint32_t[]){IVSHM_CONTROL_STATUS, IVSHM_CONTROL_VERSION}, 8);
		ck_assert_int_eq(send(fd, bytes, lengths[i], 0), (ssize_t)lengths[i]);
		expect_error(fd, EPROTO, not_of_version);
	}
	/* Another version; a name without end; an answer instead of a request. */
	fd = control_connect(&f);
	memset(&m, 0, sizeof(m));
	m.row.type = IVSHM_CONTROL_STATUS;
	m.row.version = IVSHM_CONTROL_VERSION + 1;
	ck_assert_int_eq(send(fd, &m, sizeof(m.row), 0), sizeof(m.row));
	expect_error(fd, EPROTO, not_of_version);
	fd = control_connect(&f);
	m.row.type = IVSHM_CONTROL_START;
	memset(m.row.name, 'x', sizeof(m.row.name));
	ck_assert_int_eq(ivshm_control_send(fd, &m), 0);
	expect_error(fd, ENOENT, "no instance 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'");
	fd = control_connect(&f);
	control_ask(fd, IVSHM_CONTROL_DONE, "");
	expect_error(fd, EPROTO, "unknown request 10");
	close(control_connect(&f)); /* nothing at all */
	fixture_settle(&f);
	ck_assert_uint_eq(owner.starts + owner.stops + owner.downs, 0);
}
END_TEST

/* Descriptors that come with a request are nobody's. */
START_TEST(descriptors)
{
	struct ivshm_control m = {
		.row = {.type = IVSHM_CONTROL_STATUS, .version = IVSHM_CONTROL_VERSION}};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {&m, sizeof(m.row)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	unsigned before = count_descriptors();
	int fd = control_connect(&f);

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(fd, &message, 0), sizeof(m.row));
	do
		ck_assert_int_eq(control_receive(&f, fd, &m), 0);
	while (m.row.type != IVSHM_CONTROL_DONE);
	close(fd);
	fixture_settle(&f);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

#define ASKERS 8

START_TEST(a_crowd)
{
	int fd[ASKERS], more;

	for (unsigned i = 0; i < ASKERS; i++) {
		fd[i] = control_connect(&f);
		fixture_settle(&f);
	}
	more = control_connect(&f);
	control_ask(more, IVSHM_CONTROL_STATUS, ""); /* unread, which must not hide the reason */
	expect_error(more, EAGAIN, "8 others are asking already");
	close(fd[3]);
	fixture_settle(&f);
	fd[3] = control_connect(&f);
	control_ask(fd[3], IVSHM_CONTROL_START, "left");
	expect_done(fd[3]);
	for (unsigned i = 0; i < ASKERS; i++)
		if (i != 3)
			close(fd[i]);
	fixture_settle(&f);
}
END_TEST

/*
 * Who does not read its answer, or asks nothing, is hung up on after 5 s; peers come and go, and
 * others are answered meanwhile.
 */
START_TEST(says_and_reads_nothing)
{
	static struct ivshm_instance_config many[IST_PEERS_MAX];
	static char names[IST_PEERS_MAX][8];
	struct ivshm_control m;
	struct raw left;
	unsigned rows = 0;
	int silent, deaf, r;

	fixture_configure(&f);
	f.config.path = f.dir;
	for (unsigned i = 0; i < IST_PEERS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%s%u", i ? "p" : "left", i);
		many[i].name = names[i];
		f.group.member[i] = i;
	}
	snprintf(names[0], sizeof(names[0]), "left");
	f.config.instances = many;
	f.config.instances_count = f.group.members_count = IST_PEERS_MAX;
	f.group.max_peers = IST_PEERS_MAX;
	ck_assert_int_eq(fixture_serve(&f), 0);
	memset(&owner, 0, sizeof(owner));
	f.config.instances_count = 3; /* as many as the owner knows of */
	ck_assert_int_eq(control_serve(&f), 0);

	silent = control_connect(&f);
	deaf = control_connect(&f);
	control_ask(deaf, IVSHM_CONTROL_STATUS, "");
	fixture_settle(&f);
	left = raw_live(&f, "left");
	ck_assert_uint_eq(control_peer(&f, 0).state, IST_PEER_LIVE);
	fixture_await(&f, silent); /* until it is hung up on */
	ck_assert_int_eq(ivshm_control_receive(silent, &m, MSG_DONTWAIT), -EPIPE);
	raw_leave(&f, &left);
	/* What was sent is there; the rest never came. */
	for (unsigned i = 0; i < 20; i++)
		fixture_settle(&f);
	while ((r = control_receive(&f, deaf, &m)) == 0) {
		ck_assert_uint_ne(m.row.type, IVSHM_CONTROL_DONE);
		rows++;
	}
	ck_assert_int_eq(r, -EPIPE);
	ck_assert_uint_gt(rows, 0);
	ck_assert_uint_lt(rows, IST_PEERS_MAX);
	close(silent);
	close(deaf);
	fixture_stop(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control, bad askers");
	TCase *plain = tcase_create("control");
	TCase *own = tcase_create("own");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(plain, control_start, control_stop);
	tcase_add_test(plain, garbage);
	tcase_add_test(plain, descriptors);
	tcase_add_test(plain, a_crowd);
	suite_add_tcase(suite, plain);
	tcase_add_test(own, says_and_reads_nothing);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
