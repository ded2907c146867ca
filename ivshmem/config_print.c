/* SPDX-License-Identifier: BSD-2-Clause */
/* config_print.c: what would be built, for people to read. */
#include "config_internal.h"
#include "layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WIDTH 96 /* columns a table of rights may take */

static int max_width(int width, const char *text)
{
	int length = (int)strlen(text);

	return length > width ? length : width;
}

static void print_words(FILE *out, char *const *words, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "%s%s", i ? " " : "", words[i]);
}

static void print_numa(FILE *out, const struct ivshm_numa *numa)
{
	if (numa->policy == IVSHM_NUMA_DEFAULT)
		return;
	fprintf(out, ", NUMA %s", ivshm_numa_names[numa->policy]);
	for (unsigned i = 0; i < numa->nodes_count; i++)
		fprintf(out, "%s%u", i ? "," : " ", numa->nodes[i]);
}

static void print_part(FILE *out, uint64_t offset, uint64_t size, const char *what)
{
	char text[IVSHM_SIZE_TEXT];

	fprintf(out, "  0x%010" PRIx64 "  %8s  %s", offset, ivshm_size_format(size, text), what);
}

static void print_layout(FILE *out, const struct ivshm_group_config *group,
			 const struct ivshm_layout *layout)
{
	static const char *const coherences[] = {"", ", coherence page", ", incoherent"};
	char text[IVSHM_SIZE_TEXT];

	fprintf(out, "  %-12s  %8s  %s\n", "OFFSET", "SIZE", "WHAT");
	print_part(out, IST_STATE_TABLE_OFFSET, IST_STATE_TABLE_SIZE, "state table\n");
	print_part(out, IST_ROSTER_OFFSET, IST_ROSTER_SIZE, "roster\n");
	for (unsigned i = 0; i < group->regions_count; i++) {
		const struct ivshm_region_config *region = &group->regions[i];

		print_part(out, layout->region_offset[i], region->size, "region ");
		fprintf(out, "%s%s\n", region->name, coherences[region->coherence]);
	}
	if (group->output_size) {
		print_part(out, layout->output_offset, group->output_size * group->max_peers,
			   "output sections, ");
		fprintf(out, "%u of %s\n", group->max_peers,
			ivshm_size_format(group->output_size, text));
	}
	for (unsigned i = 0; i < group->regions_count; i++) {
		if (!layout->directory_offset[i])
			continue;
		print_part(out, layout->directory_offset[i],
			   IST_PAGE_DIRECTORY_SIZE(group->regions[i].size / IST_PAGE,
						   group->max_peers),
			   "page directory of region ");
		fprintf(out, "%s\n", group->regions[i].name);
	}
	if (layout->used_size < layout->total_size)
		print_part(out, layout->used_size, layout->total_size - layout->used_size,
			   "free\n");
	print_part(out, layout->total_size, layout->total_size, "total\n");
}

/* Of a member's column: "none", QEMU's "none*" and its name fit. */
static int right_width(const struct ivshm_config *config, const struct ivshm_group_config *group,
		       unsigned id)
{
	const struct ivshm_instance_config *member = &config->instances[group->member[id]];

	return max_width(member->kind == IST_KIND_QEMU ? 5 : 4, member->name);
}

/* Who may do what: a column for each of the members `first` to `last` - 1. */
static void print_rights(FILE *out, const struct ivshm_config *config,
			 const struct ivshm_group_config *group, unsigned first, unsigned last,
			 int region_width)
{
	bool asked = false;

	fprintf(out, "\n  %-*s", region_width, "REGION");
	for (unsigned id = first; id < last; id++)
		fprintf(out, "  %-*s", id + 1 < last ? right_width(config, group, id) : 0,
			config->instances[group->member[id]].name);
	fputc('\n', out);
	for (unsigned i = 0; i < group->regions_count; i++) {
		fprintf(out, "  %-*s", region_width, group->regions[i].name);
		for (unsigned id = first; id < last; id++) {
			uint32_t right = ivshm_config_right(config, group, i, id);
			bool mark = ivshm_config_asked(config, group, i, id);
			char text[8];

			asked |= mark;
			snprintf(text, sizeof(text), "%s%s", config_access_names[right],
				 mark ? "*" : "");
			fprintf(out, "  %-*s", id + 1 < last ? right_width(config, group, id) : 0,
				text);
		}
		fputc('\n', out);
	}
	if (asked)
		fputs("  * asked for, not enforced: QEMU maps all for reading and writing\n", out);
}

/* The rights of all members, in as many tables as it takes to stay within WIDTH. */
static void print_all_rights(FILE *out, const struct ivshm_config *config,
			     const struct ivshm_group_config *group)
{
	int region_width = (int)strlen("REGION");
	unsigned first = 0;

	for (unsigned i = 0; i < group->regions_count; i++)
		region_width = max_width(region_width, group->regions[i].name);
	while (first < group->members_count && group->regions_count) {
		int width = 2 + region_width;
		unsigned last = first;

		while (last < group->members_count) {
			width += 2 + right_width(config, group, last);
			if (width > WIDTH && last > first)
				break;
			last++;
		}
		print_rights(out, config, group, first, last, region_width);
		first = last;
	}
}

