/* SPDX-License-Identifier: BSD-2-Clause */
/* vcpu.h: a virtual CPU and its thread. */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>

#include "report.h"

struct vmm_vm;

struct vmm_vcpu {
	struct vmm_vm *vm;
	unsigned index;
	int fd;
	int stats;         /* KVM's statistics of this vCPU */
	uint64_t exits_at; /* file offset of the exit count */
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	pid_t tid; /* the thread's, once it has started */
	sem_t started;
	bool threaded;
	int inside; /* atomic: it is in the guest, or about to be */

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

/* Starts the pinned thread, which takes the VM's lock once, then runs until the VM ends. */
int vmm_vcpu_start(struct vmm_vcpu *vcpu, struct vmm_error *error);

/* Its KVM_RUN returns, the one it is in or the next. There is a thread. */
void vmm_vcpu_kick(const struct vmm_vcpu *vcpu);

/* Makes the thread leave and waits for it. The VM has ended. */
void vmm_vcpu_join(struct vmm_vcpu *vcpu);

/* ---- pause.c: by the vCPU's thread, around KVM_RUN ---- */

/* Waits while the VM pauses. False: the VM has ended, the guest is not to be entered. */
bool vmm_pause_enter(struct vmm_vcpu *vcpu);
void vmm_pause_leave(struct vmm_vcpu *vcpu);

/* ---- cpuid.c ---- */

/* What KVM supports, with this vCPU's place among `vcpus` in it; and the XCR0 that goes with it. */
int vmm_cpuid_set(const struct vmm_vcpu *vcpu, int kvm, unsigned vcpus, __u64 *xcr0,
		  struct vmm_error *error);

/* ---- fault.c: ends that a guest has brought on itself, in words ---- */

/* Ends the VM: "TEXT at RIP 0x...", and registers where they are wanted. By the vCPU's thread. */
void vmm_fault(struct vmm_vcpu *vcpu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* KVM_RUN returned with a reason that a guest does not survive. */
void vmm_fault_exit(struct vmm_vcpu *vcpu);

/* The guest's own stub reports a struct ist_boot_fault at `address`. */
void vmm_fault_reported(struct vmm_vcpu *vcpu, uint64_t address);

/* ---- stats.c ---- */

/* Opens KVM's statistics of the vCPU and finds the exit count. */
int vmm_stats_open(struct vmm_vcpu *vcpu, struct vmm_error *error);

/* VM exits so far. */
uint64_t vmm_stats_exits(const struct vmm_vcpu *vcpu);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t vmm_stats_now(void);

/* ---- exits.c ---- */

/*
 * A Linux VM's access to ports, or to guest-physical memory without a slot: 1 <= size <= 8. A read
 * gives all ones where nobody answers; then the result is false. Any thread.
 */
bool vmm_exit_port(struct vmm_vm *vm, uint16_t port, unsigned size, uint8_t *data, bool write);
bool vmm_exit_memory(struct vmm_vm *vm, uint64_t address, unsigned size, uint8_t *data, bool write);

/* Handles what KVM_RUN returned with. */
void vmm_exit_handle(struct vmm_vcpu *vcpu);
