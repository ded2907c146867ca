/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h: what a broker knows of a group, in a file that outlives it: DIR/GROUP.state.
 * docs/protocol.md, "The broker's restart".
 *
 * Only who holds the group's lock opens the file. It can be killed at any instruction: each record
 * has two places, and a word that says which one counts is stored last.
 */
#ifndef IVSHM_STATE_H
#define IVSHM_STATE_H

#include "facts.h"
#include "wire.h"

#define IVSHM_STATE_MAGIC 0x31455441545349ull /* "ISTATE1" */
#define IVSHM_STATE_VERSION 1u
#define IVSHM_STATE_BOOT 40u /* bytes of a boot's ID, with its NUL */

/* The group. */
struct ivshm_state_group {
	uint64_t memory_device; /* of the memfd */
	uint64_t memory_inode;
	struct ivshm_facts facts;
};

#define IVSHM_STATE_BYE 1u /* it has said so */

/* An ID. */
struct ivshm_state_peer {
	uint32_t state; /* IST_PEER_* */
	uint32_t incarnation;
	uint32_t kind; /* IST_KIND_* */
	uint32_t flags;
	int32_t pid; /* of the process behind it, while there is one */
	uint32_t reserved;
	uint64_t start; /* of that process, as ivshm_process_start() */
	uint64_t since_ns;
	uint64_t bell[IVSHM_WIRE_FDS_MAX]; /* ivshm_eventfd_id() of each; 0: none */
};

#define IVSHM_STATE_STARTED 1u /* by `up` */
#define IVSHM_STATE_ENDED 2u   /* and has ended since */
#define IVSHM_STATE_UNKNOWN 4u /* nobody knows how */
#define IVSHM_STATE_TOLD 8u    /* it had been told to end */

/* The process that `up` has started for the member with this ID. */
struct ivshm_state_process {
	int32_t pid;
	uint32_t flags;
	uint64_t start;
	uint64_t since_ns; /* of its start, or of its end */
	int32_t status;    /* of its end, as waitpid(2) has it */
	uint32_t reserved;
};

/* The file. */
struct ivshm_state_file {
	uint64_t magic; /* stored last when the file is made */
	uint32_t version;
	uint32_t size;
	char boot[IVSHM_STATE_BOOT];
	uint64_t changes; /* not less than what the roster's word of that name says */
	uint64_t group_at;
	struct ivshm_state_group group[2];
	struct {
		uint64_t at; /* which of the two counts */
		struct ivshm_state_peer slot[2];
	} peer[IST_PEERS_MAX];
	struct {
		uint64_t at;
		struct ivshm_state_process slot[2];
	} process[IST_PEERS_MAX];
};

struct ivshm_state {
	struct ivshm_state_file *file; /* mapped; NULL: there is none */
	char *path;
};

/*
 * Makes the file of a group that nobody has joined yet, in the place of what is there. 0; or -errno
 * with one line in `error`.
 */
int ivshm_state_create(struct ivshm_state *state, const char *path,
		       const struct ivshm_state_group *group, char *error, size_t error_size);

/*
 * Opens what a predecessor has left. 0; -ENOENT there is none; -ESTALE it counts as none, and one
 * line in `error` says why; or -errno, with a line.
 */
int ivshm_state_open(struct ivshm_state *state, const char *path, char *error, size_t error_size);

/* Leaves the file to a successor. */
void ivshm_state_close(struct ivshm_state *state);

/* Nobody needs it any more. */
void ivshm_state_remove(struct ivshm_state *state);

/* What counts. */
const struct ivshm_state_group *ivshm_state_group(const struct ivshm_state *state);
const struct ivshm_state_peer *ivshm_state_peer(const struct ivshm_state *state, uint32_t id);
const struct ivshm_state_process *ivshm_state_process(const struct ivshm_state *state, uint32_t id);

/* From now on this counts: all of it, or nothing, whenever the writer is killed. */
void ivshm_state_set_group(struct ivshm_state *state, const struct ivshm_state_group *group);
void ivshm_state_set_peer(struct ivshm_state *state, uint32_t id,
			  const struct ivshm_state_peer *peer);
void ivshm_state_set_process(struct ivshm_state *state, uint32_t id,
			     const struct ivshm_state_process *process);

/* What the file holds makes sense: used by ivshm_state_open(), on a file that may hold anything. */
bool ivshm_state_is_sound(const struct ivshm_state_file *file);

#endif
