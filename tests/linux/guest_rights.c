/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_rights.c: guest_rights DEVICE REGION FILE: a process that stores to the first page of a
 * region as long as it can, and until FILE is there.
 *
 * It says "stores" when it begins, then "sigbus, mmap: ERROR, reads VALUE" when its mapping was
 * taken away (0: it can be mapped again), or "went on" at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <isthmus/abi.h>

static sigjmp_buf out;

static void on_sigbus(int number)
{
	siglongjmp(out, number);
}

/* Where the region of that name is, by the roster. */
static off_t find(int device, const char *name)
{
	uint8_t *roster = mmap(NULL, IST_REGIONS_OFFSET, PROT_READ, MAP_SHARED, device, 0);
	const struct ist_region *region;

	if (roster == MAP_FAILED)
		return -1;
	region = (const void *)(roster + IST_REGION_TABLE_OFFSET);
	for (uint32_t i = 0; i < IST_REGIONS_MAX; i++)
		if (strcmp(region[i].name, name) == 0)
			return (off_t)region[i].offset;
	return -1;
}

/* What is left of it: the error of mapping it for writing, and what is read there. */
static void after(int device, off_t offset)
{
	volatile uint64_t *page;
	int error = 0;

	page = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, offset);
	if (page == MAP_FAILED)
		error = errno;
	page = mmap(NULL, IST_PAGE, PROT_READ, MAP_SHARED, device, offset);
	if (page == MAP_FAILED)
		printf("sigbus, mmap: %s, reads nothing: %s\n", strerror(error), strerror(errno));
	else
		printf("sigbus, mmap: %s, reads on: %d\n", strerror(error), page[0] != 0);
}

int main(int argc, char **argv)
{
	int device = argc == 4 ? open(argv[1], O_RDWR) : -1;
	off_t offset = device < 0 ? -1 : find(device, argv[2]);
	volatile uint64_t *page;
	uint64_t value = 0;

	if (offset < 0) {
		printf("no such region\n");
		return 1;
	}
	page = mmap(NULL, IST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, offset);
	if (page == MAP_FAILED) {
		printf("cannot be mapped: %s\n", strerror(errno));
		return 1;
	}
	signal(SIGBUS, on_sigbus);
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("stores\n");
	if (sigsetjmp(out, 1) != 0) {
		after(device, offset);
		return 0;
	}
	while (access(argv[3], F_OK) != 0)
		for (unsigned i = 0; i < 1000; i++)
			page[0] = ++value;
	printf("went on\n");
	return 0;
}
