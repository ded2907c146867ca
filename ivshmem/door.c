/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door.c: a listening socket in the file system, guarded by a lock file beside it.
 *
 * Who holds the lock owns the socket's name. A lock dies with its holder, a socket's name does not:
 * whoever finds the name while holding the lock may replace it.
 */
#include "door.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

const struct ivshm_door_kind ivshm_group_door = {"group", ".sock", ".lock", SOCK_SEQPACKET};
const struct ivshm_door_kind ivshm_console_door = {"console", ".console", ".console-lock",
						   SOCK_STREAM};
const struct ivshm_door_kind ivshm_legacy_door = {"QEMU's socket", ".qemu", ".qemu-lock",
						  SOCK_STREAM};
const struct ivshm_door_kind ivshm_control_door = {"control", ".control", ".control-lock",
						   SOCK_SEQPACKET};

/* Is the file behind this descriptor still the one of that name? */
static bool same_file(int fd, const char *path)
{
	struct stat here, there;

	return !fstat(fd, &here) && !stat(path, &there) && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

/*
 * The last holder removes the file while it holds the lock: a lock on a file that has lost its name
 * guards nothing, so it is tried again.
 */
static int take_lock(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int r;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			/* Not held, so not this one's to remove. */
			r = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
			close(fd);
			return r;
		}
		if (same_file(fd, path))
			return fd;
		close(fd);
	}
}

static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) ? -errno : 0;
}

/* Nobody gets in between bind() and listen(), so the mode is right before the first one does. */
static int listen_at(const char *path, int type, mode_t mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	r = remove_stale(path);
	if (r)
		return r;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		r = -errno;
		goto out_close;
	}
	if (chmod(path, mode) || listen(fd, BACKLOG)) {
		r = -errno;
		goto out_unlink;
	}
	return fd;

out_unlink:
	unlink(path);
out_close:
	close(fd);
	return r;
}

int ivshm_door_open(struct ivshm_door *door, const struct ivshm_door_kind *kind, const char *dir,
		    const char *name, mode_t mode, char *error, size_t error_size)
{
	int r;

	if (asprintf(&door->lock_path, "%s/%s%s", dir, name, kind->lock) < 0)
		return ivshm_fail(error, error_size, -ENOMEM, "%s '%s': out of memory", kind->what,
				  name);
	if (asprintf(&door->socket_path, "%s/%s%s", dir, name, kind->socket) < 0) {
		r = ivshm_fail(error, error_size, -ENOMEM, "%s '%s': out of memory", kind->what,
			       name);
		goto out_lock_path;
	}
	door->lock = take_lock(door->lock_path);
	if (door->lock == -EADDRINUSE) {
		r = ivshm_fail(error, error_size, -EADDRINUSE, "%s '%s' is already served (%s)",
			       kind->what, name, door->socket_path);
		goto out_socket_path;
	}
	if (door->lock < 0) {
		r = ivshm_fail(error, error_size, door->lock, "%s: %s", door->lock_path,
			       strerror(-door->lock));
		goto out_socket_path;
	}
	door->listener = listen_at(door->socket_path, kind->type, mode);
	if (door->listener < 0) {
		r = ivshm_fail(error, error_size, door->listener, "%s: %s", door->socket_path,
			       strerror(-door->listener));
		goto out_lock;
	}
	return 0;

out_lock:
	unlink(door->lock_path);
	close(door->lock);
out_socket_path:
	free(door->socket_path);
out_lock_path:
	free(door->lock_path);
	return r;
}

/* The lock goes last. */
void ivshm_door_close(struct ivshm_door *door)
{
	unlink(door->socket_path);
	unlink(door->lock_path);
	close(door->lock);
	free(door->socket_path);
	free(door->lock_path);
}

int ivshm_door_enter(const struct ivshm_door_kind *kind, const char *dir, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s%s", dir, name,
		     kind->socket) >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, kind->type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}
