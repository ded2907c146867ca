/* SPDX-License-Identifier: BSD-2-Clause */
/* reload.c: `isthmus reload FILE`: a running `up` goes over to another configuration. */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/log.h"

/* The `up` of that file or group; without one, of the file itself, or the only one. */
static const struct ivshm_control_up *find(const struct command_line *line, const char *of,
					   const char *file, const struct ivshm_control_ups *ups)
{
	for (unsigned u = 0; !of && u < ups->count; u++)
		if (ivshm_control_match(&ups->up[u], file) == IVSHM_CONTROL_MATCH_FILE)
			of = file;
	return ivshm_control_resolve(ups, line->dir, of, NULL, stderr);
}

static int reload(const struct command_line *line)
{
	bool both = line->operand[1];
	const char *file = line->operand[both];
	uint32_t flags =
		(line->dry_run ? IVSHM_CONTROL_DRY : 0) | (line->force ? IVSHM_CONTROL_FORCE : 0);
	const struct ivshm_control_up *up;
	struct ivshm_control_ups ups;
	struct ivshm_config *config;
	char path[PATH_MAX];
	int ret = -ENOENT;

	/* What is wrong is told by the name that was given; `up` looks for itself again. */
	if (ivshm_config_load(file, stderr, &config))
		return EXIT_FAILURE;
	ivshm_config_free(config);
	if (!realpath(file, path)) {
		ivshm_log(IVSHM_LOG_ERROR, "%s: %m", file);
		return EXIT_FAILURE;
	}
	if (!list_ups(line, &ups))
		return EXIT_FAILURE;
	up = find(line, both ? line->operand[0] : NULL, file, &ups);
	if (up)
		ret = ivshm_control_reload(line->dir, up->number, path, flags, stdout, stderr);
	ivshm_control_forget(&ups);
	return ret ? EXIT_FAILURE : finish_output(true);
}

const struct command command_reload = {
	.name = "reload",
	.usage =
		"Usage: isthmus reload [OPTION...] [FILE|GROUP] FILE\n"
		"Make a running `isthmus up` go over to FILE: all of it, or, when something cannot "
		"be\n"
		"changed while it runs, nothing. Rights that are taken from VMs are gone when it "
		"ends.\n\n"
		"      --dry-run          say what would be changed, and what cannot be\n"
		"      --force            kill a VM that does not answer when a right is taken\n"
		"      --runtime-dir DIR  where the groups' sockets are\n",
	.options = "hDNF",
	.operands = "one FILE is",
	.operands_count = 1,
	.operands_optional = 1,
	.main = reload,
};
