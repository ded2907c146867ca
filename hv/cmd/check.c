/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c: `isthmus check FILE`: what the file would build, or what is wrong with it. */
#include "command.h"

#include <getopt.h>
#include <stdlib.h>

#include "ivshmem/log.h"

static const char usage[] =
	"Usage: isthmus check FILE\n"
	"Print the memory layout that FILE gives and who may do what in it, or\n"
	"every error in FILE.\n";

int command_check(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct ivshm_config *config;
	int status = EXIT_SUCCESS;
	int option;

	argv[0] = (char[]){"isthmus check"};
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return usage_hint("check");
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (argc - optind != 1) {
		fputs("isthmus check: one FILE is needed\n", stderr);
		return usage_hint("check");
	}
	if (ivshm_config_load(argv[optind], stderr, &config))
		return EXIT_FAILURE;
	if (ivshm_config_print(config, stdout) || fflush(stdout)) {
		ivshm_log(IVSHM_LOG_ERROR, "standard output: %m");
		status = EXIT_FAILURE;
	}
	/* What is not supported is valid all the same; `up` refuses it. */
	ivshm_config_supported(config, "note", stderr);
	ivshm_config_free(config);
	return status;
}
