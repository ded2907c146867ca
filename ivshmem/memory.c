/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c: creates a group's memory: a memfd of fixed size on the configured pages and nodes. */
#include "memory.h"
#include "log.h"
#include "numa.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned huge_flags(uint64_t page_size)
{
	switch (page_size) {
	case 2ull << 20:
		return MFD_HUGETLB | MFD_HUGE_2MB;
	case 1ull << 30:
		return MFD_HUGETLB | MFD_HUGE_1GB;
	default:
		return 0;
	}
}

/* Creates and maps the memfd. What it has made when it fails is the caller's to undo. */
static int create(struct ivshm_memory *memory, const struct ivshm_group_config *group,
		  const char **step)
{
	uint64_t size = memory->layout.total_size;
	unsigned huge = huge_flags(group->page_size);
	char name[IST_NAME_SIZE + 16];
	void *map;
	int r;

	snprintf(name, sizeof(name), "isthmus:%s", group->name);
	*step = "cannot create";
	memory->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
	if (memory->fd < 0)
		return -errno;
	*step = "cannot set the size of";
	if (ftruncate(memory->fd, (off_t)size))
		return -errno;
	*step = huge ? "not enough free huge pages for" : "cannot map";
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memory->map = map;
	*step = "no such NUMA nodes for";
	/* It sticks to the memfd, whoever maps it. */
	r = ivshm_numa_bind(map, size, &group->numa);
	if (r)
		return r;
	/* A huge page that is not there when it is touched would be a SIGBUS. */
	*step = "not enough huge pages on these nodes for";
	if (huge && fallocate(memory->fd, 0, 0, (off_t)size))
		return -errno;
	*step = "cannot seal";
	if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	return 0;
}

int ivshm_memory_create(struct ivshm_memory *memory, const struct ivshm_config *config,
			const struct ivshm_group_config *group, char *error, size_t error_size)
{
	const char *step;
	int r;

	memory->fd = -1;
	memory->map = NULL;
	memory->changes = 0;
	memory->kept = NULL;
	r = ivshm_layout_compute(group, &memory->layout);
	if (r)
		return ivshm_fail(error, error_size, r, "group '%s': its regions do not fit it",
				  group->name);
	r = create(memory, group, &step);
	if (r) {
		ivshm_memory_destroy(memory);
		return ivshm_fail(error, error_size, r, "group '%s': %s its %llu bytes: %s",
				  group->name, step, (unsigned long long)memory->layout.total_size,
				  strerror(-r));
	}
	ivshm_roster_write(memory, config, group);
	return 0;
}

int ivshm_memory_adopt(struct ivshm_memory *memory, int fd)
{
	void *map =
		mmap(NULL, memory->layout.total_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	memory->fd = fd;
	memory->map = map;
	return 0;
}

void ivshm_memory_destroy(struct ivshm_memory *memory)
{
	if (memory->map)
		munmap(memory->map, memory->layout.total_size);
	if (memory->fd >= 0)
		close(memory->fd);
	memory->map = NULL;
	memory->fd = -1;
}
