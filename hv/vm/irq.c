// SPDX-License-Identifier: BSD-2-Clause
/* irq.c: MSI routes and irqfds. */
#include "irq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define GSI_FIRST_MSI 24u /* after those of the I/O APIC */
#define MSI_ADDRESS 0xfee00000u

uint32_t vmm_irq_add_msi(struct vmm_irqs *irqs, uint32_t vector)
{
	uint32_t gsi = GSI_FIRST_MSI + irqs->count;

	irqs->entry[irqs->count++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {.address_lo = MSI_ADDRESS, .data = vector},
	};
	return gsi;
}

int vmm_irq_commit(struct vmm_irqs *irqs, struct vmm_error *error)
{
	size_t size = irqs->count * sizeof(irqs->entry[0]);
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + size);
	int result = 0;

	if (table == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	table->nr = irqs->count;
	memcpy(table->entries, irqs->entry, size);
	if (ioctl(irqs->vm, KVM_SET_GSI_ROUTING, table) != 0)
		result = vmm_fail_errno(error, "KVM refuses %u interrupt routes", irqs->count);
	free(table);
	return result;
}

int vmm_irq_attach(struct vmm_irqs *irqs, int eventfd, uint32_t gsi, struct vmm_error *error)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd, .gsi = gsi};

	if (ioctl(irqs->vm, KVM_IRQFD, &irqfd) != 0)
		return vmm_fail_errno(error, "KVM refuses an irqfd");
	return 0;
}
