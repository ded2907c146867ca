/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker.h: owns groups: creates their memory, admits peers, tells of joins, leaves and deaths.
 *
 * Single-threaded: everything happens in ivshm_broker_create(), _dispatch() and _destroy(), called
 * by one thread of one process (fork() does not take a broker along). Nothing in it blocks on a
 * peer.
 */
#ifndef IVSHM_BROKER_H
#define IVSHM_BROKER_H

#include "config.h"

struct ivshm_broker;

/*
 * The directory of the groups' sockets (DIR/GROUP.sock), absolute, into `out`:
 * $ISTHMUS_RUNTIME_DIR, or $XDG_RUNTIME_DIR/isthmus, or /run/isthmus for root. Returns 0; -ENOENT
 * there is none.
 */
int ivshm_runtime_dir(char *out, size_t size);

/*
 * Creates all groups of the configuration (which must outlive the broker) and their sockets in
 * `dir`, making the directory (mode 0755) when it is missing. A stale socket is replaced; a group
 * served by a living broker is -EADDRINUSE. On an error one line says what and where, in `error`,
 * and nothing is left.
 */
int ivshm_broker_create(const struct ivshm_config *config, const char *dir, char *error,
			size_t error_size, struct ivshm_broker **out);

/* Readable when ivshm_broker_dispatch() has something to do. */
int ivshm_broker_fd(const struct ivshm_broker *broker);

/* Handles what has happened, without blocking. Returns 0, or -errno when it cannot go on. */
int ivshm_broker_dispatch(struct ivshm_broker *broker);

/* Closes everything, removes sockets, and the directory when it made it and it is empty. */
void ivshm_broker_destroy(struct ivshm_broker *broker);

#endif
