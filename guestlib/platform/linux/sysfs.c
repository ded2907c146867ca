/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysfs.c: a group without its driver, through the PCI device's resource files: memory and
 * doorbells out, but no interrupts: who waits looks again and again. One process a device, and
 * nobody sees it die but the next one there: the file's lock says that it is alone.
 */
#include "linux.h"

#include <isthmus/app.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAP_NS 500000ull /* between two looks: latency against idle CPU */

struct function {
	char path[PATH_MAX]; /* its directory */
	int memory;          /* resource2 */
	void *registers;     /* the page that resource0 is in */
	uint32_t base;       /* and where in it */
	uint32_t id_register;
	uint32_t doorbell;
	bool numbers; /* the device is QEMU's, which has numbers for peers (IST_QEMU_NUMBER) */
};

/* Whether the function has interrupts. QEMU's ivshmem-plain has none, and its ID, 0, is nobody's.
 */
static bool has_msix(const char *path)
{
	char bar[PATH_MAX];

	return (size_t)snprintf(bar, sizeof(bar), "%s/resource%u", path, IST_BAR_MSIX) <
		       sizeof(bar) &&
	       !access(bar, F_OK);
}

/* Whether the PCI function in this directory is one of ours; its registers' places. */
static bool is_ours(struct function *function)
{
	const char *path = function->path;
	uint64_t vendor, device;

	if (ist_linux_read_number(path, "vendor", 0xffff, &vendor) ||
	    ist_linux_read_number(path, "device", 0xffff, &device))
		return false;
	if (vendor == IST_V1_VENDOR && device == IST_V1_DEVICE) {
		function->id_register = IST_V1_POSITION;
		function->doorbell = IST_V1_DOORBELL;
		return has_msix(path);
	}
	function->id_register = IST_V2_ID;
	function->doorbell = IST_V2_DOORBELL;
	return vendor == IST_V2_VENDOR && device == IST_V2_DEVICE;
}

static int open_in(const char *directory, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Where no driver has done so, the device does not answer yet. */
static void enable(const char *path)
{
	int fd = open_in(path, "enable", O_WRONLY);

	if (fd < 0)
		return;
	(void)!write(fd, "1", 1);
	close(fd);
}

/* Opens the memory and reads its header, at group->base for the time being. */
static int open_memory(const char *path, struct ist_group *group, struct ist_roster_head *head)
{
	struct stat status;
	int fd, err;

	enable(path);
	fd = open_in(path, "resource2", O_RDWR);
	if (fd < 0)
		return fd;
	err = -EPROTO;
	if (fstat(fd, &status) || status.st_size < (off_t)IST_REGIONS_OFFSET)
		goto close_file;
	group->base = mmap(NULL, IST_REGIONS_OFFSET, PROT_READ, MAP_SHARED, fd, 0);
	err = -errno;
	if (group->base == MAP_FAILED)
		goto close_file;
	err = ist_roster_head(group->base, head);
	if (!err &&
	    (head->total_size != (uint64_t)status.st_size || !ist_name_is_sound(head->name)))
		err = -EPROTO;
	if (!err)
		return fd;
	munmap(group->base, IST_REGIONS_OFFSET);
close_file:
	close(fd);
	return err;
}

static void close_memory(int fd, struct ist_group *group)
{
	munmap(group->base, IST_REGIONS_OFFSET);
	close(fd);
}

/*
 * The only function whose group has this name, or, with NULL, the only one of a group at all: its
 * memory open and its header mapped. Where there are functions, but none with a group, why the last
 * one has none.
 */
static int find(const char *name, struct function *function, struct ist_group *group,
		struct ist_roster_head *head)
{
	char bus[PATH_MAX];
	struct ist_group candidate;
	struct function its;
	struct ist_roster_head its_head;
	const struct dirent *entry;
	int err = -ENOENT;
	DIR *dir;

	snprintf(bus, sizeof(bus), "%s/bus/pci/devices", ist_linux_sys);
	dir = opendir(bus);
	if (!dir)
		return -ENOENT;
	function->memory = -1;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (size_t)snprintf(its.path, sizeof(its.path), "%s/%s", bus, entry->d_name) >=
			    sizeof(its.path) ||
		    !is_ours(&its))
			continue;
		its.memory = open_memory(its.path, &candidate, &its_head);
		if (its.memory < 0) {
			err = its.memory;
			continue;
		}
		if (name && strcmp(name, its_head.name) != 0) {
			close_memory(its.memory, &candidate);
			continue;
		}
		if (function->memory >= 0) {
			close_memory(its.memory, &candidate);
			close_memory(function->memory, group);
			closedir(dir);
			return -EINVAL;
		}
		*function = its;
		*head = its_head;
		group->base = candidate.base;
	}
	closedir(dir);
	return function->memory >= 0 ? 0 : err;
}

