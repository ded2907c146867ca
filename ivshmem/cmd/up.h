/* SPDX-License-Identifier: BSD-2-Clause */
/* up.h: a running `isthmus up`, and what may happen to it while it runs. */
#ifndef HV_CMD_UP_H
#define HV_CMD_UP_H

#include <poll.h>

#include "child.h"
#include "ivshmem/broker.h"

#define UP_GRACE_SECONDS 2 /* from SIGTERM to SIGKILL */

struct up {
	const struct ivshm_config *config;
	struct launch_options options;
	struct ivshm_broker *broker;
	struct console *console;
	sigset_t signal_mask; /* of before, for the instances */
	struct pollfd *poll;
	struct child *child; /* the instances, in the file's order */
	unsigned children;
	unsigned alive;
	bool attach;    /* takes over what one that was killed has left */
	bool stopping;  /* the instances have been told to end */
	bool over;      /* they have ended: none is started any more */
	bool abandoned; /* and so has the writing of their last lines */
	int status;
};

/* Ends everything; the first reason gives the exit status. */
void up_stop(struct up *up, int status);

/* Asked once more, it ends at once. */
void up_stop_now(struct up *up);

/* Writes down what is known of an instance's process, for the next one; the context is the up. */
void up_keep(void *up, const struct child *child);

/* 0; or -errno, which is told. */
int up_start(struct up *up, unsigned index);

/* ---- up_control.c ---- */

/* What others may ask for; the context is a struct up. */
extern const struct ivshm_control_ops up_control_ops;

/* Kills who was told to end long ago. Returns how many ms later to look again, or -1. */
int up_kill_late(struct up *up);

#endif
