/* SPDX-License-Identifier: BSD-2-Clause */
/* fault.h: ends that a guest has brought on itself, in words. */
#ifndef VMM_FAULT_H
#define VMM_FAULT_H

#include "vcpu.h"

/* Ends the VM: "TEXT at RIP 0x...", and registers where they are wanted. By the vCPU's thread. */
void vmm_fault(struct vmm_vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* KVM_RUN returned with a reason that a guest does not survive. */
void vmm_fault_exit(struct vmm_vcpu *vcpu);

/* The guest's own stub reports a struct ist_boot_fault at `address`. */
void vmm_fault_reported(struct vmm_vcpu *vcpu, uint64_t address);

#endif
