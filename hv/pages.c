// SPDX-License-Identifier: BSD-2-Clause
/* pages.c: what a group's pager needs of its VM. */
#include "vm.h"

static void on_stalled(void *context, uint32_t id, uint32_t incarnation, uint64_t offset)
{
	struct vmm_group *group = context;

	ivshm_client_recall(&group->client, id, incarnation, offset);
}

static bool on_broken(void *context, const char *text)
{
	struct vmm_group *group = context;

	if (vmm_vm_end(group->vm, VMM_STATUS_FAULT))
		ivshm_log(IVSHM_LOG_ERROR, "group '%s': pager: %s", group->client.group, text);
	return false; /* the VM is ended */
}

static void on_noticed(void *context, const char *text)
{
	const struct vmm_group *group = context;

	ivshm_log(IVSHM_LOG_WARN, "group '%s': %s", group->client.group, text);
}

int vmm_pages_start(struct vmm_group *group, struct vmm_error *error)
{
	static const struct coh_pager_ops ops = {
		.stalled = on_stalled, .broken = on_broken, .noticed = on_noticed};
	const struct ivshm_client *client = &group->client;
	struct coh_pager_group paged = {.memory = client->memory,
					.size = client->size,
					.id = client->id,
					.max_peers = client->max_peers,
					.moments = true,
					.news = -1};

	for (unsigned i = 0; i < client->regions; i++) {
		const struct ivshm_client_region *from = &client->region[i];
		struct coh_pager_region *to = &paged.region[paged.regions];

		if (from->coherence != IST_COHERENCE_PAGE || from->right == IST_RIGHT_NONE)
			continue;
		memcpy(to->name, from->name, sizeof(to->name));
		to->offset = from->offset;
		to->size = from->size;
		to->directory = from->directory;
		to->right = from->right;
		to->base = group->host + from->offset;
		paged.regions++;
	}
	return coh_pager_start(group->pager, &paged, &ops, group, error->text, sizeof(error->text));
}

void vmm_pages_stop(struct vmm_group *group)
{
	coh_pager_destroy(group->pager);
	group->pager = NULL;
}
