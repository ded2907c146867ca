/* SPDX-License-Identifier: BSD-2-Clause */
/* irq.h: eventfds become interrupts: GSIs routed as MSIs, injected by the kernel (irqfd). */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <linux/kvm.h>

#include "report.h"

#define VMM_MSIS_MAX (IST_GROUPS_MAX * IST_VECTORS_MAX)

struct vmm_irqs {
	int vm;
	uint32_t count;
	struct kvm_irq_routing_entry entry[VMM_MSIS_MAX];
};

/* A GSI that raises interrupt `vector` on vCPU 0, once committed. At most VMM_MSIS_MAX. */
uint32_t vmm_irq_add_msi(struct vmm_irqs *irqs, uint32_t vector);

/* Gives the routes to KVM. */
int vmm_irq_commit(struct vmm_irqs *irqs, struct vmm_error *error);

/* From now on a write to `eventfd` raises the GSI, with no user-space hop. */
int vmm_irq_attach(struct vmm_irqs *irqs, int eventfd, uint32_t gsi, struct vmm_error *error);

#endif
