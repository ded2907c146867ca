/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_internal.h: what the broker's files share.
 *
 * A group has a seat for each ID, and a link for each connection. An admitted link holds a seat
 * until its incarnation has ended, which may be long after its socket was closed: as long as its
 * process lives it may have the group mapped.
 */
#ifndef IVSHM_BROKER_INTERNAL_H
#define IVSHM_BROKER_INTERNAL_H

#include <sys/types.h>

#include "bell.h"
#include "broker.h"
#include "compare.h"
#include "control.h"
#include "door.h"
#include "memory.h"
#include "run_state.h"
#include "state.h"
#include "wire.h"

#define IVSHM_TICKS_A_SECOND 10
#define IVSHM_HELLO_SECONDS 5
#define IVSHM_PATIENCE_SECONDS 5                  /* a peer that does not read is named then */
#define IVSHM_STRANGERS_MAX (IST_PEERS_MAX + 32u) /* of a group: connections without a HELLO */

/* A descriptor in the broker's epoll set and who handles it. */
struct ivshm_watch {
	int fd;    /* -1: none */
	int epoll; /* the set that it is in, if it is in one: */
	bool added;
	void (*ready)(void *owner, uint32_t events);
	void *owner;
};

/* An ID of a group. */
struct ivshm_seat {
	uint32_t state; /* IST_PEER_* */
	uint32_t incarnation;
	uint64_t since_ns;       /* ivshm_clock_ns() of the last change of state */
	struct ivshm_link *link; /* who sits there; NULL when absent or dead */
	uint32_t kind;
	int fds[IVSHM_WIRE_FDS_MAX]; /* eventfds, while there is a link; -1: not handed back */
	uint64_t bell[IVSHM_WIRE_FDS_MAX]; /* ivshm_eventfd_id() of each */
	bool counted;                      /* how often they are rung */
};

/* A member of kind qemu: the socket at which it joins by QEMU's protocol. */
struct ivshm_legacy {
	struct ivshm_group *group;
	uint32_t id;
	struct ivshm_door door;
	struct ivshm_watch listener;
};

/* Of the channels that a peer has an end of. */
struct ivshm_messages {
	uint64_t sent;
	uint64_t received;
};

struct ivshm_group {
	struct ivshm_broker *broker;
	const struct ivshm_group_config *config;
	const struct ivshm_group_config *next; /* that a reload is about to go over to, or NULL */
	uint64_t readers[IST_REGIONS_MAX];     /* what the roster says */
	uint64_t writers[IST_REGIONS_MAX];
	struct ivshm_memory memory; /* without a map: nobody has handed it back */
	struct ivshm_state state;
	bool taken;   /* from a broker that was killed */
	int run_page; /* -1: the group has none; the run state's */
	struct ivshm_door door;
	struct ivshm_watch listener;
	unsigned bells; /* eventfds of a seat: one a vector, and where there is a page-coherent
			   region one for its pager */
	struct ivshm_legacy *legacy; /* members of kind qemu */
	unsigned legacy_count;
	bool paused; /* no accept() before the next tick: no descriptors were left */
	uid_t *users;
	unsigned users_count;
	struct ivshm_seat seat[IST_PEERS_MAX];
	struct ivshm_messages messages[IST_PEERS_MAX]; /* as ivshm_group_count() last found them */
	struct ivshm_link *links;
	unsigned strangers;
};

struct ivshm_broker {
	const struct ivshm_config *config;
	struct ivshm_config *loaded;     /* the same, when a reload has loaded it */
	const struct ivshm_config *next; /* the groups' `next` are parts of it, or NULL */
	struct ivshm_reload *reload;     /* that is under way, or NULL */
	int epoll;
	struct ivshm_watch timer; /* ticks while something waits for time to pass */
	bool ticking;
	struct ivshm_bell bell;
	struct ivshm_run_state *run;     /* NULL: no group has a page */
	struct ivshm_bell_count *bells;  /* NULL: nobody's are counted */
	struct ivshm_controls *controls; /* NULL: nobody can ask */
	uint64_t warned_second;          /* when the last warnings were written, and how many */
	unsigned warnings;
	char *made_dir;              /* the directory, when this broker made it */
	struct ivshm_config *attach; /* `config`, if it takes over what a killed broker has left */
	bool keep; /* does not serve: what it has taken over is left for the next one */
	unsigned groups_count;
	struct ivshm_group group[]; /* by configuration */
};

