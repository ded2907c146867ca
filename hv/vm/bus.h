/* SPDX-License-Identifier: BSD-2-Clause */
/* bus.h: who answers at an address: of guest-physical memory without a slot, or of an I/O port. */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <isthmus/abi.h>

/* A group's device has three BARs; a few devices of the machine itself. */
#define VMM_CLAIMS_MAX (3u * IST_GROUPS_MAX + 8u)
#define VMM_BUS_NOWHERE UINT64_MAX

/*
 * Answers an access. Called by vCPU threads. `offset` is from the start of the claim, 1 <= size <=
 * 8, within the claim. `data` of a read holds all ones beforehand.
 */
struct vmm_claim_ops {
	void (*read)(void *context, uint64_t offset, unsigned size, uint8_t *data);
	void (*write)(void *context, uint64_t offset, unsigned size, const uint8_t *data);
};

struct vmm_claim {
	uint64_t start; /* VMM_BUS_NOWHERE: not there now */
	uint64_t size;
	const struct vmm_claim_ops *ops;
	void *context; /* stays until the bus goes */
};

struct vmm_bus {
	pthread_mutex_t lock; /* of the starts: a guest moves its BARs while it runs */
	unsigned claims;
	struct vmm_claim claim[VMM_CLAIMS_MAX];
};

void vmm_bus_init(struct vmm_bus *bus);
void vmm_bus_fini(struct vmm_bus *bus);

/* Returns the claim's number. Before the first vCPU runs, at most VMM_CLAIMS_MAX. */
unsigned vmm_bus_claim(struct vmm_bus *bus, uint64_t start, uint64_t size,
		       const struct vmm_claim_ops *ops, void *context);

/* From now on the claim is at `start`. Where claims overlap, the earlier number answers. Any
 * thread. */
void vmm_bus_move(struct vmm_bus *bus, unsigned claim, uint64_t start);

/* False when nobody is there. Any thread; the bus is not locked while the claim answers. */
bool vmm_bus_read(struct vmm_bus *bus, uint64_t address, unsigned size, uint8_t *data);
bool vmm_bus_write(struct vmm_bus *bus, uint64_t address, unsigned size, const uint8_t *data);

#endif
