/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_control.h: the control socket's connections, each with one request. */
#ifndef IVSHM_BROKER_CONTROL_H
#define IVSHM_BROKER_CONTROL_H

#include "broker_internal.h"

#define IVSHM_ASKERS_MAX 8u

enum ivshm_asker_stage {
	IVSHM_ASKER_SILENT, /* has not asked yet */
	IVSHM_ASKER_STATUS, /* is being told */
	IVSHM_ASKER_STOP,   /* waits for an instance's end */
	IVSHM_ASKER_DOWN,   /* waits for the end of all */
	IVSHM_ASKER_RELOAD, /* waits for another configuration to be in force, or not */
	IVSHM_ASKER_LINES,  /* is being told what that brought */
};

struct ivshm_asker {
	struct ivshm_controls *controls;
	struct ivshm_watch socket; /* fd -1: nobody */
	enum ivshm_asker_stage stage;
	struct ivshm_status_at at; /* IVSHM_ASKER_STATUS: the row to be sent next */
	bool wants_room;           /* for it: waits for EPOLLOUT */
	unsigned instance;         /* IVSHM_ASKER_STOP: whose end */
	char *lines, *line;        /* IVSHM_ASKER_LINES: all, and the next */
	int code;                  /* and then this */
	unsigned ticks;            /* since it has done anything */
};

struct ivshm_controls {
	struct ivshm_broker *broker;
	const struct ivshm_control_ops *ops;
	void *context;
	struct ivshm_door door;
	struct ivshm_watch listener;
	bool paused; /* no accept() before the next tick: no descriptors were left */
	uint64_t since_ns;
	char *path; /* of the configuration, absolute */
	struct ivshm_asker asker[IVSHM_ASKERS_MAX];
};

/* broker_ask.c: what one asks, and what it is told. */

/* There is something to hear from it, or room to tell it more. An ivshm_watch's. */
void ivshm_asker_ready(void *owner, uint32_t events);
/* Its answer is this, and it is hung up on. */
void ivshm_asker_done(struct ivshm_asker *asker);
void ivshm_asker_refuse(struct ivshm_asker *asker, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Its answer is these lines (taken over), and then DONE, or ERROR with `code`. */
void ivshm_asker_lines(struct ivshm_asker *asker, char *lines, int code);
void ivshm_asker_hang_up(struct ivshm_asker *asker);

#endif
