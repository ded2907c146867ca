/* SPDX-License-Identifier: BSD-2-Clause */
/* locate.c: where a group's broker is and who we are, by environment. */
#include "host.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".sock"

int ist_host_instance(char out[IST_NAME_SIZE])
{
	const char *instance = getenv("ISTHMUS_INSTANCE");

	if (!instance || !instance[0] || strlen(instance) >= IST_NAME_SIZE)
		return -EACCES;
	strcpy(out, instance);
	return 0;
}

int ist_host_is_meant(void)
{
	const char *instance = getenv("ISTHMUS_INSTANCE");
	const char *directory = getenv("ISTHMUS_RUNTIME_DIR");

	return (instance && instance[0]) || (directory && directory[0]);
}

static int runtime_dir(char *out, size_t size)
{
	const char *own = getenv("ISTHMUS_RUNTIME_DIR");
	const char *user = getenv("XDG_RUNTIME_DIR");
	int length;

	if (own && own[0])
		length = snprintf(out, size, "%s", own);
	else if (user && user[0])
		length = snprintf(out, size, "%s/isthmus", user);
	else
		length = snprintf(out, size, "/run/isthmus");
	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

/* A group's name is a file's name. */
static bool is_group_name(const char *name, size_t length)
{
	return length > 0 && length < IST_NAME_SIZE && !memchr(name, '/', length);
}

/* The only name in a space-separated list. */
static int only_in_list(const char *list, char out[IST_NAME_SIZE])
{
	const char *name = list + strspn(list, " ");
	size_t length = strcspn(name, " ");

	if (!length)
		return -ENOENT;
	if (name[length + strspn(name + length, " ")])
		return -EINVAL;
	if (!is_group_name(name, length))
		return -ENOENT;
	memcpy(out, name, length);
	out[length] = 0;
	return 0;
}

/* The only GROUP.sock in a directory. */
static int only_in_directory(const char *path, char out[IST_NAME_SIZE])
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return errno == ENOTDIR ? -ENOENT : -errno;
	while (err != -EINVAL && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);

		if (length < suffix || strcmp(entry->d_name + length - suffix, SUFFIX) ||
		    !is_group_name(entry->d_name, length - suffix))
			continue;
		err = err ? 0 : -EINVAL;
		memcpy(out, entry->d_name, length - suffix);
		out[length - suffix] = 0;
	}
	closedir(dir);
	return err;
}

int ist_host_socket_path(const char *name, char *out, size_t size)
{
	const char *list = getenv("ISTHMUS_GROUPS");
	char only[IST_NAME_SIZE];
	size_t length;
	int err;

	err = runtime_dir(out, size);
	if (err)
		return err;
	if (!name) {
		err = list ? only_in_list(list, only) : only_in_directory(out, only);
		if (err)
			return err;
		name = only;
	} else if (!is_group_name(name, strlen(name))) {
		return -ENOENT;
	}
	length = strlen(out);
	if ((size_t)snprintf(out + length, size - length, "/%s" SUFFIX, name) >= size - length)
		return -ENAMETOOLONG;
	if (access(out, F_OK))
		return errno == ENOTDIR ? -ENOENT : -errno;
	return 0;
}
