/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.h: counts: KVM's of each vCPU, and what --stats writes at the end. */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stdio.h>

#include "vcpu.h"

/* Opens KVM's statistics of the vCPU and finds the exit count. */
int vmm_stats_open(struct vmm_vcpu *vcpu, struct vmm_error *error);

/* VM exits so far. */
uint64_t vmm_stats_exits(const struct vmm_vcpu *vcpu);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t vmm_stats_now(void);

/*
 * Writes the object of --stats from what an ended VM has counted, but for its end; NULL without a
 * file. vmm_stats_end() adds the resident size and closes it: when guest memory is unmapped, so
 * that only the monitor's own counts. What cannot be written is told.
 */
FILE *vmm_stats_begin(const struct vmm_vm *vm);
void vmm_stats_end(const struct vmm_options *options, FILE *out);

#endif
