// SPDX-License-Identifier: BSD-2-Clause
/* exits.c: what a guest did that KVM does not do by itself. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "stats.h"
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
			poll(&(struct pollfd){.fd = console, .events = POLLOUT}, 1, -1);
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

static bool port_write(struct vmm_vcpu *vcpu, uint16_t port, unsigned size, const void *data)
{
	uint32_t word;

	if (port == IST_PORT_CONSOLE && size == 1) {
		console_write(vcpu, data, 1);
		return true;
	}
	if (size != sizeof(word))
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
	default:
		return false;
	}
}

static bool port_read(struct vmm_vcpu *vcpu, uint16_t port, unsigned size, void *data)
{
	uint32_t word;

	if (port != IST_PORT_EXITS || size != sizeof(word))
		return false;
	word = (uint32_t)vmm_stats_exits(vcpu);
	memcpy(data, &word, sizeof(word));
	return true;
}

/* IST_PORT_* are an app's; whatever else there is, is on the bus. */
static void handle_io(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vmm_bus *ports = &vcpu->vm->ports;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool app = vcpu->vm->options->kernel == NULL;

	vcpu->io_exits++;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint16_t port = run->io.port;
		unsigned size = run->io.size;
		bool known;

		if (run->io.direction == KVM_EXIT_IO_OUT)
			known = (app && port_write(vcpu, port, size, data)) ||
				vmm_bus_write(ports, port, size, data);
		else
			known = vmm_bus_read(ports, port, size, data) ||
				(app && port_read(vcpu, port, size, data));
		if (!known)
			vcpu->unknown_accesses++;
	}
}

static void handle_mmio(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vmm_bus *bus = &vcpu->vm->mmio;
	uint32_t size = run->mmio.len;
	bool known = size <= sizeof(run->mmio.data);

	vcpu->mmio_exits++;
	if (known && run->mmio.is_write)
		known = vmm_bus_write(bus, run->mmio.phys_addr, size, run->mmio.data);
	else if (known)
		known = vmm_bus_read(bus, run->mmio.phys_addr, size, run->mmio.data);
	if (!known)
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