/* What a link was last told about an ID. */
struct ivshm_told {
	uint32_t incarnation; /* 0: nothing that is not gone */
	uint32_t gone;        /* 1: that incarnation has ended; told next */
	uint32_t state;       /* how it ended */
	uint32_t vectors;     /* to a QEMU peer: how many of its doorbells */
	uint32_t first;       /* to a QEMU peer: the first of all; 0: nothing yet */
	uint32_t unnumbered;  /* 1: there was no number left for it */
};

/* What a link knows of its rights. */
struct ivshm_told_rights {
	unsigned regions;                 /* that it was told of */
	uint32_t told[IST_REGIONS_MAX];   /* IST_RIGHT_*, last */
	uint32_t has[IST_REGIONS_MAX];    /* that it has confirmed */
	uint32_t number[IST_REGIONS_MAX]; /* of the RIGHT that it has not answered yet, or 0 */
	uint32_t numbers;                 /* of RIGHTs so far */
	uint32_t refused;                 /* errno: it could not have what it was given */
	bool asked;                       /* a reload takes something, and nobody enforces it */
	bool late;                        /* a region is new that it is not shown */
};

/* How far a link has been told what it must know. */
enum ivshm_stage {
	IVSHM_STAGE_HELLO, /* has not said who it is */
	IVSHM_STAGE_BACK,  /* was there before this broker: hands back what it holds */
	IVSHM_STAGE_WELCOME,
	IVSHM_STAGE_RUN_STATE,
	IVSHM_STAGE_REGIONS,
	IVSHM_STAGE_SELF,
	IVSHM_STAGE_PEERS,
	IVSHM_STAGE_READY,
	IVSHM_STAGE_UPDATES,
	IVSHM_STAGE_DEAF, /* nothing more is told */
};

struct ivshm_link {
	struct ivshm_group *group;
	struct ivshm_link *next;
	struct ivshm_watch socket;
	struct ivshm_watch process; /* its pidfd */
	pid_t pid;
	uint64_t start; /* of the process; valid when admitted */
	uid_t uid;
	bool away;        /* was there before this broker, and is not back */
	bool returned;    /* was, and is */
	uint64_t back_ns; /* when; ivshm_clock_ns() */
	bool holds;       /* its HELLO waits for the group's memory: */
	struct ist_wire held;
	bool legacy;    /* speaks QEMU's protocol */
	unsigned ticks; /* while it has not said HELLO, or does not read */
	enum ivshm_stage stage;
	uint32_t at;           /* next region or ID to be told of, within a stage */
	bool blocked;          /* its socket is full: waits for EPOLLOUT */
	bool deferred;         /* a send failed for want of memory: again at the next tick */
	bool ready;            /* said READY */
	bool bye;              /* said BYE */
	uint32_t id;           /* valid from IVSHM_STAGE_WELCOME on */
	uint32_t minor;        /* of its ABI */
	bool run_state;        /* is told of the run-state page */
	uint32_t threads;      /* that its THREADs say there are; 0: it has sent none */
	uint32_t told_threads; /* THREADs so far */
	uint32_t watched;      /* of them ... */
	struct ivshm_run_thread thread[IST_RUN_THREADS_MAX]; /* ... and who they are */
	struct ivshm_told_rights rights;
	struct ivshm_told told[IST_PEERS_MAX];
};

