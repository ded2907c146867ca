// SPDX-License-Identifier: BSD-2-Clause
/*
 * revoke.c: revoke DIR LESS MORE ROUNDS: how long a running `isthmus up`, the first in DIR, takes
 * to go over to the file LESS, which takes a right from its VMs, and back to MORE: from the request
 * on its control socket to the answer. Beside it, in the same run, the floor: one memory slot taken
 * away and put back with another right, in a VM of this program's that has nothing to do.
 *
 * Prints a line of JSON: ns, p50, p99 and min of each. See bench/revoke.py.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ivshmem/control.h"

#define SLOT_SIZE (64u << 10) /* as the region's */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static void print(const char *name, uint64_t *ns, unsigned count, const char *after)
{
	qsort(ns, count, sizeof(*ns), by_value);
	printf("\"%s\": {\"min\": %llu, \"p50\": %llu, \"p99\": %llu}%s", name,
	       (unsigned long long)ns[0], (unsigned long long)ns[count / 2],
	       (unsigned long long)ns[(uint64_t)count * 99 / 100], after);
}

static uint64_t reload(const char *dir, const char *file, FILE *nowhere)
{
	uint64_t begin = now_ns();

	if (ivshm_control_reload(dir, 1, file, 0, nowhere, stderr) != 0)
		exit(1);
	return now_ns() - begin;
}

static void set_slot(int vm, void *memory, uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {.slot = 1,
						     .flags = flags,
						     .guest_phys_addr = 1ull << 32,
						     .memory_size = size,
						     .userspace_addr = (uintptr_t)memory};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) {
		perror("KVM_SET_USER_MEMORY_REGION");
		exit(1);
	}
}

/* Pairs: away, and there again, read-only and writable in turn. */
static void measure_floor(uint64_t *ns, unsigned count)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	void *memory =
		mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (vm < 0 || memory == MAP_FAILED) {
		perror("/dev/kvm");
		exit(1);
	}
	memset(memory, 1, SLOT_SIZE);
	set_slot(vm, memory, SLOT_SIZE, 0);
	for (unsigned i = 0; i < count; i++) {
		uint64_t begin = now_ns();

		set_slot(vm, memory, 0, 0);
		set_slot(vm, memory, SLOT_SIZE, i % 2 ? 0 : KVM_MEM_READONLY);
		ns[i] = now_ns() - begin;
	}
	close(vm);
	close(kvm);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
	uint64_t *less = calloc(rounds + 1u, sizeof(*less));
	uint64_t *more = calloc(rounds + 1u, sizeof(*more));
	uint64_t *pair = calloc(rounds + 1u, sizeof(*pair));
	FILE *nowhere = fopen("/dev/null", "w");

	if (rounds == 0 || !less || !more || !pair || !nowhere) {
		fprintf(stderr, "usage: revoke DIR LESS MORE ROUNDS\n");
		return 2;
	}
	measure_floor(pair, rounds);
	for (unsigned i = 0; i < rounds; i++) {
		less[i] = reload(argv[1], argv[2], nowhere);
		more[i] = reload(argv[1], argv[3], nowhere);
	}
	putchar('{');
	print("less", less, rounds, ", ");
	print("more", more, rounds, ", ");
	print("slot_pair", pair, rounds, "}\n");
	fclose(nowhere);
	return 0;
}
