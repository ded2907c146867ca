// SPDX-License-Identifier: BSD-2-Clause
/* fault.c: why a guest cannot go on. */
#include <stdarg.h>

#include "vm.h"

#define PAGE_FAULT 14u

/* Those that an app can raise; others are told by number. */
static const char *const exceptions[] = {
	[0] = "divide error",
	[1] = "debug exception",
	[3] = "breakpoint",
	[6] = "invalid opcode",
	[8] = "double fault",
	[12] = "stack fault",
	[13] = "general protection fault",
	[16] = "floating-point error",
	[17] = "alignment check",
	[19] = "SIMD floating-point error",
};

static void show_registers(const struct kvm_regs *r)
{
	static const char names[16][4] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
					  "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	const __u64 *values = &r->rax; /* struct kvm_regs has them in this order */

	for (unsigned i = 0; i < 16; i += 4)
		ivshm_log(IVSHM_LOG_DEBUG, "%3s %016llx  %3s %016llx  %3s %016llx  %3s %016llx",
			  names[i], values[i], names[i + 1], values[i + 1], names[i + 2],
			  values[i + 2], names[i + 3], values[i + 3]);
	ivshm_log(IVSHM_LOG_DEBUG, "rip %016llx  rflags %08llx", r->rip, r->rflags);
}

void vmm_fault(struct vmm_vcpu *vcpu, const char *format, ...)
{
	struct kvm_regs regs = {0};
	char text[256];
	va_list arguments;

	if (!vmm_vm_end(vcpu->vm, VMM_STATUS_FAULT))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	ivshm_log(IVSHM_LOG_ERROR, "%s at RIP 0x%llx", text, regs.rip);
	show_registers(&regs);
}

static void emulation(struct vmm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	char bytes[sizeof(run->emulation_failure.insn_bytes) * 3 + 1] = "";
	unsigned size = 0;

	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
		vmm_fault(vcpu, "KVM error %u", run->internal.suberror);
		return;
	}
	if (run->emulation_failure.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		size = run->emulation_failure.insn_size;
	for (unsigned i = 0; i < size && i < sizeof(run->emulation_failure.insn_bytes); i++)
		snprintf(bytes + 3 * i, 4, " %02x", run->emulation_failure.insn_bytes[i]);
	vmm_fault(vcpu, "instruction that KVM cannot emulate (bytes%s)",
		  size != 0 ? bytes : " unknown");
}

void vmm_fault_exit(struct vmm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		vmm_fault(vcpu, "triple fault");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		emulation(vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vmm_fault(vcpu, "processor refuses the guest's state (reason 0x%llx)",
			  run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		vmm_fault(vcpu, "unexpected exit %u", run->exit_reason);
	}
}

void vmm_fault_reported(struct vmm_vcpu *vcpu, uint64_t address)
{
	struct ist_boot_fault fault;
	struct kvm_regs regs;
	const void *where = vmm_memory_ram(&vcpu->vm->memory, address, sizeof(fault));
	const char *name = NULL;

	if (where == NULL) {
		vmm_fault(vcpu, "fault report outside RAM (0x%" PRIx64 ")", address);
		return;
	}
	memcpy(&fault, where, sizeof(fault));
	if (!vmm_vm_end(vcpu->vm, VMM_STATUS_FAULT))
		return;
	if (fault.vector < sizeof(exceptions) / sizeof(exceptions[0]))
		name = exceptions[fault.vector];
	if (fault.vector == PAGE_FAULT)
		ivshm_log(IVSHM_LOG_ERROR,
			  "guest page fault at RIP 0x%" PRIx64 ": %s 0x%" PRIx64
			  " (error 0x%" PRIx64 ")",
			  fault.rip,
			  fault.error & 0x10  ? "execution of"
			  : fault.error & 0x2 ? "write to"
					      : "read of",
			  fault.address, fault.error);
	else if (name != NULL)
		ivshm_log(IVSHM_LOG_ERROR, "guest %s at RIP 0x%" PRIx64 " (error 0x%" PRIx64 ")",
			  name, fault.rip, fault.error);
	else
		ivshm_log(IVSHM_LOG_ERROR,
			  "guest exception %" PRIu64 " at RIP 0x%" PRIx64 " (error 0x%" PRIx64 ")",
			  fault.vector, fault.rip, fault.error);
	regs = (struct kvm_regs){.rsp = fault.rsp, .rip = fault.rip, .rflags = fault.rflags};
	memcpy(&regs.rax, &fault.rax, 6 * sizeof(regs.rax)); /* to RDI */
	memcpy(&regs.rbp, &fault.rbp, 9 * sizeof(regs.rbp)); /* to R15 */
	show_registers(&regs);
}
