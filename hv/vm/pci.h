/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pci.h: PCI bus 0 of a Linux VM, configuration mechanism #1 (PCI Local Bus Specification 3.0,
 * 3.2.2.3.2): device 0 is a host bridge, device 1 + i the function of group i.
 */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <stdbool.h>
#include <stdint.h>

/* Where BARs are assigned. An app's are there too, its groups' memory from VMM_GROUPS_START on. */
#define VMM_PCI_WINDOW_START 0xd0000000u
#define VMM_PCI_WINDOW64_START (256ull << 30)

#define VMM_PORT_PCI 0xcf8u
#define VMM_PORT_PCI_COUNT 8u

struct vmm_vm;

/* An access to a port, counted from VMM_PORT_PCI; see struct vmm_port. */
void vmm_pci_access(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data, bool write);

#endif
