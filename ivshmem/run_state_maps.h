/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* run_state_maps.h: what the broker and its BPF program tell each other: who is watched. */
#ifndef IVSHM_RUN_STATE_MAPS_H
#define IVSHM_RUN_STATE_MAPS_H

#include "abi.h"

#define IVSHM_RUN_ALL_THREADS 0u
#define IVSHM_RUN_WATCHED_MAX 16384u

struct ivshm_run_thread {
	uint32_t process; /* in the initial PID namespace, both */
	uint32_t thread;  /* or IVSHM_RUN_ALL_THREADS */
};

/* Where it is to be shown. */
struct ivshm_run_seat {
	uint32_t group; /* index */
	uint32_t id;
	uint32_t incarnation;
	uint32_t threads;
};

struct ivshm_run_seats {
	uint32_t count;
	uint32_t reserved;
	struct ivshm_run_seat seat[IST_GROUPS_MAX];
};

#endif
