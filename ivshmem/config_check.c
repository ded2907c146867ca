/* SPDX-License-Identifier: BSD-2-Clause */
/* config_check.c: what groups and instances have in common: names, sizes, NUMA nodes, CPUs. */
#include "config_internal.h"

#include <errno.h>
#include <numa.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

void config_check_name(struct config_load *load, const struct config_node *node, const char *what,
		       const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	/* Names become those of sockets and devices. */
	if (strlen(name) < IST_NAME_SIZE && name[0] != '.' && name[0] != '-' &&
	    !name[strspn(name, letters)])
		return;
	config_error(load, config_value(node, "name"),
		     "%s name '%s': 1 to %u letters, digits, '.', '_' and '-' are possible, and no "
		     "'.' or '-' at the start",
		     what, name, IST_NAME_SIZE - 1);
}

bool config_check_size(struct config_load *load, const struct config_node *node, const char *key,
		       const char *text, uint64_t *out)
{
	switch (ivshm_size_parse(text, out)) {
	case 0:
		return true;
	case -ERANGE:
		config_error(load, config_value(node, key),
			     "'%s': %s is too much, at most 64T are possible", key, text);
		return false;
	default:
		config_error(load, config_value(node, key),
			     "'%s': expected a size like 4096, 64M or 2G, found '%s'", key, text);
		return false;
	}
}

void config_check_numa(struct config_load *load, const struct config_node *node,
		       const struct ivshm_numa *numa)
{
	const struct config_node *mapping = config_value(node, "numa");
	const struct config_node *nodes;

	if (mapping == node)
		return;
	nodes = config_value(mapping, "nodes");
	if (numa->policy == IVSHM_NUMA_DEFAULT && numa->nodes_count)
		config_error(load, nodes, "'nodes': policy default takes none");
	if (numa->policy != IVSHM_NUMA_DEFAULT && !numa->nodes_count)
		config_error(load, nodes, "'numa': this policy needs 'nodes'");
	if (numa->policy == IVSHM_NUMA_PREFERRED && numa->nodes_count > 1)
		config_error(load, nodes, "'nodes': policy preferred takes one");
	for (unsigned i = 0; i < numa->nodes_count; i++) {
		if (numa_available() < 0)
			config_error(load, config_item(nodes, i),
				     "'nodes': this host has no NUMA support");
		else if (!numa_bitmask_isbitset(numa_all_nodes_ptr, numa->nodes[i]))
			config_error(load, config_item(nodes, i),
				     "'nodes': NUMA node %u does not exist", numa->nodes[i]);
	}
}

void config_check_cpus(struct config_load *load, const struct config_node *node,
		       const struct ivshm_instance_config *instance)
{
	const struct config_node *list = config_value(node, "cpus");
	long configured = sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t allowed[8]; /* Linux knows at most 8192 CPUs */

	if (sched_getaffinity(0, sizeof(allowed), allowed)) {
		config_error(load, list, "'cpus': cannot find out which exist: %s",
			     strerror(errno));
		return;
	}
	for (unsigned i = 0; i < instance->cpus_count; i++) {
		unsigned cpu = instance->cpus[i];

		if (CPU_ISSET_S(cpu, sizeof(allowed), allowed))
			continue;
		config_error(load, config_item(list, i), "'cpus': CPU %u %s", cpu,
			     (long)cpu < configured ? "is offline or not allowed here"
						    : "does not exist");
	}
}
