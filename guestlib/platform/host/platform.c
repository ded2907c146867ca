/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.c: what the core asks of a process (core/platform.h). */
#include "host.h"
#include "words.h"

#include <isthmus/app.h>

#include <limits.h>
#include <stdlib.h>

#define LIVE_NS 10000000000ull /* the broker's time to make us live */
#define LOOK_NS 10000000ull    /* between two looks meanwhile */

/* Tells the broker that we have mapped the group, and waits until all can see that we are live. */
static int go_live(struct ist_host *host, struct ist_group *group)
{
	const struct ist_wire ready = {.type = IST_WIRE_READY,
				       .abi = IST_ABI_MAJOR << 16 | IST_ABI_MINOR,
				       .id = group->id,
				       .incarnation = group->incarnation};
	uint64_t deadline = ist_time_ns() + LIVE_NS;
	int err = ist_host_send(host->sock, &ready, 0);

	if (err)
		return err == -EPIPE ? -ENOENT : err;
	while (ist_group_peer_word(group, group->id) !=
	       IST_PEER_WORD(IST_PEER_LIVE, group->incarnation)) {
		if (ist_load32(&host->peers.gone))
			return -ENOENT;
		if (ist_time_ns() >= deadline)
			return -ETIMEDOUT;
		ist_host_bells_wait(host, ist_platform_count_all(group), ist_time_ns() + LOOK_NS);
	}
	return 0;
}

int ist_platform_open(const char *name, struct ist_group *group)
{
	struct ist_host_offer offer;
	struct ist_host *host;
	char path[PATH_MAX];
	int err;

	err = ist_host_socket_path(name, path, sizeof(path));
	if (err)
		return err;
	host = calloc(1, sizeof(*host));
	if (!host)
		return -ENOMEM;
	group->platform = host;
	err = ist_host_join(host, path, group, &offer);
	if (err)
		goto free_host;
	err = ist_host_bells_init(&host->bells, &host->peers.current->peer[group->id]);
	if (err)
		goto leave;
	err = ist_host_map(group, host->memory, &offer);
	if (err)
		goto bells_fini;
	err = go_live(host, group);
	if (err)
		goto unmap;
	return 0;

unmap:
	ist_host_unmap(group);
bells_fini:
	ist_host_bells_fini(&host->bells);
leave:
	ist_host_leave(host);
free_host:
	free(host);
	return err;
}

void ist_platform_close(struct ist_group *group)
{
	struct ist_host *host = group->platform;

	ist_host_unmap(group);
	ist_host_bells_fini(&host->bells);
	ist_host_leave(host);
	free(host);
}

int ist_platform_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	struct ist_host *host = group->platform;
	int err;

	if (peer >= group->max_peers)
		return -EPIPE;
	err = ist_host_peers_ring(&host->peers, peer, incarnation, vector);
	if (err == -EPIPE) {
		/* A newcomer, perhaps: nobody has taken the broker's word of it yet. */
		ist_host_peers_drain(&host->peers);
		err = ist_host_peers_ring(&host->peers, peer, incarnation, vector);
	}
	return err;
}

uint32_t ist_platform_count(struct ist_group *group, uint32_t vector)
{
	struct ist_host *host = group->platform;

	return ist_load32(&host->bells.count[vector]);
}

uint32_t ist_platform_count_all(struct ist_group *group)
{
	struct ist_host *host = group->platform;

	return ist_load32(&host->bells.total);
}

void ist_platform_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	ist_host_bells_wait(group->platform, seen, deadline);
}

void *ist_platform_alloc(size_t size)
{
	return calloc(1, size);
}

void ist_platform_free(void *memory)
{
	free(memory);
}
