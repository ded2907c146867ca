/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serial.h: a 16550A UART as a pure machine: what a guest does goes in, the level of its interrupt
 * line comes out. Both directions are byte queues. Transmission takes no time,
 * modem lines do not change by themselves.
 * Source: National Semiconductor PC16550D data sheet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMM_SERIAL_REGISTERS 8u
#define VMM_SERIAL_INPUT 16u
#define VMM_SERIAL_OUTPUT 4096u

struct vmm_serial {
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t divisor[2];
	bool emptied;      /* transmitter empty: to be told by an interrupt */
	unsigned received; /* bytes in input[] */
	uint8_t input[VMM_SERIAL_INPUT];
	size_t sent; /* bytes in output[]; when it is full, more are lost */
	uint8_t output[VMM_SERIAL_OUTPUT];
};

void vmm_serial_init(struct vmm_serial *serial);

/* Registers 0 to 7. */
uint8_t vmm_serial_read(struct vmm_serial *serial, unsigned reg);
void vmm_serial_write(struct vmm_serial *serial, unsigned reg, uint8_t value);

/* The interrupt line. An edge up is an interrupt. */
bool vmm_serial_interrupt(const struct vmm_serial *serial);

/* How many bytes it has room for, and here they are: not more than that. */
unsigned vmm_serial_room(const struct vmm_serial *serial);
void vmm_serial_receive(struct vmm_serial *serial, const uint8_t *bytes, unsigned count);

/* The first `count` bytes of output[] are taken. */
void vmm_serial_take(struct vmm_serial *serial, size_t count);