/* broker.c */
int ivshm_watch_add(struct ivshm_broker *broker, struct ivshm_watch *watch, uint32_t events);
void ivshm_watch_change(struct ivshm_broker *broker, struct ivshm_watch *watch, uint32_t events);
void ivshm_watch_close(struct ivshm_watch *watch);
void ivshm_broker_tick_later(struct ivshm_broker *broker);
/* A warning that a peer can cause: few of them are written each second. */
void ivshm_broker_warn(struct ivshm_broker *broker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* broker_group.c */
int ivshm_group_create(struct ivshm_group *group, struct ivshm_broker *broker,
		       const struct ivshm_group_config *config, const char *dir, char *error,
		       size_t error_size);
void ivshm_group_destroy(struct ivshm_group *group);
/* Takes one connection; of a QEMU peer's socket when `legacy` is not NULL. */
void ivshm_group_accept(struct ivshm_group *group, const struct ivshm_watch *listener,
			struct ivshm_legacy *legacy);
void ivshm_group_tick(struct ivshm_group *group);
/* The users that the configuration names, to be freed. 0; or -errno with a line in `error`. */
int ivshm_group_find_users(const struct ivshm_group_config *config, uid_t **out, char *error,
			   size_t error_size);
/* There is no memory, and nobody is left who could hand it back: makes another. 0 or -errno. */
int ivshm_group_renew(struct ivshm_group *group);
/* The memory is mapped: its roster says what is, and who waited for it goes on. */
void ivshm_group_whole(struct ivshm_group *group);

/* broker_state.c: what outlives this broker. docs/protocol.md, "The broker's restart". */
/* Takes what a predecessor has left, or refuses it. `group` has its layout and its lock. */
int ivshm_group_take_state(struct ivshm_group *group, const char *dir, char *error,
			   size_t error_size);
/* The memory is new: so is what the file says of it. */
int ivshm_group_make_state(struct ivshm_group *group, const char *dir, char *error,
			   size_t error_size);
/* Before the roster: the configuration in force is another one. */
void ivshm_group_store_facts(struct ivshm_group *group);
void ivshm_group_end_state(struct ivshm_group *group);
/* Before the roster: what the seat is now. */
void ivshm_seat_store(struct ivshm_group *group, uint32_t id);

/* broker_return.c: who was there before this broker. */
/* Seats as the state file has them, and who ended meanwhile. */
int ivshm_group_take_over(struct ivshm_group *group, char *error, size_t error_size);
/* Messages of who comes back. Each takes its descriptors out of the packet that it keeps. Returns
 * 0; or -errno after refusing it. */
int ivshm_link_reattach(struct ivshm_link *link, struct ivshm_packet *packet);
int ivshm_link_bells(struct ivshm_link *link, struct ivshm_packet *packet);
int ivshm_link_back(struct ivshm_link *link);
/* Whether so many of its doorbells are there. */
bool ivshm_seat_rings(const struct ivshm_seat *seat, unsigned bells);

/* broker_seat.c: the life of an incarnation. */
int ivshm_seat_admit(struct ivshm_link *link, uint32_t id, uint32_t kind);
void ivshm_seat_live(struct ivshm_link *link);
void ivshm_seat_leaving(struct ivshm_link *link);
void ivshm_seat_end(struct ivshm_link *link, uint32_t state);
/* Vector 0 of all that are live: the roster has changed. */
void ivshm_group_ring_all(struct ivshm_group *group);
void ivshm_group_tell_all(struct ivshm_group *group);

/* broker_run.c: whose threads are watched. A broker or group without run state: nothing happens. */
void ivshm_broker_run_create(struct ivshm_broker *broker);
void ivshm_group_run_create(struct ivshm_group *group);
/* One IST_WIRE_THREAD. Returns 0, or -errno after refusing it. */
int ivshm_link_thread(struct ivshm_link *link, const struct ist_wire *wire);
void ivshm_link_watch(struct ivshm_link *link);  /* it is live */
void ivshm_link_forget(struct ivshm_link *link); /* not any more */

/* broker_recall.c: a peer that does not give up a page. Returns 0, or -EPROTO: not a word of it. */
int ivshm_recall(struct ivshm_link *link, const struct ist_wire *wire);

/* broker_rights.c: who may do what, while that changes. docs/protocol.md, "Live change". */
void ivshm_group_rights_create(struct ivshm_group *group);
/* The memory is back: its roster says what is in force, whatever was going on. */
void ivshm_group_rights_restore(struct ivshm_group *group);
/* A peer that is back says how many regions it knows. What it may do there it is told anew. */
void ivshm_link_rights_back(struct ivshm_link *link, unsigned regions);
/* The roster says what holds now. True: it has said something else before. */
bool ivshm_group_rights_write(struct ivshm_group *group);
void ivshm_link_told_region(struct ivshm_link *link, const struct ist_wire *wire);
/* Sends the next REGION or RIGHT. 0; 1: there is none; or -errno: not sent. */
int ivshm_link_tell_rights(struct ivshm_link *link);
/* One IST_WIRE_RIGHT_DONE. 0, or -EPROTO after refusing it. */
int ivshm_link_right_done(struct ivshm_link *link, const struct ist_wire *wire);
/* A VM that has not confirmed yet what it was or is to be told; of one that has hung up, ever. */
bool ivshm_link_rights_pending(const struct ivshm_link *link);
bool ivshm_link_is_vm(const struct ivshm_link *link);

/* broker_reload.c: going over to another configuration. NULL: nothing happens. */
int ivshm_reload_begin(struct ivshm_broker *broker, const char *path, uint32_t flags);
void ivshm_reload_step(struct ivshm_broker *broker); /* after whatever has happened */
void ivshm_reload_tick(struct ivshm_broker *broker);
void ivshm_reload_destroy(struct ivshm_broker *broker);

/* broker_control.c: who asks, and stops and starts instances. NULL: nothing happens. */
struct ivshm_process ivshm_controls_process(const struct ivshm_controls *controls,
					    unsigned instance);
void ivshm_controls_about(const struct ivshm_controls *controls, struct ivshm_control *out);
void ivshm_controls_tick(struct ivshm_controls *controls);
const struct ivshm_control_ops *ivshm_controls_ops(const struct ivshm_controls *controls,
						   void **context);
/* A reload is over: `lines` (taken over) are for who asked, then DONE, or ERROR with `code`. */
void ivshm_controls_reloaded(struct ivshm_controls *controls, char *lines, int code);
/* Instances have other numbers: `place` has the new one of each old one. And another file. */
void ivshm_controls_renumber(struct ivshm_controls *controls, const unsigned *place, char *path);
void ivshm_controls_close(struct ivshm_controls *controls); /* nobody can ask any more */
void ivshm_controls_destroy(struct ivshm_controls *controls);

/* broker_status.c: one row of an answer after the other. */
struct ivshm_status_at { /* the next */
	enum ivshm_status_stage {
		IVSHM_STATUS_UP,
		IVSHM_STATUS_INSTANCES,
		IVSHM_STATUS_GROUPS,
		IVSHM_STATUS_REGIONS,
		IVSHM_STATUS_PEERS,
		IVSHM_STATUS_END,
	} stage;
	uint32_t group;
	uint32_t index; /* of instance, region or ID */
};
/* Makes the row at `at`: the last is a DONE. */
void ivshm_status_row(struct ivshm_broker *broker, struct ivshm_status_at *at,
		      struct ivshm_control *out);
void ivshm_status_next(struct ivshm_status_at *at);

/* broker_stalled.c: whether this process, which the pidfd holds, is stopped. Reads /proc. */
bool ivshm_process_stalled(pid_t pid, int pidfd);

/* broker_link.c: a connection and its two ends. */
int ivshm_link_create(struct ivshm_group *group, int socket, const struct ivshm_legacy *legacy);
void ivshm_link_destroy(struct ivshm_link *link);
void ivshm_link_free(struct ivshm_link *link); /* takes it out of its group's list */
struct ivshm_link *ivshm_link_await(struct ivshm_group *group, uint32_t id, pid_t pid, int pidfd);
void ivshm_group_hear_held(struct ivshm_group *group);
void ivshm_link_tick(struct ivshm_link *link);

/* broker_hear.c: what it says. */
const char *ivshm_link_name(const struct ivshm_link *link); /* of the instance; it is admitted */
uint32_t ivshm_group_find(const struct ivshm_group *group, const char *name); /* or members_count */
const char *ivshm_group_member(const struct ivshm_group *group, uint32_t id); /* "": nobody's ID */
/* Takes one packet. 0; -EAGAIN: there is none; others: the connection is over. */
int ivshm_link_receive(struct ivshm_link *link);
/* One HELLO. 0; or -errno after refusing it. */
int ivshm_link_hello(struct ivshm_link *link, const struct ist_wire *wire);
void ivshm_link_welcome(struct ivshm_link *link); /* it has a seat */
/* Says why, in a warning and, unless it is QEMU, an ERROR message. The caller closes. */
void ivshm_link_refuse(struct ivshm_link *link, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* broker_legacy.c: peers that speak QEMU's protocol. */
int ivshm_group_open_legacy(struct ivshm_group *group, const char *dir, char *error,
			    size_t error_size);
void ivshm_group_close_legacy(struct ivshm_group *group);
/* Takes the ID. 0; or -errno after refusing it. */
int ivshm_legacy_join(struct ivshm_link *link, uint32_t id);
/* There is something to read: -EAGAIN not yet, else the connection is over. */
int ivshm_legacy_hear(struct ivshm_link *link);
/* Sends the next message of this stage. 1: there is none; or -errno: not sent. */
int ivshm_legacy_tell_next(struct ivshm_link *link);

/* broker_tell.c: what a connection is told. Goes on until all is told or its socket is full. */
void ivshm_link_tell(struct ivshm_link *link);
/* Whether who is admitted there has a pager: a VM, or a process with a right on such a region. */
bool ivshm_link_pages(const struct ivshm_link *link);

/* broker_bells.c: how often doorbells are rung. Where that is not counted: nothing happens. */
/* Its doorbells are there: counts them from now on, if they are not counted yet. */
void ivshm_seat_count_bells(struct ivshm_group *group, uint32_t id);
void ivshm_seat_forget_bells(struct ivshm_group *group, uint32_t id); /* before they are closed */
/* All vectors together, since they are counted. False: they are not. */
bool ivshm_seat_rung(const struct ivshm_group *group, uint32_t id, uint64_t *rings);

/* ---- broker_counts.c ---- */

/* What the group's peers have exchanged by now. Bounded, whatever they wrote. */
void ivshm_group_count(struct ivshm_group *group);

#endif
