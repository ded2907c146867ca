/* SPDX-License-Identifier: BSD-2-Clause */
/* status.c: `isthmus status`, `stop`, `start` and `down`: what runs, and how it is ended. */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/log.h"

/* Asks the one that is meant. */
static int request(const struct command_line *line, uint32_t type, const char *of,
		   const char *instance)
{
	const struct ivshm_control_up *up;
	struct ivshm_control_ups ups;
	int ret = -ENOENT;
	char error[1024];

	if (!list_ups(line, &ups))
		return EXIT_FAILURE;
	up = ivshm_control_resolve(&ups, line->dir, of, instance, stderr);
	if (up) {
		ret = ivshm_control_ask(line->dir, up->number, type, instance ? instance : "",
					error, sizeof(error));
		if (ret)
			ivshm_log(IVSHM_LOG_ERROR, "%s", error);
	}
	ivshm_control_forget(&ups);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* [FILE|GROUP] INSTANCE */
static int request_instance(const struct command_line *line, uint32_t type)
{
	bool both = line->operand[1];

	return request(line, type, both ? line->operand[0] : NULL, line->operand[both]);
}

static int start(const struct command_line *line)
{
	return request_instance(line, IVSHM_CONTROL_START);
}

static int stop(const struct command_line *line)
{
	return request_instance(line, IVSHM_CONTROL_STOP);
}

static int down(const struct command_line *line)
{
	return request(line, IVSHM_CONTROL_DOWN, line->operand[0], NULL);
}

static int status(const struct command_line *line)
{
	const char *name = line->operand[0], *between = "";
	struct ivshm_control_ups ups;
	unsigned shown = 0;

	if (!list_ups(line, &ups))
		return EXIT_FAILURE;
	if (line->json)
		fputs("{\"ups\": [", stdout);
	for (unsigned u = 0; u < ups.count; u++) {
		enum ivshm_control_match what =
			name ? ivshm_control_match(&ups.up[u], name) : IVSHM_CONTROL_MATCH_FILE;
		const char *group = what == IVSHM_CONTROL_MATCH_GROUP ? name : NULL;

		if (what == IVSHM_CONTROL_MATCH_NONE)
			continue;
		fputs(between, stdout);
		between = line->json ? ", " : "\n\n";
		shown++;
		if (line->json)
			ivshm_status_json(&ups.up[u], group, line->dir, stdout);
		else
			ivshm_status_text(&ups.up[u], group, stdout);
	}
	if (line->json)
		puts("]}");
	if (!shown && name)
		ivshm_control_resolve(&ups, line->dir, name, NULL, stderr);
	else if (!shown && !line->json)
		printf("nothing is up in %s\n", line->dir);
	ivshm_control_forget(&ups);
	return shown || !name ? finish_output(true) : EXIT_FAILURE;
}

#define RUNTIME_DIR "      --runtime-dir DIR  where the groups' sockets are\n"

const struct command command_status = {
	.name = "status",
	.usage = "Usage: isthmus status [OPTION...] [FILE|GROUP]\n"
		 "Show what runs: instances, groups, peers and their rights; of FILE or GROUP "
		 "alone.\n\n"
		 "      --json             for programs\n" RUNTIME_DIR,
	.options = "hDJ",
	.operands = "at most one FILE or GROUP is",
	.operands_optional = 1,
	.main = status,
};

const struct command command_start = {
	.name = "start",
	.usage = "Usage: isthmus start [OPTION...] [FILE|GROUP] INSTANCE\n"
		 "Start INSTANCE of a running `isthmus up`: one that has ended, was stopped, or "
		 "has\n"
		 "`autostart: false`.\n\n" RUNTIME_DIR,
	.options = "hD",
	.operands = "one INSTANCE is",
	.operands_count = 1,
	.operands_optional = 1,
	.main = start,
};

const struct command command_stop = {
	.name = "stop",
	.usage = "Usage: isthmus stop [OPTION...] [FILE|GROUP] INSTANCE\n"
		 "End INSTANCE, which a running `isthmus up` has started, and wait until it has "
		 "ended.\n\n" RUNTIME_DIR,
	.options = "hD",
	.operands = "one INSTANCE is",
	.operands_count = 1,
	.operands_optional = 1,
	.main = stop,
};

const struct command command_down = {
	.name = "down",
	.usage = "Usage: isthmus down [OPTION...] [FILE|GROUP]\n"
		 "End all of a running `isthmus up`, and wait until it has ended. Once more: at "
		 "once.\n\n" RUNTIME_DIR,
	.options = "hD",
	.operands = "at most one FILE or GROUP is",
	.operands_optional = 1,
	.main = down,
};
