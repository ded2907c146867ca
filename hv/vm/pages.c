// SPDX-License-Identifier: BSD-2-Clause
/* pages.c: what a group's pager needs of its VM. */
#include "vm.h"

static void on_stalled(void *context, uint32_t id, uint32_t incarnation, uint64_t offset)
{
	struct vmm_group *group = context;

	ivshm_client_recall(&group->client, id, incarnation, offset);
}

static void on_broken(void *context, const char *text)
{
	struct vmm_group *group = context;

	if (vmm_vm_end(group->vm, VMM_STATUS_FAULT))
		ivshm_log(IVSHM_LOG_ERROR, "group '%s': pager: %s", group->client.group, text);
}

static const struct vmm_pager_ops ops = {on_stalled, on_broken};

int vmm_pages_start(struct vmm_group *group, struct vmm_error *error)
{
	void *base[IST_REGIONS_MAX] = {NULL}; /* where this peer has a right */

	for (unsigned i = 0; i < group->client.regions; i++) {
		uint64_t offset = group->client.region[i].offset;

		for (unsigned r = 0; r < group->ranges; r++)
			if (offset - group->range[r].offset < group->range[r].size)
				base[i] = (uint8_t *)group->host[r] +
					  (offset - group->range[r].offset);
	}
	return vmm_pager_start(group->pager, &group->client, base, &ops, group, error->text,
			       sizeof(error->text));
}

void vmm_pages_stop(struct vmm_group *group)
{
	vmm_pager_destroy(group->pager);
	group->pager = NULL;
}
