/* SPDX-License-Identifier: BSD-2-Clause */
/* test_group_pages.c: libisthmus in processes, against the real broker: page-coherent regions. */
#include <check.h>
#include <setjmp.h>
#include <stdint.h>

#include "guestlib/platform/host/host.h"
#include "tests/served_group.h"
#include "tests/suite.h"

enum { TAKE, ADD };

#define MANY 20000u

static void take_page_one(struct ist_group *other)
{
	uint32_t *shared = flags(other);

	must(get(&shared[1024]) == 77);
	set(&shared[1024], 78);
}

static void add_many(struct ist_group *other)
{
	for (unsigned i = 0; i < MANY; i++)
		__atomic_add_fetch(flags(other), 1, __ATOMIC_SEQ_CST);
}

/*
 * The other peer, forked before this one joins: sanitizers take no threads, and a pager is one, in
 * a child of a process that has some.
 */
static struct served served;
static struct ist_group *group;
static pid_t right;
static int starter;

static void start(void)
{
	int pipes[2];
	char what;

	served_start_as(&served, served_paged);
	must(pipe2(pipes, O_CLOEXEC) == 0);
	right = fork();
	must(right >= 0);
	if (right == 0) {
		close(pipes[1]);
		must(read(pipes[0], &what, 1) == 1);
		peer_be("right", what == TAKE ? take_page_one : add_many);
	}
	close(pipes[0]);
	starter = pipes[1];
	must(ist_group_open("ping", &group) == 0);
}

static void stop(void)
{
	ist_group_close(group);
	served_stop(&served);
}

static void go(char what)
{
	must(write(starter, &what, 1) == 1);
	close(starter);
}

static sigjmp_buf lost;

static void on_bus_error(int signal)
{
	siglongjmp(lost, signal);
}

/* What a load there ends in: 0, or the signal. */
static int touch(const uint32_t *word)
{
	int signal = sigsetjmp(lost, 1);

	if (signal == 0)
		(void)get(word);
	return signal;
}

/* Words that no pager writes: nobody waits for ever, and what was held is given up whole. */
START_TEST(pager_breaks)
{
	const struct ist_host *host = group->platform;
	const struct sigaction action = {.sa_handler = on_bus_error};
	size_t size = IST_PAGE_DIRECTORY_SIZE(16, 4);
	uint32_t *shared = flags(group);
	struct ist_page_directory *directory;
	struct ist_peer_info self;
	struct ist_page *entry;

	directory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, host->memory,
			 (off_t)host->directory[0]);
	must(directory != MAP_FAILED);
	entry = (void *)(directory + 1);
	must(sigaction(SIGBUS, &action, NULL) == 0);
	set(&shared[1024], 77); /* page 1 is held modified */
	entry[0].directory.control = IST_DIR_CONTROL(IST_DIR_MODIFIED, 0, 9, 3);
	ck_assert_int_eq(touch(&shared[0]), SIGBUS);
	ck_assert_int_eq(touch(&shared[1024]), SIGBUS);
	entry[0].directory.control = 0;
	go(TAKE);
	peer_join(right);
	munmap(directory, size);
	must(ist_peer_get(group, 0, &self) == 0); /* all else works on */
	ck_assert_int_eq(self.state, IST_STATE_LIVE);
}
END_TEST

/* A page that changes hands all the time, by threads of two processes, with all else going on. */
START_TEST(pages_change_hands)
{
	uint32_t *shared = flags(group);

	go(ADD);
	for (unsigned i = 0; i < MANY; i++)
		__atomic_add_fetch(&shared[0], 1, __ATOMIC_SEQ_CST);
	await(&shared[0], 2 * MANY);
	peer_join(right);
	ck_assert_uint_eq(get(&shared[0]), 2 * MANY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group_pages");
	TCase *test = tcase_create("page-coherent");

	tcase_add_checked_fixture(test, start, stop);
	tcase_add_test(test, pager_breaks);
	tcase_add_test(test, pages_change_hands);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
