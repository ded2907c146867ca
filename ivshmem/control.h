/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h: the control socket of a running `isthmus up`: its messages, and asking there.
 * docs/protocol.md, "The control socket".
 */
#ifndef IVSHM_CONTROL_H
#define IVSHM_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "abi.h"

#define IVSHM_CONTROL_VERSION 3u
#define IVSHM_CONTROL_NUMBERS 256u /* of `up`s in one directory */

enum ivshm_control_type {
	/* to the broker */
	IVSHM_CONTROL_STATUS = 1,
	IVSHM_CONTROL_START, /* name */
	IVSHM_CONTROL_STOP,  /* name */
	IVSHM_CONTROL_DOWN,
	/* from it */
	IVSHM_CONTROL_UP,       /* pid, age_ns, text: the configuration's absolute path */
	IVSHM_CONTROL_INSTANCE, /* index, name, kind, process, pid, age_ns, code, flags */
	IVSHM_CONTROL_GROUP,    /* index, name, size, page_size, count, vectors, flags */
	IVSHM_CONTROL_REGION,   /* index, name, offset, size, coherence */
	IVSHM_CONTROL_PEER,     /* index: the ID, name, kind, state, incarnation, pid, age_ns,
				   rights, flags, sent, received, doorbells, back_ns */
	IVSHM_CONTROL_DONE,
	IVSHM_CONTROL_ERROR, /* code, text */
	/* to the broker */
	IVSHM_CONTROL_RELOAD = 32, /* flags, text: the file's absolute path */
	/* from it */
	IVSHM_CONTROL_LINE, /* flags, text */
};

/* Of an INSTANCE: what there is of its process. */
enum ivshm_control_process {
	IVSHM_CONTROL_NEVER, /* has not been started by this `up` */
	IVSHM_CONTROL_RUNS,
	IVSHM_CONTROL_ENDED, /* code: as waitpid(2) has it */
};

#define IVSHM_CONTROL_STALLED 1u   /* its process is stopped */
#define IVSHM_CONTROL_JOINED 2u    /* PEER: there is a process behind it, and */
#define IVSHM_CONTROL_ENFORCED 4u  /* its rights hold whatever it does */
#define IVSHM_CONTROL_RUN_STATE 8u /* GROUP: has a run-state page */
#define IVSHM_CONTROL_AUTOSTART 16u
#define IVSHM_CONTROL_DRY 32u          /* RELOAD: say what would be done */
#define IVSHM_CONTROL_FORCE 64u        /* RELOAD: end who does not answer */
#define IVSHM_CONTROL_WRONG 128u       /* LINE: of what is wrong, and */
#define IVSHM_CONTROL_PLAIN 256u       /* as it is, with its own place in front */
#define IVSHM_CONTROL_UNKNOWN 512u     /* INSTANCE: it has ended, and nobody knows how */
#define IVSHM_CONTROL_TAKEN 1024u      /* GROUP: taken over from a broker that was killed */
#define IVSHM_CONTROL_WAITING 2048u    /* GROUP: nobody has handed its memory back yet */
#define IVSHM_CONTROL_AWAY 4096u       /* PEER: has not come back to this broker */
#define IVSHM_CONTROL_BACK 8192u       /* PEER: has, back_ns ago */
#define IVSHM_CONTROL_DEAF 16384u      /* PEER: QEMU's, which hears of no others any more */
#define IVSHM_CONTROL_UNREACHED 32768u /* PEER: nobody has handed back all its doorbells */
#define IVSHM_CONTROL_COUNTED 65536u   /* PEER: `doorbells` is known */

/* What a packet says; fields that its type does not name are 0. */
struct ivshm_control_row {
	uint32_t type;
	uint32_t version; /* IVSHM_CONTROL_VERSION */
	uint32_t index;
	uint32_t flags;
	uint32_t kind;    /* IST_KIND_* */
	uint32_t process; /* enum ivshm_control_process */
	uint32_t state;   /* IST_PEER_* */
	uint32_t incarnation;
	int32_t pid;        /* 0: none */
	int32_t code;       /* errno, or how a process ended */
	uint32_t count;     /* max_peers */
	uint32_t vectors;   /* a peer */
	uint32_t coherence; /* IST_COHERENCE_* */
	uint32_t reserved;
	uint64_t age_ns; /* of the state it is in */
	uint64_t offset;
	uint64_t size;
	uint64_t page_size;
	uint64_t sent; /* messages, see protocol.md */
	uint64_t received;
	uint64_t doorbells; /* how often it was rung */
	uint64_t back_ns;   /* PEER: since it has come back */
	uint64_t rights;    /* IST_RIGHT_* of region i in bits 2i and 2i + 1 */
	char name[IST_NAME_SIZE];
};

