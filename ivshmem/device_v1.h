/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device_v1.h: registers of personality v1 as a pure machine: no I/O, no KVM.
 * Source: QEMU docs/specs/ivshmem-spec.txt, "Registers" (BAR0, revision 1).
 */
#ifndef IVSHM_DEVICE_V1_H
#define IVSHM_DEVICE_V1_H

#include "abi.h"

struct ivshm_v1 {
	uint32_t id;
	uint32_t mask;   /* stored, inert in revision 1 */
	uint32_t status; /* stored, a read clears it */
};

/* What a write asks for: nothing, or a doorbell for (peer, vector). */
struct ivshm_v1_effect {
	int ring;
	uint32_t peer;
	uint32_t vector;
};

/* Any offset, any size: what the specification does not define reads 0 and has no effect. */
uint64_t ivshm_v1_read(struct ivshm_v1 *device, uint64_t offset, unsigned size);
struct ivshm_v1_effect ivshm_v1_write(struct ivshm_v1 *device, uint64_t offset, unsigned size,
				      uint64_t value);

#endif
