// SPDX-License-Identifier: BSD-2-Clause
/* exits.c: what a guest did that KVM does not do by itself. */
#include "vm.h"

/* A full console makes its guest wait, not its VM: it can be ended all the while. */
static void console_write(struct vmm_vcpu *vcpu, const void *bytes, size_t size)
{
	int console = vcpu->vm->options->console;
	const char *next = bytes;

	while (size != 0 && !vmm_vm_ended(vcpu->vm)) {
		ssize_t written = write(console, next, size);

		if (written >= 0) {
			next += written;
			size -= (size_t)written;
		} else if (errno == EAGAIN) {
			vmm_console_wait(vcpu->vm, -1);
		} else if (errno != EINTR) {
			return; /* nobody reads it any more */
		}
	}
}

static void print(struct vmm_vcpu *vcpu, uint32_t address)
{
	const struct vmm_memory *memory = &vcpu->vm->memory;
	struct ist_boot_text text;
	const void *where = vmm_memory_ram(memory, address, sizeof(text));

	if (where == NULL)
		return;
	memcpy(&text, where, sizeof(text));
	where = vmm_memory_ram(memory, text.address, text.length);
	if (where != NULL)
		console_write(vcpu, where, text.length);
}

/* An app's ports take 32 bits at once, but for the console's bytes. False: there is no such. */
static bool app_port(struct vmm_vcpu *vcpu, uint16_t port, unsigned size, uint8_t *data, bool write)
{
	uint32_t word;

	if (write && port == IST_PORT_CONSOLE && size == 1) {
		console_write(vcpu, data, 1);
		return true;
	}
	if (!write)
		memset(data, 0xff, size);
	if (size != sizeof(word) || write == (port == IST_PORT_EXITS))
		return false;
	memcpy(&word, data, sizeof(word));
	switch (port) {
	case IST_PORT_PRINT:
		print(vcpu, word);
		return true;
	case IST_PORT_EXIT:
		vmm_vm_end(vcpu->vm, (int)(word & 0xffu));
		return true;
	case IST_PORT_FAULT:
		vmm_fault_reported(vcpu, word);
		return true;
	case IST_PORT_EXITS:
		word = (uint32_t)vmm_stats_exits(vcpu);
		memcpy(data, &word, sizeof(word));
		return true;
	default:
		return false;
	}
}

/* What a Linux VM has at I/O ports. */
static const struct {
	uint16_t start, count;
	void (*access)(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
		       bool write);
} ports[] = {
	{VMM_PORT_PCI, VMM_PORT_PCI_COUNT, vmm_pci_access},
	{VMM_PORT_COM1, VMM_SERIAL_REGISTERS, vmm_platform_serial},
	{VMM_PORT_SLEEP_CONTROL, VMM_PORT_RESET + 1 - VMM_PORT_SLEEP_CONTROL, vmm_platform_power},
};

bool vmm_exit_port(struct vmm_vm *vm, uint16_t port, unsigned size, uint8_t *data, bool write)
{
	bool known = false;

	if (!write)
		memset(data, 0xff, size);
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; !known && i < sizeof(ports) / sizeof(ports[0]); i++) {
		known = port >= ports[i].start &&
			port + size <= (unsigned)ports[i].start + ports[i].count;
		if (known)
			ports[i].access(vm, (unsigned)port - ports[i].start, size, data, write);
	}
	pthread_mutex_unlock(&vm->lock);
	return known;
}

bool vmm_exit_memory(struct vmm_vm *vm, uint64_t address, unsigned size, uint8_t *data, bool write)
{
	bool known = false;

	if (!write)
		memset(data, 0xff, size);
	pthread_mutex_lock(&vm->lock);
	for (unsigned i = 0; !known && i < vm->groups; i++)
		known = vmm_function_access(vm->group[i], address, size, data, write);
	pthread_mutex_unlock(&vm->lock);
	return known;
}

static void handle_io(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool app = vcpu->vm->options->kernel == NULL;

	vcpu->io_exits++;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint16_t port = run->io.port;
		bool write = run->io.direction == KVM_EXIT_IO_OUT;

		if (!(app ? app_port(vcpu, port, run->io.size, data, write)
			  : vmm_exit_port(vcpu->vm, port, run->io.size, data, write)))
			vcpu->unknown_accesses++;
	}
}

static void handle_mmio(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t size = run->mmio.len;

	vcpu->mmio_exits++;
	if (size > sizeof(run->mmio.data) || !vmm_exit_memory(vcpu->vm, run->mmio.phys_addr, size,
							      run->mmio.data, run->mmio.is_write))
		vcpu->unknown_accesses++;
}

void vmm_exit_handle(struct vmm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		vcpu->interrupted_exits++;
		break;
	case KVM_EXIT_SHUTDOWN:
		if (vcpu->vm->options->kernel == NULL)
			vmm_fault_exit(vcpu);
		else if (vmm_vm_end(vcpu->vm, VMM_STATUS_RESET))
			ivshm_log(IVSHM_LOG_WARN, "triple fault: reset");
		break;
	default:
		vmm_fault_exit(vcpu);
	}
}
