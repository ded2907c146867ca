/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * door.h: a listening socket in the file system, guarded by a lock file beside it: of two who want
 * the same name one gets it, and what a killed holder left is replaced.
 */
#ifndef IVSHM_DOOR_H
#define IVSHM_DOOR_H

#include <stddef.h>
#include <sys/types.h>

struct ivshm_door_kind {
	const char *what;   /* is behind it, for messages */
	const char *socket; /* what follows DIR/NAME in the socket's path, */
	const char *lock;   /* and in the lock's */
	int type;           /* SOCK_SEQPACKET... */
};

struct ivshm_door {
	int lock;     /* flock()ed as long as it is open */
	int listener; /* non-blocking; the caller's to close, at any time */
	char *lock_path;
	char *socket_path;
};

/* What is behind them: a group; the console of NAME; a group for NAME, INSTANCE@GROUP; an `up`. */
extern const struct ivshm_door_kind ivshm_group_door, ivshm_console_door, ivshm_legacy_door,
	ivshm_control_door;

/* 0 or -errno, with one line in `error` and nothing left; -EADDRINUSE: somebody else has it. */
int ivshm_door_open(struct ivshm_door *door, const struct ivshm_door_kind *kind, const char *dir,
		    const char *name, mode_t mode, char *error, size_t error_size);

/* Nobody can connect any more, and the name is free. */
void ivshm_door_close(struct ivshm_door *door);

/* Connects to one. A socket, or -errno: -ENOENT there is none, -ECONNREFUSED it was left behind. */
int ivshm_door_enter(const struct ivshm_door_kind *kind, const char *dir, const char *name);

#endif
