// SPDX-License-Identifier: BSD-2-Clause
/* vcpu.c: a virtual CPU: its state at the start, its thread, its end. */
#include "vcpu.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "vm.h"

#define KICK_SIGNAL SIGUSR1
#define RFLAGS_FIXED 0x2ull

#define CR0 0x80010033ull     /* PG, WP, NE, ET, MP, PE */
#define CR0_NO_PAGING 0x11ull /* ET, PE */
#define CR4 0x00040620ull     /* OSXSAVE, OSXMMEXCPT, OSFXSR, PAE */
#define EFER 0xd00ull         /* NXE, LMA, LME */
#define APIC_X2APIC 0xc00ull

#define MSR_MISC_ENABLE 0x1a0u
#define MISC_FAST_STRINGS 1u
#define MSR_MTRR_DEFAULT 0x2ffu
#define MTRR_WRITE_BACK 0x806u /* enabled; no other ranges */

static __thread struct kvm_run *current_run;

/* Whatever moment it comes at, KVM_RUN returns at once: the flag is there before it is entered. */
static void on_kick(int number)
{
	(void)number;
	__atomic_store_n(&current_run->immediate_exit, 1, __ATOMIC_RELAXED);
}

/*
 * The guest's TSC is the host's: no offset. What rdtsc gives is then comparable between VMs, with
 * the host's CLOCK_MONOTONIC, and the same whether the processor or KVM answers.
 */
static int share_tsc(const struct vmm_vcpu *vcpu, struct vmm_error *error)
{
	uint64_t offset = 0;
	struct kvm_device_attr attribute = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	if (ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attribute) != 0)
		return vmm_fail(error, errno, "KVM cannot share the host's TSC: %m");
	offset = 1;
	if (ioctl(vcpu->fd, KVM_GET_DEVICE_ATTR, &attribute) != 0)
		return vmm_fail(error, errno, "KVM does not tell the TSC offset: %m");
	if (offset != 0)
		return vmm_fail(error, EIO, "KVM does not share the host's TSC");
	return 0;
}

/*
 * What firmware leaves behind: all memory is cached unless page tables say otherwise (MTRRs that
 * are off would turn those off too), string instructions are as fast as they can.
 */
static int set_msrs(const struct vmm_vcpu *vcpu, struct vmm_error *error)
{
	union {
		struct kvm_msrs list;
		uint8_t space[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	} msrs = {.list.nmsrs = 2};

	msrs.list.entries[0] =
		(struct kvm_msr_entry){.index = MSR_MTRR_DEFAULT, .data = MTRR_WRITE_BACK};
	msrs.list.entries[1] =
		(struct kvm_msr_entry){.index = MSR_MISC_ENABLE, .data = MISC_FAST_STRINGS};
	if (ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) != 2)
		return vmm_fail(error, errno, "KVM refuses the registers of memory types: %m");
	return 0;
}

static int map_run(struct vmm_vcpu *vcpu, struct vmm_error *error)
{
	int size = ioctl(vcpu->vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (size < (int)sizeof(*vcpu->run))
		return vmm_fail(error, EIO, "KVM does not tell the size of its vCPU mapping");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return vmm_fail(error, errno, "cannot map vCPU %u: %m", vcpu->index);
	vcpu->run = run;
	vcpu->run_size = (size_t)size;
	return 0;
}

int vmm_vcpu_create(struct vmm_vcpu *vcpu, struct vmm_vm *vm, unsigned index,
		    struct vmm_error *error)
{
	struct kvm_xcrs xcrs = {.nr_xcrs = 1};
	struct sigaction action = {.sa_handler = on_kick};
	int result;

	*vcpu = (struct vmm_vcpu){.vm = vm, .index = index, .stats = -1};
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return vmm_fail(error, errno, "KVM refuses vCPU %u: %m", index);
	result = map_run(vcpu, error);
	if (result == 0)
		result = vmm_stats_open(vcpu, error);
	if (result == 0)
		result = vmm_cpuid_set(vcpu, vm->kvm, vm->options->vcpus, &xcrs.xcrs[0].value,
				       error);
	if (result == 0 && ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs) != 0)
		result = vmm_fail(error, errno, "KVM refuses XCR0 0x%llx: %m", xcrs.xcrs[0].value);
	if (result == 0)
		result = vm->options->kernel == NULL ? share_tsc(vcpu, error)
						     : set_msrs(vcpu, error);
	if (result != 0)
		vmm_vcpu_destroy(vcpu);
	sigaction(KICK_SIGNAL, &action, NULL);
	return result;
}

