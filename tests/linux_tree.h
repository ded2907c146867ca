/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_tree.h: what a process of a Linux guest sees of the group of broker_fixture.h: a tree of
 * files like /sys and /dev, and the group's memory, where "right" (ID 1, incarnation 7) is this
 * guest and "left" (0, 3) and "third" (2, 5) are live.
 */
#ifndef TESTS_LINUX_TREE_H
#define TESTS_LINUX_TREE_H

#include "tests/broker_fixture.h"

#include "guestlib/platform/linux/linux.h"
#include "ivshmem/memory.h"

#include <ftw.h>
#include <isthmus/isthmus.h>
#include <sys/stat.h>

#define TREE_ID 1u
#define TREE_INCARNATION 7u

struct tree {
	struct fixture fixture; /* its directory holds the tree */
	struct ivshm_memory memory;
	char sys[80];
	char dev[80];
};

static inline void tree_peer(struct tree *tree, uint32_t id, uint32_t incarnation, uint32_t state)
{
	const char *name = id < 3 ? tree->fixture.instance[id].name : "none";

	ivshm_roster_admit(&tree->memory, id, incarnation, name, FIXTURE_VECTORS, IST_KIND_LINUX);
	ivshm_roster_set_state(&tree->memory, id, incarnation, state);
}

static inline struct ist_roster *tree_roster(struct tree *tree)
{
	return (void *)(tree->memory.map + IST_ROSTER_OFFSET);
}

/* Empty directories; nothing of a host's groups is found. */
static inline void tree_make(struct tree *tree)
{
	fixture_configure(&tree->fixture);
	must(ivshm_memory_create(&tree->memory, &tree->fixture.config, &tree->fixture.group,
				 tree->fixture.error, sizeof(tree->fixture.error)) == 0);
	tree_peer(tree, 0, 3, IST_PEER_LIVE);
	tree_peer(tree, TREE_ID, TREE_INCARNATION, IST_PEER_LIVE);
	tree_peer(tree, 2, 5, IST_PEER_LIVE);
	snprintf(tree->sys, sizeof(tree->sys), "%s/sys", tree->fixture.dir);
	snprintf(tree->dev, sizeof(tree->dev), "%s/dev", tree->fixture.dir);
	must(mkdir(tree->sys, 0700) == 0 && mkdir(tree->dev, 0700) == 0);
	ist_linux_sys = tree->sys;
	ist_linux_dev = tree->dev;
	must(unsetenv("ISTHMUS_INSTANCE") == 0 && unsetenv("ISTHMUS_RUNTIME_DIR") == 0 &&
	     unsetenv("ISTHMUS_GROUPS") == 0);
	must(setenv("XDG_RUNTIME_DIR", tree->fixture.dir, 1) == 0);
}

static inline int tree_remove_one(const char *path, const struct stat *status, int type,
				  struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void tree_remove(struct tree *tree)
{
	must(nftw(tree->fixture.dir, tree_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
	ivshm_memory_destroy(&tree->memory);
}

/* The file DIRECTORY/NAME with this text; directories are made as needed. */
static inline void tree_write(const char *directory, const char *name, const char *text)
{
	char path[256], *slash;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		must(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(path, "w");
	must(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* DIRECTORY/NAME is this open file. */
static inline void tree_link(const char *directory, const char *name, int fd)
{
	char path[256], target[32];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	unlink(path);
	must(symlink(target, path) == 0);
}

/* After this change to what the test's own setup() makes, no group opens, and nothing stays open.
 */
#define REFUSES(error, change)                                                                     \
	do {                                                                                       \
		unsigned fds;                                                                      \
                                                                                                   \
		teardown();                                                                        \
		setup();                                                                           \
		change;                                                                            \
		fds = count_descriptors();                                                         \
		ck_assert_int_eq(ist_group_open(NULL, &group), -(error));                          \
		ck_assert_uint_eq(count_descriptors(), fds);                                       \
	} while (0)

#endif
