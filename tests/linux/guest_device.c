/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_device.c: looks at /dev/isthmusN as any program could:
 *   device DEVICE info                     what INFO says, and the peers' incarnations
 *   device DEVICE map OFFSET r|w|x         maps a page so; prints "mapped" or the error's name
 *   device DEVICE peek OFFSET              the 64-bit word at this offset of the group
 *   device DEVICE poke OFFSET VALUE        writes it
 *   device DEVICE hold SECONDS             keeps everything mapped; says how that ended
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <isthmus/abi.h>

static int fail(const char *what)
{
	printf("device: %s: %s\n", what, strerrorname_np(errno));
	return 1;
}

static void *map(int device, uint64_t offset, int protection)
{
	return mmap(NULL, IST_PAGE, protection, MAP_SHARED, device,
		    (off_t)(offset & ~(uint64_t)(IST_PAGE - 1)));
}

static int show_info(int device)
{
	struct ist_linux_info info;
	const struct ist_peer *peers;

	if (ioctl(device, IST_IOCTL_INFO, &info) != 0)
		return fail("IST_IOCTL_INFO");
	printf("group=%s personality=%u id=%u incarnation=%u vectors=%u registers=%u size=%" PRIu64
	       "\n",
	       info.name, info.personality, info.id, info.incarnation, info.vectors, info.registers,
	       info.size);
	peers = mmap(NULL, IST_PEERS_MAX * sizeof(*peers), PROT_READ, MAP_SHARED, device,
		     IST_PEER_TABLE_OFFSET);
	if (peers == MAP_FAILED)
		return fail("mmap");
	for (uint32_t i = 0; i < info.max_peers; i++)
		printf("peer=%s id=%u state=%u incarnation=%u\n", peers[i].name, i,
		       IST_PEER_STATE(peers[i].word), IST_PEER_INCARNATION(peers[i].word));
	return 0;
}

static int try_map(int device, uint64_t offset, const char *how)
{
	int protection = PROT_READ | (strchr(how, 'w') != NULL ? PROT_WRITE : 0) |
			 (strchr(how, 'x') != NULL ? PROT_EXEC : 0);

	puts(map(device, offset, protection) == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	return 0;
}

static int peek(int device, uint64_t offset)
{
	uint8_t *page = map(device, offset, PROT_READ);

	if (page == MAP_FAILED)
		return fail("mmap");
	printf("0x%" PRIx64 "\n",
	       __atomic_load_n((uint64_t *)(page + offset % IST_PAGE), __ATOMIC_ACQUIRE));
	return 0;
}

static int poke(int device, uint64_t offset, uint64_t value)
{
	uint8_t *page = map(device, offset, PROT_READ | PROT_WRITE);

	if (page == MAP_FAILED)
		return fail("mmap");
	__atomic_store_n((uint64_t *)(page + offset % IST_PAGE), value, __ATOMIC_RELEASE);
	return 0;
}

static int hold(int device, unsigned seconds)
{
	struct pollfd polled = {.fd = device};
	void *registers = map(device, IST_LINUX_REGISTERS, PROT_READ | PROT_WRITE);
	void *roster = map(device, IST_ROSTER_OFFSET, PROT_READ);
	struct ist_linux_info info;

	if (roster == MAP_FAILED)
		return fail("mmap");
	printf("holding, %s registers\n", registers == MAP_FAILED ? "without" : "with");
	fflush(stdout);
	if (poll(&polled, 1, (int)seconds * 1000) == 0)
		puts("time is up");
	else
		printf("poll: %s, then INFO: %s\n",
		       (polled.revents & POLLHUP) != 0 ? "POLLHUP" : "something else",
		       ioctl(device, IST_IOCTL_INFO, &info) == 0 ? "works"
								 : strerrorname_np(errno));
	return 0;
}

int main(int argc, char **argv)
{
	int device;

	if (argc < 3)
		goto usage;
	device = open(argv[1], O_RDWR | O_CLOEXEC);
	if (device < 0)
		return fail(argv[1]);
	if (strcmp(argv[2], "info") == 0)
		return show_info(device);
	if (strcmp(argv[2], "map") == 0 && argc == 5)
		return try_map(device, strtoull(argv[3], NULL, 0), argv[4]);
	if (strcmp(argv[2], "peek") == 0 && argc == 4)
		return peek(device, strtoull(argv[3], NULL, 0));
	if (strcmp(argv[2], "poke") == 0 && argc == 5)
		return poke(device, strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	if (strcmp(argv[2], "hold") == 0 && argc == 4)
		return hold(device, (unsigned)atoi(argv[3]));
usage:
	fputs("usage: device DEVICE info|map|peek|poke|hold ...\n", stderr);
	return 2;
}
