/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h: a VM process's side of the broker's socket (abi.h, IST_WIRE_*). */
#ifndef IVSHM_CLIENT_H
#define IVSHM_CLIENT_H

#include "abi.h"

struct ivshm_client_region {
	char name[IST_NAME_SIZE];
	uint64_t offset;
	uint64_t size;
	uint32_t right; /* IST_RIGHT_* */
	uint32_t coherence;
	uint64_t directory; /* offset of its page directory, or 0 */
};

struct ivshm_client_peer {
	uint32_t id;
	uint32_t incarnation;
	uint32_t vectors;
	uint32_t kind;
	char name[IST_NAME_SIZE];
	int fds[IST_VECTORS_MAX]; /* eventfds, one a vector */
	int pager; /* one more, its pager's, where there are page directories; or -1 */
};

#define IVSHM_CLIENT_PATH 108u /* bytes of a socket's path, with its NUL */

#define IVSHM_CLIENT_RANGES_MAX (1u + 2u * IST_REGIONS_MAX + IST_PEERS_MAX)

struct ivshm_client_range { /* of the group's memory */
	uint64_t offset;
	uint64_t size;
	uint32_t right; /* IST_RIGHT_READ or _WRITE */
};

struct ivshm_client_ops {
	/* A peer (or this one itself, first of all) can be rung. Takes over the descriptors. */
	void (*peer)(void *context, const struct ivshm_client_peer *peer);
	/* That incarnation is gone: IST_PEER_ABSENT or IST_PEER_DEAD. */
	void (*gone)(void *context, uint32_t id, uint32_t incarnation, uint32_t state);
	/*
	 * The descriptors that came with that peer, in their order; their number. They stay the
	 * callee's. NULL: this client does not come back to a broker that was restarted.
	 */
	unsigned (*bells)(void *context, uint32_t id, int out[IST_VECTORS_MAX + 1]);
};

struct ivshm_client {
	int socket;
	int memory;    /* the group's memfd */
	int run_state; /* its run-state page, IST_RUN_STATE_SIZE bytes; -1: there is none */
	uint32_t id;
	uint32_t incarnation;
	uint32_t vectors;
	uint32_t max_peers;
	uint64_t size; /* of the group's memory, a power of two */
	uint64_t page_size;
	uint64_t output_offset; /* 0: no output sections */
	uint64_t output_size;
	char group[IST_NAME_SIZE];
	unsigned regions;
	struct ivshm_client_region region[IST_REGIONS_MAX];
	uint64_t directories;            /* offset of the first page directory, or 0 */
	uint32_t present[IST_PEERS_MAX]; /* incarnation of each peer told of and not gone, or 0 */
	const struct ivshm_client_ops *ops;
	void *context;

	/* Coming back: */
	char path[IVSHM_CLIENT_PATH];
	char instance[IST_NAME_SIZE];
	uint32_t kind;
	int attempt;      /* the connection of it, or -1 */
	uint32_t handed;  /* how many messages were sent there */
	int new_run_page; /* that came there, or -1 */
};

/*
 * Joins the group behind `path` as `instance`: everything the broker says is checked (offsets and
 * sizes inside the memory, the memory's real size and seals). Blocks until the broker's READY, at
 * most 10 s; ops->peer is called for each present peer. On an error one line is in `error`, nothing
 * is left open, and ops->gone has been called for all that ops->peer was. Returns 0 or -errno.
 */
int ivshm_client_join(struct ivshm_client *client, const char *path, const char *instance,
		      uint32_t kind, const struct ivshm_client_ops *ops, void *context, char *error,
		      size_t error_size);

/*
 * Names a vCPU's thread, one of `count`, whose running is shown to the group. Before READY; nothing
 * without a run-state page.
 */
int ivshm_client_thread(struct ivshm_client *client, uint32_t thread, uint32_t count);

/* Bytes of the page directory of region `index`, which has one. */
uint64_t ivshm_client_directory_size(const struct ivshm_client *client, unsigned index);

/* Tells the broker that this peer has mapped the group: makes it live. */
int ivshm_client_ready(struct ivshm_client *client);

/*
 * Tells the broker that a peer does not give up the page at `offset` of the group, so that it is
 * ended. Any thread.
 */
int ivshm_client_recall(struct ivshm_client *client, uint32_t id, uint32_t incarnation,
			uint64_t offset);

/*
 * Handles what the broker has sent (client->socket readable), without blocking. Returns 0; -EPIPE:
 * it is gone; others: it sent an error or nonsense (logged): no more comes, leave.
 */
int ivshm_client_dispatch(struct ivshm_client *client);

/* ---- client_return.c: to a broker that was restarted ---- */

/*
 * Takes the next steps of handing back what this client has, without blocking; after
 * ivshm_client_dispatch() gave -EPIPE. Returns 0: it is back, and client->socket has the new
 * connection, client->run_state the new page or -1 (the last one is closed); -EAGAIN: call it again
 * later; others: no broker will have it back, with one line in `error`.
 */
int ivshm_client_return(struct ivshm_client *client, char *error, size_t error_size);

/* ---- client_map.c: of a joined client ---- */

/* What this peer may access, in order of offset, neighbours of one right as one. Their number. */
unsigned ivshm_client_ranges(const struct ivshm_client *client,
			     struct ivshm_client_range out[static IVSHM_CLIENT_RANGES_MAX]);

/*
 * What is at *offset: the index of a region, from whose start *offset then counts, or
 * IST_REGIONS_MAX for all the rest; and its name.
 */
unsigned ivshm_client_locate(const struct ivshm_client *client, uint64_t *offset,
			     const char **name);

/*
 * Bytes of v2's read-write section: from the state table's end to the output sections, or where
 * there are none to the end of the regions.
 */
uint64_t ivshm_client_rw_size(const struct ivshm_client *client);

/* ---- The end ---- */

/* Says good-bye and closes everything. Mappings must be gone before. */
void ivshm_client_leave(struct ivshm_client *client);

#endif
