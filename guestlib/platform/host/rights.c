/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rights.c: this process's right on a region has become another one: its own mapping follows.
 *
 * It is asked, not made to: it holds the memory's descriptor. What it stores against the mapping is
 * a SIGSEGV from then on. docs/protocol.md, "Live change".
 */
#include "host.h"
#include "words.h"

#include <sys/mman.h>
#include <sys/socket.h>

static int map_as(const struct ist_host *host, const struct ist_group_region *region,
		  uint32_t before, uint32_t right)
{
	uint8_t *start = host->group->base + region->offset;
	int protection = right == IST_RIGHT_WRITE  ? PROT_READ | PROT_WRITE
			 : right == IST_RIGHT_READ ? PROT_READ
						   : PROT_NONE;

	/* Where there was no right there may be no mapping of the memory yet. */
	if (before == IST_RIGHT_NONE)
		return mmap(start, region->size, protection, MAP_SHARED | MAP_FIXED, host->memory,
			    (off_t)region->offset) == MAP_FAILED
			       ? -errno
			       : 0;
	return mprotect(start, region->size, protection) ? -errno : 0;
}

static int change(const struct ist_host *host, struct ist_group_region *region, uint32_t right)
{
	uint32_t before = region->right;
	int err;

	if (right == before)
		return 0;
	if (region->coherence == IST_COHERENCE_PAGE)
		return -EOPNOTSUPP; /* the broker does not ask for it */
	/* What other threads are told is never more than what is mapped. */
	if (right < before)
		ist_store32(&region->right, right);
	err = map_as(host, region, before, right);
	if (right > before && !err)
		ist_store32(&region->right, right);
	return err;
}

void ist_host_right(struct ist_host *host, const struct ist_wire *wire)
{
	struct ist_wire answer = {.type = IST_WIRE_RIGHT_DONE,
				  .abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
				  .id = wire->id,
				  .right = wire->right,
				  .count = wire->count};
	int err = -ENOENT; /* a region that it is told of when it joins again */

	if (wire->right > IST_RIGHT_WRITE || !wire->count)
		return;
	if (wire->id < host->group->regions)
		err = change(host, &host->group->region[wire->id], wire->right);
	answer.code = (uint32_t)-err;
	ist_host_send(host->sock, &answer, MSG_DONTWAIT);
}