#define IVSHM_CONTROL_RIGHT(rights, i) ((uint32_t)((rights) >> 2 * (i)) & 3u)

/* A packet is this with as much of `text` as is used. */
struct ivshm_control {
	struct ivshm_control_row row;
	char text[PATH_MAX];
};

/*
 * One packet. Sending does not block and fills in the version; receiving blocks unless `flags` says
 * MSG_DONTWAIT, checks the version and terminates both strings. 0; -EAGAIN; -EPIPE: the other side
 * is gone; -EPROTO: no packet of this version; or another -errno.
 */
int ivshm_control_send(int socket, struct ivshm_control *message);
int ivshm_control_receive(int socket, struct ivshm_control *message, int flags);

/* ---- Asking ---- */

/* What one `up` says of itself. */
struct ivshm_control_up {
	unsigned number; /* of its socket */
	int32_t pid;
	uint64_t age_ns;
	char *path;                    /* of its configuration */
	struct ivshm_control_row *row; /* all between UP and DONE */
	unsigned rows;
};

struct ivshm_control_ups {
	struct ivshm_control_up *up;
	unsigned count;
};

/*
 * Asks every `up` that serves in `dir` and lets this user in. One that was killed, or ends
 * meanwhile, is none, nor is one that does not answer in 5 s, with a warning. 0, and *out to be
 * freed by ivshm_control_forget(); or -errno with a line in `error`: -EACCES when there are others'
 * alone.
 */
int ivshm_control_list(const char *dir, struct ivshm_control_ups *out, char *error,
		       size_t error_size);
void ivshm_control_forget(struct ivshm_control_ups *ups);

/*
 * Asks the `up` with this number to START, STOP or DOWN, and waits until it is done. 0; or -errno
 * with a line in `error`.
 */
int ivshm_control_ask(const char *dir, unsigned number, uint32_t type, const char *name,
		      char *error, size_t error_size);

/*
 * Asks it to RELOAD, with IVSHM_CONTROL_DRY and _FORCE in `flags`, and waits until it has. What it
 * has to say goes to `out`, what is wrong to `errors`. 0; or -errno, told.
 */
int ivshm_control_reload(const char *dir, unsigned number, const char *path, uint32_t flags,
			 FILE *out, FILE *errors);

/* The row of that type and name; NULL: there is none. */
const struct ivshm_control_row *ivshm_control_find(const struct ivshm_control_up *up, uint32_t type,
						   const char *name);

/* Whether this instance is a member of this group. */
bool ivshm_control_member(const struct ivshm_control_up *up, const char *group,
			  const char *instance);

/* What a name is of an `up`. */
enum ivshm_control_match {
	IVSHM_CONTROL_MATCH_NONE,
	IVSHM_CONTROL_MATCH_GROUP,
	IVSHM_CONTROL_MATCH_FILE, /* its configuration, by any path */
};
enum ivshm_control_match ivshm_control_match(const struct ivshm_control_up *up, const char *name);

/*
 * The one `up` that has the instance, or, `instance` NULL, the one there is: of those that `of`
 * matches, if it is not NULL. NULL: there is none, or there are several, with one line in `errors`
 * that says which there are.
 */
const struct ivshm_control_up *ivshm_control_resolve(const struct ivshm_control_ups *ups,
						     const char *dir, const char *of,
						     const char *instance, FILE *errors);

/* ---- Showing. `group`: it alone, and its members; NULL: all ---- */

/* For people: tables. */
void ivshm_status_text(const struct ivshm_control_up *up, const char *group, FILE *out);

/* One object, as isthmus(1) has it; `dir` is where the sockets are. */
void ivshm_status_json(const struct ivshm_control_up *up, const char *group, const char *dir,
		       FILE *out);

#endif
