/* SPDX-License-Identifier: BSD-2-Clause */
/* config_instance.c: the instances: defaults, which key is for which kind, values. */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_DEFAULT_APP (64ull << 20)
#define MEMORY_UNIT_APP (2ull << 20)
#define MEMORY_MAX_APP (3ull << 30)
#define MEMORY_DEFAULT_LINUX (256ull << 20)
#define MEMORY_MIN_LINUX (64ull << 20)
#define MEMORY_MAX_LINUX (252ull << 30)
#define CMDLINE_MAX 2047u /* bytes; what x86 kernels take */
#define VCPUS_MAX 16u

#define APP (1u << IST_KIND_APP)
#define LINUX (1u << IST_KIND_LINUX)
#define QEMU (1u << IST_KIND_QEMU)
#define PROCESS (1u << IST_KIND_PROCESS)

/* The keys that not every kind has. */
static const struct {
	const char *key;
	unsigned kinds;
} keys[] = {
	{"image", APP | LINUX},
	{"command", APP | QEMU | PROCESS},
	{"args", APP},
	{"initrd", LINUX},
	{"cmdline", LINUX},
	{"memory", APP | LINUX},
	{"page_size", APP | LINUX},
	{"vcpus", APP | LINUX},
	{"personality", LINUX | QEMU},
};

static void check_keys(struct config_load *load, const struct config_node *node, uint32_t kind)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!(keys[i].kinds & 1u << kind) && config_key(node, keys[i].key) != node)
			config_error(load, config_key(node, keys[i].key),
				     "'%s' is not for kind '%s'", keys[i].key,
				     config_kind_names[kind]);
	}
}

/* Makes `*file` relative to the configuration's directory, and looks whether it is there. */
static int check_file(struct config_load *load, const struct config_node *node, const char *key,
		      char **file)
{
	const char *slash = strrchr(load->path, '/');
	const struct config_node *value = config_value(node, key);
	struct stat status;
	char *resolved;
	bool found;

	if (**file != '/' && slash) {
		if (asprintf(&resolved, "%.*s/%s", (int)(slash - load->path), load->path, *file) <
		    0)
			return -ENOMEM;
		free(*file);
		*file = resolved;
	}
	found = !stat(*file, &status);
	if (found && !S_ISREG(status.st_mode))
		config_error(load, value, "%s '%s': not a file", key, *file);
	else if (!found || faccessat(AT_FDCWD, *file, R_OK, AT_EACCESS))
		config_error(load, value, "%s '%s': %s", key, *file, strerror(errno));
	return 0;
}

static int check_files(struct config_load *load, const struct config_node *node,
		       struct ivshm_instance_config *raw)
{
	if (1u << raw->kind & ~(APP | LINUX))
		return 0;
	if (!raw->image)
		config_error(load, node, "instance '%s': kind '%s' needs an 'image'", raw->name,
			     config_kind_names[raw->kind]);
	else if (check_file(load, node, "image", &raw->image))
		return -ENOMEM;
	if (raw->initrd && raw->kind == IST_KIND_LINUX)
		return check_file(load, node, "initrd", &raw->initrd);
	return 0;
}

static void check_memory(struct config_load *load, const struct config_node *node, const char *text,
			 struct ivshm_instance_config *out)
{
	const struct config_node *value = config_value(node, "memory");
	char memory[IVSHM_SIZE_TEXT], page[IVSHM_SIZE_TEXT];

	if (!(1u << out->kind & (APP | LINUX)))
		return; /* 'memory' is reported as not for this kind */
	out->memory = out->kind == IST_KIND_APP ? MEMORY_DEFAULT_APP : MEMORY_DEFAULT_LINUX;
	if (!out->page_size)
		out->page_size = IST_PAGE;
	if (text && !config_check_size(load, node, "memory", text, &out->memory))
		return;
	if (out->kind == IST_KIND_APP &&
	    (out->memory < MEMORY_UNIT_APP || out->memory > MEMORY_MAX_APP ||
	     out->memory % MEMORY_UNIT_APP))
		config_error(load, value, "'memory': %s; an app has a multiple of 2M from 2M to 3G",
			     text);
	else if (out->kind == IST_KIND_LINUX &&
		 (out->memory < MEMORY_MIN_LINUX || out->memory > MEMORY_MAX_LINUX))
		config_error(load, value, "'memory': %s; kind linux has 64M to 252G", text);
	else if (out->memory % out->page_size && text)
		config_error(load, value, "'memory': %s is not a multiple of the page size %s",
			     text, ivshm_size_format(out->page_size, page));
	else if (out->memory % out->page_size)
		config_error(load, config_value(node, "page_size"),
			     "'page_size': memory %s is not a multiple of %s",
			     ivshm_size_format(out->memory, memory),
			     ivshm_size_format(out->page_size, page));
}

