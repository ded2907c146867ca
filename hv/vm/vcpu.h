/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu.h: a virtual CPU and its thread. */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>

#include "report.h"

struct vmm_vm;

struct vmm_vcpu {
	struct vmm_vm *vm;
	unsigned index;
	int fd;
	int stats;            /* KVM's statistics of this vCPU */
	uint64_t exits_at;    /* file offset of the exit count */
	uint64_t blocking_at; /* file offset of "halted now", 0: not told */
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	pid_t tid; /* the thread's, once it has started */
	sem_t started;
	bool threaded;
	uint64_t exits_seen;   /* by vmm_vcpu_watch() the last time */
	uint64_t exits_probed; /* atomic; at the last look for a halt without a way out */
	int probe;             /* atomic; the next interruption is such a look */

	/* Counted by the thread itself, read after it ended. */
	uint64_t io_exits;
	uint64_t mmio_exits;
	uint64_t interrupted_exits;
	uint64_t unknown_accesses;
};

/* Creates vCPU `index` in reset state: the first is runnable, others wait for its start-up. */
int vmm_vcpu_create(struct vmm_vcpu *vcpu, struct vmm_vm *vm, unsigned index,
		    struct vmm_error *error);
void vmm_vcpu_destroy(struct vmm_vcpu *vcpu);

/* Ring 0, interrupts off, flat segments: code in selector 0x10, data in 0x18. */
struct vmm_entry {
	uint64_t rip, rbx, rsi, rdi;
	uint64_t page_tables; /* in 64-bit mode with SSE and AVX on; 0: in 32-bit mode, no paging */
	uint64_t gdt;         /* of VMM_ENTRY_GDT entries, or 0 */
};
#define VMM_ENTRY_GDT 4u

int vmm_vcpu_set_entry(struct vmm_vcpu *vcpu, const struct vmm_entry *entry,
		       struct vmm_error *error);

/* Starts the pinned thread, which waits for the VM's gate, then runs the vCPU until the VM ends. */
int vmm_vcpu_start(struct vmm_vcpu *vcpu, struct vmm_error *error);

/* Makes the thread leave and waits for it. The VM has ended. */
void vmm_vcpu_join(struct vmm_vcpu *vcpu);

/*
 * Once a second, where there is no other vCPU that could wake it: is it halted with interrupts off?
 * Then its thread ends the VM. A halt is looked at once.
 */
void vmm_vcpu_watch(struct vmm_vcpu *vcpu);

/* ---- cpuid.c ---- */

/* What KVM supports, with this vCPU's place among `vcpus` in it; and the XCR0 that goes with it. */
int vmm_cpuid_set(const struct vmm_vcpu *vcpu, int kvm, unsigned vcpus, __u64 *xcr0,
		  struct vmm_error *error);

/* ---- exits.c ---- */

/* Handles what KVM_RUN returned with. */
void vmm_exit_handle(struct vmm_vcpu *vcpu);

#endif
