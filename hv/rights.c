// SPDX-License-Identifier: BSD-2-Clause
/*
 * rights.c: this peer's right on a region becomes another one while its guest runs.
 *
 * docs/protocol.md, "Revocation". No vCPU is in the guest meanwhile: an instruction is done before
 * or after, and slots that are replaced, as regions of one right share one, are never missed.
 */
#include "vm.h"

/* What can fail is done first, and taken back. A slot that cannot be had again ends the VM. */
static int give(struct vmm_group *group, unsigned index, uint32_t right, struct vmm_error *error)
{
	struct ivshm_client_region *region = &group->client.region[index];
	uint32_t before = region->right;
	struct vmm_error why;
	int result = vmm_host_allow(group, index, right, error);

	if (result != 0)
		return result;
	region->right = right;
	result = vmm_group_settle(group, error);
	if (result == 0)
		return 0;
	region->right = before;
	if (vmm_group_settle(group, &why) != 0 && vmm_vm_end(group->vm, VMM_STATUS_FAULT))
		ivshm_log(IVSHM_LOG_ERROR, "group '%s': region '%s' is lost: %s",
			  group->client.group, region->name, why.text);
	return result;
}

/*
 * The slots hold, and are enough: what follows keeps this process to it too. Where KVM does not let
 * go of a slot no vCPU runs any more.
 */
static void take(struct vmm_group *group, unsigned index, uint32_t right)
{
	struct ivshm_client_region *region = &group->client.region[index];
	uint32_t before = region->right;
	struct vmm_error error;

	region->right = right;
	if (vmm_group_settle(group, &error) != 0 && vmm_vm_end(group->vm, VMM_STATUS_FAULT))
		ivshm_log(IVSHM_LOG_ERROR, "group '%s': region '%s' cannot be taken away: %s",
			  group->client.group, region->name, error.text);
	if (region->coherence == IST_COHERENCE_PAGE)
		coh_pager_limit(group->pager, region->offset, right);
	/* The mapping too: KVM's own workers ask for writing where that allows it. */
	region->right = before;
	if (vmm_host_allow(group, index, right, &error) != 0)
		vmm_group_complain(group, error.text);
	region->right = right;
}

int vmm_rights_change(void *context, unsigned index, uint32_t right)
{
	struct vmm_group *group = context;
	uint32_t before = group->client.region[index].right;
	struct vmm_error error = {""};
	int result = 0;

	if (right == before)
		return 0;
	/* A page-coherent region has its pager from the start, or has none. */
	if (right > before && group->client.region[index].coherence == IST_COHERENCE_PAGE)
		return -EOPNOTSUPP;
	if (!vmm_pause_begin(group->vm))
		result = vmm_fail(&error, ETIMEDOUT, "a vCPU does not come out of the guest");
	else if (right > before)
		result = give(group, index, right, &error);
	else
		take(group, index, right);
	/* What it has not lost yet it loses with all else: no vCPU gets in again. */
	if (result != 0 && right < before)
		vmm_vm_end(group->vm, VMM_STATUS_FAULT);
	vmm_pause_end(group->vm);
	if (result != 0)
		ivshm_log(IVSHM_LOG_WARN, "group '%s': no more right on region '%s': %s",
			  group->client.group, group->client.region[index].name, error.text);
	else
		ivshm_log(IVSHM_LOG_INFO, "group '%s': region '%s' is %s from now on",
			  group->client.group, group->client.region[index].name,
			  right == IST_RIGHT_WRITE  ? "writable"
			  : right == IST_RIGHT_READ ? "read-only"
						    : "forbidden");
	return result;
}
