/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device_guest.h: devices to test, what a guest does with them, and what must always hold. Written
 * from the specifications in plain numbers, not from the model.
 */
#ifndef TESTS_DEVICE_GUEST_H
#define TESTS_DEVICE_GUEST_H

#include <string.h>

#include "ivshmem/device.h"

#define GUEST_REGISTERS 0u /* BARs */
#define GUEST_TABLE 1u
#define GUEST_PBA 0x800u

enum { GUEST_V1, GUEST_V1_PLAIN, GUEST_V2, GUEST_V2_PLAIN, GUEST_SETUPS };

static const struct ivshm_device_setup guest_setup[GUEST_SETUPS] = {
	{1, 5, 8, 4, 0x100000, 0, 0, 0},
	{1, 5, 8, 0, 0x100000, 0, 0, 0},
	{2, 5, 8, 4, 0x100000, 0x7000, 0x3000, 0},
	{2, 5, 8, 0, 0x100000, 0x7000, 0x3000, 0},
};

/* Configuration space after a reset, and the bits of it that can be written. */
struct guest_image {
	uint8_t value[256];
	uint8_t writable[256];
};

/* clang-format off */
static const struct guest_image guest_image[GUEST_SETUPS] = {
	{{
		[0x00] = 0xf4, 0x1a, 0x10, 0x11, /* 1af4:1110 */
		[0x06] = 0x10,                   /* a capability list */
		[0x08] = 0x01, 0x00, 0x00, 0x05, /* revision 1, class 0500h */
		[0x18] = 0x0c,                   /* BAR2: 64-bit, prefetchable */
		[0x2c] = 0xf4, 0x1a, 0x00, 0x11,
		[0x34] = 0x40,
		[0x40] = 0x11, 0x00, 0x03, 0x00, /* MSI-X, 4 vectors */
		[0x44] = 0x01, 0x00, 0x00, 0x00, /* table: 0 in BAR1 */
		[0x48] = 0x01, 0x08, 0x00, 0x00, /* pending bits: 800h in BAR1 */
	}, {
		[0x04] = 0x06, 0x04,             /* memory space, bus master, INTx disable */
		[0x10] = 0x00, 0xff, 0xff, 0xff, /* 256 bytes */
		[0x14] = 0x00, 0xf0, 0xff, 0xff, /* 4 KiB */
		[0x18] = 0x00, 0x00, 0xf0, 0xff, /* 1 MiB */
		[0x1c] = 0xff, 0xff, 0xff, 0xff,
		[0x43] = 0xc0,                   /* MSI-X enable, function mask */
	}}, {{
		[0x00] = 0xf4, 0x1a, 0x10, 0x11,
		[0x08] = 0x01, 0x00, 0x00, 0x05,
		[0x18] = 0x0c,
		[0x2c] = 0xf4, 0x1a, 0x00, 0x11,
	}, {
		[0x04] = 0x06, 0x04,
		[0x10] = 0x00, 0xff, 0xff, 0xff,
		[0x18] = 0x00, 0x00, 0xf0, 0xff,
		[0x1c] = 0xff, 0xff, 0xff, 0xff,
	}}, {{
		[0x00] = 0x0a, 0x11, 0x06, 0x41, /* 110a:4106 */
		[0x06] = 0x10,
		[0x08] = 0x00, 0x00, 0x00, 0xff, /* revision 0, protocol 0000h, class FFh */
		[0x18] = 0x0c,
		[0x2c] = 0x0a, 0x11, 0x06, 0x41,
		[0x34] = 0x40,
		[0x40] = 0x09, 0x60, 0x18, 0x00, /* vendor specific, 18h bytes */
		[0x44] = 0x00, 0x10, 0x00, 0x00, /* state table */
		[0x48] = 0x00, 0x70, 0x00, 0x00, /* read/write section */
		[0x50] = 0x00, 0x30, 0x00, 0x00, /* output section */
		[0x60] = 0x11, 0x00, 0x03, 0x00,
		[0x64] = 0x01, 0x00, 0x00, 0x00,
		[0x68] = 0x01, 0x08, 0x00, 0x00,
	}, {
		[0x04] = 0x06, 0x04,
		[0x10] = 0x00, 0xf0, 0xff, 0xff, /* 4 KiB */
		[0x14] = 0x00, 0xf0, 0xff, 0xff,
		[0x18] = 0x00, 0x00, 0xf0, 0xff,
		[0x1c] = 0xff, 0xff, 0xff, 0xff,
		[0x43] = 0x01,                   /* one-shot interrupts */
		[0x63] = 0xc0,
	}}, {{
		[0x00] = 0x0a, 0x11, 0x06, 0x41,
		[0x06] = 0x10,
		[0x08] = 0x00, 0x00, 0x00, 0xff,
		[0x18] = 0x0c,
		[0x2c] = 0x0a, 0x11, 0x06, 0x41,
		[0x34] = 0x40,
		[0x40] = 0x09, 0x00, 0x18, 0x00,
		[0x44] = 0x00, 0x10, 0x00, 0x00,
		[0x48] = 0x00, 0x70, 0x00, 0x00,
		[0x50] = 0x00, 0x30, 0x00, 0x00,
	}, {
		[0x04] = 0x06, 0x04,
		[0x10] = 0x00, 0xf0, 0xff, 0xff,
		[0x18] = 0x00, 0x00, 0xf0, 0xff,
		[0x1c] = 0xff, 0xff, 0xff, 0xff,
		[0x43] = 0x01,
	}},
};
/* clang-format on */

