/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci.h: PCI bus 0 of a Linux VM, configuration mechanism #1 (PCI Local Bus Specification 3.0,
 * 3.2.2.3.2): device 0 is a host bridge, device 1 + i the function of group i.
 */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include "group.h"

/* Where BARs are assigned. An app's are there too, its groups' memory from VMM_GROUPS_START on. */
#define VMM_PCI_WINDOW_START 0xd0000000u
#define VMM_PCI_WINDOW_END 0xe0000000u
#define VMM_PCI_WINDOW64_START (256ull << 30)
#define VMM_PCI_WINDOW64_END (512ull << 30)

struct vmm_pci {
	pthread_mutex_t lock; /* held while BARs move */
	uint32_t address;     /* the register at port 0xcf8 */
	unsigned groups;
	struct vmm_group *group[IST_GROUPS_MAX];
};

/* Answers at its ports from now on. */
void vmm_pci_init(struct vmm_pci *pci, struct vmm_bus *ports);

/* The next device. Before the first vCPU runs. */
void vmm_pci_add(struct vmm_pci *pci, struct vmm_group *group);

#endif