static void check_vcpus(struct config_load *load, const struct config_node *node,
			const uint32_t *vcpus, struct ivshm_instance_config *out)
{
	bool virtual = 1u << out->kind & (APP | LINUX);
	const struct config_node *value = config_value(node, "vcpus");

	out->vcpus = vcpus ? *vcpus : virtual;
	if (!virtual)
		return; /* 'vcpus' is reported as not for this kind */
	if (out->kind == IST_KIND_APP && out->vcpus != 1)
		config_error(load, value, "'vcpus': an app has one, not %u", out->vcpus);
	else if (out->vcpus < 1 || out->vcpus > VCPUS_MAX)
		config_error(load, value, "'vcpus': %u; 1 to %u are possible", out->vcpus,
			     VCPUS_MAX);
	else if (out->cpus_count && out->cpus_count != out->vcpus)
		config_error(load, config_value(node, "cpus"),
			     "'cpus': %u given for %u vCPU%s; each vCPU needs one", out->cpus_count,
			     out->vcpus, out->vcpus == 1 ? "" : "s");
}

static void check_cmdline(struct config_load *load, const struct config_node *node,
			  const char *cmdline)
{
	if (cmdline && strlen(cmdline) > CMDLINE_MAX)
		config_error(load, config_value(node, "cmdline"),
			     "'cmdline': %zu bytes; a kernel takes at most %u", strlen(cmdline),
			     CMDLINE_MAX);
}

static void check_start(struct config_load *load, const struct config_node *node,
			struct ivshm_instance_config *out)
{
	if (1u << out->kind & (QEMU | PROCESS) && !out->command_count && out->autostart)
		config_error(load, node,
			     "instance '%s' has no 'command': give one, or 'autostart: false' when "
			     "somebody else starts it",
			     out->name);
	if (out->command_count && !*out->command[0])
		config_error(load, config_item(config_value(node, "command"), 0),
			     "'command': the program's name is empty");
}

static void check_personality(struct config_load *load, const struct config_node *node,
			      struct ivshm_instance_config *out)
{
	if (!out->personality)
		out->personality = 1;
	if (out->kind == IST_KIND_QEMU && out->personality != 1)
		config_error(load, config_value(node, "personality"),
			     "'personality': QEMU's own device is v1; kind 'qemu' has no v%u",
			     out->personality);
}

static void check_instance(struct config_load *load, const struct config_node *node,
			   const struct config_raw_instance *raw, struct ivshm_instance_config *out)
{
	*out = raw->config;
	out->autostart = !raw->autostart || *raw->autostart;
	config_check_name(load, node, "instance", out->name);
	check_keys(load, node, out->kind);
	check_memory(load, node, raw->memory, out);
	check_vcpus(load, node, raw->vcpus, out);
	check_cmdline(load, node, out->cmdline);
	check_start(load, node, out);
	check_personality(load, node, out);
	config_check_cpus(load, node, out);
	config_check_numa(load, node, &out->numa);
}

int config_instances(struct config_load *load)
{
	struct config_raw *raw = load->object->raw;
	struct ivshm_config *config = &load->object->config;
	const struct config_node *list = config_value(load->root, "instances");

	config->instances = calloc(raw->instances_count, sizeof(*config->instances));
	if (!config->instances)
		return -ENOMEM;
	config->instances_count = raw->instances_count;
	for (unsigned i = 0; i < raw->instances_count; i++) {
		struct ivshm_instance_config *out = &config->instances[i];
		const struct config_node *node = config_item(list, i);

		if (check_files(load, node, &raw->instances[i].config))
			return -ENOMEM;
		check_instance(load, node, &raw->instances[i], out);
		for (unsigned j = 0; j < i; j++) {
			if (!strcmp(config->instances[j].name, out->name)) {
				config_error(load, config_value(node, "name"),
					     "instance '%s' is there twice, first in line %zu",
					     out->name, config_item(list, j)->line);
				break;
			}
		}
	}
	return 0;
}
