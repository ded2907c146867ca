/* SPDX-License-Identifier: BSD-2-Clause */
/* device_internal.h: what the files of the device model know of each other. */
#ifndef IVSHM_DEVICE_INTERNAL_H
#define IVSHM_DEVICE_INTERNAL_H

#include "device.h"

/* device_config.c: configuration space as after a reset. `setup` is there. */
void ivshm_config_init(struct ivshm_device *device);
/* May the function as a whole send messages: MSI-X on and not masked, a bus master? */
int ivshm_config_interrupts(const struct ivshm_device *device);

/* device_msix.c: BAR1. */
void ivshm_msix_init(struct ivshm_device *device);
uint64_t ivshm_msix_read(const struct ivshm_device *device, uint64_t offset, unsigned size,
			 uint64_t pending);
struct ivshm_effect ivshm_msix_write(struct ivshm_device *device, uint64_t offset, unsigned size,
				     uint64_t value);

/* device_v2.c: BAR0 of v2. */
uint32_t ivshm_v2_read(const struct ivshm_device *device, uint64_t offset, unsigned size);
struct ivshm_effect ivshm_v2_write(struct ivshm_device *device, uint64_t offset, unsigned size,
				   uint64_t value);

#endif
