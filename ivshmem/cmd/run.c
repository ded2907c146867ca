/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c: `isthmus run FILE INSTANCE`: becomes one instance, beside a running `isthmus up`. */
#include "command.h"
#include "launch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/door.h"
#include "ivshmem/log.h"

/* Whether all its groups are served: asked now, while the answer can be put in plain words. */
static bool has_groups(const struct ivshm_instance_config *instance, const char *dir,
		       const char *file)
{
	for (unsigned i = 0; i < instance->groups_count; i++) {
		int fd = ivshm_door_enter(&ivshm_group_door, dir, instance->groups[i]);

		if (fd < 0) {
			ivshm_log(IVSHM_LOG_ERROR,
				  "%s: group %s is not open in %s: %s; start `isthmus up %s` first",
				  instance->name, instance->groups[i], dir, strerror(-fd), file);
			return false;
		}
		close(fd);
	}
	return true;
}

/* Returns only when it could not, and has told why. */
static void become(const struct ivshm_instance_config *instance,
		   const struct launch_options *options)
{
	struct launch launch;

	if (launch_prepare(instance, options, &launch))
		return;
	launch_exec(&launch);
	ivshm_log(IVSHM_LOG_ERROR, "%s: could not start: %s: %m", instance->name, launch.argv[0]);
	launch_fini(&launch);
}

static int run(const struct command_line *line)
{
	struct launch_options options = {.dir = line->dir, .verbose = line->verbose};
	struct ivshm_config *config;
	const struct ivshm_instance_config *instance;

	if (ivshm_config_load(line->operand[0], stderr, &config))
		return EXIT_FAILURE;
	options.config = config;
	options.no_kvm = launch_why_no_kvm(config, line->no_kvm);
	instance = ivshm_config_instance(config, line->operand[1]);
	if (!instance)
		ivshm_log(IVSHM_LOG_ERROR, "%s has no instance '%s'", config->path,
			  line->operand[1]);
	else if (has_groups(instance, line->dir, config->path))
		become(instance, &options);
	ivshm_config_free(config);
	return EXIT_FAILURE;
}

const struct command command_run = {
	.name = "run",
	.usage = "Usage: isthmus run [OPTION...] FILE INSTANCE\n"
		 "Start INSTANCE of FILE in the foreground, to join the groups that an `isthmus up "
		 "FILE`\n"
		 "has opened: for instances with `autostart: false` and for those that have "
		 "ended.\n\n"
		 "      --no-kvm           run an app instance as a process\n"
		 "      --runtime-dir DIR  where the groups' sockets are\n"
		 "  -v, --verbose          say more\n",
	.options = "hKDv",
	.operands = "FILE and INSTANCE are",
	.operands_count = 2,
	.main = run,
};
