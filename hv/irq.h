/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * irq.h: eventfds become interrupts: GSIs routed as MSIs, injected by the kernel (irqfd). All of it
 * under the VM's lock.
 */
#pragma once

#include <linux/kvm.h>

#include "report.h"

#define VMM_IRQ_PINS 24u /* GSIs below are the I/O APIC's pins */
#define VMM_IRQ_GSIS_MAX (VMM_IRQ_PINS + IST_GROUPS_MAX * IST_VECTORS_MAX)

struct vmm_irqs {
	int vm;
	bool changed;       /* since KVM was given the routes */
	struct vmm_routes { /* struct kvm_irq_routing; by GSI */
		uint32_t count;
		uint32_t flags;
		struct kvm_irq_routing_entry entry[VMM_IRQ_GSIS_MAX];
	} routes;
};

void vmm_irq_init(struct vmm_irqs *irqs, int vm);

/* A GSI for an MSI: at most VMM_IRQ_GSIS_MAX with the pins. */
uint32_t vmm_irq_add_msi(struct vmm_irqs *irqs);

/* What the GSI is, once committed. */
void vmm_irq_route(struct vmm_irqs *irqs, uint32_t gsi, uint64_t address, uint32_t data);

/* Gives the routes to KVM, where they have changed. */
int vmm_irq_commit(struct vmm_irqs *irqs, struct vmm_error *error);

/*
 * On: from now on a write to `eventfd` raises the GSI, with no user-space hop, and so does what had
 * been written before. Off: nothing is raised any more when this returns.
 */
int vmm_irq_wire(struct vmm_irqs *irqs, int eventfd, uint32_t gsi, bool on,
		 struct vmm_error *error);

/* Sends one message. */
void vmm_irq_send(struct vmm_irqs *irqs, uint64_t address, uint32_t data);
