/* SPDX-License-Identifier: BSD-2-Clause */
/* compare.c: how two configurations differ: instances, and what is collected of all. */
#include "compare.h"
#include "compare_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct ivshm_change *ivshm_change_add(struct compare *compare, enum ivshm_change_when when,
				      const char *why, const char *format, ...)
{
	struct ivshm_changes *changes = compare->out;
	struct ivshm_change *grown = changes->change, *change = &compare->spare;
	va_list arguments;

	/* Doubled when it is full, at the powers of two. */
	if (!compare->no_memory && (changes->count & (changes->count - 1)) == 0) {
		grown = reallocarray(changes->change, changes->count ? 2u * changes->count : 1,
				     sizeof(*grown));
		compare->no_memory = !grown;
	}
	if (!compare->no_memory) {
		changes->change = grown;
		change = &grown[changes->count++];
	}
	*change = (struct ivshm_change){.when = when};
	snprintf(change->why, sizeof(change->why), "%s", why);
	va_start(arguments, format);
	vsnprintf(change->text, sizeof(change->text), format, arguments);
	va_end(arguments);
	return change;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(char *const *a, unsigned a_count, char *const *b, unsigned b_count)
{
	if (a_count != b_count)
		return false;
	for (unsigned i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool ivshm_same_numa(const struct ivshm_numa *a, const struct ivshm_numa *b)
{
	return a->policy == b->policy && a->nodes_count == b->nodes_count &&
	       (a->nodes_count == 0 ||
		!memcmp(a->nodes, b->nodes, a->nodes_count * sizeof(a->nodes[0])));
}

/* What of an instance is taken up when it starts. */
static void compare_stopped(struct compare *compare, const struct ivshm_instance_config *a,
			    const struct ivshm_instance_config *b)
{
	const struct {
		const char *key;
		bool same;
	} keys[] = {
		{"kind", a->kind == b->kind},
		{"image", same_text(a->image, b->image)},
		{"command", same_list(a->command, a->command_count, b->command, b->command_count)},
		{"args", same_list(a->args, a->args_count, b->args, b->args_count)},
		{"initrd", same_text(a->initrd, b->initrd)},
		{"cmdline", same_text(a->cmdline, b->cmdline)},
		{"memory", a->memory == b->memory},
		{"page_size", a->page_size == b->page_size},
		{"vcpus", a->vcpus == b->vcpus},
		{"cpus", a->cpus_count == b->cpus_count &&
				 (a->cpus_count == 0 ||
				  !memcmp(a->cpus, b->cpus, a->cpus_count * sizeof(a->cpus[0])))},
		{"numa", ivshm_same_numa(&a->numa, &b->numa)},
		{"personality", a->personality == b->personality},
		{"groups", same_list(a->groups, a->groups_count, b->groups, b->groups_count)},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct ivshm_change *change;

		if (keys[i].same)
			continue;
		change = ivshm_change_add(compare, IVSHM_CHANGE_STOPPED, "",
					  "instance '%s': another '%s'", b->name, keys[i].key);
		change->instance = b->name;
	}
}

static void compare_instance(struct compare *compare, const struct ivshm_instance_config *a,
			     const struct ivshm_instance_config *b)
{
	bool socket = a->kind == IST_KIND_QEMU || b->kind == IST_KIND_QEMU;

	/* Its sockets are there from the start, one a group. */
	if (socket && (a->kind != b->kind ||
		       !same_list(a->groups, a->groups_count, b->groups, b->groups_count)))
		ivshm_change_add(compare, IVSHM_CHANGE_NEVER, QEMU_WHY,
				 "instance '%s' of kind qemu: another 'kind' or other 'groups'",
				 b->name);
	else
		compare_stopped(compare, a, b);
	if (a->autostart != b->autostart)
		ivshm_change_add(compare, IVSHM_CHANGE_LIVE, "", "instance '%s': autostart %s",
				 b->name, b->autostart ? "true" : "false");
}

static void compare_lone(struct compare *compare, const struct ivshm_instance_config *instance,
			 bool added)
{
	bool socket = instance->kind == IST_KIND_QEMU;
	struct ivshm_change *change = ivshm_change_add(
		compare, socket ? IVSHM_CHANGE_NEVER : IVSHM_CHANGE_LIVE, socket ? QEMU_WHY : "",
		"instance '%s' is %s", instance->name, added ? "new" : "gone");

	change->what = added ? IVSHM_CHANGE_ADDED : IVSHM_CHANGE_REMOVED;
	change->instance = instance->name;
}

int ivshm_compare(const struct ivshm_config *now, const struct ivshm_config *next,
		  struct ivshm_changes *out)
{
	struct compare compare = {.now = now, .next = next, .out = out};

	*out = (struct ivshm_changes){0};
	ivshm_compare_groups(&compare);
	for (unsigned i = 0; i < next->instances_count; i++) {
		const struct ivshm_instance_config *b = &next->instances[i];
		const struct ivshm_instance_config *a = ivshm_config_instance(now, b->name);

		if (a)
			compare_instance(&compare, a, b);
		else
			compare_lone(&compare, b, true);
	}
	for (unsigned i = 0; i < now->instances_count; i++)
		if (!ivshm_config_instance(next, now->instances[i].name))
			compare_lone(&compare, &now->instances[i], false);
	if (!compare.no_memory)
		return 0;
	ivshm_changes_free(out);
	return -ENOMEM;
}

void ivshm_changes_free(struct ivshm_changes *changes)
{
	free(changes->change);
	*changes = (struct ivshm_changes){0};
}
