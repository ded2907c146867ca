// SPDX-License-Identifier: BSD-2-Clause
/* test_serial.c: the 16550A as its data sheet has it, and as Linux's driver probes it. */
#include <check.h>
#include <string.h>

#include "hv/serial.h"
#include "tests/suite.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };
#define FCR IIR

static struct vmm_serial serial;

static void start(void)
{
	vmm_serial_init(&serial);
}

static uint8_t get(unsigned reg)
{
	return vmm_serial_read(&serial, reg);
}

static void put(unsigned reg, uint8_t value)
{
	vmm_serial_write(&serial, reg, value);
}

static void hear(const char *text)
{
	vmm_serial_receive(&serial, (const uint8_t *)text, (unsigned)strlen(text));
}

START_TEST(registers_keep_what_they_have)
{
	ck_assert_uint_eq(get(LSR), 0x60);
	ck_assert_uint_eq(get(MSR), 0xb0);
	ck_assert_uint_eq(get(IIR), 0x01);
	put(IER, 0xff);
	ck_assert_uint_eq(get(IER), 0x0f);
	put(MCR, 0xff);
	ck_assert_uint_eq(get(MCR), 0x1f);
	put(SCRATCH, 0xa5);
	ck_assert_uint_eq(get(SCRATCH), 0xa5);
	put(LCR, 0x83); /* the divisor is where data and IER were */
	put(DATA, 0x0c);
	put(IER, 0x01);
	ck_assert_uint_eq(get(DATA), 0x0c);
	ck_assert_uint_eq(get(IER), 0x01);
	put(LCR, 0x03);
	ck_assert_uint_eq(get(LCR), 0x03);
	ck_assert_uint_eq(get(IER), 0x0f);
	ck_assert_uint_eq(serial.sent, 0);
	put(LSR, 0);
	put(MSR, 0);
	ck_assert_uint_eq(get(LSR), 0x60);
}
END_TEST

START_TEST(output)
{
	put(DATA, 'a');
	put(DATA, 'b');
	ck_assert_uint_eq(get(LSR), 0x60);
	ck_assert_uint_eq(serial.sent, 2);
	ck_assert_mem_eq(serial.output, "ab", 2);
	vmm_serial_take(&serial, 1);
	ck_assert_uint_eq(serial.sent, 1);
	ck_assert_uint_eq(serial.output[0], 'b');
	for (unsigned i = 0; i < 2 * VMM_SERIAL_OUTPUT; i++)
		put(DATA, 'x');
	ck_assert_uint_eq(serial.sent, VMM_SERIAL_OUTPUT);
}
END_TEST

START_TEST(input)
{
	ck_assert_uint_eq(vmm_serial_room(&serial), VMM_SERIAL_INPUT);
	ck_assert_uint_eq(get(DATA), 0);
	hear("xyz");
	ck_assert_uint_eq(vmm_serial_room(&serial), VMM_SERIAL_INPUT - 3);
	ck_assert_uint_eq(get(LSR), 0x61);
	ck_assert_uint_eq(get(DATA), 'x');
	ck_assert_uint_eq(get(DATA), 'y');
	ck_assert_uint_eq(get(DATA), 'z');
	ck_assert_uint_eq(get(LSR), 0x60);
	hear("0123456789abcdef");
	ck_assert_uint_eq(vmm_serial_room(&serial), 0);
	put(FCR, 0x01); /* on: cleared */
	ck_assert_uint_eq(get(LSR), 0x60);
	hear("a");
	put(FCR, 0x01); /* still on: kept */
	ck_assert_uint_eq(get(LSR), 0x61);
	put(FCR, 0x03);
	ck_assert_uint_eq(get(LSR), 0x60);
	ck_assert_uint_eq(get(IIR), 0xc1);
	hear("a");
	put(FCR, 0x00);
	ck_assert_uint_eq(get(LSR), 0x60);
	ck_assert_uint_eq(get(IIR), 0x01);
}
END_TEST

START_TEST(interrupts)
{
	hear("a");
	ck_assert(!vmm_serial_interrupt(&serial)); /* not enabled */
	put(IER, 0x03);
	ck_assert(vmm_serial_interrupt(&serial));
	ck_assert_uint_eq(get(IIR), 0x04); /* received data comes first, and stays */
	ck_assert_uint_eq(get(IIR), 0x04);
	get(DATA);
	ck_assert(vmm_serial_interrupt(&serial));
	ck_assert_uint_eq(get(IIR), 0x02); /* asking for it is the answer */
	ck_assert(!vmm_serial_interrupt(&serial));
	ck_assert_uint_eq(get(IIR), 0x01);
	put(DATA, 'x'); /* gone at once */
	ck_assert_uint_eq(get(IIR), 0x02);
	put(IER, 0x00); /* off and on again tells again: Linux looks for that */
	ck_assert(!vmm_serial_interrupt(&serial));
	put(IER, 0x02);
	ck_assert_uint_eq(get(IIR), 0x02);
	put(IER, 0x02); /* nothing new */
	ck_assert_uint_eq(get(IIR), 0x01);
}
END_TEST

START_TEST(loopback)
{
	put(MCR, 0x10 | 0x08 | 0x02); /* as Linux's probe */
	ck_assert_uint_eq(get(MSR) & 0xf0, 0x90);
	put(MCR, 0x10 | 0x04 | 0x01);
	ck_assert_uint_eq(get(MSR) & 0xf0, 0x60);
	put(DATA, 'l');
	ck_assert_uint_eq(serial.sent, 0);
	ck_assert_uint_eq(get(LSR), 0x61);
	ck_assert_uint_eq(get(DATA), 'l');
	for (unsigned i = 0; i < 100; i++)
		put(DATA, (uint8_t)i);
	ck_assert_uint_eq(vmm_serial_room(&serial), 0);
	ck_assert_uint_eq(get(DATA), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("serial");
	TCase *tcase = tcase_create("serial");

	tcase_add_checked_fixture(tcase, start, NULL);
	tcase_add_test(tcase, registers_keep_what_they_have);
	tcase_add_test(tcase, output);
	tcase_add_test(tcase, input);
	tcase_add_test(tcase, interrupts);
	tcase_add_test(tcase, loopback);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
