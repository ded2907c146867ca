/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h: what one VM is made of, as the command line says it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <isthmus/abi.h>

#include "ivshmem/numa.h"

#define VMM_VCPUS_MAX 16u
#define VMM_NODES_MAX 64u
/* Guest RAM: of an app, below the PCI hole; of a Linux, below the devices' 64-bit window. */
#define VMM_RAM_MIN (4ull << 20)
#define VMM_RAM_MAX (3ull << 30)
#define VMM_RAM_MIN_LINUX (64ull << 20)
#define VMM_RAM_MAX_LINUX (252ull << 30)

struct vmm_group_option {
	char name[IST_NAME_SIZE];
	const char *socket;
};

struct vmm_options {
	const char *name;
	const char *image;    /* an app, or NULL */
	const char *kernel;   /* a Linux, or NULL: one of the two */
	const char *initrd;   /* NULL: none */
	const char *cmdline;  /* of the kernel */
	const char *stats;    /* NULL: none */
	unsigned personality; /* of the groups' devices: 1 or 2 */
	uint64_t memory;
	uint64_t page_size; /* of huge pages for guest RAM; 0: ordinary ones */
	unsigned vcpus;
	unsigned cpus[VMM_VCPUS_MAX]; /* host CPU of each vCPU */
	unsigned cpus_count;          /* 0: not pinned */
	struct ivshm_numa numa;       /* of guest RAM; its nodes are the next */
	unsigned nodes[VMM_NODES_MAX];
	struct vmm_group_option group[IST_GROUPS_MAX];
	unsigned groups;
	char **args; /* the app's argv[1..] */
	unsigned args_count;
	int console; /* descriptor of the guest's console */
	bool die_with_parent;
};

enum vmm_options_result { /* an exit status, or: */
			  VMM_OPTIONS_RUN = -1,
			  VMM_OPTIONS_DONE = 0,  /* help or version was asked for and printed */
			  VMM_OPTIONS_USAGE = 2, /* wrong, and said so on stderr */
};

/* Pointers in *options are into argv and *options itself. What is logged from now on is so under
 * the VM's name. */
enum vmm_options_result vmm_options_parse(int argc, char **argv, struct vmm_options *options);
