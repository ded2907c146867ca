/* SPDX-License-Identifier: BSD-2-Clause */
/* device.c: a group through /dev/isthmusN (abi.h, "Linux guests"). */
#include "linux.h"
#include "run_state.h"
#include "words.h"

#include <isthmus/app.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAP_NS 500000ull /* between two looks where no doorbell arrives */

struct device {
	int fd;
	void *counts;    /* struct ist_linux_counts, a page */
	void *registers; /* a page, or NULL: the driver rings */
	void *run;       /* the run-state page, or NULL */
	uint32_t doorbell;
	struct ist_linux_holds holds;
};

/* ---- Which device ---- */

/* The only device whose group has this name, or, with NULL, the only one at all. */
static int find(const char *name, char *path, size_t size)
{
	char class[PATH_MAX], group[IST_NAME_SIZE + 1], found[NAME_MAX + 1] = "";
	const struct dirent *entry;
	DIR *dir;

	if ((size_t)snprintf(class, sizeof(class), "%s/class/isthmus", ist_linux_sys) >=
	    sizeof(class))
		return -ENAMETOOLONG;
	dir = opendir(class);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char attribute[NAME_MAX + sizeof("/group")];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(attribute, sizeof(attribute), "%s/group", entry->d_name);
		if (ist_linux_read(class, attribute, group, sizeof(group)) ||
		    (name && strcmp(group, name) != 0))
			continue;
		if (found[0]) {
			closedir(dir);
			return -EINVAL;
		}
		strcpy(found, entry->d_name);
	}
	closedir(dir);
	if (!found[0])
		return -ENOENT;
	return (size_t)snprintf(path, size, "%s/%s", ist_linux_dev, found) >= size ? -ENAMETOOLONG
										   : 0;
}

/* ---- What the driver says of it ---- */

static bool info_is_sound(const struct ist_linux_info *info)
{
	return info->version == IST_LINUX_VERSION &&
	       (info->personality == 1 || info->personality == 2) &&
	       info->max_peers <= IST_PEERS_MAX && info->id < info->max_peers &&
	       info->incarnation && info->vectors <= IST_VECTORS_MAX && info->client &&
	       info->client < IST_CLIENTS_MAX && ist_name_is_sound(info->name) &&
	       (!info->registers || (info->doorbell % sizeof(uint32_t) == 0 &&
				     info->doorbell <= IST_PAGE - sizeof(uint32_t)));
}

/* The group as the driver and the roster say in one voice. */
static int read_group(int fd, struct ist_group *group, struct ist_roster_head *head,
		      struct ist_linux_info *info)
{
	uint64_t self;
	int err;

	if (ioctl(fd, IST_IOCTL_INFO, info))
		return -errno;
	if (!info_is_sound(info))
		return -EPROTO;
	group->base = mmap(NULL, IST_REGIONS_OFFSET, PROT_READ, MAP_SHARED, fd, 0);
	if (group->base == MAP_FAILED)
		return -errno;
	memcpy(group->name, info->name, IST_NAME_SIZE);
	group->size = info->size;
	group->id = info->id;
	group->incarnation = info->incarnation;
	group->max_peers = info->max_peers;
	group->client = info->client;
	err = ist_roster_head(group->base, head);
	if (err)
		goto unmap;
	self = ist_group_peer_word(group, group->id);
	err = -EPROTO;
	if (head->total_size != info->size || head->max_peers != info->max_peers ||
	    head->regions != info->regions || strncmp(head->name, info->name, IST_NAME_SIZE) != 0 ||
	    IST_PEER_INCARNATION(self) != info->incarnation)
		goto unmap;
	group->vectors = head->vectors;
	group->deaf = info->vectors < head->vectors;
	err = ist_roster_regions(head, info->rights, group);
unmap:
	munmap(group->base, IST_REGIONS_OFFSET);
	return err;
}

/* ---- Opening and closing ---- */

static int map_at(int fd, uint64_t offset, size_t size, int protection, void **out)
{
	void *page = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);

	if (page == MAP_FAILED)
		return -errno;
	*out = page;
	return 0;
}