/* The register page, and where in it BAR0 starts: smaller than a page, it may lie anywhere in one.
 */
static int map_registers(struct function *function)
{
	uint64_t start;
	int fd, err;

	err = ist_linux_read_number(function->path, "resource", UINT64_MAX, &start);
	if (err)
		return err;
	function->base = (uint32_t)(start % IST_PAGE);
	if (function->base > IST_PAGE - IST_V1_BAR0_SIZE)
		return -EPROTO;
	fd = open_in(function->path, "resource0", O_RDWR);
	if (fd < 0)
		return fd;
	function->registers = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = function->registers == MAP_FAILED ? -errno : 0;
	close(fd);
	return err;
}

static volatile uint32_t *at(const struct function *function, uint32_t offset)
{
	return (void *)((char *)function->registers + function->base + offset);
}

static int read_group(struct function *function, const struct ist_roster_head *head,
		      struct ist_group *group)
{
	uint32_t position;
	uint64_t self;

	memcpy(group->name, head->name, IST_NAME_SIZE);
	group->size = head->total_size;
	group->vectors = head->vectors;
	group->max_peers = head->max_peers;
	position = *at(function, function->id_register);
	/* Where it is not QEMU's it is the ID, which is below 64. */
	group->id = position <= UINT16_MAX ? IST_QEMU_ID(position) : position;
	if (group->id >= group->max_peers)
		return -EPROTO;
	self = ist_group_peer_word(group, group->id);
	group->incarnation = IST_PEER_INCARNATION(self);
	/* A device without doorbells has no ID of its own, whatever the register says. */
	if (IST_PEER_STATE(self) != IST_PEER_LIVE || !group->incarnation)
		return -EPROTO;
	function->numbers = ist_group_peer_kind(group, group->id) == IST_KIND_QEMU;
	group->alone = 1;
	group->client = (uint32_t)getpid() % (IST_CLIENTS_MAX - 1) + 1;
	group->deaf = 1;
	return ist_roster_regions(head, NULL, group);
}

static int sysfs_open(const char *name, struct ist_group *group)
{
	struct function *function = calloc(1, sizeof(*function));
	struct ist_roster_head head;
	int err;

	if (!function)
		return -ENOMEM;
	err = find(name, function, group, &head);
	if (err)
		goto free_function;
	group->platform = function;
	err = map_registers(function);
	if (err)
		goto close_file;
	err = flock(function->memory, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (err == -EWOULDBLOCK)
		err = -EBUSY;
	if (!err)
		err = read_group(function, &head, group);
	if (err)
		goto unmap_registers;
	munmap(group->base, IST_REGIONS_OFFSET);
	err = ist_process_map(group, &head, function->memory, IST_REGIONS_OFFSET);
	if (!err)
		return 0;

	munmap(function->registers, IST_PAGE);
	close(function->memory);
	goto free_function;
unmap_registers:
	munmap(function->registers, IST_PAGE);
close_file:
	close_memory(function->memory, group);
free_function:
	free(function);
	return err;
}

static void sysfs_close(struct ist_group *group)
{
	struct function *function = group->platform;

	ist_process_unmap(group);
	munmap(function->registers, IST_PAGE);
	close(function->memory);
	free(function);
}

static int sysfs_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	const struct function *function = group->platform;

	/* The host's descriptors lead to the living incarnation, or nowhere. */
	if (function->numbers)
		peer = IST_QEMU_NUMBER(peer, incarnation);
	*at(function, function->doorbell) = IST_DOORBELL(peer, vector);
	return 0;
}

static uint32_t sysfs_count(struct ist_group *group, uint32_t vector)
{
	(void)group;
	(void)vector;
	return 0;
}

static uint32_t sysfs_count_all(struct ist_group *group)
{
	(void)group;
	return 0;
}

static void sysfs_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	uint64_t now = ist_time_ns();

	(void)group;
	(void)seen;
	if (deadline > now)
		ist_sleep_ns(deadline - now < NAP_NS ? deadline - now : NAP_NS);
}

const struct ist_backend ist_sysfs_backend = {.open = sysfs_open,
					      .close = sysfs_close,
					      .ring = sysfs_ring,
					      .count = sysfs_count,
					      .count_all = sysfs_count_all,
					      .wait = sysfs_wait};
