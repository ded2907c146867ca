// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_device_registers.c: BAR0 of both personalities: "PCI device registers" of QEMU's
 * ivshmem-spec; "Register Region" of the ivshmem v2 specification.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/device_guest.h"
#include "tests/suite.h"

/* ---- Every offset and size ------------------------------------------------------------------- */

#define NONE 0xffffu

/* What the words of a BAR0 hold, and who may write them. */
struct word {
	uint32_t offset;
	uint32_t value;    /* with the registers of used() */
	uint32_t writable; /* bits */
	uint32_t what;     /* effect of writing a different value */
	int read_clears;
};

static const struct word words[GUEST_SETUPS][5] = {
	{{0, 0x1111, ~0u, 0, 0},
	 {4, 0x2222, ~0u, 0, 1},
	 {8, 5, 0, 0, 0},
	 {12, 0, 0, 4, 0},
	 {NONE, 0, 0, 0, 0}},
	{{0, 0x1111, ~0u, 0, 0},
	 {4, 0x2222, ~0u, 0, 1},
	 {8, 0, 0, 0, 0},
	 {12, 0, 0, 0, 0},
	 {NONE, 0, 0, 0, 0}},
	{{0, 5, 0, 0, 0}, {4, 8, 0, 0, 0}, {8, 1, 1, 2, 0}, {12, 0, 0, 4, 0}, {16, 3, ~0u, 8, 0}},
	{{0, 5, 0, 0, 0}, {4, 8, 0, 0, 0}, {8, 1, 1, 2, 0}, {12, 0, 0, 0, 0}, {16, 3, ~0u, 8, 0}},
};

static struct ivshm_device used(unsigned which)
{
	struct ivshm_device device = guest_device(which);

	device.v1.mask = 0x1111;
	device.v1.status = 0x2222;
	device.control = 1;
	device.state = 3;
	return device;
}

static const struct word *word_at(unsigned which, uint64_t offset, unsigned size)
{
	for (unsigned i = 0; size == 4 && i < 5; i++) {
		if (words[which][i].offset == offset && offset != NONE)
			return &words[which][i];
	}
	return NULL;
}

/* The words as the guest sees them; reading has an effect, so of a copy. */
static void look(const struct ivshm_device *device, uint32_t seen[5])
{
	struct ivshm_device copy = *device;

	for (unsigned i = 0; i < 5; i++)
		seen[i] = guest_get(&copy, 0, 4 * i);
}

static const uint64_t far[] = {4096,       8192,       1ull << 32, (1ull << 32) + 12,
			       ~0ull - 15, ~0ull - 11, ~0ull - 3,  ~0ull};

/* v2: "Write accesses to ... offsets that are not backed by registers have to be ignored, read
 * accesses have to return 0", "only aligned 32-bit accesses"; v1: "reserved" from 16 on. */
START_TEST(every_read)
{
	for (uint64_t at = 0; at < 4096 + 8; at++) {
		uint64_t offset = at < 4096 ? at : far[at - 4096];

		for (unsigned size = 0; size <= 16; size++) {
			const struct word *word = word_at((unsigned)_i, offset, size);
			struct ivshm_device device = used((unsigned)_i), after = device;
			uint64_t value = ivshm_device_read(&device, 0, offset, size, ~0ull);

			GUEST_CHECK(value == (word ? word->value : 0), "read of %u at %lx: %lx",
				    size, offset, value);
			if (word && word->read_clears)
				after.v1.status = 0;
			GUEST_CHECK(guest_same(&device, &after), "read of %u at %lx", size, offset);
		}
	}
}
END_TEST