/* Check's assertions each send a message: too slow for millions. */
#define GUEST_CHECK(condition, ...)                                                                \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

/* ---- What a guest does ----------------------------------------------------------------------- */

static inline struct ivshm_device guest_device(unsigned which)
{
	struct ivshm_device device;

	memset(&device, 0xa5, sizeof(device)); /* init() must not need what was there */
	ivshm_device_init(&device, &guest_setup[which]);
	return device;
}

static inline uint32_t guest_get(struct ivshm_device *device, unsigned bar, uint64_t offset)
{
	return (uint32_t)ivshm_device_read(device, bar, offset, 4, 0);
}

static inline struct ivshm_effect guest_put(struct ivshm_device *device, unsigned bar,
					    uint64_t offset, uint32_t value)
{
	return ivshm_device_write(device, bar, offset, 4, value);
}

/* Where the MSI-X capability is, by the capability list; 0: nowhere. */
static inline uint32_t guest_msix(const struct ivshm_device *device)
{
	uint32_t at = ivshm_device_config_read(device, 0x34, 1);

	for (int i = 0; at >= 0x40 && i < 48; i++) {
		if (ivshm_device_config_read(device, at, 1) == 0x11)
			return at;
		at = ivshm_device_config_read(device, at + 1, 1);
	}
	return 0;
}

/* Everything that a driver does before interrupts can come. */
static inline void guest_interrupts_on(struct ivshm_device *device)
{
	uint32_t vectors = device->setup.vectors;

	ivshm_device_config_write(device, 0x04, 2, 0x0006);
	for (uint32_t i = 0; i < vectors; i++) {
		guest_put(device, GUEST_TABLE, i * 16, 0xfee00000 + 0x1000 * i);
		guest_put(device, GUEST_TABLE, i * 16 + 4, i);
		guest_put(device, GUEST_TABLE, i * 16 + 8, 0x4000 + i);
		guest_put(device, GUEST_TABLE, i * 16 + 12, 0);
	}
	if (vectors != 0)
		ivshm_device_config_write(device, guest_msix(device) + 2, 2, 0x8000);
	if (device->setup.personality == 2)
		guest_put(device, GUEST_REGISTERS, 0x08, 1);
}

static inline int guest_delivers(const struct ivshm_device *device, uint32_t vector)
{
	uint64_t address;
	uint32_t data;

	return ivshm_device_vector(device, vector, &address, &data);
}

