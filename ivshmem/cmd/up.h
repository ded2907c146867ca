/* SPDX-License-Identifier: BSD-2-Clause */
/* up.h: a running `isthmus up`, and what may happen to it while it runs. */
#ifndef IVSHM_CMD_UP_H
#define IVSHM_CMD_UP_H

#include <poll.h>
#include <stdbool.h>

#include "child.h"
#include "ivshmem/broker.h"

#define UP_GRACE_SECONDS 2 /* from SIGTERM to SIGKILL */

struct up {
	const struct ivshm_config *config;
	struct launch_options options;
	struct ivshm_broker *broker;
	struct console **console; /* each of some instances */
	unsigned consoles;
	int consoles_changed; /* epoll: one of them has */
	struct up_next *next; /* what a reload is about to go over to, or NULL */
	sigset_t signal_mask; /* of before, for the instances */
	struct pollfd *poll;  /* some that are always there, then one for each instance */
	unsigned poll_count;
	struct child **child; /* the instances, in the file's order */
	struct child *gone;   /* those that were in it: nothing of theirs runs */
	unsigned children;
	unsigned alive;
	bool stopping;  /* the instances have been told to end */
	bool over;      /* they have ended: none is started any more */
	bool abandoned; /* and so has the writing of their last lines */
	int status;
};

/* Ends everything; the first reason gives the exit status. */
void up_stop(struct up *up, int status);

/* Asked once more, it ends at once. */
void up_stop_now(struct up *up);

/* 0; or -errno, which is told. */
int up_start(struct up *up, unsigned index);

/* ---- up_console.c ---- */

/* A console for these instances, which they remember. 0 or -errno. */
int up_add_console(struct up *up, struct child **child, unsigned count);
/* When nothing is written to it any more. */
void up_drop_console(struct up *up, struct console *console);
/* Those that no instance has any more come to their ends. */
void up_retire_consoles(struct up *up);
/* Some have changed: true when one is broken. Those that are done are destroyed. */
bool up_look_at_consoles(struct up *up);
/* All come to their ends. */
void up_finish_consoles(struct up *up);

/* ---- up_reload.c: operations of what others may ask for ---- */

int up_prepare(void *context, const struct ivshm_config *next);
void up_commit(void *context);
void up_abandon(void *context);

/* ---- up_control.c ---- */

/* What others may ask for; the context is a struct up. */
extern const struct ivshm_control_ops up_control_ops;

/* Kills who was told to end long ago. Returns how many ms later to look again, or -1. */
int up_kill_late(struct up *up);

#endif
