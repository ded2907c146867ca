// SPDX-License-Identifier: BSD-2-Clause
/* group.c: a group's memory: what this peer may read and write is what KVM maps. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "vm.h"

/* ---- Accesses that no slot takes ---- */

/* The first time and at every power of two. */
static bool worth_telling(uint64_t count)
{
	return (count & (count - 1)) == 0;
}

void vmm_group_deny(struct vmm_group *group, uint64_t offset, bool write)
{
	const char *name, *kind = "part";
	unsigned index = ivshm_client_locate(&group->client, &offset, &name);
	uint64_t count = ++group->denied_in[index][write];

	group->denied[write]++;
	if (index < IST_REGIONS_MAX)
		kind = group->client.region[index].right == IST_RIGHT_READ ? "read-only region"
									   : "forbidden region";
	if (worth_telling(count))
		ivshm_log(IVSHM_LOG_WARN,
			  "%s %s '%s' of group '%s' at offset 0x%" PRIx64 " %s (%" PRIu64
			  " so far)",
			  write ? "write to" : "read from", kind, name, group->client.group, offset,
			  write ? "dropped" : "gives all ones", count);
}

void vmm_group_complain(struct vmm_group *group, const char *text)
{
	if (worth_telling(++group->complaints))
		ivshm_log(IVSHM_LOG_WARN, "%s (%" PRIu64 " so far)", text, group->complaints);
}

/* ---- What a v2 device has ---- */

/* It needs a way to write the state table, which the guest can only read. */
static int open_v2(struct vmm_group *group, struct vmm_error *error)
{
	void *state = mmap(NULL, group->client.page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   group->client.memory, 0);

	if (state == MAP_FAILED)
		return vmm_fail(error, errno, "cannot map the state table of group '%s': %m",
				group->client.group);
	group->state = state;
	group->watch = epoll_create1(EPOLL_CLOEXEC);
	if (group->watch < 0)
		return vmm_fail(error, errno, "cannot watch the doorbells of group '%s': %m",
				group->client.group);
	return 0;
}

/* ---- Places ---- */

static bool same(const struct ivshm_client_range *a, const struct ivshm_client_range *b)
{
	return a->offset == b->offset && a->size == b->size && a->right == b->right;
}

static bool among(const struct ivshm_client_range *range, const struct ivshm_client_range *list,
		  unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (same(range, &list[i]))
			return true;
	return false;
}

/* A slot that KVM does not let go of stays what it is. */
static int take_away(struct vmm_group *group, const struct ivshm_client_range *wanted,
		     unsigned count, struct vmm_error *error)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < IVSHM_CLIENT_RANGES_MAX; i++) {
		if (group->placed[i].size == 0 || among(&group->placed[i], wanted, count))
			continue;
		result = vmm_memory_set_slot(&group->vm->memory, group->slot + i, 0, 0, NULL, false,
					     error);
		if (result == 0)
			group->placed[i].size = 0;
	}
	return result;
}

/* KVM refuses memory over other memory. */
static int put(struct vmm_group *group, const struct ivshm_client_range *range,
	       struct vmm_error *error)
{
	unsigned i = 0;
	int result;

	while (group->placed[i].size != 0) /* there are as many as ranges can be */
		i++;
	result = vmm_memory_set_slot(
		&group->vm->memory, group->slot + i, group->base + range->offset, range->size,
		group->host + range->offset, range->right != IST_RIGHT_WRITE, error);
	if (result == 0)
		group->placed[i] = *range;
	return result;
}

int vmm_group_settle(struct vmm_group *group, struct vmm_error *error)
{
	struct ivshm_client_range wanted[IVSHM_CLIENT_RANGES_MAX];
	unsigned count = 0;
	int result;

	if (group->base != VMM_NOWHERE)
		count = ivshm_client_ranges(&group->client, wanted);
	result = take_away(group, wanted, count, error);
	for (unsigned i = 0; result == 0 && i < count; i++)
		if (!among(&wanted[i], group->placed, IVSHM_CLIENT_RANGES_MAX))
			result = put(group, &wanted[i], error);
	return result;
}

/* It keeps the group where it is not told. */
static int displace(struct vmm_group *group, struct vmm_error *error)
{
	group->base = VMM_NOWHERE;
	return vmm_group_settle(group, error);
}

static int place(struct vmm_group *group, uint64_t base, struct vmm_error *error)
{
	if (base < VMM_RAM_HIGH && base + group->client.size > VMM_INTERRUPT_CONTROLLERS)
		return vmm_fail(error, EEXIST, "interrupt controllers are there");
	group->base = base;
	return vmm_group_settle(group, error);
}

int vmm_group_place(struct vmm_group *group, uint64_t base, struct vmm_error *error)
{
	struct vmm_error why, ignored;
	int result;

	if (base == group->base)
		return 0;
	result = displace(group, &why);
	if (result == 0 && base != VMM_NOWHERE)
		result = place(group, base, &why);
	if (result == 0)
		return 0;
	displace(group, &ignored);
	return vmm_fail(error, -result, "group '%s' cannot be at 0x%" PRIx64 ": %s",
			group->client.group, base, why.text);
}

/* ---- Life ---- */

static int join(struct vmm_group *group, struct vmm_error *error)
{
	const struct vmm_options *options = group->vm->options;
	const struct vmm_group_option *option = &options->group[group->index];
	int result = ivshm_client_join(&group->client, option->socket, options->name,
				       options->kernel != NULL ? IST_KIND_LINUX : IST_KIND_APP,
				       &vmm_doorbell_client_ops, group, error->text,
				       sizeof(error->text));

	if (result == 0 && strcmp(group->client.group, option->name) != 0)
		result = vmm_fail(error, EINVAL, "%s is the socket of group '%s', not of '%s'",
				  option->socket, group->client.group, option->name);
	return result;
}

int vmm_group_create(struct vmm_vm *vm, unsigned index, uint64_t *next, struct vmm_error *error,
		     struct vmm_group **out)
{
	struct vmm_group *group = calloc(1, sizeof(*group));
	int result;

	if (group == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	group->vm = vm;
	group->index = index;
	group->base = group->registers = VMM_NOWHERE;
	group->watch = group->client.socket = -1;
	group->pager = coh_pager_create();
	result = group->pager != NULL ? join(group, error)
				      : vmm_fail(error, ENOMEM, "out of memory");
	if (result == 0)
		result = vmm_function_init(group, next, error);
	if (result == 0)
		result = vmm_host_map(group, error);
	if (result == 0)
		result = vmm_run_state_init(group, error);
	if (result == 0 && group->device.setup.personality == 2)
		result = open_v2(group, error);
	if (result == 0)
		result = vmm_function_settle(group, error);
	if (result == 0)
		*out = group;
	else
		vmm_group_destroy(group);
	return result;
}

int vmm_group_start(struct vmm_group *group, struct vmm_error *error)
{
	int result = vmm_pages_start(group, error);

	if (result != 0)
		return result;
	group->attached = true;
	vmm_doorbell_attach(group);
	return vmm_vectors_update(group, error);
}

void vmm_group_destroy(struct vmm_group *group)
{
	if (group == NULL)
		return;
	vmm_pages_stop(group);
	if (group->state != NULL) {
		__atomic_store_n(&group->state[group->client.id], 0, __ATOMIC_RELEASE);
		munmap(group->state, group->client.page_size);
	}
	vmm_run_state_fini(group);
	vmm_host_unmap(group);
	if (group->watch >= 0)
		close(group->watch);
	vmm_doorbell_close(group);
	if (group->client.socket >= 0)
		ivshm_client_leave(&group->client);
	free(group);
}
