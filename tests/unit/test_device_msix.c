// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_device_msix.c: when and as what a vector is delivered, the MSI-X table and the pending bits:
 * PCI 3.0, 6.8.2; "MSI-X Capability" and "Interrupt Control" of the ivshmem v2 specification.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/device_guest.h"
#include "tests/suite.h"

/* With vectors: of both personalities. */
static const unsigned with_vectors[] = {GUEST_V1, GUEST_V2};

static uint32_t config(struct ivshm_device *device, uint32_t offset, uint32_t value)
{
	return ivshm_device_config_write(device, offset, 2, value).what;
}

/* ---- The table ------------------------------------------------------------------------------- */

/* 6.8.2.9: "the state of this bit after reset is 1 (masked)"; address and data are 0. */
START_TEST(table_after_reset)
{
	struct ivshm_device device = guest_device(with_vectors[_i]);

	for (uint64_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(guest_get(&device, 1, 16 * i), 0);
		ck_assert_uint_eq(guest_get(&device, 1, 16 * i + 4), 0);
		ck_assert_uint_eq(guest_get(&device, 1, 16 * i + 8), 0);
		ck_assert_uint_eq(guest_get(&device, 1, 16 * i + 12), 1);
	}
}
END_TEST

/* What a BAR1 must show, and which of its bits take a write. */
struct page {
	uint8_t value[4096 + 16];
	uint8_t writable[4096 + 16];
};

static void fill(struct ivshm_device *device, struct page *page, uint64_t pending)
{
	static const uint8_t entry[16] = {0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc,
					  0xfe, 0x11, 0x22, 0x33, 0x44, 0x01};
	static const uint8_t mask[16] = {0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};

	memset(page, 0, sizeof(*page));
	for (uint8_t i = 0; i < device->setup.vectors; i++) {
		device->msix[i].address = 0xfedcba9876543210 + ((uint64_t)i << 8);
		device->msix[i].data = 0x44332211;
		device->msix[i].control = 1;
		memcpy(page->value + 16 * i, entry, 16);
		memcpy(page->writable + 16 * i, mask, 16);
		page->value[16 * i + 1] = (uint8_t)(page->value[16 * i + 1] + i);
	}
	if (device->setup.personality == 1 && device->setup.vectors)
		page->value[0x800] = (uint8_t)(pending & 0xf);
}

/* 6.8.2: "only aligned full DWORD or full QWORD accesses"; else 0, as where there is nothing. */
START_TEST(every_read)
{
	struct ivshm_device device = guest_device((unsigned)_i), before;
	static struct page page;

	fill(&device, &page, 0xfffffffffffffffa);
	before = device;
	for (uint64_t offset = 0; offset < 4096; offset++) {
		for (unsigned size = 0; size <= 16; size++) {
			uint64_t expected = 0;

			if ((size == 4 || size == 8) && offset % size == 0)
				memcpy(&expected, page.value + offset, size);
			GUEST_CHECK(ivshm_device_read(&device, 1, offset, size,
						      0xfffffffffffffffa) == expected,
				    "read of %u at %lx", size, offset);
		}
	}
	ck_assert(guest_same(&device, &before));
	for (unsigned size = 0; size <= 16; size++) {
		ck_assert_uint_eq(ivshm_device_read(&device, 1, 0ull - size, size, ~0ull), 0);
		ck_assert_uint_eq(ivshm_device_read(&device, 1, 1ull << 32, size, ~0ull), 0);
		ck_assert_uint_eq(ivshm_device_read(&device, 1, 4096, size, ~0ull), 0);
	}
}
END_TEST

START_TEST(every_write)
{
	static const uint64_t values[] = {0, ~0ull, 0x123456789abcdef1, 0x0000000100000001,
					  0xfedcba9876543210};
	struct ivshm_device device = guest_device((unsigned)_i), before;
	static struct page page, after;

	fill(&device, &page, 0);
	before = device;
	after = page;
	for (uint64_t offset = 0; offset < 4096; offset++) {
		for (unsigned size = 0; size <= 16; size++) {
			for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
				uint32_t changed = 0, what;

				for (unsigned i = 0; i < size; i++) {
					uint8_t mask = page.writable[offset + i], is;

					if ((size != 4 && size != 8) || offset % size != 0)
						break;
					is = (uint8_t)((page.value[offset + i] & ~mask) |
						       ((uint8_t)(values[v] >> 8 * i) & mask));
					changed |= is != page.value[offset + i];
					after.value[offset + i] = is;
				}
				device = before;
				what = ivshm_device_write(&device, 1, offset, size, values[v]).what;
				GUEST_CHECK(what == (changed ? IVSHM_EFFECT_INTERRUPTS : 0),
					    "write of %u at %lx tells %x", size, offset, what);
				if (!changed)
					GUEST_CHECK(guest_same(&device, &before),
						    "write of %u at %lx", size, offset);
				for (uint64_t at = 0; changed && at < 4096; at += 4) {
					uint32_t expected;

					memcpy(&expected, after.value + at, 4);
					GUEST_CHECK(guest_get(&device, 1, at) == expected,
						    "write of %u at %lx of %lx: %lx", size, offset,
						    values[v], at);
				}
				memcpy(after.value + offset, page.value + offset, size);
			}
		}
	}
	device = before;
	for (unsigned size = 0; size <= 16; size++) {
		ck_assert_uint_eq(ivshm_device_write(&device, 1, 0ull - size, size, 0).what, 0);
		ck_assert_uint_eq(ivshm_device_write(&device, 1, 1ull << 32, size, 0).what, 0);
	}
	ck_assert(guest_same(&device, &before));
}
END_TEST

