// SPDX-License-Identifier: BSD-2-Clause
/* run_state.c: who runs: a group's page in an app VM, and the broker told of the vCPUs. */
#include <sys/mman.h>

#include "vm.h"

int vmm_run_state_init(struct vmm_group *group, struct vmm_error *error)
{
	uint64_t address = VMM_RUN_STATE_START + group->index * IST_RUN_STATE_SIZE;
	void *page;

	if (group->client.run_state < 0 || group->vm->options->kernel != NULL)
		return 0;
	page = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, group->client.run_state, 0);
	if (page == MAP_FAILED)
		return vmm_fail(error, errno, "cannot map the run-state page of group '%s': %m",
				group->client.group);
	group->run_page = page;
	group->run_state = address;
	return vmm_memory_set_slot(&group->vm->memory, group->vm->memory.slots++, address,
				   IST_RUN_STATE_SIZE, page, true, error);
}

void vmm_run_state_fini(struct vmm_group *group)
{
	if (group->run_page != NULL)
		munmap(group->run_page, IST_RUN_STATE_SIZE);
}

/* KVM follows the change of the mapping that the slot is over. */
void vmm_run_state_blank(struct vmm_group *group)
{
	if (group->run_page != NULL &&
	    mmap(group->run_page, IST_RUN_STATE_SIZE, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		vmm_group_complain(group, "the run-state page cannot be taken away");
}

int vmm_run_state_tell(const struct vmm_vm *vm, struct vmm_group *group)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < vm->vcpus; i++)
		result = ivshm_client_thread(&group->client, (uint32_t)vm->vcpu[i].tid, vm->vcpus);
	return result;
}
