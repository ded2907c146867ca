/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h: a joined group, as the core sees it: private copies of what was checked once. */
#ifndef IST_CORE_GROUP_H
#define IST_CORE_GROUP_H

#include <isthmus/abi.h>
#include <isthmus/errno.h>
#include <isthmus/group.h>

struct ist_group_region {
	char name[IST_NAME_SIZE];
	uint64_t offset; /* page-aligned, offset + size <= group->size: checked */
	uint64_t size;
	uint32_t right; /* atomic; IST_RIGHT_*: as it is mapped here */
	uint32_t coherence;
};

struct ist_group {
	uint8_t *base; /* of the group's memory */
	uint64_t size;
	char name[IST_NAME_SIZE];
	uint32_t id;
	uint32_t incarnation;
	uint32_t vectors;
	uint32_t max_peers;
	uint32_t regions;
	struct ist_group_region region[IST_REGIONS_MAX];
	const struct ist_run_state *run; /* NULL: nobody says who runs */
	uint32_t client; /* tells the users of this peer apart; 0 where there is but one */
	uint32_t alone;  /* 1: another client of this peer is one that has ended */
	uint32_t whole;  /* 1: all is mapped here: what holds is the roster's rights alone */
	uint32_t live;   /* 1: the roster's rights are kept up to date (ABI 1.2) */
	uint32_t deaf;   /* 1: doorbells do not reach this instance */
	uint32_t gone;   /* atomic; 1: the platform has lost the group, its memory reads as zeros */
	void *platform;  /* the platform's own */
	const struct ist_flush *flush; /* of incoherent regions; NULL: by the machine's own means */
	const struct ist_backend *backend; /* the same, where a platform is several */
};

/* Whether the platform has lost the group: -ENODEV from now on. */
static inline int ist_group_gone(const struct ist_group *group)
{
	return __atomic_load_n(&group->gone, __ATOMIC_ACQUIRE) != 0;
}

/* The roster's word of a peer, acquired; 0 when there is no such ID. */
uint64_t ist_group_peer_word(const struct ist_group *group, uint32_t id);

/* IST_KIND_*, of a peer that is there. */
uint32_t ist_group_peer_kind(const struct ist_group *group, uint32_t id);

/* The roster's word that moves after every change of its tables. */
const uint64_t *ist_group_changes(const struct ist_group *group);

/* IST_RIGHT_*: this peer's right now on one of the group's regions. */
uint32_t ist_group_right(const struct ist_group *group, const struct ist_group_region *region);

/* Me, as the holder of something. */
uint64_t ist_group_owner(const struct ist_group *group);

/*
 * Where objects are: the region of this name, or, with NULL, the first one this peer may write that
 * is not incoherent. Returns 0; -ENOENT; -EACCES this peer may not write it, or none; -EOPNOTSUPP
 * it is incoherent: objects have words that several write.
 */
int ist_group_find_writable(const struct ist_group *group, const char *name,
			    const struct ist_group_region **out);

enum ist_fate {
	IST_FATE_HERE, /* the owner can still act */
	IST_FATE_LEFT, /* it left in good order */
	IST_FATE_DIED, /* it is dead, or its ID is somebody else's by now */
};

/* What has become of whom an owner word names, by the word itself and the roster. */
enum ist_fate ist_group_fate(const struct ist_group *group, uint64_t owner);

#endif
