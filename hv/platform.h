/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.h: what a Linux VM's machine has at I/O ports: PCI, COM1, power-off, reset; and the ACPI
 * tables that tell it so.
 */
#pragma once

#include <pthread.h>

#include "report.h"
#include "serial.h"

#define VMM_PORT_COM1 0x3f8u
#define VMM_PORT_PCI 0xcf8u
#define VMM_PORT_PCI_COUNT 8u
#define VMM_PORT_SLEEP_CONTROL 0x600u
#define VMM_PORT_SLEEP_STATUS 0x601u
#define VMM_PORT_RESET 0x602u
#define VMM_RESET_VALUE 1u
#define VMM_SLEEP_OFF 0x34u /* SLP_EN and the type of S5 in dsdt.asl */

struct vmm_vm;

struct vmm_platform {
	int interrupt;           /* eventfd: COM1's */
	int timer;               /* timerfd: some output has waited long enough */
	pthread_mutex_t writing; /* whoever writes output; taken before the VM's lock */
	struct vmm_serial serial;
	bool armed;  /* the timer */
	bool paused; /* input is not watched: there is no room for it */
};

/* Nothing is there yet; it can be released. */
void vmm_platform_init(struct vmm_platform *platform);

/* Connects COM1 to its pin, its output and its input. */
int vmm_platform_start(struct vmm_vm *vm, struct vmm_error *error);

/* Writes what output there is, as far as somebody takes it. The vCPU threads are gone. */
void vmm_platform_fini(struct vmm_vm *vm);

/*
 * Accesses to ports: `offset` is from the first, the whole is within; `data` of a read holds all
 * ones beforehand. Under the VM's lock.
 */
void vmm_platform_serial(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
			 bool write);
void vmm_platform_power(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data,
			bool write);

/*
 * pci.c: bus 0, configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2): device 0
 * is a host bridge, device 1 + i the function of group i.
 */
void vmm_pci_access(struct vmm_vm *vm, unsigned offset, unsigned size, uint8_t *data, bool write);

/* By the main thread, when VMM_EVENT_OUTPUT or VMM_EVENT_INPUT has come. Under the VM's lock. */
void vmm_platform_output(struct vmm_vm *vm);
void vmm_platform_input(struct vmm_vm *vm);

/*
 * acpi.c: hardware-reduced ACPI, no legacy devices but COM1. Pure. Source: ACPI Specification 6.5.
 * Writes the tables to out[size], which the guest has at `address`, a multiple of 16: the RSDP
 * first. Returns 0 or -ENOSPC.
 */
int vmm_acpi_build(uint8_t *out, size_t size, uint64_t address, unsigned vcpus);
