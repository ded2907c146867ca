/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qemu.c: `isthmus qemu-args` and `isthmus path`: what QEMU is told on its command line so that its
 * guest joins a group, or looks on.
 */
#include "qemu.h"
#include "command.h"
#include "served.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* The group's vectors, as its roster says. 0; or -errno, which is told. */
static int read_vectors(const char *dir, const char *group, unsigned *out)
{
	struct ist_roster roster;
	char path[PATH_MAX];
	int ret = served_memory(dir, group, path, sizeof(path)), fd;
	ssize_t length;

	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		ivshm_log(IVSHM_LOG_ERROR, "group %s: %s: %s", group, path, strerror(-ret));
		return ret;
	}
	length = pread(fd, &roster, sizeof(roster), IST_ROSTER_OFFSET);
	close(fd);
	/* Other QEMU peers may write there. */
	if (length != (ssize_t)sizeof(roster) || roster.magic != IST_ROSTER_MAGIC ||
	    roster.vectors < 1 || roster.vectors > IST_VECTORS_MAX) {
		ivshm_log(IVSHM_LOG_ERROR, "group %s: its roster makes no sense", group);
		return -EPROTO;
	}
	*out = roster.vectors;
	return 0;
}

/* The group, if this is the name of the instance's socket in one. It is cut out of `name`. */
static const char *group_of(char *name, const char *instance)
{
	size_t length = strlen(instance), suffix = strlen(ivshm_legacy_door.socket);
	size_t all = strlen(name);

	if (all <= length + 1 + suffix || strncmp(name, instance, length) != 0 ||
	    name[length] != '@' || strcmp(name + all - suffix, ivshm_legacy_door.socket) != 0)
		return NULL;
	name[all - suffix] = '\0';
	return name + length + 1;
}

static int print_device(const char *dir, const char *instance, const char *group)
{
	unsigned vectors = 0;
	int ret = read_vectors(dir, group, &vectors);

	if (ret)
		return ret;
	qemu_add_device(stdout, ' ', dir, instance, group, vectors);
	putchar('\n');
	return 0;
}

static int qemu_args(const struct command_line *line)
{
	const char *instance = line->operand[0];
	struct dirent **entry;
	unsigned groups = 0;
	int count = scandir(line->dir, &entry, NULL, alphasort), ret = 0;

	for (int i = 0; i < count; i++) {
		const char *group = group_of(entry[i]->d_name, instance);

		groups += group != NULL;
		if (group && !ret)
			ret = print_device(line->dir, instance, group);
		free(entry[i]);
	}
	if (count >= 0)
		free(entry);
	if (groups == 0)
		ivshm_log(IVSHM_LOG_ERROR,
			  "no instance '%s' of kind qemu is served in %s; does `isthmus up` run?",
			  instance, line->dir);
	if (ret || groups == 0)
		return EXIT_FAILURE;
	if (fflush(stdout)) {
		ivshm_log(IVSHM_LOG_ERROR, "standard output: %m");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int path(const struct command_line *line)
{
	char file[PATH_MAX];

	if (served_memory(line->dir, line->operand[0], file, sizeof(file)))
		return EXIT_FAILURE;
	if (puts(file) < 0 || fflush(stdout)) {
		ivshm_log(IVSHM_LOG_ERROR, "standard output: %m");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
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
