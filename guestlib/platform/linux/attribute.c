/* SPDX-License-Identifier: BSD-2-Clause */
/* attribute.c: reading the small files of sysfs. */
#include "linux.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ist_linux_sys = "/sys";
const char *ist_linux_dev = "/dev";

int ist_linux_read(const char *directory, const char *name, char *line, size_t size)
{
	char path[PATH_MAX];
	FILE *file;
	int err = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return -ENAMETOOLONG;
	file = fopen(path, "re");
	if (!file)
		return -errno;
	errno = 0;
	if (fgets(line, (int)size, file))
		line[strcspn(line, "\n")] = 0;
	else
		err = errno ? -errno : -EPROTO;
	fclose(file);
	return err;
}

int ist_linux_read_number(const char *directory, const char *name, uint64_t most, uint64_t *out)
{
	char line[64], *end;
	int err = ist_linux_read(directory, name, line, sizeof(line));

	if (err)
		return err;
	errno = 0;
	*out = strtoull(line, &end, 0);
	/* More may follow on the line, as in the file `resource`. */
	return errno || end == line || (*end && *end != ' ') || *out > most ? -EPROTO : 0;
}