START_TEST(every_write)
{
	static const uint64_t values[] = {0, 1, 3, 0x30007, ~0ull, 0x8000000012345678};

	for (uint64_t at = 0; at < 4096 + 8; at++) {
		uint64_t offset = at < 4096 ? at : far[at - 4096];

		for (unsigned i = 0; i < 17 * sizeof(values) / sizeof(values[0]); i++) {
			unsigned size = i % 17;
			uint32_t value = (uint32_t)values[i / 17], expected[5], seen[5];
			const struct word *word = word_at((unsigned)_i, offset, size);
			struct ivshm_device device = used((unsigned)_i), before = device;
			struct ivshm_effect effect =
				ivshm_device_write(&device, 0, offset, size, values[i / 17]);
			uint32_t what = word ? word->what : 0;

			look(&before, expected);
			if (word) {
				uint32_t *slot = &expected[offset / 4], old = *slot;

				*slot = (old & ~word->writable) | (value & word->writable);
				if (what != IVSHM_EFFECT_RING && *slot == old)
					what = 0;
			}
			look(&device, seen);
			GUEST_CHECK(memcmp(seen, expected, sizeof(seen)) == 0, "write of %u at %lx",
				    size, offset);
			GUEST_CHECK(effect.what == what, "write of %u at %lx: %x", size, offset,
				    effect.what);
			if (what == IVSHM_EFFECT_RING) {
				ck_assert_uint_eq(effect.peer, value >> 16);
				ck_assert_uint_eq(effect.vector, value & 0xffff);
			}
			if (what == IVSHM_EFFECT_STATE)
				ck_assert_uint_eq(effect.state, value);
			if (!word || what == IVSHM_EFFECT_RING)
				GUEST_CHECK(guest_same(&device, &before), "write of %u at %lx",
					    size, offset);
		}
	}
}
END_TEST

/* ---- v1: "PCI device registers" -------------------------------------------------------------- */

/* "On reset" 0, but IVPosition: "0 or ID". */
START_TEST(v1_reset)
{
	struct ivshm_device device = guest_device(GUEST_V1);

	ck_assert_uint_eq(guest_get(&device, 0, 0), 0);
	ck_assert_uint_eq(guest_get(&device, 0, 4), 0);
	ck_assert_uint_eq(guest_get(&device, 0, 8), 5);
}
END_TEST

/* "If the device is not configured for interrupts, this is zero. Else, it is the device's ID". */
START_TEST(v1_position)
{
	static const uint32_t ids[] = {0, 1, 63, 65535};

	for (unsigned i = 0; i < 4; i++) {
		struct ivshm_device_setup setup = guest_setup[GUEST_V1];
		struct ivshm_device device;

		setup.id = ids[i];
		ivshm_device_init(&device, &setup);
		ck_assert_uint_eq(guest_get(&device, 0, 8), ids[i]);
		guest_put(&device, 0, 8, ~0u);
		ck_assert_uint_eq(guest_get(&device, 0, 8), ids[i]);
		setup.vectors = 0;
		ivshm_device_init(&device, &setup);
		ck_assert_uint_eq(guest_get(&device, 0, 8), 0);
	}
}
END_TEST

/* Interrupt Mask and Status, revision 1: read/write, without effect; "reading ... clears it". */
START_TEST(v1_mask_and_status)
{
	struct ivshm_device device = guest_device(GUEST_V1);

	guest_interrupts_on(&device);
	ck_assert_uint_eq(guest_put(&device, 0, 0, 0xffffffff).what, 0);
	ck_assert_uint_eq(guest_put(&device, 0, 4, 0xffffffff).what, 0);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(guest_delivers(&device, i), 1);
	ck_assert_uint_eq(guest_get(&device, 0, 4), 0xffffffff);
	ck_assert_uint_eq(guest_get(&device, 0, 4), 0);
	ck_assert_uint_eq(guest_get(&device, 0, 0), 0xffffffff);
	guest_put(&device, 0, 0, 0);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(guest_delivers(&device, i), 1);
}
END_TEST

/* "high 16 bits are the ID of the peer to interrupt, and its low 16 bits select" the vector. */
START_TEST(v1_doorbell)
{
	struct ivshm_device device = guest_device(GUEST_V1);
	struct ivshm_effect effect = guest_put(&device, 0, 12, 0xabcd0123);

	ck_assert_uint_eq(effect.what, IVSHM_EFFECT_RING);
	ck_assert_uint_eq(effect.peer, 0xabcd);
	ck_assert_uint_eq(effect.vector, 0x0123);
}
END_TEST

/* "If the device is not configured for interrupts, the write is ignored." */
START_TEST(doorbell_without_interrupts)
{
	struct ivshm_device device = guest_device(_i ? GUEST_V2_PLAIN : GUEST_V1_PLAIN);

	for (uint32_t value = 0; value < 0x80000; value += 0x7fff)
		ck_assert_uint_eq(guest_put(&device, 0, 12, value).what, 0);
}
END_TEST

