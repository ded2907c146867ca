/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h: a joined group in a process of a host: the broker's socket, the peers' eventfds, who
 * waits.
 *
 * The library has no thread of its own but the pager of a group with page-coherent regions. What
 * the broker sends is taken from the socket by whoever waits for a doorbell, by whoever rings a
 * peer that is not in the table yet, and by the pager.
 */
#ifndef IST_HOST_H
#define IST_HOST_H

#include "../process/process.h"

#include "coherence/pager/pager.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define IST_HOST_PATH 108 /* bytes of a socket's path, with its NUL */

/* ---- locate.c: where the broker is, and who we are ---- */

/* Returns 0; -EACCES nobody said who we are. */
int ist_host_instance(char out[IST_NAME_SIZE]);
/* The socket of group `name` (NULL: the only one). Returns 0; -ENOENT; -EINVAL; -ENAMETOOLONG. */
int ist_host_socket_path(const char *name, char *out, size_t size);

/* ---- wire.c: packets ---- */

struct ist_host_packet {
	struct ist_wire wire;
	unsigned fds;
	int fd[IST_VECTORS_MAX + 1]; /* the receiver's, to keep or to close; the last: a pager's */
};

/* `flags`: MSG_DONTWAIT or 0. Returns 0 or -errno; -EPIPE: the other side is gone. */
int ist_host_send(int sock, const struct ist_wire *wire, int flags);
/* The same with descriptors, which stay the caller's, without waiting. -EAGAIN: later. */
int ist_host_send_fds(int sock, const struct ist_host_packet *packet);
/* The same; -EAGAIN; -EPROTO or -EMFILE with nothing kept: what came was no packet of ours. */
int ist_host_receive(int sock, struct ist_host_packet *packet, int flags);
/* Closes what is left in the packet. */
void ist_host_packet_fini(struct ist_host_packet *packet);

/* ---- ring.c: an eventfd, without blocking ---- */

struct ist_host_ringer {
	unsigned long context; /* of asynchronous I/O */
	int source;            /* something open for reading; stays the caller's */
};

int ist_host_ringer_init(struct ist_host_ringer *ringer, int source);
void ist_host_ringer_fini(struct ist_host_ringer *ringer);
/* Any thread. Returns 0; -EPIPE it cannot be rung. */
int ist_host_ringer_ring(const struct ist_host_ringer *ringer, int eventfd);

/* ---- peers.c: whom we can ring ---- */

struct ist_host_peer {
	uint32_t incarnation; /* 0: nobody */
	uint32_t vectors;
	int fd[IST_VECTORS_MAX];
};

struct ist_host_table {
	struct ist_host_peer peer[IST_PEERS_MAX];
};

#define IST_HOST_GONE_AWAY 1u /* another one may come */
#define IST_HOST_GONE_OVER 2u /* none will have us */

struct ist_host_peers {
	int sock;
	struct ist_host_ringer ringer;
	uint32_t self;
	uint32_t max_peers;
	uint32_t gone;           /* atomic; the broker hung up; IST_HOST_GONE_* or 0 */
	struct coh_pager *pager; /* is told of peers, and given their last descriptor; or NULL */
	pthread_mutex_t lock;
	struct ist_host_table *current; /* RCU: read by who rings, replaced under the lock */
	struct ist_host_table tables[2];
};

/* The socket and the memfd stay the caller's. */
int ist_host_peers_init(struct ist_host_peers *peers, int sock, int memory,
			const struct ist_group *group);
/* Closes every descriptor in the table. */
void ist_host_peers_fini(struct ist_host_peers *peers);
/*
 * One IST_WIRE_PEER while joining, before anybody rings: takes over its descriptors. Returns 0;
 * -EPROTO it is not sound.
 */
int ist_host_peers_add(struct ist_host_peers *peers, struct ist_host_packet *packet);
/* Takes what the broker has sent. Never waits for the broker. */
void ist_host_peers_drain(struct ist_host_peers *peers);
/* Returns 0; -EPIPE that incarnation is not in the table. */
int ist_host_peers_ring(struct ist_host_peers *peers, uint32_t id, uint32_t incarnation,
			uint32_t vector);