/* There is no register behind any other BAR, BAR2 included: it is memory. */
START_TEST(other_bars)
{
	struct ivshm_device device = guest_device((unsigned)_i), before = device;

	for (unsigned bar = 2; bar < 70; bar++) {
		for (uint64_t offset = 0; offset < 32; offset += 4) {
			ck_assert_uint_eq(ivshm_device_read(&device, bar, offset, 4, ~0ull), 0);
			ck_assert_uint_eq(guest_put(&device, bar, offset, ~0u).what, 0);
		}
	}
	ck_assert(guest_same(&device, &before));
}
END_TEST

/* ---- Delivery -------------------------------------------------------------------------------- */

/* PCI 6.2.2 Bus Master, 6.8.2.3 enable and function mask, 6.8.2.9 mask; v2 Interrupt Control. */
START_TEST(delivery_needs_all)
{
	struct ivshm_device device = guest_device(with_vectors[_i]);
	uint32_t msix = guest_msix(&device);

	guest_interrupts_on(&device);
	for (unsigned what = 0; what < 32; what++) {
		config(&device, 0x04, what & 1 ? 4 : 0);
		config(&device, msix + 2, (what & 2 ? 0x8000 : 0) | (what & 4 ? 0x4000 : 0));
		guest_put(&device, 1, 2 * 16 + 12, what & 8 ? 1 : 0);
		guest_put(&device, 0, 0x08, what & 16 ? 1 : 0);
		ck_assert_int_eq(guest_delivers(&device, 2), (what & 1) && (what & 2) &&
								     !(what & 4) && !(what & 8) &&
								     (_i == 0 || (what & 16)));
		/* The mask is the vector's own. */
		ck_assert_int_eq(guest_delivers(&device, 1), (what & 1) && (what & 2) &&
								     !(what & 4) &&
								     (_i == 0 || (what & 16)));
	}
}
END_TEST

/* 6.8.2.7 and 8: a message is its own entry's address and data. */
START_TEST(the_message)
{
	struct ivshm_device device = guest_device(with_vectors[_i]);
	uint64_t address;
	uint32_t data;

	guest_interrupts_on(&device);
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_int_eq(ivshm_device_vector(&device, i, &address, &data), 1);
		ck_assert_uint_eq(address, (uint64_t)i << 32 | (0xfee00000 + 0x1000 * i));
		ck_assert_uint_eq(data, 0x4000 + i);
	}
	for (uint32_t i = 4; i < 100; i++)
		ck_assert_int_eq(ivshm_device_vector(&device, i, &address, &data), 0);
	ck_assert_int_eq(ivshm_device_vector(&device, UINT32_MAX, &address, &data), 0);
	/* An address is two dwords, or one qword; so are data and mask. */
	ivshm_device_write(&device, 1, 16, 8, 0x123456789abcdef3);
	ivshm_device_write(&device, 1, 24, 8, 0xfffffffe00001234);
	ck_assert_int_eq(ivshm_device_vector(&device, 1, &address, &data), 1);
	ck_assert_uint_eq(address, 0x123456789abcdef0);
	ck_assert_uint_eq(data, 0x1234);
}
END_TEST

