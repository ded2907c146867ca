/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_internal.h: what the parts of the configuration loader share.
 *
 * A file is read twice. libyaml's events are checked for what is never allowed and become a tree
 * with positions (config_document.c); the tree is walked beside libcyaml's schema, which reports
 * every structural error (config_walk.c). Then libcyaml fills the structs below (config_schema.c)
 * and their meaning is checked (config_instance.c, config_group.c), with the tree at hand to say
 * where.
 */
#ifndef IVSHM_CONFIG_INTERNAL_H
#define IVSHM_CONFIG_INTERNAL_H

#include <cyaml/cyaml.h>

#include "config.h"
#include "size.h"

#define CONFIG_FILE_MAX (1u << 20)
#define CONFIG_ERRORS_MAX 100u /* reported of one file */
#define CONFIG_INSTANCES_MAX 1024u

/* What libcyaml fills. A pointer to a number is NULL where the key is absent. */
struct config_raw_region {
	struct ivshm_region_config config;
	char *size;
	char *tenure;
	char *recall;
	uint32_t *access;
};

struct config_raw_limit {
	char *instance;
	uint32_t *objects;
	char *memory;
};

struct config_raw_group {
	struct ivshm_group_config config;
	char *size;
	char *output_size;
	uint32_t *vectors;
	uint32_t *max_peers;
	uint32_t *doorbells;
	bool *run_state;
	struct config_raw_region *regions;
	unsigned regions_count;
	struct config_raw_limit *limits;
	unsigned limits_count;
};

struct config_raw_instance {
	struct ivshm_instance_config config;
	char *memory;
	uint32_t *vcpus;
	bool *autostart;
};

struct config_raw {
	struct config_raw_group *groups;
	unsigned groups_count;
	struct config_raw_instance *instances;
	unsigned instances_count;
};

enum config_node_type { CONFIG_SCALAR, CONFIG_SEQUENCE, CONFIG_MAPPING };

/* A node of the file. The children of a mapping are key, value, key, value... */
struct config_node {
	enum config_node_type type;
	size_t line, column;              /* from 1 */
	char *text;                       /* of a scalar */
	bool plain;                       /* a scalar without quotes */
	struct config_node *first, *last; /* child */
	struct config_node *next;         /* sibling */
};

/* A message and its place in the file. */
struct config_note {
	size_t line, column;
	char *text;
};

struct config_notes {
	struct config_note *note;
	size_t count;
};

/* What the loader hands out: callers see `config`, whose strings and lists are parts of `raw`. */
struct config_object {
	struct ivshm_config config; /* first: freed through a pointer to it */
	struct config_raw *raw;
};

/* A file on its way from text to struct config_object. */
struct config_load {
	const char *path;
	const char *text;
	size_t length;
	struct config_node *root; /* NULL: this is no document */
	bool unloadable;          /* libcyaml must not see it */
	bool no_memory;           /* for a message: the lists below are not complete */
	struct config_notes errors;
	struct config_object *object;
};

extern const char *const config_kind_names[4];   /* by IST_KIND_* */
extern const char *const config_access_names[3]; /* by IST_RIGHT_* */
extern const struct cyaml_schema_value config_schema;

/* config_notes.c */
void config_notes_print(const struct config_notes *notes, const char *path, FILE *out);
void config_notes_fini(struct config_notes *notes);
__attribute__((format(printf, 4, 5))) void config_error_at(struct config_load *load, size_t line,
							   size_t column, const char *format, ...);
__attribute__((format(printf, 3, 4))) void
config_error(struct config_load *load, const struct config_node *node, const char *format, ...);

/* config_document.c: load->root from load->text; whatever is wrong is in load->errors. */
void config_document_read(struct config_load *load);
void config_node_free(struct config_node *node);

/* Of a mapping: a key or its value, or the mapping itself where the key is absent. */
const struct config_node *config_key(const struct config_node *mapping, const char *key);
const struct config_node *config_value(const struct config_node *mapping, const char *key);
/* Of a sequence, which has it. */
const struct config_node *config_item(const struct config_node *sequence, unsigned index);

/* config_walk.c: reports all that does not fit the schema. */
void config_walk(struct config_load *load);

/* config_schema.c */
int config_raw_load(struct config_load *load, struct config_raw **out);
void config_raw_free(struct config_raw *raw);

/* config_check.c: checks groups and instances have in common, whose mapping is `node`. */
void config_check_name(struct config_load *load, const struct config_node *node, const char *what,
		       const char *name);
/* Returns false when it reported something. */
bool config_check_size(struct config_load *load, const struct config_node *node, const char *key,
		       const char *text, uint64_t *out);
void config_check_numa(struct config_load *load, const struct config_node *node,
		       const struct ivshm_numa *numa);
void config_check_cpus(struct config_load *load, const struct config_node *node,
		       const struct ivshm_instance_config *instance);

/* config_legacy.c: whether the group takes its members of kind qemu. */
void config_check_legacy(struct config_load *load, const struct ivshm_group_config *group);

/* config_limit.c: fills in group->limits from `raw`. 0 or -ENOMEM. */
int config_limits(struct config_load *load, const struct config_node *node,
		  const struct config_raw_group *raw, struct ivshm_group_config *group);

/* Whether `name` is an instance and a member; else reported at `value`, as `what` for it. */
bool config_check_member(struct config_load *load, const struct config_node *value,
			 const struct ivshm_group_config *group, const char *what,
			 const char *name);

/* Fill in, and check, load->object->config.instances and .groups, from .raw. 0 or -ENOMEM. */
int config_instances(struct config_load *load);
int config_groups(struct config_load *load);

#endif
