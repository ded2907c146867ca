/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_stalled.c: whether a process is stopped (SIGSTOP, a tracer), as /proc says: it cannot run,
 * though nothing in it waits. Looked at when somebody asks.
 */
#include "broker_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 256u /* looked at: the broker has other things to do */

/* The letter behind the name, which is in parentheses and may hold any. 0: it has ended. */
static char thread_state(int tasks, const char *thread)
{
	char path[32], line[256], *end;
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "%s/stat", thread) >= (int)sizeof(path))
		return 0;
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	line[n] = '\0';
	end = strrchr(line, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

bool ivshm_process_stalled(pid_t pid, int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	const struct dirent *entry;
	bool stalled = false;
	unsigned threads = 0;
	char path[32];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return false;
	while (!stalled && threads < THREADS_MAX && (entry = readdir(tasks))) {
		char state;

		if (entry->d_name[0] == '.')
			continue;
		threads++;
		state = thread_state(dirfd(tasks), entry->d_name);
		stalled = state == 'T' || state == 't';
	}
	closedir(tasks);
	/* Who is there now was there all the while: the number was not another's. */
	return stalled && poll(&ended, 1, 0) == 0;
}
