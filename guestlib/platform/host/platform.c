/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.c: what the core asks of a process of a host (core/platform.h). */
#include "host.h"
#include "run_state.h"
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
		if (ist_load32(&host->peers.gone) == IST_HOST_GONE_OVER)
			return -ENOENT;
		if (ist_time_ns() >= deadline)
			return -ETIMEDOUT;
		ist_host_bells_wait(host, ist_platform_count_all(group), ist_time_ns() + LOOK_NS);
	}
	return 0;
}

/* The roster must say what the broker said. Nobody else writes it. */
static int check_roster(const struct ist_group *group, const struct ist_roster_head *offer)
{
	struct ist_roster_head head;
	int err = ist_roster_head(group->base, &head);

	if (err)
		return err;
	return head.page_size == offer->page_size && head.total_size == offer->total_size &&
			       head.output_offset == offer->output_offset &&
			       head.output_size == offer->output_size &&
			       head.max_peers == offer->max_peers &&
			       head.vectors == offer->vectors && head.regions == offer->regions
		       ? 0
		       : -EPROTO;
}

static int host_open(const char *name, struct ist_group *group)
{
	struct ist_roster_head offer;
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
	/* Huge pages map whole. */
	err = ist_process_map(group, &offer, host->memory,
			      offer.page_size > IST_REGIONS_OFFSET ? offer.page_size
								   : IST_REGIONS_OFFSET);
	if (err)
		goto bells_fini;
	err = check_roster(group, &offer);
	if (!err)
		err = ist_host_pages_start(host, group);
	if (!err)
		err = go_live(host, group);
	if (err)
		goto unmap;
	if (host->run)
		ist_run_state_set(group, host->run);
	return 0;

unmap:
	ist_host_pages_stop(host);
	ist_process_unmap(group);
bells_fini:
	ist_host_bells_fini(&host->bells);
leave:
	ist_host_leave(host);
free_host:
	free(host);
	return err;
}

static void host_close(struct ist_group *group)
{
	struct ist_host *host = group->platform;

	ist_host_pages_stop(host);
	ist_process_unmap(group);
	ist_host_bells_fini(&host->bells);
	ist_host_leave(host);
	free(host);
}

static int host_ring(struct ist_group *group, uint32_t peer, uint32_t incarnation, uint32_t vector)
{
	struct ist_host *host = group->platform;
	int err = ist_host_peers_ring(&host->peers, peer, incarnation, vector);

	if (err == -EPIPE) {
		/* A newcomer, perhaps: nobody has taken the broker's word of it yet. */
		ist_host_drain(host);
		err = ist_host_peers_ring(&host->peers, peer, incarnation, vector);
	}
	return err;
}

static uint32_t host_count(struct ist_group *group, uint32_t vector)
{
	struct ist_host *host = group->platform;

	return ist_load32(&host->bells.count[vector]);
}

static uint32_t host_count_all(struct ist_group *group)
{
	struct ist_host *host = group->platform;

	return ist_load32(&host->bells.total);
}

static void host_wait(struct ist_group *group, uint32_t seen, uint64_t deadline)
{
	ist_host_bells_wait(group->platform, seen, deadline);
}

const struct ist_backend ist_host_backend = {.open = host_open,
					     .close = host_close,
					     .ring = host_ring,
					     .count = host_count,
					     .count_all = host_count_all,
					     .wait = host_wait};
