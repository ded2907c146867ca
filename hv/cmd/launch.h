/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.h: how one instance is started: program, arguments, environment, CPUs. */
#ifndef HV_CMD_LAUNCH_H
#define HV_CMD_LAUNCH_H

#include <sched.h>
#include <stdbool.h>

#include "ivshmem/config.h"

struct launch_options {
	const char *dir; /* of the groups' sockets */
	bool kvm;        /* app instances are VMs, not processes */
	bool verbose;
};

struct words {
	char **word; /* NULL-terminated */
	unsigned count;
	bool failed; /* out of memory, at any time */
};

struct launch {
	struct words argv;
	struct words environment;
	cpu_set_t *cpus; /* to run on; NULL: any (VMs pin their own threads) */
	size_t cpus_size;
};

/* Whether the instance is to be a VM. */
bool launch_is_vm(const struct ivshm_instance_config *instance,
		  const struct launch_options *options);

/*
 * Whether app instances can be VMs. When they cannot, and the configuration has some, says in one
 * line why they will be processes.
 */
bool launch_has_kvm(const struct ivshm_config *config, bool refused);

/* One line in `error` when it cannot be done. 0 or -errno; then there is nothing to free. */
int launch_prepare(const struct ivshm_instance_config *instance,
		   const struct launch_options *options, struct launch *out, char *error,
		   size_t error_size);
void launch_fini(struct launch *launch);

/* Becomes the instance. Returns only -errno. Safe between fork and exec. */
int launch_exec(const struct launch *launch);

#endif
