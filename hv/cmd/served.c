/* SPDX-License-Identifier: BSD-2-Clause */
/* served.c: what a broker of another process serves, seen from outside. */
#include "served.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem/door.h"
#include "ivshmem/log.h"

/* Who listens at the group's socket. Its pid, or -errno. */
static pid_t broker_of(const char *dir, const char *group)
{
	int fd = ivshm_door_enter(&ivshm_group_door, dir, group);
	struct ucred who;
	socklen_t size = sizeof(who);
	pid_t result;

	if (fd < 0)
		return fd;
	result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) ? -errno : who.pid;
	close(fd);
	return result;
}

/* The broker's descriptor of the group's memfd, by the name that it was given. */
static int find(pid_t broker, const char *group, char *path, size_t size)
{
	char wanted[NAME_MAX], folder[32], link[PATH_MAX];
	const struct dirent *entry;
	int found = -ENOENT;
	DIR *dir;

	snprintf(wanted, sizeof(wanted), "/memfd:isthmus:%s (deleted)", group);
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)broker);
	dir = opendir(folder);
	if (!dir)
		return -errno;
	while (found && (entry = readdir(dir))) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (length < 0)
			continue;
		link[length] = '\0';
		if (!strcmp(link, wanted))
			found = (size_t)snprintf(path, size, "%s/%s", folder, entry->d_name) < size
					? 0
					: -ENAMETOOLONG;
	}
	closedir(dir);
	return found;
}

int served_memory(const char *dir, const char *group, char *path, size_t size)
{
	pid_t broker = broker_of(dir, group);
	int ret = 0;

	if (broker < 0) {
		ivshm_log(IVSHM_LOG_ERROR,
			  "group %s is not open in %s: %s; start `isthmus up` first", group, dir,
			  strerror(-broker));
		return broker;
	}
	ret = find(broker, group, path, size);
	if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "group %s: its memory in process %d: %s", group,
			  (int)broker, strerror(-ret));
	return ret;
}
