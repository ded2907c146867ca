/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_pager.c: the n-th call of the system that a pager makes fails, for every n: when it starts
 * nothing is left of it; later it says that it cannot go on, once, and what others hold is right.
 * TAP.
 */
#include "tests/descriptors.h"
#include "tests/pager_group.h"
#include "tests/wrap_call.h"

static __thread bool own_call; /* the test's */
static int armed;              /* atomic: calls until one fails; 0: none does */
static int failed;             /* atomic */

static bool fails(void)
{
	if (own_call || __atomic_load_n(&armed, __ATOMIC_SEQ_CST) == 0 ||
	    __atomic_sub_fetch(&armed, 1, __ATOMIC_SEQ_CST) != 0)
		return false;
	__atomic_store_n(&failed, 1, __ATOMIC_SEQ_CST);
	errno = ENOMEM;
	return true;
}

WRAP(int, -1, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))
WRAP(void *, MAP_FAILED, mmap,
     (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(void *, NULL, calloc, (size_t count, size_t size), (count, size))
WRAP(int, -1, madvise, (void *at, size_t size, int advice), (at, size, advice))
WRAP(int, -1, mprotect, (void *at, size_t size, int protection), (at, size, protection))
WRAP(int, -1, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
WRAP(int, ENOMEM, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument))

/* Starts with the n-th call failing. True: none failed, so there are no more. */
static const char *start_fails(int n, bool *last)
{
	struct member *m = member_prepare(0, 1, IST_RIGHT_WRITE);
	unsigned before = count_descriptors();
	int result;

	m->pager = coh_pager_create();
	must(m->pager != NULL);
	coh_pager_peer(m->pager, 0, 1, dup(g.bell[0]));
	__atomic_store_n(&failed, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&armed, n, __ATOMIC_SEQ_CST);
	result = coh_pager_start(m->pager, &m->group, &pager_ops, m, m->error, sizeof(m->error));
	__atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
	*last = !failed;
	member_stop(m);
	if (count_descriptors() != before)
		return "descriptors are left";
	if (failed && (result == 0 || m->error[0] == '\0'))
		return "no error is told";
	return !failed && result != 0 ? m->error : NULL;
}

static void *guest(void *argument)
{
	struct member *m = argument;

	own_call = true;
	for (uint64_t i = 1; i < 20; i++) {
		__atomic_fetch_add(&m->page[0], 1, __ATOMIC_SEQ_CST);
		(void)__atomic_load_n(&m->page[PAGE_WORDS * (i % PAGER_PAGES)], __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Two members use the pages, and the n-th call of either pager fails. */
static const char *later_fails(int n, bool *last)
{
	pthread_t thread[2];
	uint64_t sharers, broken = 0;
	const char *wrong = NULL;

	group_create(1000, 10000000000ull);
	members_start(2);
	__atomic_store_n(&failed, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 2; i++)
		must(__real_pthread_create(&thread[i], NULL, guest, &g.member[i]) == 0);
	__atomic_store_n(&armed, n, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 2; i++) {
		bool ended = false;

		/* Who waits for a page of a broken pager waits until that one is gone. */
		while (!ended) {
			ended = pthread_tryjoin_np(thread[i], NULL) == 0;
			if (ended || g.member[0].broken || g.member[1].broken)
				break;
			usleep(200);
		}
		if (ended)
			thread[i] = 0;
	}
	__atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST);
	*last = !failed;
	for (unsigned i = 0; i < 2; i++)
		broken += (uint64_t)g.member[i].broken;
	/* No page has two who may write, whatever has failed. */
	for (unsigned page = 0; page < PAGER_PAGES; page++) {
		struct ist_directory word = coh_load(&g.entry[page].directory);

		coh_confirm(&g.entry[page].directory, &word);
		sharers = word.sharers;
		if (coh_check(word, PAGER_PEERS) != 0 ||
		    (IST_DIR_STATE(word.control) == IST_DIR_MODIFIED &&
		     (sharers & (sharers - 1)) != 0))
			wrong = "a word makes no sense";
	}
	if (broken > 1)
		wrong = "it is told twice";
	if (!failed && g.content[0] != 38)
		wrong = "an addition is lost";
	/* The pagers go first: userfaultfd lets go who waits. */
	for (unsigned i = 0; i < 2; i++)
		coh_pager_destroy(g.member[i].pager);
	for (unsigned i = 0; i < 2; i++) {
		if (thread[i] != 0)
			must(pthread_join(thread[i], NULL) == 0);
		munmap(g.member[i].page, PAGER_PAGES * IST_PAGE);
	}
	group_destroy();
	return wrong;
}

static int number;

static bool report(const char *what, int count, const char *wrong)
{
	printf("%s %d - %s, %d calls%s%s\n", wrong ? "not ok" : "ok", ++number, what, count,
	       wrong ? ": " : "", wrong ? wrong : "");
	fflush(stdout);
	return wrong == NULL;
}

int main(void)
{
	static const char *const way[] = {"", ", as on Linux 6.1", ", there in a process"};
	bool good = true;

	own_call = false;
	for (int i = 0; i < 3; i++) {
		const char *wrong = NULL;
		char what[64];
		bool last = false;
		int n = 0;

		pager_moments = i < 2;
		if (i == 1)
			setenv("ISTHMUS_PAGER_6_1", "1", 1);
		group_create(1000, 10000000000ull);
		while (!last && wrong == NULL)
			wrong = start_fails(++n, &last);
		group_destroy();
		snprintf(what, sizeof(what), "a start fails%s", way[i]);
		good &= report(what, n, n < 8 && wrong == NULL ? "too few calls" : wrong);
		last = false;
		for (n = 0; !last && wrong == NULL && n < 60;)
			wrong = later_fails(++n, &last);
		snprintf(what, sizeof(what), "a pager fails%s", way[i]);
		good &= report(what, n, n < 8 && wrong == NULL ? "too few calls" : wrong);
	}
	printf("1..%d\n", number);
	return good ? 0 : 1;
}
