/* SPDX-License-Identifier: BSD-2-Clause */
/* process.c: which process, which eventfd, as /proc says. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_FIELD 22 /* of /proc/PID/stat, from 1 on */

/* The beginning of a file, as a string. 0 or -errno. */
static int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		r = -errno;
	else
		text[n] = '\0';
	close(fd);
	return r;
}

bool ivshm_process_lives(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return poll(&ended, 1, 0) == 0;
}

int ivshm_process_start(pid_t pid, int pidfd, uint64_t *start)
{
	char path[32], text[1024], *at;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = read_file(path, text, sizeof(text));
	if (r)
		return r == -ENOENT ? -ESRCH : r;
	/* The second field is the name in parentheses, which may hold any. */
	at = strrchr(text, ')');
	for (unsigned field = 2; at && field < START_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EPROTO;
	*start = strtoull(at + 1, NULL, 10);
	/* Who is there now was there all the while: the number was not another's. */
	return ivshm_process_lives(pidfd) ? 0 : -ESRCH;
}

int ivshm_process_open(pid_t pid, uint64_t start)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint64_t found = 0;
	int r;

	if (pidfd < 0)
		return errno == EINVAL ? -ESRCH : -errno; /* EINVAL: no process, but a thread */
	r = ivshm_process_start(pid, pidfd, &found);
	if (r == 0 && found != start)
		r = -ESRCH;
	if (r == 0)
		return pidfd;
	close(pidfd);
	return r;
}

int ivshm_eventfd_id(int fd, uint64_t *id)
{
	static const char key[] = "\neventfd-id:";
	char path[40], text[1024];
	const char *at;
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	r = read_file(path, text, sizeof(text));
	if (r)
		return r;
	at = strstr(text, key);
	if (!at)
		return -EINVAL;
	*id = strtoull(at + sizeof(key) - 1, NULL, 10) + 1;
	return 0;
}
