/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.c: from the boot block to main(), and the end of the VM. */
#include "bare.h"

#include <isthmus/app.h>

#define STATUS_CANNOT_RUN 126
#define STATUS_ABORTED 134

int main(int argc, char **argv);

typedef void (*initializer)(void);
extern const initializer ist_bare_init_array[], ist_bare_init_array_end[];

const struct ist_boot *ist_bare_boot;

void ist_bare_exit(int status)
{
	for (;;)
		__asm__ volatile("outl %0, %1" : : "a"(status), "N"(IST_PORT_EXIT) : "memory");
}

void abort(void)
{
	ist_bare_exit(STATUS_ABORTED);
}

void ist_bare_main(const struct ist_boot *boot)
{
	if (boot->magic != IST_BOOT_MAGIC || boot->abi >> 16 != IST_ABI_MAJOR ||
	    boot->size < sizeof(*boot) || boot->groups > IST_GROUPS_MAX) {
		ist_print(
			"isthmus: this image needs a hypervisor of ABI %u.%u, this one is %u.%u\n",
			IST_ABI_MAJOR, IST_ABI_MINOR, boot->abi >> 16, boot->abi & 0xffffu);
		ist_bare_exit(STATUS_CANNOT_RUN);
	}
	ist_bare_boot = boot;
	ist_bare_clock_init(boot);
	ist_bare_heap_init(boot);
	for (const initializer *init = ist_bare_init_array; init < ist_bare_init_array_end; init++)
		(*init)();
	ist_bare_exit(main((int)boot->argc, (char **)boot->argv));
}
