// SPDX-License-Identifier: BSD-2-Clause
/* options.c: the command line of isthmus-vm. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help_text[] =
	"Usage: isthmus-vm --name NAME --image FILE [OPTION]... [--] [ARGUMENT]...\n"
	"Runs one app VM on KVM. ARGUMENTs are the guest's.\n"
	"\n"
	"  --name NAME              name of the instance\n"
	"  --image FILE             ELF image to boot\n"
	"  --memory SIZE            guest RAM, 4M to 3G (64M)\n"
	"  --vcpus N                virtual CPUs (1)\n"
	"  --cpus N[,N]...          host CPU of each virtual CPU\n"
	"  --numa POLICY:N[,N]...   bind, interleave or preferred: nodes of guest RAM\n"
	"  --group NAME=SOCKET      join a group; may be repeated\n"
	"  --stats FILE             at the end, write counts as JSON\n"
	"  --die-with-parent        end when the parent process ends\n"
	"  -v, --verbose            show the registers of a fault\n"
	"  -q, --quiet              no warnings\n"
	"  -h, --help               show this\n"
	"  --version                show the version\n"
	"\n"
	"Exit status: the guest's own; 2 usage; 125 not started; 126 ended for a fault;\n"
	"128+N ended by signal N.\n";

enum {
	OPT_NAME = 256,
	OPT_IMAGE,
	OPT_MEMORY,
	OPT_VCPUS,
	OPT_CPUS,
	OPT_NUMA,
	OPT_GROUP,
	OPT_STATS,
	OPT_DIE,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"name", required_argument, NULL, OPT_NAME},
	{"image", required_argument, NULL, OPT_IMAGE},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"vcpus", required_argument, NULL, OPT_VCPUS},
	{"cpus", required_argument, NULL, OPT_CPUS},
	{"numa", required_argument, NULL, OPT_NUMA},
	{"group", required_argument, NULL, OPT_GROUP},
	{"stats", required_argument, NULL, OPT_STATS},
	{"die-with-parent", no_argument, NULL, OPT_DIE},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* A decimal number below `limit`; *end is what follows it. */
static int parse_number(const char *text, unsigned long limit, unsigned long *out, const char **end)
{
	char *stop;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(text, &stop, 10);
	*end = stop;
	return errno != 0 || *out >= limit ? -EINVAL : 0;
}

static int parse_list(const char *text, unsigned long limit, unsigned *list, unsigned max,
		      unsigned *count)
{
	unsigned long number;

	*count = 0;
	for (;; text++) {
		if (*count == max || parse_number(text, limit, &number, &text) != 0)
			return -EINVAL;
		list[(*count)++] = (unsigned)number;
		if (*text == '\0')
			return 0;
		if (*text != ',')
			return -EINVAL;
	}
}

static int parse_memory(const char *text, uint64_t *out)
{
	static const char units[] = "KMG";
	unsigned long number;
	const char *unit;
	unsigned shift = 0;

	if (parse_number(text, 1ul << 33, &number, &text) != 0)
		return -EINVAL;
	if (*text != '\0') {
		unit = strchr(units, *text);
		if (unit == NULL || text[1] != '\0')
			return -EINVAL;
		shift = 10u * (unsigned)(unit - units + 1);
	}
	if (number > VMM_RAM_MAX >> shift)
		return -EINVAL;
	*out = (uint64_t)number << shift;
	return *out < VMM_RAM_MIN || *out % IST_PAGE != 0 ? -EINVAL : 0;
}

static int parse_numa(const char *text, struct vmm_options *options)
{
	static const char *const names[] = {"", "bind:", "interleave:", "preferred:"};

	for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t length = strlen(names[i]);

		if (strncmp(text, names[i], length) == 0) {
			options->numa = (enum vmm_numa_policy)i;
			return parse_list(text + length, VMM_NODES_MAX, options->nodes,
					  VMM_NODES_MAX, &options->nodes_count);
		}
	}
	return -EINVAL;
}

static int parse_group(const char *text, struct vmm_options *options)
{
	const char *equals = strchr(text, '=');
	struct vmm_group_option *group = &options->group[options->groups];

	if (options->groups == IST_GROUPS_MAX || equals == NULL || equals == text ||
	    equals[1] == '\0' || equals - text >= (ptrdiff_t)sizeof(group->name))
		return -EINVAL;
	memcpy(group->name, text, (size_t)(equals - text));
	group->socket = equals + 1;
	options->groups++;
	return 0;
}

static int parse_one(int option, struct vmm_options *options)
{
	unsigned long number;
	const char *end;

	switch (option) {
	case OPT_NAME:
		options->name = optarg;
		return *optarg == '\0' || strlen(optarg) >= IST_NAME_SIZE ? -EINVAL : 0;
	case OPT_IMAGE:
		options->image = optarg;
		return 0;
	case OPT_MEMORY:
		return parse_memory(optarg, &options->memory);
	case OPT_VCPUS:
		if (parse_number(optarg, VMM_VCPUS_MAX + 1, &number, &end) != 0 || *end != '\0')
			return -EINVAL;
		options->vcpus = (unsigned)number;
		return number == 0 ? -EINVAL : 0;
	case OPT_CPUS:
		return parse_list(optarg, CPU_SETSIZE, options->cpus, VMM_VCPUS_MAX,
				  &options->cpus_count);
	case OPT_NUMA:
		return parse_numa(optarg, options);
	case OPT_GROUP:
		return parse_group(optarg, options);
	case OPT_STATS:
		options->stats = optarg;
		return 0;
	default: /* OPT_DIE */
		options->die_with_parent = true;
		return 0;
	}
}

static enum vmm_options_result usage(const char *what, const char *value)
{
	fprintf(stderr, "isthmus-vm: %s%s (try --help)\n", what, value);
	return VMM_OPTIONS_USAGE;
}

enum vmm_options_result vmm_options_parse(int argc, char **argv, struct vmm_options *options)
{
	int option, index = 0;

	*options =
		(struct vmm_options){.memory = 64ull << 20, .vcpus = 1, .console = STDOUT_FILENO};
	/* "+": the guest's arguments are its own, also those with dashes. */
	while ((option = getopt_long(argc, argv, "+vqh", long_options, &index)) != -1) {
		switch (option) {
		case 'v':
			options->verbosity = 1;
			break;
		case 'q':
			options->verbosity = -1;
			break;
		case 'h':
			fputs(help_text, stdout);
			return VMM_OPTIONS_DONE;
		case OPT_VERSION:
			printf("isthmus-vm (isthmus) ABI %u.%u\n", IST_ABI_MAJOR, IST_ABI_MINOR);
			return VMM_OPTIONS_DONE;
		case '?':
			return VMM_OPTIONS_USAGE;
		default:
			if (parse_one(option, options) == 0)
				break;
			fprintf(stderr, "isthmus-vm: --%s: wrong value '%s' (try --help)\n",
				long_options[index].name, optarg);
			return VMM_OPTIONS_USAGE;
		}
	}
	if (options->name == NULL)
		return usage("--name is missing", "");
	if (options->image == NULL)
		return usage("--image is missing", "");
	if (options->cpus_count != 0 && options->cpus_count != options->vcpus)
		return usage("--cpus names another number of CPUs than --vcpus", "");
	options->args = argv + optind;
	options->args_count = (unsigned)(argc - optind);
	return VMM_OPTIONS_RUN;
}
