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

#include "ivshmem/log.h"
#include "ivshmem/size.h"

static const char help_text[] =
	"Usage: isthmus-vm --name NAME --image FILE [OPTION]... [--] [ARGUMENT]...\n"
	"       isthmus-vm --name NAME --kernel FILE [OPTION]...\n"
	"Runs one VM on KVM: an app, whose arguments ARGUMENTs are, or a Linux.\n"
	"\n"
	"  --name NAME              name of the instance\n"
	"  --image FILE             app to boot: an ELF image\n"
	"  --kernel FILE            Linux to boot: bzImage, or ELF vmlinux (PVH)\n"
	"  --initrd FILE            its initial RAM disk\n"
	"  --cmdline TEXT           its command line\n"
	"  --personality v1|v2      what its groups' PCI devices are (v1)\n"
	"  --memory SIZE            guest RAM: app 4M to 3G (64M), Linux 64M to 252G (256M)\n"
	"  --page-size 4K|2M|1G     host pages of guest RAM (4K)\n"
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

/* The letters are names for the switch below: only v, q and h are options too. */
static const struct option long_options[] = {
	{"name", required_argument, NULL, 'n'},
	{"image", required_argument, NULL, 'i'},
	{"kernel", required_argument, NULL, 'k'},
	{"initrd", required_argument, NULL, 'r'},
	{"cmdline", required_argument, NULL, 'c'},
	{"personality", required_argument, NULL, 'e'},
	{"page-size", required_argument, NULL, 'z'},
	{"memory", required_argument, NULL, 'm'},
	{"vcpus", required_argument, NULL, 'u'},
	{"cpus", required_argument, NULL, 'p'},
	{"numa", required_argument, NULL, 'a'},
	{"group", required_argument, NULL, 'g'},
	{"stats", required_argument, NULL, 's'},
	{"die-with-parent", no_argument, NULL, 'd'},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
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

static int parse_size(const char *text, uint64_t *out)
{
	return ivshm_size_parse(text, out) != 0 || *out == 0 ? -EINVAL : 0;
}

static int parse_page_size(const char *text, uint64_t *out)
{
	if (parse_size(text, out) != 0 || (*out != 4096 && *out != 2 << 20 && *out != 1 << 30))
		return -EINVAL;
	*out = *out == 4096 ? 0 : *out;
	return 0;
}

static int parse_numa(const char *text, struct vmm_options *options)
{
	size_t length = strcspn(text, ":");
	struct ivshm_numa *numa = &options->numa;

	numa->nodes = options->nodes;
	for (unsigned i = IVSHM_NUMA_BIND; i < IVSHM_NUMA_POLICIES; i++)
		if (strlen(ivshm_numa_names[i]) == length &&
		    memcmp(text, ivshm_numa_names[i], length) == 0)
			numa->policy = (enum ivshm_numa_policy)i;
	if (numa->policy == IVSHM_NUMA_DEFAULT || text[length] == '\0')
		return -EINVAL;
	return parse_list(text + length + 1, VMM_NODES_MAX, numa->nodes, VMM_NODES_MAX,
			  &numa->nodes_count);
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
	unsigned count;
	int result;

	switch (option) {
	case 'n':
		options->name = optarg;
		return *optarg == '\0' || strlen(optarg) >= IST_NAME_SIZE ? -EINVAL : 0;
	case 'e':
		options->personality = strcmp(optarg, "v1") == 0   ? 1
				       : strcmp(optarg, "v2") == 0 ? 2
								   : 0;
		return options->personality == 0 ? -EINVAL : 0;
	case 'z':
		return parse_page_size(optarg, &options->page_size);
	case 'm':
		return parse_size(optarg, &options->memory);
	case 'u':
		result = parse_list(optarg, VMM_VCPUS_MAX + 1, &options->vcpus, 1, &count);
		return options->vcpus == 0 ? -EINVAL : result;
	case 'p':
		return parse_list(optarg, CPU_SETSIZE, options->cpus, VMM_VCPUS_MAX,
				  &options->cpus_count);
	case 'a':
		return parse_numa(optarg, options);
	case 'g':
		return parse_group(optarg, options);
	case 'd':
		options->die_with_parent = true;
		return 0;
	default:
		*(option == 'i'   ? &options->image
		  : option == 'k' ? &options->kernel
		  : option == 'r' ? &options->initrd
		  : option == 'c' ? &options->cmdline
				  : &options->stats) = optarg;
		return 0;
	}
}

/* What can only be told when all options are known; NULL: nothing. */
static const char *inconsistency(const struct vmm_options *options)
{
	bool app = options->kernel == NULL;
	uint64_t min = app ? VMM_RAM_MIN : VMM_RAM_MIN_LINUX;
	uint64_t max = app ? VMM_RAM_MAX : VMM_RAM_MAX_LINUX;

	if (options->name == NULL)
		return "--name is missing";
	if (app && options->image == NULL)
		return "neither --image nor --kernel is given";
	if (!app && options->image != NULL)
		return "--image and --kernel exclude each other";
	if (app &&
	    (options->initrd != NULL || options->cmdline != NULL || options->personality != 0))
		return "--initrd, --cmdline and --personality are for a --kernel";
	if (!app && options->args_count != 0)
		return "arguments are for an --image; a --kernel takes --cmdline";
	if (options->memory < min || options->memory > max)
		return app ? "--memory: an app takes 4M to 3G"
			   : "--memory: a Linux takes 64M to 252G";
	if (options->memory % (options->page_size != 0 ? options->page_size : IST_PAGE) != 0)
		return "--memory is not a number of whole pages";
	if (options->cpus_count != 0 && options->cpus_count != options->vcpus)
		return "--cpus names another number of CPUs than --vcpus";
	return NULL;
}

enum vmm_options_result vmm_options_parse(int argc, char **argv, struct vmm_options *options)
{
	static char log_name[sizeof("isthmus-vm: ") + IST_NAME_SIZE];
	const char *wrong;
	int option, index = 0;

	*options = (struct vmm_options){.vcpus = 1, .console = STDOUT_FILENO};
	/* "+": the guest's arguments are its own, also those with dashes. */
	while ((option = getopt_long(argc, argv, "+vqh", long_options, &index)) != -1) {
		switch (option) {
		case 'v':
			ivshm_log_level = IVSHM_LOG_DEBUG;
			break;
		case 'q':
			ivshm_log_level = IVSHM_LOG_ERROR;
			break;
		case 'h':
			fputs(help_text, stdout);
			return VMM_OPTIONS_DONE;
		case 'V':
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
	options->args = argv + optind;
	options->args_count = (unsigned)(argc - optind);
	if (options->memory == 0)
		options->memory = (options->kernel != NULL ? 256ull : 64ull) << 20;
	wrong = inconsistency(options);
	if (wrong != NULL) {
		fprintf(stderr, "isthmus-vm: %s (try --help)\n", wrong);
		return VMM_OPTIONS_USAGE;
	}
	if (options->personality == 0)
		options->personality = 1;
	if (options->cmdline == NULL)
		options->cmdline = "";
	snprintf(log_name, sizeof(log_name), "isthmus-vm: %s", options->name);
	ivshm_log_name = log_name;
	return VMM_OPTIONS_RUN;
}
