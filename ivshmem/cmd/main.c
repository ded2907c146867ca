/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c: `isthmus`: finds the command and its options, and what the commands share. */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"

static const struct command *const commands[] = {
	&command_check, &command_up,   &command_run,     &command_status, &command_stop,
	&command_start, &command_down, &command_console, &command_path,   &command_qemu_args,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Of all commands. Those with a capital letter have no short form. */
static const struct option all_options[] = {
	{"attach", no_argument, NULL, 'A'}, {"escape", required_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},   {"no-kvm", no_argument, NULL, 'K'},
	{"quiet", no_argument, NULL, 'q'},  {"verbose", no_argument, NULL, 'v'},
	{"json", no_argument, NULL, 'J'},   {"runtime-dir", required_argument, NULL, 'D'},
};
#define OPTIONS (sizeof(all_options) / sizeof(all_options[0]))

static const char help[] =
	"Usage: isthmus COMMAND [OPTION...] OPERAND...\n"
	"Virtual machines and processes that share memory.\n\n"
	"  check FILE           say what FILE would build, or what is wrong\n"
	"  up FILE              start all of FILE; ends when its instances end\n"
	"  run FILE INSTANCE    start one instance beside a running `up`\n"
	"  status [FILE|GROUP]  show what runs; stop INSTANCE, start INSTANCE, down: end it\n"
	"  console INSTANCE     be the terminal of a Linux guest of a running `up`\n"
	"  qemu-args INSTANCE   print what makes a QEMU this instance of a running `up`\n"
	"  path GROUP           print a file that is the group's memory\n\n"
	"  --help, --version; each command has --help too. See isthmus(1) and isthmus.yaml(5).\n";

static int usage_error(const struct command *command)
{
	fprintf(stderr, "Try 'isthmus%s%s --help'.\n", command ? " " : "",
		command ? command->name : "");
	return EXIT_USAGE;
}

bool list_ups(const struct command_line *line, struct ivshm_control_ups *ups)
{
	char error[1024];

	if (!ivshm_control_list(line->dir, ups, error, sizeof(error)))
		return true;
	ivshm_log(IVSHM_LOG_ERROR, "%s", error);
	return false;
}

int finish_output(bool printed)
{
	if (printed && !fflush(stdout))
		return EXIT_SUCCESS;
	ivshm_log(IVSHM_LOG_ERROR, "standard output: %m");
	return EXIT_FAILURE;
}

bool write_all(const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n >= 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* False when its value is wrong. */
static bool take_option(int option, struct command_line *line)
{
	switch (option) {
	case 'A':
		return line->attach = true;
	case 'D':
		return !setenv("ISTHMUS_RUNTIME_DIR", optarg, 1);
	case 'e':
		line->escape = toupper(optarg[0]) & 0x1f;
		return optarg[0] && !optarg[1] && toupper(optarg[0]) >= '@' &&
		       toupper(optarg[0]) <= '_';
	case 'J':
		return line->json = true;
	case 'K':
		return line->no_kvm = true;
	case 'q':
		ivshm_log_level = IVSHM_LOG_ERROR;
		return true;
	default: /* 'v' */
		ivshm_log_level = IVSHM_LOG_DEBUG;
		return line->verbose = true;
	}
}

/* Reads the command's own options and runs it. Returns the exit status. */
static int run_command(const struct command *command, int argc, char **argv)
{
	struct option options[OPTIONS + 1] = {0};
	char letters[2 * OPTIONS + 1] = "", *end = letters, name[32];
	struct command_line line = {.escape = ']' & 0x1f};
	unsigned count = 0;
	int option, ret;

	for (size_t i = 0; i < OPTIONS; i++) {
		if (!strchr(command->options, all_options[i].val))
			continue;
		options[count++] = all_options[i];
		if (islower(all_options[i].val))
			end += sprintf(end, "%c%s", all_options[i].val,
				       all_options[i].has_arg ? ":" : "");
	}
	snprintf(name, sizeof(name), "isthmus %s", command->name);
	argv[0] = name;
	while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (option == '?')
			return usage_error(command);
		if (option == 'h') {
			fputs(command->usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!take_option(option, &line)) {
			fprintf(stderr, "%s: '%s' is not possible\n", name, optarg);
			return usage_error(command);
		}
	}
	if (argc - optind < command->operands_count ||
	    argc - optind > command->operands_count + command->operands_optional) {
		fprintf(stderr, "%s: %s needed\n", name, command->operands);
		return usage_error(command);
	}
	line.operand = argv + optind;
	ret = ivshm_runtime_dir(line.dir, sizeof(line.dir));
	if (!ret || !strchr(command->options, 'D'))
		return command->main(&line);
	ivshm_log(IVSHM_LOG_ERROR, "no runtime directory (see --runtime-dir): %s", strerror(-ret));
	return EXIT_FAILURE;
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
	if (argc < 2) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		fputs(help, stdout);
		return EXIT_SUCCESS;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("isthmus " ISTHMUS_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name))
			return run_command(commands[i], argc - 1, argv + 1);
	fprintf(stderr, "isthmus: there is no %s '%s'\n", argv[1][0] == '-' ? "option" : "command",
		argv[1]);
	return usage_error(NULL);
}
