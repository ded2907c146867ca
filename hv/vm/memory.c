// SPDX-License-Identifier: BSD-2-Clause
/* memory.c: RAM and slots. */
#include "memory.h"

#include <errno.h>
#include <linux/kvm.h>
#include <numa.h>
#include <numaif.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Nodes by libnuma, so that one that does not exist has a name in the error. */
static int place(void *ram, size_t size, const struct vmm_options *options, struct vmm_error *error)
{
	static const int modes[] = {MPOL_DEFAULT, MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED};
	unsigned long mask = 0;

	if (options->numa == VMM_NUMA_DEFAULT)
		return 0;
	if (numa_available() < 0)
		return vmm_fail(error, ENOSYS, "--numa: this host has no NUMA support");
	for (unsigned i = 0; i < options->nodes_count; i++) {
		unsigned node = options->nodes[i];

		if (!numa_bitmask_isbitset(numa_all_nodes_ptr, node))
			return vmm_fail(error, ENXIO, "--numa: there is no memory node %u", node);
		mask |= 1ul << node;
	}
	/* One more than the bits: the kernel takes the count less one. */
	if (mbind(ram, size, modes[options->numa], &mask, VMM_NODES_MAX + 1, 0) != 0)
		return vmm_fail_errno(error, "--numa: cannot bind guest RAM");
	return 0;
}

int vmm_memory_add_ram(struct vmm_memory *memory, const struct vmm_options *options,
		       struct vmm_error *error)
{
	size_t size = options->memory;
	void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int result;

	if (ram == MAP_FAILED)
		return vmm_fail_errno(error, "cannot map %zu MiB of guest RAM", size >> 20);
	memory->ram = ram;
	memory->ram_size = size;
	result = place(ram, size, options, error);
	if (result == 0)
		result = vmm_memory_add_slot(memory, 0, size, ram, false, error);
	if (result != 0)
		vmm_memory_free_ram(memory);
	return result;
}

void vmm_memory_free_ram(struct vmm_memory *memory)
{
	if (memory->ram != NULL)
		munmap(memory->ram, memory->ram_size);
	memory->ram = NULL;
	memory->ram_size = 0;
}

void *vmm_memory_ram(const struct vmm_memory *memory, uint64_t address, uint64_t size)
{
	if (address > memory->ram_size || size > memory->ram_size - address)
		return NULL;
	return memory->ram + address;
}

int vmm_memory_add_slot(struct vmm_memory *memory, uint64_t address, uint64_t size, void *host,
			bool read_only, struct vmm_error *error)
{
	struct kvm_userspace_memory_region slot = {
		.slot = memory->slots,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = address,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(memory->vm, KVM_SET_USER_MEMORY_REGION, &slot) != 0)
		return vmm_fail_errno(error, "KVM refuses memory at 0x%llx, size 0x%llx",
				      (unsigned long long)address, (unsigned long long)size);
	memory->slots++;
	return 0;
}
