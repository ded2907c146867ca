/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qemu.c: `isthmus qemu-args` and `isthmus path`: what QEMU is told on its command line so that its
 * guest joins a group, or looks on.
 */
#include "qemu.h"
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem/door.h"
#include "ivshmem/log.h"

/* In a value of one of QEMU's options a comma is written twice. */
static void add_value(FILE *words, const char *text)
{
	for (; *text; text++) {
		if (*text == ',')
			fputc(',', words);
		fputc(*text, words);
	}
}

void qemu_add_device(FILE *words, char between, const char *dir, const char *instance,
		     const char *group, unsigned vectors)
{
	fprintf(words, "-chardev%csocket,id=isthmus-%s,path=", between, group);
	add_value(words, dir);
	fprintf(words, "/%s@%s%s%c", instance, group, ivshm_legacy_door.socket, between);
	fprintf(words, "-device%civshmem-doorbell,chardev=isthmus-%s,vectors=%u", between, group,
		vectors);
}

static int qemu_args(const struct command_line *line)
{
	const char *instance = line->operand[0];
	const struct ivshm_control_up *up;
	struct ivshm_control_ups ups;
	int status = EXIT_FAILURE;

	if (!list_ups(line, &ups))
		return EXIT_FAILURE;
	up = ivshm_control_resolve(&ups, line->dir, NULL, instance, stderr);
	if (up && ivshm_control_find(up, IVSHM_CONTROL_INSTANCE, instance)->kind != IST_KIND_QEMU) {
		ivshm_log(IVSHM_LOG_ERROR, "instance '%s' is not of kind qemu", instance);
		up = NULL;
	}
	for (unsigned i = 0; up && i < up->rows; i++) {
		const struct ivshm_control_row *row = &up->row[i];

		if (row->type != IVSHM_CONTROL_GROUP ||
		    !ivshm_control_member(up, row->name, instance))
			continue;
		qemu_add_device(stdout, ' ', line->dir, instance, row->name, row->vectors);
		putchar('\n');
	}
	if (up)
		status = finish_output(true);
	ivshm_control_forget(&ups);
	return status;
}

/* The descriptor that this process has of the group's memfd, by the name that it was given. */
static int find_memory(pid_t broker, const char *group, char *path, size_t size)
{
	char wanted[NAME_MAX], folder[32], link[PATH_MAX];
	const struct dirent *entry;
	int found = -ENOENT;
	DIR *dir;

	snprintf(wanted, sizeof(wanted), "/memfd:isthmus:%s (deleted)", group);
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)broker);
	dir = opendir(folder);
	if (!dir)
		return -errno;
	while (found && (entry = readdir(dir))) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (length < 0)
			continue;
		link[length] = '\0';
		if (!strcmp(link, wanted))
			found = (size_t)snprintf(path, size, "%s/%s", folder, entry->d_name) < size
					? 0
					: -ENAMETOOLONG;
	}
	closedir(dir);
	return found;
}

static int path(const struct command_line *line)
{
	const char *group = line->operand[0];
	const struct ivshm_control_up *up = NULL;
	struct ivshm_control_ups ups;
	char file[PATH_MAX];
	int ret;

	if (!list_ups(line, &ups))
		return EXIT_FAILURE;
	for (unsigned u = 0; u < ups.count && !up; u++)
		if (ivshm_control_match(&ups.up[u], group) == IVSHM_CONTROL_MATCH_GROUP)
			up = &ups.up[u];
	if (up) {
		ret = find_memory(up->pid, group, file, sizeof(file));
		if (ret)
			ivshm_log(IVSHM_LOG_ERROR, "group %s: its memory in process %d: %s", group,
				  (int)up->pid, strerror(-ret));
		else
			puts(file);
	} else {
		ret = -ENOENT;
		ivshm_log(IVSHM_LOG_ERROR, "group %s is not open in %s; start `isthmus up` first",
			  group, line->dir);
	}
	ivshm_control_forget(&ups);
	return ret ? EXIT_FAILURE : finish_output(true);
}

const struct command command_qemu_args = {
	.name = "qemu-args",
	.usage = "Usage: isthmus qemu-args [OPTION...] INSTANCE\n"
		 "Print what QEMU's command line needs to be INSTANCE, of kind qemu, of a running\n"
		 "`isthmus up`: a -chardev and a -device a group.\n\n"
		 "      --runtime-dir DIR  where the groups' sockets are\n",
	.options = "hD",
	.operands = "one INSTANCE is",
	.operands_count = 1,
	.main = qemu_args,
};

const struct command command_path = {
	.name = "path",
	.usage =
		"Usage: isthmus path [OPTION...] GROUP\n"
		"Print a file that is GROUP's memory while `isthmus up` runs, to be mapped by who\n"
		"is no peer of it, as QEMU's ivshmem-plain. No right holds there.\n\n"
		"      --runtime-dir DIR  where the groups' sockets are\n",
	.options = "hD",
	.operands = "one GROUP is",
	.operands_count = 1,
	.main = path,
};