/* Each step on the way is told: the owner need not ask in between. */
START_TEST(every_step_is_told)
{
	struct ivshm_device device = guest_device(with_vectors[_i]);
	uint32_t msix = guest_msix(&device);

	guest_interrupts_on(&device);
	ck_assert_uint_eq(config(&device, 0x04, 0), 2);
	ck_assert_uint_eq(config(&device, 0x04, 0), 0);
	ck_assert_uint_eq(config(&device, 0x04, 4), 2);
	ck_assert_uint_eq(config(&device, msix + 2, 0xc000), 2);
	ck_assert_uint_eq(config(&device, msix + 2, 0x8000), 2);
	ck_assert_uint_eq(config(&device, msix + 2, 0), 2);
	ck_assert_uint_eq(config(&device, msix + 2, 0x8000), 2);
	ck_assert_uint_eq(guest_put(&device, 1, 12, 1).what, 2);
	ck_assert_uint_eq(guest_put(&device, 1, 12, 0xffffffff).what, 0);
	ck_assert_uint_eq(guest_put(&device, 1, 12, 0).what, 2);
	ck_assert_uint_eq(guest_put(&device, 1, 8, 0x77).what, 2);
	ck_assert_uint_eq(guest_put(&device, 0, 0x08, 0).what, _i == 0 ? 0 : 2);
	ck_assert_uint_eq(guest_put(&device, 0, 0x08, 0).what, 0);
	ck_assert_uint_eq(guest_put(&device, 0, 0x08, 1).what, _i == 0 ? 0 : 2);
}
END_TEST

/* Without interrupts there is no table, and nothing can be delivered. */
START_TEST(plain_has_none)
{
	struct ivshm_device device = guest_device(_i ? GUEST_V2_PLAIN : GUEST_V1_PLAIN);

	guest_interrupts_on(&device);
	for (uint32_t offset = 0; offset < 256; offset++)
		ivshm_device_config_write(&device, offset, 1, 0xff);
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_int_eq(guest_delivers(&device, i), 0);
}
END_TEST

/* ---- Pending bits ---------------------------------------------------------------------------- */

/* 6.8.2.10, v1: set while a message waits, for what can not go out and is there at all. */
START_TEST(v1_pending)
{
	struct ivshm_device device = guest_device(GUEST_V1);

	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, ~0ull), 0xf);
	guest_interrupts_on(&device);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, ~0ull), 0);
	guest_put(&device, 1, 2 * 16 + 12, 1);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, ~0ull), 4);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, 3), 0);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 4, ~0ull), 4);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA + 4, 4, ~0ull), 0);
	/* Function mask: "all of the vectors ... are masked". */
	config(&device, 0x42, 0xc000);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 4, 6), 6);
	/* Read-only. */
	ck_assert_uint_eq(guest_put(&device, 1, GUEST_PBA, 0).what, 0);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 4, 6), 6);
}
END_TEST

/* v2, "MSI-X Capability": "reading from the MSI-X Pending Bit Array will always return 0". */
START_TEST(v2_pending)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, ~0ull), 0);
	guest_interrupts_on(&device);
	guest_put(&device, 0, 0x08, 0);
	guest_put(&device, 1, 12, 1);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 8, ~0ull), 0);
	ck_assert_uint_eq(ivshm_device_read(&device, 1, GUEST_PBA, 4, ~0ull), 0);
}
END_TEST

/* ---- Interrupt Control of v2 ----------------------------------------------------------------- */

/* "Bit 0 is reset to 0 on interrupt delivery if one-shot interrupt mode is enabled". */
START_TEST(v2_one_shot)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	guest_interrupts_on(&device);
	ivshm_device_config_write(&device, 0x43, 1, 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(guest_delivers(&device, 0), 1);
		ck_assert_uint_eq(ivshm_device_delivered(&device).what, 2);
		ck_assert_uint_eq(guest_get(&device, 0, 0x08), 0);
		for (uint32_t vector = 0; vector < 4; vector++)
			ck_assert_int_eq(guest_delivers(&device, vector), 0);
		ck_assert_uint_eq(ivshm_device_delivered(&device).what, 0);
		ck_assert_uint_eq(guest_put(&device, 0, 0x08, 1).what, 2);
	}
}
END_TEST

/* Without one-shot mode, and in v1, a delivery changes nothing. */
START_TEST(not_one_shot)
{
	struct ivshm_device device = guest_device((unsigned)_i), before;

	guest_interrupts_on(&device);
	before = device;
	ck_assert_int_eq(ivshm_device_one_shot(&device), 0);
	ck_assert_uint_eq(ivshm_device_delivered(&device).what, 0);
	ck_assert(guest_same(&device, &before));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_msix");
	TCase *tcase = tcase_create("interrupts");

	tcase_add_loop_test(tcase, table_after_reset, 0, 2);
	tcase_add_loop_test(tcase, every_read, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, every_write, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, other_bars, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, delivery_needs_all, 0, 2);
	tcase_add_loop_test(tcase, the_message, 0, 2);
	tcase_add_loop_test(tcase, every_step_is_told, 0, 2);
	tcase_add_loop_test(tcase, plain_has_none, 0, 2);
	tcase_add_test(tcase, v1_pending);
	tcase_add_test(tcase, v2_pending);
	tcase_add_test(tcase, v2_one_shot);
	tcase_add_loop_test(tcase, not_one_shot, 0, GUEST_SETUPS);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
