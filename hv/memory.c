// SPDX-License-Identifier: BSD-2-Clause
/* memory.c: RAM and slots. */
#include "memory.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20) /* what one entry of a page table's second level maps */

/*
 * Ordinary memory, where the host may make huge pages of it and KVM map them whole: from a multiple
 * of their size, as guest addresses are. A kernel touches most of its RAM while it boots: 200
 * faults instead of 23,000. An app touches little, and has little to wait for.
 */
static void *map_for_huge(size_t size)
{
	uint8_t *ram = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before = -(uintptr_t)ram & (HUGE_PAGE - 1);

	if (ram == MAP_FAILED)
		return ram;
	if (before != 0)
		munmap(ram, before);
	munmap(ram + before + size, HUGE_PAGE - before);
	madvise(ram + before, size, MADV_HUGEPAGE); /* a host without them does without */
	return ram + before;
}

/*
 * Reserved huge pages are there from the start: a node may have fewer than the whole machine, and
 * one that is missing later would be a SIGBUS.
 */
static int map_ram(struct vmm_memory *memory, const struct vmm_options *options,
		   struct vmm_error *error)
{
	bool huge = options->page_size > IST_PAGE;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t size = options->memory;
	void *ram;
	int result;

	if (huge)
		flags |= MAP_HUGETLB | __builtin_ctzll(options->page_size) << MAP_HUGE_SHIFT;
	else
		flags |= MAP_NORESERVE;
	if (options->kernel != NULL && !huge)
		ram = map_for_huge(size);
	else
		ram = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (ram == MAP_FAILED)
		goto no_pages;
	memory->ram = ram;
	memory->ram_size = size;
	memory->ram_low = size < VMM_RAM_LOW_MAX ? size : VMM_RAM_LOW_MAX;
	result = ivshm_numa_bind(ram, size, &options->numa);
	if (result != 0)
		return vmm_fail(error, -result, "--numa: no such nodes for guest RAM: %s",
				strerror(-result));
	if (huge && madvise(ram, size, MADV_POPULATE_WRITE) != 0)
		goto no_pages;
	return 0;

no_pages:
	if (!huge)
		return vmm_fail(error, errno, "cannot map %zu MiB of guest RAM: %m", size >> 20);
	return vmm_fail(error, errno,
			"cannot get %zu MiB of guest RAM in pages of %zu MiB (see "
			"/sys/kernel/mm/hugepages): %m",
			size >> 20, (size_t)options->page_size >> 20);
}

int vmm_memory_add_ram(struct vmm_memory *memory, const struct vmm_options *options,
		       struct vmm_error *error)
{
	int result = map_ram(memory, options, error);
	uint64_t low = memory->ram_low, high = memory->ram_size - low;

	if (result == 0)
		result = vmm_memory_set_slot(memory, memory->slots++, 0, low, memory->ram, false,
					     error);
	if (result == 0 && high != 0)
		result = vmm_memory_set_slot(memory, memory->slots++, VMM_RAM_HIGH, high,
					     memory->ram + low, false, error);
	if (result != 0)
		vmm_memory_free_ram(memory);
	return result;
}

void vmm_memory_free_ram(struct vmm_memory *memory)
{
	if (memory->ram != NULL)
		munmap(memory->ram, memory->ram_size);
	memory->ram = NULL;
	memory->ram_size = memory->ram_low = 0;
}

void *vmm_memory_ram(const struct vmm_memory *memory, uint64_t address, uint64_t size)
{
	uint64_t low = memory->ram_low, high = memory->ram_size - low;

	if (address <= low && size <= low - address)
		return memory->ram + address;
	if (address < VMM_RAM_HIGH)
		return NULL;
	address -= VMM_RAM_HIGH;
	return address <= high && size <= high - address ? memory->ram + low + address : NULL;
}

int vmm_memory_set_slot(struct vmm_memory *memory, uint32_t slot, uint64_t address, uint64_t size,
			void *host, bool read_only, struct vmm_error *error)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = address,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(memory->vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
		return vmm_fail(error, errno, "KVM refuses memory at 0x%llx, size 0x%llx: %m",
				(unsigned long long)address, (unsigned long long)size);
	return 0;
}
