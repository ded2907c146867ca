/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acpi.h: the tables that tell a Linux guest what machine it is in: hardware-reduced ACPI, no
 * legacy devices but COM1. Pure. Source: ACPI Specification 6.5.
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define VMM_PORT_SLEEP_CONTROL 0x600u
#define VMM_PORT_SLEEP_STATUS 0x601u
#define VMM_PORT_RESET 0x602u
#define VMM_RESET_VALUE 1u
#define VMM_SLEEP_OFF 0x34u /* SLP_EN and the type of S5 in dsdt.asl */

/*
 * Writes the tables to out[size], which the guest has at `address`, a multiple of 16: the RSDP
 * first. Returns 0 or -ENOSPC.
 */
int vmm_acpi_build(uint8_t *out, size_t size, uint64_t address, unsigned vcpus);

#endif
