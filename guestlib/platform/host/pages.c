/* SPDX-License-Identifier: BSD-2-Clause */
/* pages.c: page-coherent regions: what the group's pager needs of its process. */
#include "host.h"
#include "words.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* What the library, which is silent, has to say goes into the broker's log. */
static void tell(const struct ist_host *host, int code, const char *text)
{
	struct ist_wire wire = {.type = IST_WIRE_ERROR,
				.abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
				.code = (uint32_t)code};

	memcpy(wire.text, text, strnlen(text, sizeof(wire.text) - 1));
	ist_host_send(host->sock, &wire, MSG_DONTWAIT);
}

int ist_host_pages_take(struct ist_host *host, const struct ist_wire *wire)
{
	if (wire->coherence != IST_COHERENCE_PAGE || wire->right == IST_RIGHT_NONE)
		return 0;
	if (!wire->length)
		return -EPROTO;
	host->directory[wire->id] = wire->length;
	if (!host->peers.pager)
		host->peers.pager = coh_pager_create();
	return host->peers.pager ? 0 : -ENOMEM;
}

/* ---- The pager's thread ---- */

static void on_stalled(void *context, uint32_t id, uint32_t incarnation, uint64_t offset)
{
	const struct ist_host *host = context;
	const struct ist_wire recall = {.type = IST_WIRE_RECALL,
					.abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
					.id = id,
					.incarnation = incarnation,
					.offset = offset};

	ist_host_send(host->sock, &recall, MSG_DONTWAIT);
}

/*
 * Who uses the regions must neither wait for ever nor see what is not coherent. Behind the end of
 * the memory, whose size is sealed, there is nothing, and never will be: SIGBUS.
 */
static bool on_broken(void *context, const char *text)
{
	const struct ist_host *host = context;
	const struct coh_pager_region *region;
	bool gone = true;
	unsigned i;

	tell(host, EIO, text);
	for (i = 0; i < host->paged->regions; i++) {
		region = &host->paged->region[i];
		gone &= mmap(region->base, region->size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED, host->memory,
			     (off_t)host->paged->size) != MAP_FAILED;
	}
	return gone;
}

static void on_noticed(void *context, const char *text)
{
	tell(context, 0, text);
}

/* Whom to ring, and who is gone, may matter before any thread of the application waits. */
static bool on_news(void *context)
{
	struct ist_host *host = context;

	ist_host_drain(host);
	return ist_load32(&host->peers.gone) != IST_HOST_GONE_OVER;
}

/* ---- Life ---- */

int ist_host_pages_start(struct ist_host *host, const struct ist_group *group)
{
	static const struct coh_pager_ops ops = {on_stalled, on_broken, on_noticed, on_news};
	char text[COH_PAGER_TEXT];
	uint32_t i;
	int err;

	if (!host->peers.pager)
		return 0;
	host->paged = ist_platform_alloc(sizeof(*host->paged));
	if (!host->paged)
		return -ENOMEM;
	host->paged->memory = host->memory;
	host->paged->size = group->size;
	host->paged->id = group->id;
	host->paged->max_peers = group->max_peers;
	host->paged->news = host->sock;
	for (i = 0; i < group->regions; i++) {
		const struct ist_group_region *from = &group->region[i];
		struct coh_pager_region *to = &host->paged->region[host->paged->regions];

		if (!host->directory[i])
			continue;
		memcpy(to->name, from->name, sizeof(to->name));
		to->offset = from->offset;
		to->size = from->size;
		to->directory = host->directory[i];
		to->right = from->right;
		to->base = group->base + from->offset;
		host->paged->regions++;
	}
	err = coh_pager_start(host->peers.pager, host->paged, &ops, host, text, sizeof(text));
	if (!err)
		return 0;
	tell(host, -err, text);
	return err == -EACCES ? -EPERM : err;
}

void ist_host_pages_stop(struct ist_host *host)
{
	coh_pager_destroy(host->peers.pager);
	ist_platform_free(host->paged);
	host->peers.pager = NULL;
	host->paged = NULL;
}
