// SPDX-License-Identifier: BSD-2-Clause
/*
 * cpuid.c: the processor a guest sees: the host's, as far as KVM supports it, as one package of
 * cores with one thread each and a shared last-level cache.
 * Sources: Intel SDM volume 2, CPUID; AMD64 APM volume 3, appendix E.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vcpu.h"

#define ENTRIES_MAX 256u

#define VENDOR_INTEL 0x756e6547u /* "Genu", in EBX of leaf 0 */
#define LEAF1_X2APIC (1u << 21)
#define LEAF1_TSC_DEADLINE (1u << 24)
#define LEAF1_HYPERVISOR (1u << 31)
#define LEAF1_EDX_HTT (1u << 28)       /* more than one logical processor */
#define AMD_LEAF1_CMP_LEGACY (1u << 1) /* and they are cores */
#define XCR0_SSE 0x3u                  /* with x87: always there */
#define XCR0_USABLE 0xe7u              /* and AVX, AVX-512 */
#define TOPOLOGY_SMT 0x100u            /* leaf 0xb: level type in bits 8-15 */
#define TOPOLOGY_CORE 0x200u
#define CACHE_LEVEL(eax) ((eax) >> 5 & 7u)
#define CACHE_SHARED_BY(eax, count) (((eax) & ~0x03ffc000u) | ((count)-1) << 14)

struct place { /* of one vCPU */
	unsigned index;
	unsigned vcpus;
	unsigned bits; /* of an APIC ID */
	bool intel;
	bool deadline;
};

static void set_leaf(struct kvm_cpuid_entry2 *entry, const struct place *place)
{
	unsigned ids = 1u << place->bits;

	switch (entry->function) {
	case 0x1:
		entry->ebx = (entry->ebx & 0xffffu) | place->vcpus << 16 | place->index << 24;
		entry->ecx |= LEAF1_X2APIC | LEAF1_HYPERVISOR |
			      (place->deadline ? LEAF1_TSC_DEADLINE : 0);
		entry->edx |= place->vcpus > 1 ? LEAF1_EDX_HTT : 0;
		break;
	case 0x4:
		if ((entry->eax & 0x1fu) == 0) /* no cache any more */
			break;
		entry->eax = CACHE_SHARED_BY(entry->eax, CACHE_LEVEL(entry->eax) < 3 ? 1 : ids);
		entry->eax = (entry->eax & ~0xfc000000u) | (ids - 1) << 26;
		break;
	case 0xb:
	case 0x1f:
		entry->eax = entry->index == 1 ? place->bits : 0;
		entry->ebx = entry->index == 0 ? 1 : entry->index == 1 ? place->vcpus : 0;
		entry->ecx = entry->index | (entry->index == 0   ? TOPOLOGY_SMT
					     : entry->index == 1 ? TOPOLOGY_CORE
								 : 0);
		entry->edx = place->index;
		break;
	case 0x80000001:
		entry->ecx |= place->vcpus > 1 && !place->intel ? AMD_LEAF1_CMP_LEGACY : 0;
		break;
	case 0x80000008:
		entry->ecx = place->intel ? entry->ecx : place->bits << 12 | (place->vcpus - 1);
		break;
	case 0x8000001d:
		if ((entry->eax & 0x1fu) != 0)
			entry->eax = CACHE_SHARED_BY(
				entry->eax, CACHE_LEVEL(entry->eax) < 3 ? 1 : place->vcpus);
		break;
	case 0x8000001e:
		entry->eax = entry->ebx = place->index;
		entry->ecx = 0;
		break;
	default:
		break;
	}
}

int vmm_cpuid_set(const struct vmm_vcpu *vcpu, int kvm, unsigned vcpus, __u64 *xcr0,
		  struct vmm_error *error)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + ENTRIES_MAX * sizeof(cpuid->entries[0]));
	struct place place = {.index = vcpu->index, .vcpus = vcpus};
	int result = 0;

	if (cpuid == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	cpuid->nent = ENTRIES_MAX;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) != 0) {
		result = vmm_fail(error, errno, "KVM does not tell its CPUID: %m");
		goto out;
	}
	place.deadline = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	while (1u << place.bits < vcpus)
		place.bits++;
	*xcr0 = XCR0_SSE;
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 0)
			place.intel = entry->ebx == VENDOR_INTEL;
		if (entry->function == 0xd && entry->index == 0)
			*xcr0 = entry->eax & XCR0_USABLE;
		set_leaf(entry, &place);
	}
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) != 0)
		result = vmm_fail(error, errno, "KVM refuses its own CPUID: %m");
out:
	free(cpuid);
	return result;
}
