/* SPDX-License-Identifier: BSD-2-Clause */
/* platform.h: what a Linux VM's machine has at I/O ports: COM1, power-off, reset. */
#ifndef VMM_PLATFORM_H
#define VMM_PLATFORM_H

#include <pthread.h>

#include "report.h"
#include "serial.h"

struct vmm_vm;

struct vmm_platform {
	struct vmm_vm *vm;
	int interrupt;           /* eventfd: COM1's */
	int timer;               /* timerfd: some output has waited long enough */
	pthread_mutex_t writing; /* whoever writes output; taken before the other */
	pthread_mutex_t lock;    /* of what is below */
	struct vmm_serial serial;
	bool armed;  /* the timer */
	bool paused; /* input is not watched: there is no room for it */
};

/* Nothing is there yet; it can be released. */
void vmm_platform_init(struct vmm_platform *platform, struct vmm_vm *vm);

/* Claims the ports, connects COM1 to its pin, its output and its input. */
int vmm_platform_start(struct vmm_platform *platform, struct vmm_error *error);

/* Writes what output there is, as far as somebody takes it. The vCPU threads are gone. */
void vmm_platform_fini(struct vmm_platform *platform);

/* By the main thread, when VMM_EVENT_OUTPUT or VMM_EVENT_INPUT has come. */
void vmm_platform_output(struct vmm_platform *platform);
void vmm_platform_input(struct vmm_platform *platform);

#endif
