// SPDX-License-Identifier: BSD-2-Clause
/* serial.c: the registers of a 16550A. */
#include "serial.h"

#include <string.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };
#define FCR IIR /* when written */

#define IER_RECEIVED 0x01u
#define IER_EMPTIED 0x02u
#define IER_ALL 0x0fu
#define IIR_NONE 0x01u
#define IIR_EMPTIED 0x02u
#define IIR_RECEIVED 0x04u
#define IIR_FIFO 0xc0u
#define FCR_ENABLE 0x01u
#define FCR_CLEAR_INPUT 0x02u
#define LCR_DIVISOR 0x80u
#define MCR_ALL 0x1fu
#define MCR_LOOP 0x10u
#define LSR_RECEIVED 0x01u
#define LSR_EMPTY 0x60u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u

/* Somebody is always there; in loopback, what the guest itself sets. */
static uint8_t modem_lines(const struct vmm_serial *serial)
{
	if (!(serial->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((serial->mcr & 0x02u ? MSR_CTS : 0) | (serial->mcr & 0x01u ? MSR_DSR : 0) |
			 (serial->mcr & 0x04u ? MSR_RI : 0) | (serial->mcr & 0x08u ? MSR_DCD : 0));
}

/* The cause of highest rank. */
static uint8_t cause(const struct vmm_serial *serial)
{
	if ((serial->ier & IER_RECEIVED) && serial->received != 0)
		return IIR_RECEIVED;
	if ((serial->ier & IER_EMPTIED) && serial->emptied)
		return IIR_EMPTIED;
	return IIR_NONE;
}

void vmm_serial_init(struct vmm_serial *serial)
{
	memset(serial, 0, sizeof(*serial));
	serial->divisor[0] = 1;
	serial->lcr = 0x03; /* 8 bits */
}

static uint8_t read_data(struct vmm_serial *serial)
{
	uint8_t byte = serial->input[0];

	if (serial->received == 0)
		return 0;
	serial->received--;
	memmove(serial->input, serial->input + 1, serial->received);
	return byte;
}

uint8_t vmm_serial_read(struct vmm_serial *serial, unsigned reg)
{
	uint8_t value;

	if (reg <= IER && (serial->lcr & LCR_DIVISOR))
		return serial->divisor[reg];
	switch (reg) {
	case DATA:
		return read_data(serial);
	case IER:
		return serial->ier;
	case IIR:
		value = cause(serial);
		if (value == IIR_EMPTIED)
			serial->emptied = false;
		return value | (serial->fcr & FCR_ENABLE ? IIR_FIFO : 0);
	case LCR:
		return serial->lcr;
	case MCR:
		return serial->mcr;
	case LSR:
		return LSR_EMPTY | (serial->received != 0 ? LSR_RECEIVED : 0);
	case MSR:
		return modem_lines(serial);
	default:
		return serial->scratch;
	}
}

static void write_data(struct vmm_serial *serial, uint8_t value)
{
	serial->emptied = true;
	if (serial->mcr & MCR_LOOP)
		vmm_serial_receive(serial, &value, vmm_serial_room(serial) != 0);
	else if (serial->sent < sizeof(serial->output))
		serial->output[serial->sent++] = value;
}

void vmm_serial_write(struct vmm_serial *serial, unsigned reg, uint8_t value)
{
	if (reg <= IER && (serial->lcr & LCR_DIVISOR)) {
		serial->divisor[reg] = value;
		return;
	}
	switch (reg) {
	case DATA:
		write_data(serial, value);
		break;
	case IER:
		/* Enabling it while the transmitter is empty, which it is, tells so. */
		if ((value & IER_EMPTIED) && !(serial->ier & IER_EMPTIED))
			serial->emptied = true;
		serial->ier = value & IER_ALL;
		break;
	case FCR:
		/* Turning FIFOs on or off clears them. */
		if ((value & FCR_CLEAR_INPUT) || ((value ^ serial->fcr) & FCR_ENABLE))
			serial->received = 0;
		serial->fcr = value;
		break;
	case LCR:
		serial->lcr = value;
		break;
	case MCR:
		serial->mcr = value & MCR_ALL;
		break;
	case SCRATCH:
		serial->scratch = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

bool vmm_serial_interrupt(const struct vmm_serial *serial)
{
	return cause(serial) != IIR_NONE;
}

unsigned vmm_serial_room(const struct vmm_serial *serial)
{
	return VMM_SERIAL_INPUT - serial->received;
}

void vmm_serial_receive(struct vmm_serial *serial, const uint8_t *bytes, unsigned count)
{
	memcpy(serial->input + serial->received, bytes, count);
	serial->received += count;
}

void vmm_serial_take(struct vmm_serial *serial, size_t count)
{
	serial->sent -= count;
	memmove(serial->output, serial->output + count, serial->sent);
}
