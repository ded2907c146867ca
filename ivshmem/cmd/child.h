/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h: an instance that this process has started: a process group of its own. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "launch.h"

struct child {
	const struct ivshm_instance_config *instance;
	struct console *console;
	unsigned stream;       /* its number there */
	struct attach *attach; /* to a Linux guest's console; NULL for others */
	pid_t pid;
	int pidfd; /* readable when it has ended; -1: not there */
	bool vm;
	bool asked; /* started because somebody asked for it: its failure ends nobody else */
	bool told;  /* to end */
	bool waits; /* may be started again: `up` goes on */
	bool ended; /* the last one, as waitpid(2) has it: */
	int status;
	uint64_t since_ns;  /* ivshm_clock_ns() of the start, or of the end */
	uint64_t kill_ns;   /* when it is killed, if it is still there; 0: it is not */
	struct child *next; /* of those that are in the configuration no more */
};

/*
 * Starts the instance, with `input` as stdin (-1: /dev/null) and `output` as stdout and stderr. It
 * dies with this thread, and does not get the terminal's signals. A program that cannot be executed
 * is an error here. 0; or -errno, which is told.
 */
int child_start(struct child *child, const struct launch_options *options,
		const sigset_t *signal_mask, int input, int output);

/* To all of its process group. */
void child_signal(const struct child *child, int signal);

/*
 * Its pidfd is readable: kills what is left of its group and returns how it ended, as waitpid(2)
 * has it. *started: false when it told that it could not.
 */
int child_reap(struct child *child, bool *started);