static int device_open(const char *name, struct ist_group *group)
{
	struct ist_roster_head head;
	struct ist_linux_info info;
	struct device *device;
	char path[PATH_MAX];
	int err;

	err = find(name, path, sizeof(path));
	if (err)
		return err;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	group->platform = device;
	ist_linux_holds_init(&device->holds);
	device->fd = open(path, O_RDWR | O_CLOEXEC);
	if (device->fd < 0) {
		/* The driver has the group; -ENOENT would send us looking elsewhere. */
		err = errno == ENOENT ? -ENODEV : -errno;
		goto free_device;
	}
	err = read_group(device->fd, group, &head, &info);
	if (!err)
		err = map_at(device->fd, IST_LINUX_COUNTS, IST_PAGE, PROT_READ, &device->counts);
	if (err)
		goto close_file;
	device->doorbell = info.doorbell;
	if (info.registers)
		err = map_at(device->fd, IST_LINUX_REGISTERS, IST_PAGE, PROT_READ | PROT_WRITE,
			     &device->registers);
	if (err)
		goto unmap_counts;
	if (info.run_state)
		err = map_at(device->fd, IST_LINUX_RUN_STATE, IST_RUN_STATE_SIZE, PROT_READ,
			     &device->run);
	if (err)
		goto unmap_registers;
	err = ist_process_map(group, &head, device->fd, IST_REGIONS_OFFSET);
	if (err)
		goto unmap_run;
	if (device->run)
		ist_run_state_set(group, device->run);
	return 0;

unmap_run:
	if (device->run)
		munmap(device->run, IST_RUN_STATE_SIZE);
unmap_registers:
	if (device->registers)
		munmap(device->registers, IST_PAGE);
unmap_counts:
	munmap(device->counts, IST_PAGE);
close_file:
	close(device->fd);
free_device:
	ist_linux_holds_fini(&device->holds);
	free(device);
	return err;
}

static void device_close(struct ist_group *group)
{
	struct device *device = group->platform;

	ist_process_unmap(group);
	if (device->run)
		munmap(device->run, IST_RUN_STATE_SIZE);
	if (device->registers)
		munmap(device->registers, IST_PAGE);
	munmap(device->counts, IST_PAGE);
	close(device->fd);
	ist_linux_holds_fini(&device->holds);
	free(device);
}

/* ---- Doorbells ---- */

static void blank(void *start, uint64_t size)
{
	(void)!mmap(start, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* The device is gone. What is left of it would raise SIGBUS: memory of our own does not. */
static int lose(struct ist_group *group)
{
	struct device *device = group->platform;

	if (!__atomic_exchange_n(&group->gone, 1, __ATOMIC_ACQ_REL)) {
		blank(group->base, group->size);
		blank(device->counts, IST_PAGE);
		if (device->registers)
			blank(device->registers, IST_PAGE);
		if (device->run)
			blank(device->run, IST_RUN_STATE_SIZE);
	}
	return -ENODEV;
}

static int device_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation,
		       uint32_t vector)
{
	const struct device *device = group->platform;
	const struct ist_linux_ring ring = {
		.peer = peer, .incarnation = incarnation, .vector = vector};

	if (device->registers) {
		/* The host's descriptors lead to the living incarnation, or nowhere. */
		*(volatile uint32_t *)(void *)((char *)device->registers + device->doorbell) =
			IST_DOORBELL(peer, vector);
		return 0;
	}
	if (!ioctl(device->fd, IST_IOCTL_RING, &ring))
		return 0;
	return errno == ENODEV ? lose(group) : -EPIPE;
}

static const struct ist_linux_counts *counts_of(const struct ist_group *group)
{
	const struct device *device = group->platform;

	return device->counts;
}

static uint32_t device_count(struct ist_group *group, uint32_t vector)
{
	return ist_load32(&counts_of(group)->count[vector]);
}

static uint32_t device_count_all(struct ist_group *group)
{
	return ist_load32(&counts_of(group)->total);
}

static void device_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	const struct device *device = group->platform;
	struct ist_linux_wait wait = {.deadline_ns = deadline, .seen = seen};

	/* A device that cannot interrupt still tells of its end. */
	if (group->deaf && wait.deadline_ns > ist_time_ns() + NAP_NS)
		wait.deadline_ns = ist_time_ns() + NAP_NS;
	while (ioctl(device->fd, IST_IOCTL_WAIT, &wait)) {
		if (errno == ETIMEDOUT)
			return;
		if (errno != EINTR) {
			lose(group);
			return;
		}
	}
}

static int device_hold(struct ist_group *group, uint64_t offset, int on)
{
	struct device *device = group->platform;
	int err = ist_linux_holds_change(&device->holds, device->fd, offset, on);

	return err == -ENODEV ? lose(group) : err;
}

const struct ist_backend ist_device_backend = {.open = device_open,
					       .close = device_close,
					       .ring = device_ring,
					       .count = device_count,
					       .count_all = device_count_all,
					       .wait = device_wait,
					       .hold = device_hold};
