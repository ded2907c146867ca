// SPDX-License-Identifier: BSD-2-Clause
/* cpuid.c: the processor a guest sees: the host's, as far as KVM supports it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vcpu.h"

#define ENTRIES_MAX 256u

#define LEAF1_X2APIC (1u << 21)
#define LEAF1_TSC_DEADLINE (1u << 24)
#define LEAF1_HYPERVISOR (1u << 31)
#define XCR0_SSE 0x3u       /* with x87: always there */
#define XCR0_USABLE 0xe7u   /* and AVX, AVX-512 */
#define TOPOLOGY_SMT 0x100u /* leaf 0xb: level type in bits 8-15 */
#define TOPOLOGY_CORE 0x200u

/* One thread a core, one package. */
static void set_topology(struct kvm_cpuid_entry2 *entry, unsigned index, unsigned vcpus)
{
	unsigned bits = 0;

	while (1u << bits < vcpus)
		bits++;
	entry->eax = entry->index == 1 ? bits : 0;
	entry->ebx = entry->index == 0 ? 1 : entry->index == 1 ? vcpus : 0;
	entry->ecx = entry->index == 0   ? TOPOLOGY_SMT
		     : entry->index == 1 ? TOPOLOGY_CORE | 1
					 : entry->index;
	entry->edx = index;
}

int vmm_cpuid_set(const struct vmm_vcpu *vcpu, int kvm, unsigned vcpus, __u64 *xcr0,
		  struct vmm_error *error)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + ENTRIES_MAX * sizeof(cpuid->entries[0]));
	bool deadline = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	int result = 0;

	if (cpuid == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	cpuid->nent = ENTRIES_MAX - 1; /* one is added below */
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) != 0) {
		result = vmm_fail_errno(error, "KVM does not tell its CPUID");
		goto out;
	}
	*xcr0 = XCR0_SSE;
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 1) {
			entry->ebx = (entry->ebx & 0xffffu) | vcpus << 16 | vcpu->index << 24;
			entry->ecx |= LEAF1_X2APIC | LEAF1_HYPERVISOR |
				      (deadline ? LEAF1_TSC_DEADLINE : 0);
		} else if (entry->function == 0xb || entry->function == 0x1f) {
			set_topology(entry, vcpu->index, vcpus);
		} else if (entry->function == 0xd && entry->index == 0) {
			*xcr0 = entry->eax & XCR0_USABLE;
		}
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) != 0)
		result = vmm_fail_errno(error, "KVM refuses its own CPUID");
out:
	free(cpuid);
	return result;
}
