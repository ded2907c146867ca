/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c: `isthmus check FILE`: what the file would build, or what is wrong with it. */
#include "command.h"

#include <stdlib.h>

#include "ivshmem/log.h"

static int check(const struct command_line *line)
{
	struct ivshm_config *config;
	int status;

	if (ivshm_config_load(line->operand[0], stderr, &config))
		return EXIT_FAILURE;
	status = finish_output(ivshm_config_print(config, stdout) == 0);
	ivshm_config_free(config);
	return status;
}

const struct command command_check = {
	.name = "check",
	.usage = "Usage: isthmus check FILE\n"
		 "Print the memory layout that FILE gives and who may do what in it, or\n"
		 "every error in FILE.\n",
	.options = "h",
	.operands = "one FILE is",
	.operands_count = 1,
	.main = check,
};
