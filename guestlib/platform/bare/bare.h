/* SPDX-License-Identifier: BSD-2-Clause */
/* bare.h: what the parts of an app VM's runtime share, C and assembler alike. */
#ifndef IST_BARE_H
#define IST_BARE_H

/* Plain numbers for the assembler; where abi.h has them too, they are compared below. */
#define BARE_PORT_FAULT 0xf8
#define BARE_VECTOR_TIMER 0x20
#define BARE_VECTOR_SPURIOUS 0x21
#define BARE_VECTOR_DOORBELLS 0x40
#define BARE_GROUPS 8
#define BARE_GROUP_VECTORS 16

#ifndef __ASSEMBLER__
#include <isthmus/abi.h>
#include <isthmus/types.h>

IST_ABI_ASSERT(BARE_PORT_FAULT == IST_PORT_FAULT, "start.S uses another port");
IST_ABI_ASSERT(BARE_VECTOR_DOORBELLS == IST_BOOT_INTERRUPT(0, 0), "start.S uses other vectors");
IST_ABI_ASSERT(BARE_GROUPS == IST_GROUPS_MAX, "start.S counts for other groups");
IST_ABI_ASSERT(BARE_GROUP_VECTORS == IST_VECTORS_MAX, "start.S counts for other vectors");

/* start.S: doorbells arrived, by (group, vector) and by group. Modulo 2^32. */
extern uint32_t ist_bare_counts[IST_GROUPS_MAX][IST_VECTORS_MAX];
extern uint32_t ist_bare_totals[IST_GROUPS_MAX];

/*
 * start.S: halts until the next interrupt, unless *counter is no longer `seen`. The timer
 * interrupts after `ticks` of BARE_TICK_NS (0: never). May return early.
 */
void ist_bare_wait(const uint32_t *counter, uint32_t seen, uint32_t ticks);
#define BARE_TICK_NS 16u /* 1 GHz divided by 16, as start.S programs it */

/* start.S enters here, in ring 3. */
_Noreturn void ist_bare_main(const struct ist_boot *boot);

/* runtime.c: the boot block, checked; ends this VM with an exit status. */
extern const struct ist_boot *ist_bare_boot;
_Noreturn void ist_bare_exit(int status);
_Noreturn void abort(void);

/* clock.c */
void ist_bare_clock_init(const struct ist_boot *boot);
void ist_bare_wait_until(const uint32_t *counter, uint32_t seen, uint64_t deadline);

/* platform.c */
void ist_bare_heap_init(const struct ist_boot *boot);

/* string.c: what compilers call on their own account, and two more. */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);
#endif

#endif
