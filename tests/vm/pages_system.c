/* SPDX-License-Identifier: BSD-2-Clause */
/* pages_system.c: the kernel reads and writes page-coherent memory on behalf of its process. */
#include <isthmus/isthmus.h>

int pages_system(uint64_t *page, uint64_t *spare, uint64_t times);

#if __STDC_HOSTED__
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipes[2];

/* The kernel reads a word that another instance adds to, and stores what it read elsewhere. */
static int pass(const uint64_t *from, uint64_t *to)
{
	return write(pipes[1], from, sizeof(*from)) == sizeof(*from) &&
	       read(pipes[0], to, sizeof(*to)) == sizeof(*to);
}

/* Neither sleeps: the word is not 1, and nobody waits. */
static int futexes(uint64_t *word)
{
	return syscall(SYS_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN &&
	       syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0;
}

/* A child would not obey the pager: it has no mapping of the region. */
static int child_has_nothing(const uint64_t *page)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		(void)__atomic_load_n(page, __ATOMIC_RELAXED);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

int pages_system(uint64_t *page, uint64_t *spare, uint64_t times)
{
	uint64_t last = 0, now;

	if (pipe(pipes) || mlock(page, 4096)) {
		ist_print("bad: no pipe, or the page cannot be locked\n");
		return 1;
	}
	for (uint64_t i = 0; i < times; i++) {
		now = 0;
		if (!pass(page, &spare[0]) || !pass(&spare[0], &now) || now < last) {
			ist_print("bad: %lu after %lu\n", now, last);
			return 1;
		}
		last = now;
		if (!futexes(&spare[1])) {
			ist_print("bad: a futex: error %d\n", errno);
			return 1;
		}
	}
	if (!child_has_nothing(page))
		ist_print("bad: a child sees the page\n");
	ist_print("the system's calls work\n");
	return 0;
}
#else
int pages_system(uint64_t *page, uint64_t *spare, uint64_t times)
{
	(void)page;
	(void)spare;
	(void)times;
	ist_print("there is no system here\n");
	return 1;
}
#endif