/* Field by field: a structure may have holes. */
static inline int guest_same(const struct ivshm_device *a, const struct ivshm_device *b)
{
	return !memcmp(&a->setup, &b->setup, sizeof(a->setup)) &&
	       !memcmp(a->config, b->config, sizeof(a->config)) &&
	       !memcmp(a->writable, b->writable, sizeof(a->writable)) &&
	       !memcmp(a->msix, b->msix, sizeof(a->msix)) &&
	       !memcmp(&a->v1, &b->v1, sizeof(a->v1)) && a->control == b->control &&
	       a->state == b->state;
}

/* ---- What always holds ----------------------------------------------------------------------- */

/* What the owner is told to ask again: all answers about BARs, and all about interrupts. */
struct guest_answers {
	uint64_t bar[3]; /* 0: does not answer */
	uint64_t one_shot;
	uint64_t address[64];
	uint32_t data[64];
	int delivers[64];
};

static inline void guest_ask(const struct ivshm_device *device, struct guest_answers *now)
{
	memset(now, 0, sizeof(*now));
	for (unsigned bar = 0; bar < 3; bar++)
		ivshm_device_bar(device, bar, &now->bar[bar]);
	now->one_shot = ivshm_device_one_shot(device) != 0;
	for (uint32_t i = 0; i < 64; i++)
		now->delivers[i] = ivshm_device_vector(device, i, &now->address[i], &now->data[i]);
}

/* The invariant that is broken, or a null pointer. */
static inline const char *guest_broken(struct ivshm_device *device, unsigned which)
{
	const struct ivshm_device_setup *setup = &guest_setup[which];
	const struct guest_image *image = &guest_image[which];
	uint32_t command = ivshm_device_config_read(device, 0x04, 2);
	uint32_t msix = guest_msix(device);
	uint32_t flags = msix ? ivshm_device_config_read(device, msix + 2, 2) : 0;
	struct guest_answers now;

	if (memcmp(&device->setup, setup, sizeof(*setup)) != 0)
		return "the setup is as it was";
	for (uint32_t i = 0; i < 256; i++) {
		if ((ivshm_device_config_read(device, i, 1) ^ image->value[i]) &
		    ~(uint32_t)image->writable[i])
			return "what is read-only is as it was";
	}
	guest_ask(device, &now);
	for (unsigned bar = 0; bar < 3; bar++) {
		uint64_t size = ivshm_device_bar_size(device, bar), start = now.bar[bar];
		uint32_t low = ivshm_device_config_read(device, 0x10 + 4 * bar, 4);
		uint32_t high = bar == 2 ? ivshm_device_config_read(device, 0x1c, 4) : 0;

		if (start == 0)
			continue;
		if (size == 0 || !(command & 2))
			return "only a BAR that is there and decoded answers";
		if (start % size != 0 || start + (size - 1) < start)
			return "a BAR is aligned to its size";
		if (start != ((uint64_t)high << 32 | (low & ~15u)))
			return "a BAR answers where the guest put it";
	}
	for (uint32_t i = 0; i < 64; i++) {
		int may =
			i < setup->vectors && (command & 4) && (flags & 0x8000) &&
			!(flags & 0x4000) && !(guest_get(device, GUEST_TABLE, 16 * i + 12) & 1) &&
			(setup->personality == 1 || guest_get(device, GUEST_REGISTERS, 0x08) == 1);

		if (now.delivers[i] != may)
			return "delivered when enabled, unmasked and a bus master, not otherwise";
		if (may && (now.address[i] % 4 != 0 ||
			    (uint32_t)now.address[i] != guest_get(device, GUEST_TABLE, 16 * i) ||
			    now.data[i] != guest_get(device, GUEST_TABLE, 16 * i + 8)))
			return "the message is the one in the table";
	}
	if (setup->personality == 1 && now.one_shot)
		return "v1 has no one-shot interrupts";
	return NULL;
}

#endif
