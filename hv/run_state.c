// SPDX-License-Identifier: BSD-2-Clause
/* run_state.c: who runs: a group's page in a VM, and the broker told of the vCPUs. */
#include <sys/mman.h>

#include "vm.h"

int vmm_run_state_init(struct vmm_group *group, struct vmm_error *error)
{
	void *page;

	if (group->client.run_state < 0)
		return 0;
	page = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, group->client.run_state, 0);
	if (page == MAP_FAILED)
		return vmm_fail(error, errno, "cannot map the run-state page of group '%s': %m",
				group->client.group);
	group->run_page = page;
	group->run_slot = group->vm->memory.slots++;
	return 0;
}

/* KVM refuses memory over other memory. */
static int move(struct vmm_group *group, uint64_t address, struct vmm_error *error)
{
	struct vmm_memory *memory = &group->vm->memory;
	int result = 0;

	if (group->run_state != 0)
		result = vmm_memory_set_slot(memory, group->run_slot, 0, 0, NULL, false, error);
	if (result != 0)
		return result;
	group->run_state = 0;
	if (address == 0)
		return 0;
	if (address + IST_RUN_STATE_SIZE > VMM_INTERRUPT_CONTROLLERS)
		return vmm_fail(error, EEXIST, "interrupt controllers are there");
	result = vmm_memory_set_slot(memory, group->run_slot, address, IST_RUN_STATE_SIZE,
				     group->run_page, true, error);
	if (result == 0)
		group->run_state = address;
	return result;
}

int vmm_run_state_place(struct vmm_group *group, uint64_t address, struct vmm_error *error)
{
	struct vmm_error why;
	int result;

	if (address == VMM_NOWHERE)
		address = 0;
	if (group->run_page == NULL || address == group->run_state)
		return 0;
	result = move(group, address, &why);
	return result == 0 ? 0
			   : vmm_fail(error, -result,
				      "the run-state page of group '%s' cannot be at 0x%llx: %s",
				      group->client.group, (unsigned long long)address, why.text);
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

void vmm_run_state_renew(struct vmm_group *group)
{
	if (group->run_page != NULL && group->client.run_state >= 0 &&
	    mmap(group->run_page, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
		 group->client.run_state, 0) == MAP_FAILED)
		vmm_group_complain(group, "the new run-state page cannot be mapped");
}

int vmm_run_state_tell(const struct vmm_vm *vm, struct vmm_group *group)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < vm->vcpus; i++)
		result = ivshm_client_thread(&group->client, (uint32_t)vm->vcpu[i].tid, vm->vcpus);
	return result;
}
