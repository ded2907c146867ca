// SPDX-License-Identifier: BSD-2-Clause
/* irq.c: interrupt routes and irqfds. */
#include "irq.h"

#include <sys/ioctl.h>

_Static_assert(offsetof(struct vmm_routes, entry) == sizeof(struct kvm_irq_routing),
	       "the same layout");

/* KVM takes all routes or none: those of the pins are as they are without any. */
void vmm_irq_init(struct vmm_irqs *irqs, int vm)
{
	irqs->vm = vm;
	for (uint32_t pin = 0; pin < VMM_IRQ_PINS; pin++)
		irqs->routes.entry[pin] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin},
		};
	irqs->routes.count = VMM_IRQ_PINS;
}

uint32_t vmm_irq_add_msi(struct vmm_irqs *irqs)
{
	uint32_t gsi = irqs->routes.count++;

	irqs->routes.entry[gsi] =
		(struct kvm_irq_routing_entry){.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI};
	return gsi;
}

void vmm_irq_route(struct vmm_irqs *irqs, uint32_t gsi, uint64_t address, uint32_t data)
{
	struct kvm_irq_routing_msi *msi = &irqs->routes.entry[gsi].u.msi;
	uint32_t low = (uint32_t)address, high = (uint32_t)(address >> 32);

	if (msi->address_lo != low || msi->address_hi != high || msi->data != data) {
		msi->address_lo = low;
		msi->address_hi = high;
		msi->data = data;
		irqs->changed = true;
	}
}

int vmm_irq_commit(struct vmm_irqs *irqs, struct vmm_error *error)
{
	if (irqs->changed && ioctl(irqs->vm, KVM_SET_GSI_ROUTING, &irqs->routes) != 0)
		return vmm_fail(error, errno, "KVM refuses %u interrupt routes: %m",
				irqs->routes.count);
	irqs->changed = false;
	return 0;
}

int vmm_irq_wire(struct vmm_irqs *irqs, int eventfd, uint32_t gsi, bool on, struct vmm_error *error)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)eventfd,
		.gsi = gsi,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (ioctl(irqs->vm, KVM_IRQFD, &irqfd) != 0)
		return vmm_fail(error, errno, "KVM %s an irqfd: %m", on ? "refuses" : "keeps");
	return 0;
}

void vmm_irq_send(struct vmm_irqs *irqs, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};

	ioctl(irqs->vm, KVM_SIGNAL_MSI, &msi);
}
