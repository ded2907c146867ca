/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_reload.h: a reload that is under way. */
#ifndef IVSHM_BROKER_RELOAD_H
#define IVSHM_BROKER_RELOAD_H

#include "broker_internal.h"

/* How a line is said: of what changes; of what is wrong; a line of the file's, as it is. */
#define IVSHM_SAY_CHANGE 'C'
#define IVSHM_SAY_ERROR 'E'
#define IVSHM_SAY_PLAIN 'P'

enum ivshm_reload_stage {
	IVSHM_RELOAD_MORE,   /* VMs are given more */
	IVSHM_RELOAD_STOP,   /* instances that are gone end */
	IVSHM_RELOAD_COMMIT, /* and then there is no way back */
	IVSHM_RELOAD_LESS,   /* VMs are left less */
	IVSHM_RELOAD_START,  /* instances that are new are started */
};

struct ivshm_reload {
	struct ivshm_broker *broker;
	enum ivshm_reload_stage stage;
	uint32_t flags;            /* IVSHM_CONTROL_DRY, _FORCE */
	char *path;                /* absolute */
	struct ivshm_config *next; /* NULL once it is in force */
	struct ivshm_changes changes;
	uid_t **users;    /* of each of the broker's groups */
	unsigned *place;  /* in `next` of each instance; ~0u: it is gone */
	bool *added;      /* of each instance of `next`: it is new */
	unsigned ticks;   /* in this stage */
	bool told_to_end; /* instances that are gone */
	bool forced;      /* who does not answer has been named, or killed */
	bool said_error;
	FILE *lines; /* what there is to say, a line each behind its IVSHM_SAY_* */
	char *text;  /* of it */
	size_t size;
};

__attribute__((format(printf, 3, 4))) void ivshm_reload_say(struct ivshm_reload *reload, char how,
							    const char *format, ...);

/* Sockets that more users may connect to, or fewer. 0 or -errno. */
int ivshm_reload_set_modes(const struct ivshm_group *group, mode_t mode);

/* broker_reload_look.c */

/* Reads the file, compares, looks who runs: says what changes, or what cannot. 0 or -errno. */
int ivshm_reload_look(struct ivshm_reload *reload);
/* Makes all that takes memory or descriptors. 0; or -errno, said: then abandon it. */
int ivshm_reload_prepare(struct ivshm_reload *reload);
/* Who has joined a group as this instance; NULL: nobody. `group` NULL: any. */
const struct ivshm_link *ivshm_reload_joined(const struct ivshm_broker *broker,
					     const char *instance, const char *group);

#endif