static void print_peers(FILE *out, const struct ivshm_config *config,
			const struct ivshm_group_config *group)
{
	int width = (int)strlen("PEER");

	if (!group->members_count) {
		fprintf(out, "\n  no members\n");
		return;
	}
	for (unsigned id = 0; id < group->members_count; id++)
		width = max_width(width, config->instances[group->member[id]].name);
	fprintf(out, "\n  ID  %-*s  KIND\n", width, "PEER");
	for (unsigned id = 0; id < group->members_count; id++) {
		const struct ivshm_instance_config *instance;

		instance = &config->instances[group->member[id]];
		fprintf(out, "  %2u  %-*s  %s\n", id, width, instance->name,
			config_kind_names[instance->kind]);
	}
}

static int print_group(FILE *out, const struct ivshm_config *config,
		       const struct ivshm_group_config *group)
{
	char total[IVSHM_SIZE_TEXT], page[IVSHM_SIZE_TEXT];
	struct ivshm_layout layout;
	int result;

	result = ivshm_layout_compute(group, &layout);
	if (result)
		return result;
	fprintf(out, "group %s: %s in pages of %s, %u of at most %u peers, %u vector%s each",
		group->name, ivshm_size_format(layout.total_size, total),
		ivshm_size_format(group->page_size, page), group->members_count, group->max_peers,
		group->vectors, group->vectors == 1 ? "" : "s");
	print_numa(out, &group->numa);
	fputs("\n\n", out);
	print_layout(out, group, &layout);
	print_peers(out, config, group);
	print_all_rights(out, config, group);
	fputc('\n', out);
	return 0;
}

static void print_program(FILE *out, const struct ivshm_instance_config *instance)
{
	char page[IVSHM_SIZE_TEXT];

	if (instance->image)
		fputs(instance->image, out);
	else if (instance->command_count)
		print_words(out, instance->command, instance->command_count);
	else
		fputc('-', out);
	if (instance->args_count) {
		fputc(' ', out);
		print_words(out, instance->args, instance->args_count);
	}
	if (instance->initrd)
		fprintf(out, ", initrd %s", instance->initrd);
	if (instance->kind == IST_KIND_LINUX)
		fprintf(out, ", personality v%u", instance->personality);
	if (instance->page_size > IST_PAGE)
		fprintf(out, ", pages of %s", ivshm_size_format(instance->page_size, page));
	print_numa(out, &instance->numa);
	if (instance->cmdline)
		fprintf(out, ", command line: %s", instance->cmdline);
	fputs(instance->autostart ? "\n" : " (not started by isthmus up)\n", out);
}

/* The short columns of an instance's line. "-" stands for what it does not have. */
struct line {
	char memory[IVSHM_SIZE_TEXT];
	char vcpus[12];
	char cpus[36];
	char groups[IST_GROUPS_MAX * IST_NAME_SIZE];
};

static void fill_line(const struct ivshm_instance_config *instance, struct line *line)
{
	size_t end = 0;

	*line = (struct line){.memory = "-", .vcpus = "-", .cpus = "-", .groups = "-"};
	if (instance->memory)
		ivshm_size_format(instance->memory, line->memory);
	if (instance->vcpus)
		snprintf(line->vcpus, sizeof(line->vcpus), "%u", instance->vcpus);
	for (unsigned i = 0; i < instance->cpus_count && end < sizeof(line->cpus); i++)
		end += (size_t)snprintf(line->cpus + end, sizeof(line->cpus) - end, "%s%u",
					i ? "," : "", instance->cpus[i]);
	if (end >= sizeof(line->cpus))
		memcpy(line->cpus + sizeof(line->cpus) - 4, "...", 4);
	end = 0;
	for (unsigned i = 0; i < instance->groups_count && end < sizeof(line->groups); i++)
		end += (size_t)snprintf(line->groups + end, sizeof(line->groups) - end, "%s%s",
					i ? "," : "", instance->groups[i]);
}

static void print_instances(FILE *out, const struct ivshm_config *config)
{
	int name_width = (int)strlen("INSTANCE"), cpus_width = (int)strlen("CPUS");
	int groups_width = (int)strlen("GROUPS");
	struct line line;

	for (unsigned i = 0; i < config->instances_count; i++) {
		fill_line(&config->instances[i], &line);
		name_width = max_width(name_width, config->instances[i].name);
		cpus_width = max_width(cpus_width, line.cpus);
		groups_width = max_width(groups_width, line.groups);
	}
	fprintf(out, "%-*s  %-7s  %6s  %5s  %-*s  %-*s  %s\n", name_width, "INSTANCE", "KIND",
		"MEMORY", "VCPUS", cpus_width, "CPUS", groups_width, "GROUPS", "PROGRAM");
	for (unsigned i = 0; i < config->instances_count; i++) {
		const struct ivshm_instance_config *instance = &config->instances[i];

		fill_line(instance, &line);
		fprintf(out, "%-*s  %-7s  %6s  %5s  %-*s  %-*s  ", name_width, instance->name,
			config_kind_names[instance->kind], line.memory, line.vcpus, cpus_width,
			line.cpus, groups_width, line.groups);
		print_program(out, instance);
	}
}

int ivshm_config_print(const struct ivshm_config *config, FILE *out)
{
	int result;

	for (unsigned i = 0; i < config->groups_count; i++) {
		result = print_group(out, config, &config->groups[i]);
		if (result)
			return result;
	}
	print_instances(out, config);
	return ferror(out) ? -EIO : 0;
}