void vmm_vcpu_destroy(struct vmm_vcpu *vcpu)
{
	if (vcpu->run != NULL)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->stats >= 0)
		close(vcpu->stats);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
}

int vmm_vcpu_set_entry(struct vmm_vcpu *vcpu, const struct vmm_entry *entry,
		       struct vmm_error *error)
{
	bool paging = entry->page_tables != 0;
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rdi = entry->rdi,
		.rflags = RFLAGS_FIXED,
	};
	/* 4 GiB from 0, present, a code or data segment. */
	struct kvm_segment code = {.limit = UINT32_MAX, .present = 1, .s = 1, .g = 1}, data = code;
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) != 0)
		return vmm_fail(error, errno, "KVM does not tell the registers: %m");
	code.selector = 0x10;
	code.type = 0xb;
	code.l = paging;
	code.db = !paging;
	data.selector = 0x18;
	data.type = 0x3;
	data.db = 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = entry->gdt;
	sregs.gdt.limit = (uint16_t)(entry->gdt != 0 ? VMM_ENTRY_GDT * sizeof(uint64_t) - 1 : 0);
	sregs.idt.limit = 0;
	sregs.cr0 = paging ? CR0 : CR0_NO_PAGING;
	sregs.cr3 = entry->page_tables;
	sregs.cr4 = paging ? CR4 : 0;
	sregs.efer = paging ? EFER : 0;
	if (vcpu->vm->options->kernel == NULL) /* Linux turns it on by itself */
		sregs.apic_base |= APIC_X2APIC;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) != 0 ||
	    ioctl(vcpu->fd, KVM_SET_REGS, &regs) != 0)
		return vmm_fail(error, errno, "KVM refuses the registers: %m");
	return 0;
}

/* ---- The thread ---- */

static void *run(void *argument)
{
	struct vmm_vcpu *vcpu = argument;
	struct vmm_vm *vm = vcpu->vm;
	sigset_t kick;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	prctl(PR_SET_NAME, name);
	current_run = vcpu->run;
	vcpu->tid = gettid();
	sem_post(&vcpu->started);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	pthread_mutex_lock(&vm->lock);
	if (vcpu->index == 0)
		vm->first_run_ns = vmm_stats_now();
	pthread_mutex_unlock(&vm->lock);
	while (vmm_pause_enter(vcpu)) {
		uint32_t moments = vmm_vm_moments(vm);
		int result = ioctl(vcpu->fd, KVM_RUN, 0) == 0 ? 0 : errno;

		vmm_pause_leave(vcpu);
		errno = result;
		if (result == 0) {
			vmm_exit_handle(vcpu);
		} else if (errno == EFAULT && (moments % 2 || moments != vmm_vm_moments(vm))) {
			vmm_vm_met(vm);
			usleep(10); /* into a moment of a pager, which needs a processor too */
		} else if (errno == EINTR || errno == EAGAIN) {
			vcpu->interrupted_exits++;
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		} else {
			vmm_fault(vcpu, "KVM cannot go on: %s", strerror(errno));
		}
	}
	return NULL;
}

int vmm_vcpu_start(struct vmm_vcpu *vcpu, struct vmm_error *error)
{
	const struct vmm_options *options = vcpu->vm->options;
	sigset_t all, old;
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int result;

	pthread_attr_init(&attributes);
	if (options->cpus_count != 0) {
		CPU_ZERO(&cpus);
		CPU_SET(options->cpus[vcpu->index], &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	sem_init(&vcpu->started, 0, 0);
	/* The thread hears nothing, then nothing but the kick. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	result = pthread_create(&vcpu->thread, &attributes, run, vcpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (result == EINVAL && options->cpus_count != 0)
		return vmm_fail(error, result, "there is no CPU %u for vCPU %u",
				options->cpus[vcpu->index], vcpu->index);
	if (result != 0)
		return vmm_fail(error, result, "cannot start the thread of vCPU %u", vcpu->index);
	vcpu->threaded = true;
	while (sem_wait(&vcpu->started) != 0)
		; /* EINTR */
	return 0;
}

void vmm_vcpu_kick(const struct vmm_vcpu *vcpu)
{
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vmm_vcpu_join(struct vmm_vcpu *vcpu)
{
	if (!vcpu->threaded)
		return;
	/* Again and again: one kick may come just before it sleeps writing to the console. */
	vmm_vcpu_kick(vcpu);
	while (pthread_tryjoin_np(vcpu->thread, NULL) == EBUSY) {
		usleep(100);
		vmm_vcpu_kick(vcpu);
	}
	vcpu->threaded = false;
}
