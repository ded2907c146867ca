/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_state.h: a broker's BPF program that shows in a page per group who runs; docs/protocol.md,
 * "Who runs". Built without BPF it is run_state_absent.c, where nothing can be created.
 *
 * As the broker's: one thread, nothing blocks. What is created is gone with the process.
 */
#ifndef IVSHM_RUN_STATE_H
#define IVSHM_RUN_STATE_H

#include <stddef.h>

#include "run_state_maps.h"

struct ivshm_run_state;

/*
 * Loads the program for `groups` groups and attaches it. Returns 0; -errno with one line in
 * `error`: this build, this kernel or our rights do not allow it.
 */
int ivshm_run_state_create(unsigned groups, char *error, size_t error_size,
			   struct ivshm_run_state **out);

/* Detaches it and lets go of the pages, which no longer move. NULL is ignored. */
void ivshm_run_state_destroy(struct ivshm_run_state *run);

/*
 * Makes the page of group `group`, once. Returns a descriptor, which stays the run state's, and can
 * be mapped for reading only, by whoever has it; or -errno.
 */
int ivshm_run_state_add_page(struct ivshm_run_state *run, unsigned group, uint32_t max_peers);

/*
 * A thread, or a whole process, is shown at this seat from its next switch on; beside other groups'
 * that it is shown at already. Returns 0; -ENOSPC it is at as many as there can be; -E2BIG,
 * -ENOMEM.
 */
int ivshm_run_state_watch(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			  const struct ivshm_run_seat *seat);

/* It is not shown at that seat (its group and ID) any more, from its next switch on. */
void ivshm_run_state_forget(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			    const struct ivshm_run_seat *seat);

#endif
