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

#include <sys/types.h>

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
int ivshm_broker_create(struct ivshm_config *config, const char *dir, char *error,
			size_t error_size, struct ivshm_broker **out);

/*
 * The same, of groups that a killed broker has left with living processes: takes them over, with
 * their memory, IDs and incarnations; those that nobody has left it creates.
 * ivshm_broker_create() refuses such a group with -EBUSY; this one with -EINVAL if the
 * configuration is another one.
 */
int ivshm_broker_attach(struct ivshm_config *config, const char *dir, char *error,
			size_t error_size, struct ivshm_broker **out);

/* It is to be destroyed without having served: what it has taken over is left for the next one. */
void ivshm_broker_keep(struct ivshm_broker *broker);

struct ivshm_state_process; /* state.h */

/*
 * What is kept of an instance's process for the next broker. False: nothing, as no group of it was
 * taken over.
 */
bool ivshm_broker_process(const struct ivshm_broker *broker, unsigned instance,
			  struct ivshm_state_process *out);
void ivshm_broker_set_process(struct ivshm_broker *broker, unsigned instance,
			      const struct ivshm_state_process *process);

/* What the owner of the instances' processes says of one; all 0: it was never started. */
struct ivshm_process {
	pid_t pid;  /* 0: it does not run */
	int pidfd;  /* valid while it runs */
	bool ended; /* the last one has, as waitpid(2) has it: */
	int status;
	bool unknown;      /* nobody knows how */
	uint64_t since_ns; /* ivshm_clock_ns() of the start, or of the end */
};

/* Called by ivshm_broker_dispatch(). `instance` is an index of the configuration. */
struct ivshm_control_ops {
	struct ivshm_process (*process)(void *context, unsigned instance);
	/* 0: its program runs; or -errno. */
	int (*start)(void *context, unsigned instance);
	/* 0: it has been told to end, and ivshm_control_ended() will be called; or -errno. */
	int (*stop)(void *context, unsigned instance);
	/* All is to end, with the broker. Again: at once. */
	void (*down)(void *context);
	/*
	 * Instances will be those of `next`. Makes what that takes, 0 or -errno: then nothing has
	 * changed. After 0 either commit(), which cannot fail, from which on `instance` is an index
	 * of `next` and nothing of the configuration before is used, or abandon(). That one may be
	 * called without prepare() too.
	 */
	int (*prepare)(void *context, const struct ivshm_config *next);
	void (*commit)(void *context);
	void (*abandon)(void *context);
};

/*
 * Counts from now on how often the doorbells of who joins or comes back are rung, for STATUS. Once.
 * Where this build, this kernel or our rights do not allow it: says so in the log, and they are not
 * counted.
 */
void ivshm_broker_count_bells(struct ivshm_broker *broker);

/*
 * Serves DIR/N.control too, until the broker is destroyed. 0, or -errno with one line in `error`.
 * -ESHUTDOWN of the operations' is told as "all is being ended".
 */
int ivshm_broker_serve_control(struct ivshm_broker *broker, const char *dir,
			       const struct ivshm_control_ops *ops, void *context, char *error,
			       size_t error_size);

/* The instance's process has ended. */
void ivshm_control_ended(struct ivshm_broker *broker, unsigned instance);

/* CLOCK_BOOTTIME. */
uint64_t ivshm_clock_ns(void);

/* Readable when ivshm_broker_dispatch() has something to do. */
int ivshm_broker_fd(const struct ivshm_broker *broker);

/* Handles what has happened, without blocking. Returns 0, or -errno when it cannot go on. */
int ivshm_broker_dispatch(struct ivshm_broker *broker);

/* Closes everything, removes sockets, and the directory when it made it and it is empty. */
void ivshm_broker_destroy(struct ivshm_broker *broker);

#endif