/* ---- wait.c: our own doorbells ---- */

struct ist_host_bells {
	int fd[IST_VECTORS_MAX]; /* our own eventfds; the table of peers owns them */
	int kick;                /* eventfd: wakes the thread that polls */
	uint32_t vectors;
	uint32_t count[IST_VECTORS_MAX]; /* atomic */
	uint32_t total;                  /* atomic; moves after count[] */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool polled; /* some thread polls for all */
};

/* Coming back to a broker that was restarted. Under the peers' lock. */
struct ist_host_return {
	char path[IST_HOST_PATH];
	char instance[IST_NAME_SIZE];
	bool begun;        /* `sock` is the timer */
	int timer;         /* readable: try again */
	uint32_t pause_ms; /* what it was set to */
	int attempt;       /* the connection of one, or -1 */
	uint32_t handed;   /* how many messages were sent there */
	int run_page;      /* that came there, or -1 */
};

struct ist_host {
	int sock;       /* the broker's; of one that is gone: readable when another may be there */
	int memory;     /* the group's memfd */
	void *run;      /* the run-state page, or NULL */
	uint32_t blank; /* atomic; it has been blanked */
	uint64_t directory[IST_REGIONS_MAX]; /* of page-coherent regions on which we have a right */
	struct coh_pager_group *paged;       /* what the pager was told, or NULL */
	struct ist_host_peers peers;
	struct ist_host_bells bells;
	struct ist_host_return back;
};

int ist_host_bells_init(struct ist_host_bells *bells, const struct ist_host_peer *self);
void ist_host_bells_fini(struct ist_host_bells *bells);
/* As ist_platform_wait(). */
void ist_host_bells_wait(struct ist_host *host, uint32_t seen, uint64_t deadline);

/* ---- run.c: the run-state page ---- */

/* One IST_WIRE_RUN_STATE: maps the page. Returns 0; -EPROTO it is none; what mmap() refuses. */
int ist_host_run_take(struct ist_host *host, const struct ist_host_packet *packet);
/* The broker is gone, and who writes the page with it: nothing is known of anybody. Any thread. */
void ist_host_run_blank(struct ist_host *host);
/* Whether that is one. */
bool ist_host_run_is_sound(const struct ist_host_packet *packet);
/* Another broker's page takes its place. */
void ist_host_run_renew(struct ist_host *host, int page);
void ist_host_run_fini(struct ist_host *host);

/* ---- return.c: a broker that is gone, and another one ---- */

/* `path` and `instance` as for ist_host_join(). Returns 0; -errno. */
int ist_host_return_init(struct ist_host *host, const char *path, const char *instance);
void ist_host_return_fini(struct ist_host *host);
/*
 * Takes what the broker has sent. Of one that is gone: tries another one, when it is time to. Never
 * waits for either. Any thread.
 */
void ist_host_drain(struct ist_host *host);

/* ---- pages.c: page-coherent regions ---- */

/* One IST_WIRE_REGION, in order. Returns 0; -EPROTO it has no directory; -ENOMEM. */
int ist_host_pages_take(struct ist_host *host, const struct ist_wire *wire);
/*
 * When all is mapped, and nobody uses it yet: the regions obey the pager from now on. Returns 0; or
 * -errno, having told the broker why: -EPERM this process may not have what it takes.
 */
int ist_host_pages_start(struct ist_host *host, const struct ist_group *group);
/* Gives up all pages, while they are still mapped. */
void ist_host_pages_stop(struct ist_host *host);

/* ---- join.c: the admission ---- */

/*
 * Everything up to the broker's READY: fills in group, host->peers and what the roster must say,
 * all checked. Returns 0, with host's socket, memfd and table of peers to give back; or -errno with
 * nothing.
 */
int ist_host_join(struct ist_host *host, const char *path, struct ist_group *group,
		  struct ist_roster_head *offer);

/* Gives them back and tells the broker so. Nothing is mapped any more. */
void ist_host_leave(struct ist_host *host);

#endif
