/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c: `isthmus`: finds the command, and what the commands share. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"check", command_check,
	 "check FILE           say what FILE would build, or what is wrong"},
	{"up", command_up, "up FILE              start all of FILE; ends when its instances end"},
	{"run", command_run, "run FILE INSTANCE    start one instance beside a running `up`"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(FILE *out)
{
	fputs("Usage: isthmus COMMAND [OPTION...] FILE\n"
	      "Virtual machines and processes that share memory.\n\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %s\n", commands[i].help);
	fputs("\n  --help, --version; each command has --help too. See isthmus(1) and "
	      "isthmus.yaml(5).\n",
	      out);
	return out == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

int usage_hint(const char *command)
{
	fprintf(stderr, "Try 'isthmus%s%s --help'.\n", command ? " " : "", command ? command : "");
	return EXIT_USAGE;
}

struct ivshm_config *load_usable(const char *path)
{
	struct ivshm_config *config;

	if (ivshm_config_load(path, stderr, &config))
		return NULL;
	if (ivshm_config_supported(config, "error", stderr)) {
		ivshm_config_free(config);
		return NULL;
	}
	return config;
}

int find_runtime_dir(const char *given, char *out, size_t size)
{
	int ret = 0;

	if (!given)
		ret = ivshm_runtime_dir(out, size);
	else if ((size_t)snprintf(out, size, "%s", given) >= size)
		ret = -ENAMETOOLONG;
	if (ret == -ENOENT)
		ivshm_log(IVSHM_LOG_ERROR,
			  "no runtime directory: give --runtime-dir or set ISTHMUS_RUNTIME_DIR");
	else if (ret)
		ivshm_log(IVSHM_LOG_ERROR, "runtime directory: %s", strerror(-ret));
	return ret;
}

/* Descriptors 0 to 2 that the caller has closed must not become something else. */
static void open_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	open_standard_descriptors();
	if (argc < 2)
		return help(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(stdout);
	if (!strcmp(argv[1], "--version")) {
		puts("isthmus " ISTHMUS_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	fprintf(stderr, "isthmus: there is no %s '%s'\n", argv[1][0] == '-' ? "option" : "command",
		argv[1]);
	return usage_hint(NULL);
}
