/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_host.c: joining a group from a process while the n-th call to the system fails, for every
 * n.
 *
 * The Makefile wraps the calls (WRAP_fault_host).
 */
#include <check.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/served_group.h"
#include "tests/suite.h"
#include "tests/wrap_call.h"

static __thread unsigned fail_at; /* 0: none. The calls of a pager's thread are fault_pager.c's. */
static __thread unsigned calls;

static bool fails(void)
{
	if (!fail_at || ++calls != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

WRAP(void *, NULL, calloc, (size_t count, size_t size), (count, size))
WRAP(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, -1, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size))
WRAP(int, -1, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
WRAP(ssize_t, -1, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
WRAP(ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP(int, -1, fcntl, (int fd, int command, long argument), (fd, command, argument))
WRAP(int, -1, fstat, (int fd, struct stat *status), (fd, status))
WRAP(int, -1, eventfd, (unsigned value, int flags), (value, flags))
WRAP(void *, MAP_FAILED, mmap,
     (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(int, -1, ppoll,
     (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
     (fds, count, timeout, mask))
WRAP(long, -1, syscall, (long number, long a, long b, long c, long d, long e),
     (number, a, b, c, d, e))

WRAP(int, -1, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))
WRAP(int, -1, madvise, (void *at, size_t size, int advice), (at, size, advice))
WRAP(int, ENOMEM, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument))

static struct served served;
static bool paged;

static void start(void)
{
	served_start(&served);
}

static void start_paged(void)
{
	paged = true;
	served_start_as(&served, served_paged);
}

static void stop(void)
{
	served_stop(&served);
}

/* Peers, so that there is something to be told of. */
static void stay(struct ist_group *group)
{
	(void)group;
	for (;;)
		pause();
}

static void expect_works(void)
{
	struct ist_region_info region;
	struct ist_group *group;
	uint64_t *words, before;

	ck_assert_int_eq(ist_group_open("ping", &group), 0);
	if (paged) {
		ck_assert_int_eq(ist_region_find(group, "shared", &region), 0);
		words = region.address;
		before = __atomic_load_n(words, __ATOMIC_RELAXED);
		__atomic_store_n(words, before + 1, __ATOMIC_RELAXED);
		ck_assert_uint_eq(__atomic_load_n(words, __ATOMIC_RELAXED), before + 1);
	}
	ck_assert_int_eq(ist_peer_wait(group, "right", PATIENCE_NS, NULL), 0);
	ck_assert_int_eq(ist_doorbell_ring(group, 1, 1), 0);
	ist_group_close(group);
}

START_TEST(nth_call_fails)
{
	pid_t right = peer_start("right", stay);
	struct ist_group *group;
	unsigned fds, failed = 0;

	expect_works();
	fds = count_descriptors();
	do {
		int err;

		calls = 0;
		fail_at = failed + 1;
		err = ist_group_open(failed % 2 ? "ping" : NULL, &group);
		fail_at = 0;
		if (err)
			ck_assert_int_eq(err, -ENOMEM);
		else
			ist_group_close(group);
		ck_assert_uint_eq(count_descriptors(), fds);
		expect_works(); /* nothing is left at the broker either */
	} while (calls >= ++failed);
	ck_assert_uint_ge(failed, paged ? 35 : 20);
	peer_kill(right);
}
END_TEST

START_TEST(no_descriptors_left)
{
	pid_t right = peer_start("right", stay);
	unsigned fds, failed = 0;
	struct rlimit limit, less;
	struct ist_group *group;
	int err;

	expect_works();
	fds = count_descriptors();
	must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	less = limit;
	do {
		/* The numbers in use are the lowest ones. */
		less.rlim_cur = fds + failed;
		must(setrlimit(RLIMIT_NOFILE, &less) == 0);
		err = ist_group_open("ping", &group);
		must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		if (!err)
			ist_group_close(group);
		else
			ck_assert_int_eq(err, -EMFILE);
		ck_assert_uint_eq(count_descriptors(), fds);
		expect_works();
		failed++;
	} while (err);
	ck_assert_uint_ge(failed, 5);
	peer_kill(right);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fault_host");
	TCase *joining = tcase_create("joining"), *pages = tcase_create("page-coherent");

	tcase_add_checked_fixture(joining, start, stop);
	tcase_add_test(joining, nth_call_fails);
	tcase_add_test(joining, no_descriptors_left);
	suite_add_tcase(suite, joining);
	tcase_add_checked_fixture(pages, start_paged, stop);
	tcase_add_test(pages, nth_call_fails);
	tcase_add_test(pages, no_descriptors_left);
	suite_add_tcase(suite, pages);
	return suite_run(suite);
}
