/* SPDX-License-Identifier: BSD-2-Clause */
/* app.h: how an app VM starts (abi.h, "App boot"). */
#ifndef VMM_APP_H
#define VMM_APP_H

#include "vm.h"

/* Loads the image, builds page tables and the boot block, points the first vCPU at the entry. */
int vmm_app_load(struct vmm_vm *vm, struct vmm_error *error);

#endif
