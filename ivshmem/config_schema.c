/* SPDX-License-Identifier: BSD-2-Clause */
/* config_schema.c: the file's schema, as libcyaml wants it. */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>

const char *const config_kind_names[4] = {
	[IST_KIND_APP] = "app",
	[IST_KIND_LINUX] = "linux",
	[IST_KIND_QEMU] = "qemu",
	[IST_KIND_PROCESS] = "process",
};

const char *const config_access_names[3] = {
	[IST_RIGHT_NONE] = "none",
	[IST_RIGHT_READ] = "ro",
	[IST_RIGHT_WRITE] = "rw",
};

static const struct cyaml_strval policies[] = {
	{"default", IVSHM_NUMA_DEFAULT},
	{"bind", IVSHM_NUMA_BIND},
	{"interleave", IVSHM_NUMA_INTERLEAVE},
	{"preferred", IVSHM_NUMA_PREFERRED},
};
static const struct cyaml_strval page_sizes[] = {
	{"4K", 4ll << 10},
	{"2M", 2ll << 20},
	{"1G", 1ll << 30},
};
static const struct cyaml_strval rights[] = {
	{"none", IST_RIGHT_NONE},
	{"ro", IST_RIGHT_READ},
	{"rw", IST_RIGHT_WRITE},
};
static const struct cyaml_strval coherences[] = {
	{"hardware", IST_COHERENCE_HARDWARE},
	{"page", IST_COHERENCE_PAGE},
	{"incoherent", IST_COHERENCE_INCOHERENT},
};
static const struct cyaml_strval kinds[] = {
	{"app", IST_KIND_APP},
	{"linux", IST_KIND_LINUX},
	{"qemu", IST_KIND_QEMU},
	{"process", IST_KIND_PROCESS},
};
static const struct cyaml_strval legacies[] = {{"refused", false}, {"trusted", true}};
static const struct cyaml_strval personalities[] = {{"v1", 1}, {"v2", 2}};

#define MUST CYAML_FLAG_DEFAULT
#define MAY CYAML_FLAG_OPTIONAL

/* The kinds of fields there are, by key, need, struct and member. */
#define TEXT(key, need, type, member)                                                              \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (need), type, member, 1, CYAML_UNLIMITED)
#define WORD(key, need, type, member, words)                                                       \
	CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | (need), type, member, words,                     \
			 CYAML_ARRAY_LEN(words))
#define NUMBER(key, type, member) CYAML_FIELD_UINT_PTR(key, CYAML_FLAG_POINTER | MAY, type, member)
#define LIST(key, need, type, member, entry, min, max)                                             \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | (need), type, member, entry, min, max)

static const struct cyaml_schema_value text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};
static const struct cyaml_schema_value name_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CYAML_UNLIMITED),
};
static const struct cyaml_schema_value number_entry = {
	CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, unsigned),
};

static const struct cyaml_schema_field numa_fields[] = {
	WORD("policy", MUST, struct ivshm_numa, policy, policies),
	LIST("nodes", MAY, struct ivshm_numa, nodes, &number_entry, 0, 1024),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field right_fields[] = {
	TEXT("instance", MUST, struct ivshm_region_right, instance),
	WORD("access", MUST, struct ivshm_region_right, access, rights),
	CYAML_FIELD_END,
};
static const struct cyaml_schema_value right_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ivshm_region_right, right_fields),
};

static const struct cyaml_schema_field region_fields[] = {
	TEXT("name", MUST, struct config_raw_region, config.name),
	TEXT("size", MUST, struct config_raw_region, size),
	CYAML_FIELD_ENUM_PTR("access", CYAML_FLAG_POINTER | CYAML_FLAG_STRICT | MAY,
			     struct config_raw_region, access, rights, CYAML_ARRAY_LEN(rights)),
	WORD("coherence", MAY, struct config_raw_region, config.coherence, coherences),
	TEXT("tenure", MAY, struct config_raw_region, tenure),
	TEXT("recall", MAY, struct config_raw_region, recall),
	LIST("rights", MAY, struct config_raw_region, config.rights, &right_entry, 0,
	     CONFIG_INSTANCES_MAX),
	CYAML_FIELD_END,
};
static const struct cyaml_schema_value region_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_region, region_fields),
};

static const struct cyaml_schema_field limit_fields[] = {
	TEXT("instance", MUST, struct config_raw_limit, instance),
	NUMBER("objects", struct config_raw_limit, objects),
	TEXT("memory", MAY, struct config_raw_limit, memory),
	CYAML_FIELD_END,
};
static const struct cyaml_schema_value limit_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_limit, limit_fields),
};

