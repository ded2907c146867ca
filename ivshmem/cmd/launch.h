/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.h: how one instance is started: program, arguments, environment, CPUs. */
#pragma once

#include <sched.h>
#include <stdbool.h>

#include "ivshmem/config.h"

struct launch_options {
	const struct ivshm_config *config;
	const char *dir;    /* of the groups' sockets, absolute */
	const char *no_kvm; /* why there is no KVM, so that apps are processes; NULL: there is */
	bool verbose;
};

struct launch {
	char **argv;
	bool vm;                /* it is one */
	bool pinned;            /* to `cpus` (VMs pin their own threads) */
	cpu_set_t cpus[8];      /* Linux knows at most 8192 */
	struct ivshm_numa numa; /* of all its memory (VMs see to that of their guest) */
};

/*
 * Why there is no KVM, or NULL. With a line on what that means for the configuration's apps, if it
 * has some.
 */
const char *launch_why_no_kvm(const struct ivshm_config *config, bool refused);

/*
 * Also sets this process's environment to what the instance inherits. 0; or -errno, which is told:
 * then there is nothing to free.
 */
int launch_prepare(const struct ivshm_instance_config *instance,
		   const struct launch_options *options, struct launch *out);
void launch_fini(struct launch *launch);

/* Becomes the instance. Returns only -errno. Safe between fork and exec. */
int launch_exec(const struct launch *launch);
