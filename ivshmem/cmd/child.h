/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h: an instance that this process has started: a process group of its own. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "launch.h"

struct child {
	const struct ivshm_instance_config *instance;
	struct attach *attach; /* to a Linux guest's console; NULL for others */
	pid_t pid;
	int pidfd;      /* readable when it has ended; -1: not there */
	uint64_t start; /* of the process: ivshm_process_start() */
	bool vm;
	bool adopted; /* an `up` that was killed has started it: this one is not its parent */
	bool known;   /* it has been started before, by that one */
	bool asked;   /* started because somebody asked for it: its failure ends nobody else */
	bool told;    /* to end */
	bool waits;   /* may be started again: `up` goes on */
	bool ended;   /* the last one, as waitpid(2) has it: */
	int status;
	bool unknown;      /* or nobody knows how */
	uint64_t since_ns; /* ivshm_clock_ns() of the start, or of the end */
	uint64_t kill_ns;  /* when it is killed, if it is still there; 0: it is not */
};

/* Writes down that the child is there, with its pid and start. */
typedef void child_keep(void *context, const struct child *child);

/*
 * Starts the instance, with `input` as stdin (-1: /dev/null) and `output` as stdout and stderr:
 * pipes, which it opens for reading and writing, so that they outlive this process. It does not get
 * the terminal's signals. Its program is executed when `keep` has written it down, and not if this
 * process ends before; one in no group, which nobody can write down, dies with this thread. A
 * program that cannot be executed is an error here. 0; or -errno, which is told.
 */
int child_start(struct child *child, const struct launch_options *options,
		const sigset_t *signal_mask, int input, int output, child_keep *keep,
		void *context);

/*
 * Takes over what an `up` that was killed has started. 0; -ESRCH it has ended; or another -errno.
 */
int child_adopt(struct child *child, pid_t pid, uint64_t start);

/*
 * Opens the pipe that is an adopted child's descriptor `number`, for `flags`. -EBADF: it is none;
 * or another -errno.
 */
int child_open(const struct child *child, int number, int flags);

/* To all of its process group. */
void child_signal(const struct child *child, int signal);

/*
 * Its pidfd is readable: kills what is left of its group and returns how it ended, as waitpid(2)
 * has it. *started: false when it told that it could not. Of an adopted one nobody knows.
 */
int child_reap(struct child *child, bool *started);
