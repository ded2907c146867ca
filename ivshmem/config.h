/* SPDX-License-Identifier: BSD-2-Clause */
/* config.h: the configuration file: groups, regions, rights, instances. */
#ifndef IVSHM_CONFIG_H
#define IVSHM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "abi.h"
#include "numa.h"

/* One instance's right on one region, where it differs from the region's `access`. */
struct ivshm_region_right {
	char *instance;
	uint32_t access; /* IST_RIGHT_* */
};

struct ivshm_region_config {
	char *name;
	uint64_t size;      /* bytes */
	uint32_t access;    /* IST_RIGHT_*, every member's unless `rights` says otherwise */
	uint32_t coherence; /* IST_COHERENCE_* */
	uint64_t tenure_ns; /* IST_COHERENCE_PAGE: as in struct ist_page_directory */
	uint64_t recall_ns;
	struct ivshm_region_right *rights;
	unsigned rights_count;
};

struct ivshm_group_config {
	char *name;
	uint64_t size; /* bytes of the whole, a power of two; 0: what the layout needs */
	uint64_t page_size;
	uint64_t output_size; /* bytes of each peer's output section; 0: none */
	struct ivshm_numa numa;
	uint32_t vectors;
	uint32_t max_peers;
	bool max_peers_given; /* or as many as there are members */
	struct ivshm_region_config *regions;
	unsigned regions_count;
	char **users; /* who may join beside root and the broker's own user */
	unsigned users_count;
	bool legacy_trusted; /* to keep to rights that nobody enforces: QEMU */
	bool run_state;      /* the group has a run-state page, where that is possible */
	/*
	 * Filled in by the loader: member i of the group is instances[member[i]]; i is its ID.
	 * After a reload (compare.h) IDs may be nobody's: IVSHM_NO_MEMBER.
	 */
	unsigned member[IST_PEERS_MAX];
	unsigned members_count;
};

struct ivshm_instance_config {
	char *name;
	uint32_t kind;  /* IST_KIND_* */
	char *image;    /* app: ELF image; linux: kernel */
	char **command; /* process, qemu: argv; app: argv of its host build, for --no-kvm */
	unsigned command_count;
	char **args; /* app: argv[1..] */
	unsigned args_count;
	char *initrd;       /* linux */
	char *cmdline;      /* linux */
	uint64_t memory;    /* bytes of guest RAM */
	uint64_t page_size; /* of guest RAM on the host */
	uint32_t vcpus;
	unsigned *cpus; /* host CPU of each vCPU (processes: allowed CPUs); empty: not pinned */
	unsigned cpus_count;
	struct ivshm_numa numa;
	char **groups;
	unsigned groups_count;
	uint32_t personality; /* device shown to Linux guests: 1 or 2 */
	bool autostart;       /* `isthmus up` starts it */
};

struct ivshm_config {
	char *path; /* of the file, for messages */
	struct ivshm_group_config *groups;
	unsigned groups_count;
	struct ivshm_instance_config *instances;
	unsigned instances_count;
};

/*
 * Loads and validates a file. Every error found goes to `errors` as one line
 * "FILE:LINE:COLUMN: error: TEXT". Relative image paths are relative to the file's directory and
 * come out resolved. Returns 0 and the configuration, to be freed by ivshm_config_free(); -EINVAL
 * when anything was reported; -ENOENT/-EACCES/... when the file cannot be read (reported too);
 * -ENOMEM.
 */
int ivshm_config_load(const char *path, FILE *errors, struct ivshm_config **out);

/* The same from memory; `path` only names it in messages and resolves relative paths. */
int ivshm_config_load_text(const char *text, size_t length, const char *path, FILE *errors,
			   struct ivshm_config **out);

void ivshm_config_free(struct ivshm_config *config);

/* Instance and group by name, or NULL. */
const struct ivshm_instance_config *ivshm_config_instance(const struct ivshm_config *config,
							  const char *name);
const struct ivshm_group_config *ivshm_config_group(const struct ivshm_config *config,
						    const char *name);

#define IVSHM_NO_MEMBER (~0u)

/* The group's member `id`, or NULL. */
const struct ivshm_instance_config *ivshm_config_member(const struct ivshm_config *config,
							const struct ivshm_group_config *group,
							unsigned id);

/* The right of the group's member `id` on region `index`: IST_RIGHT_*. */
uint32_t ivshm_config_right(const struct ivshm_config *config,
			    const struct ivshm_group_config *group, unsigned index, unsigned id);

/* Whether that right is asked for and not enforced: QEMU maps all for writing. */
bool ivshm_config_asked(const struct ivshm_config *config, const struct ivshm_group_config *group,
			unsigned index, unsigned id);

/* The first page-coherent region on which the group's member `id` has a right, or NULL. */
const struct ivshm_region_config *ivshm_config_paged(const struct ivshm_config *config,
						     const struct ivshm_group_config *group,
						     unsigned id);

/* What `isthmus check` shows: the layout with offsets and sizes, and who may do what. */
int ivshm_config_print(const struct ivshm_config *config, FILE *out);

#endif