static const struct cyaml_schema_field group_fields[] = {
	TEXT("name", MUST, struct config_raw_group, config.name),
	TEXT("size", MAY, struct config_raw_group, size),
	WORD("page_size", MAY, struct config_raw_group, config.page_size, page_sizes),
	CYAML_FIELD_MAPPING("numa", MAY, struct config_raw_group, config.numa, numa_fields),
	NUMBER("vectors", struct config_raw_group, vectors),
	NUMBER("max_peers", struct config_raw_group, max_peers),
	NUMBER("doorbells", struct config_raw_group, doorbells),
	TEXT("output_size", MAY, struct config_raw_group, output_size),
	LIST("limits", MAY, struct config_raw_group, limits, &limit_entry, 0, CONFIG_INSTANCES_MAX),
	LIST("users", MAY, struct config_raw_group, config.users, &name_entry, 0, 1024),
	WORD("legacy", MAY, struct config_raw_group, config.legacy_trusted, legacies),
	CYAML_FIELD_BOOL_PTR("run_state", CYAML_FLAG_POINTER | MAY, struct config_raw_group,
			     run_state),
	LIST("regions", MAY, struct config_raw_group, regions, &region_entry, 0, IST_REGIONS_MAX),
	CYAML_FIELD_END,
};
static const struct cyaml_schema_value group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_group, group_fields),
};

static const struct cyaml_schema_field instance_fields[] = {
	TEXT("name", MUST, struct config_raw_instance, config.name),
	WORD("kind", MUST, struct config_raw_instance, config.kind, kinds),
	TEXT("image", MAY, struct config_raw_instance, config.image),
	LIST("command", MAY, struct config_raw_instance, config.command, &text_entry, 1, 4096),
	LIST("args", MAY, struct config_raw_instance, config.args, &text_entry, 0, 4096),
	TEXT("initrd", MAY, struct config_raw_instance, config.initrd),
	TEXT("cmdline", MAY, struct config_raw_instance, config.cmdline),
	TEXT("memory", MAY, struct config_raw_instance, memory),
	WORD("page_size", MAY, struct config_raw_instance, config.page_size, page_sizes),
	NUMBER("vcpus", struct config_raw_instance, vcpus),
	LIST("cpus", MAY, struct config_raw_instance, config.cpus, &number_entry, 0, 8192),
	CYAML_FIELD_MAPPING("numa", MAY, struct config_raw_instance, config.numa, numa_fields),
	LIST("groups", MAY, struct config_raw_instance, config.groups, &name_entry, 0,
	     IST_GROUPS_MAX),
	WORD("personality", MAY, struct config_raw_instance, config.personality, personalities),
	CYAML_FIELD_BOOL_PTR("autostart", CYAML_FLAG_POINTER | MAY, struct config_raw_instance,
			     autostart),
	CYAML_FIELD_END,
};
static const struct cyaml_schema_value instance_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_instance, instance_fields),
};

static const struct cyaml_schema_field top_fields[] = {
	LIST("groups", MAY, struct config_raw, groups, &group_entry, 0, CONFIG_INSTANCES_MAX),
	LIST("instances", MUST, struct config_raw, instances, &instance_entry, 1,
	     CONFIG_INSTANCES_MAX),
	CYAML_FIELD_END,
};
const struct cyaml_schema_value config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_raw, top_fields),
};

/* The strings end up beside strings of ours: one heap for all. */
static void *heap(void *context, void *memory, size_t size)
{
	(void)context;
	if (size)
		return realloc(memory, size);
	free(memory);
	return NULL;
}

/* Unknown keys have been reported: going on without them finds the other errors in the same run. */
static const struct cyaml_config loader = {
	.mem_fn = heap,
	.flags = CYAML_CFG_NO_ALIAS | CYAML_CFG_IGNORE_UNKNOWN_KEYS,
};

int config_raw_load(struct config_load *load, struct config_raw **out)
{
	void *raw = NULL;
	cyaml_err_t error;

	error = cyaml_load_data((const uint8_t *)load->text, load->length, &loader, &config_schema,
				&raw, NULL);
	switch (error) {
	case CYAML_OK:
		*out = raw;
		return 0;
	case CYAML_ERR_OOM:
	case CYAML_ERR_LIBYAML_PARSER_INIT:
	case CYAML_ERR_LIBYAML_PARSER: /* libyaml has read this text to its end before */
		return -ENOMEM;
	default:
		config_error_at(load, 1, 1, "libcyaml: %s", cyaml_strerror(error));
		return -EINVAL;
	}
}

void config_raw_free(struct config_raw *raw)
{
	cyaml_free(&loader, &config_schema, raw, 0);
}