/* ---- v2: "Register Region" ------------------------------------------------------------------- */

/* ID and Maximum Peers are read-only. */
START_TEST(v2_id_and_max_peers)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(guest_get(&device, 0, 0x00), 5);
		ck_assert_uint_eq(guest_get(&device, 0, 0x04), 8);
		ck_assert_uint_eq(guest_put(&device, 0, 0x00, 77).what, 0);
		ck_assert_uint_eq(guest_put(&device, 0, 0x04, 77).what, 0);
	}
}
END_TEST

/* Interrupt Control: 0 after reset, bits 1-31 "0 on read, writes ignored". */
START_TEST(v2_interrupt_control)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	ck_assert_uint_eq(guest_get(&device, 0, 0x08), 0);
	ck_assert_uint_eq(guest_put(&device, 0, 0x08, 0xfffffffe).what, 0);
	ck_assert_uint_eq(guest_get(&device, 0, 0x08), 0);
	ck_assert_uint_eq(guest_put(&device, 0, 0x08, 0xffffffff).what, IVSHM_EFFECT_INTERRUPTS);
	ck_assert_uint_eq(guest_get(&device, 0, 0x08), 1);
}
END_TEST

/* Doorbell: bits 0-15 the vector, 16-31 the target, whether or not interrupts are enabled here. */
START_TEST(v2_doorbell)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	for (uint32_t control = 0; control < 2; control++) {
		struct ivshm_effect effect;

		guest_put(&device, 0, 0x08, control);
		effect = guest_put(&device, 0, 0x0c, 0xabcd0123);
		ck_assert_uint_eq(effect.what, IVSHM_EFFECT_RING);
		ck_assert_uint_eq(effect.peer, 0xabcd);
		ck_assert_uint_eq(effect.vector, 0x0123);
	}
}
END_TEST

/* State: 0 after reset; interrupts the others "if the written state value differs". */
START_TEST(v2_state)
{
	static const uint32_t states[] = {0, 1, 1, 0xffffffff, 0xffffffff, 0, 0, 0x80000000, 1};
	struct ivshm_device device = guest_device(GUEST_V2);
	uint32_t before = 0;

	ck_assert_uint_eq(guest_get(&device, 0, 0x10), 0);
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct ivshm_effect effect = guest_put(&device, 0, 0x10, states[i]);

		ck_assert_uint_eq(effect.what, states[i] == before ? 0 : IVSHM_EFFECT_STATE);
		if (effect.what)
			ck_assert_uint_eq(effect.state, states[i]);
		ck_assert_uint_eq(guest_get(&device, 0, 0x10), states[i]);
		before = states[i];
	}
}
END_TEST

/* Doorbell and state of one that has no bus master, MSI-X off: they are the receivers' affair. */
START_TEST(sending_needs_nothing)
{
	struct ivshm_device device = guest_device(GUEST_V2);

	ivshm_device_config_write(&device, 0x04, 2, 2);
	ck_assert_uint_eq(guest_put(&device, 0, 0x0c, 1).what, IVSHM_EFFECT_RING);
	ck_assert_uint_eq(guest_put(&device, 0, 0x10, 1).what, IVSHM_EFFECT_STATE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_registers");
	TCase *tcase = tcase_create("registers");

	tcase_add_loop_test(tcase, every_read, 0, GUEST_SETUPS);
	tcase_add_loop_test(tcase, every_write, 0, GUEST_SETUPS);
	tcase_add_test(tcase, v1_reset);
	tcase_add_test(tcase, v1_position);
	tcase_add_test(tcase, v1_mask_and_status);
	tcase_add_test(tcase, v1_doorbell);
	tcase_add_loop_test(tcase, doorbell_without_interrupts, 0, 2);
	tcase_add_test(tcase, v2_id_and_max_peers);
	tcase_add_test(tcase, v2_interrupt_control);
	tcase_add_test(tcase, v2_doorbell);
	tcase_add_test(tcase, v2_state);
	tcase_add_test(tcase, sending_needs_nothing);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
