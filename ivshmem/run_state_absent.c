/* SPDX-License-Identifier: BSD-2-Clause */
/* run_state_absent.c: run_state.h where the build has no BPF: nothing can be created. */
#include "log.h"
#include "run_state.h"

#include <errno.h>

int ivshm_run_state_create(unsigned groups, char *error, size_t error_size,
			   struct ivshm_run_state **out)
{
	(void)groups;
	(void)out;
	return ivshm_fail(error, error_size, -EOPNOTSUPP, "built without BPF");
}

void ivshm_run_state_destroy(struct ivshm_run_state *run)
{
	(void)run;
}

int ivshm_run_state_add_page(struct ivshm_run_state *run, unsigned group, uint32_t max_peers)
{
	(void)run;
	(void)group;
	(void)max_peers;
	return -EOPNOTSUPP;
}

int ivshm_run_state_watch(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			  const struct ivshm_run_seat *seat)
{
	(void)run;
	(void)thread;
	(void)seat;
	return -EOPNOTSUPP;
}

void ivshm_run_state_forget(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			    const struct ivshm_run_seat *seat)
{
	(void)run;
	(void)thread;
	(void)seat;
}
