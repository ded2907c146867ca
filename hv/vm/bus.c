// SPDX-License-Identifier: BSD-2-Clause
/* bus.c: claims of addresses. */
#include "bus.h"

#include <string.h>

void vmm_bus_init(struct vmm_bus *bus)
{
	pthread_mutex_init(&bus->lock, NULL);
}

void vmm_bus_fini(struct vmm_bus *bus)
{
	pthread_mutex_destroy(&bus->lock);
}

unsigned vmm_bus_claim(struct vmm_bus *bus, uint64_t start, uint64_t size,
		       const struct vmm_claim_ops *ops, void *context)
{
	bus->claim[bus->claims] = (struct vmm_claim){start, size, ops, context};
	return bus->claims++;
}

void vmm_bus_move(struct vmm_bus *bus, unsigned claim, uint64_t start)
{
	pthread_mutex_lock(&bus->lock);
	bus->claim[claim].start = start;
	pthread_mutex_unlock(&bus->lock);
}

/* A copy: its owner may move it meanwhile. */
static bool find(struct vmm_bus *bus, uint64_t address, unsigned size, struct vmm_claim *out)
{
	bool found = false;

	pthread_mutex_lock(&bus->lock);
	for (unsigned i = 0; !found && i < bus->claims; i++) {
		const struct vmm_claim *claim = &bus->claim[i];

		found = claim->start != VMM_BUS_NOWHERE && address >= claim->start &&
			address - claim->start < claim->size &&
			size <= claim->size - (address - claim->start);
		if (found)
			*out = *claim;
	}
	pthread_mutex_unlock(&bus->lock);
	return found;
}

bool vmm_bus_read(struct vmm_bus *bus, uint64_t address, unsigned size, uint8_t *data)
{
	struct vmm_claim claim;

	memset(data, 0xff, size);
	if (!find(bus, address, size, &claim))
		return false;
	claim.ops->read(claim.context, address - claim.start, size, data);
	return true;
}

bool vmm_bus_write(struct vmm_bus *bus, uint64_t address, unsigned size, const uint8_t *data)
{
	struct vmm_claim claim;

	if (!find(bus, address, size, &claim))
		return false;
	claim.ops->write(claim.context, address - claim.start, size, data);
	return true;
}
