// SPDX-License-Identifier: BSD-2-Clause
/* group.c: a group's memory: what this peer may read and write is what KVM maps. */
#include "group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Accesses that no slot takes ---- */

/* Which counter, and what to call the place. */
static unsigned locate(const struct vmm_group *group, uint64_t *offset, const char **kind,
		       const char **name)
{
	const struct ivshm_client *client = &group->client;

	for (unsigned i = 0; i < client->regions; i++) {
		const struct ivshm_client_region *region = &client->region[i];

		if (*offset >= region->offset && *offset - region->offset < region->size) {
			*offset -= region->offset;
			*kind = region->right == IST_RIGHT_READ ? "read-only region"
								: "forbidden region";
			*name = region->name;
			return i;
		}
	}
	*kind = "part";
	if (*offset < IST_REGIONS_OFFSET)
		*name = "roster";
	else if (client->output_size != 0 && *offset >= client->output_offset &&
		 *offset - client->output_offset < client->output_size * client->max_peers)
		*name = "output sections";
	else if (client->directories != 0 && *offset >= client->directories)
		*name = "page directories";
	else
		*name = "unused";
	return IST_REGIONS_MAX;
}

/* Counts, and tells the first time and at every power of two. */
static void deny(struct vmm_group *group, uint64_t offset, bool write)
{
	const char *kind, *name;
	unsigned index = locate(group, &offset, &kind, &name);
	uint64_t count;

	pthread_mutex_lock(&group->lock);
	count = write ? ++group->denied[index].writes : ++group->denied[index].reads;
	pthread_mutex_unlock(&group->lock);
	if ((count & (count - 1)) == 0)
		vmm_log(group->options, VMM_WARNING,
			"%s %s '%s' of group '%s' at offset 0x%" PRIx64 " %s (%" PRIu64 " so far)",
			write ? "write to" : "read from", kind, name, group->client.group, offset,
			write ? "dropped" : "gives all ones", count);
}

static void memory_read(void *context, uint64_t offset, unsigned size, uint8_t *data)
{
	(void)size;
	(void)data; /* all ones, as it came */
	deny(context, offset, false);
}

static void memory_write(void *context, uint64_t offset, unsigned size, const uint8_t *data)
{
	(void)size;
	(void)data;
	deny(context, offset, true);
}

static const struct vmm_claim_ops memory_ops = {memory_read, memory_write};

void vmm_group_complain(struct vmm_group *group, const char *text)
{
	uint64_t count = __atomic_add_fetch(&group->complaints, 1, __ATOMIC_RELAXED);

	if ((count & (count - 1)) == 0)
		vmm_log(group->options, VMM_WARNING, "%s (%" PRIu64 " so far)", text, count);
}

struct vmm_denied vmm_group_denied(struct vmm_group *group)
{
	struct vmm_denied sum = {0};

	pthread_mutex_lock(&group->lock);
	for (unsigned i = 0; i <= IST_REGIONS_MAX; i++) {
		sum.reads += group->denied[i].reads;
		sum.writes += group->denied[i].writes;
	}
	pthread_mutex_unlock(&group->lock);
	return sum;
}

/* ---- Mapping ---- */

static int compare(const void *left, const void *right)
{
	const struct vmm_range *a = left, *b = right;

	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void add_range(struct vmm_group *group, uint64_t offset, uint64_t size, uint32_t right)
{
	if (right != IST_RIGHT_NONE)
		group->range[group->ranges++] =
			(struct vmm_range){.offset = offset, .size = size, .right = right};
}

/* What may be accessed, in order of offset, neighbours of the same right merged. */
static void collect(struct vmm_group *group)
{
	const struct ivshm_client *client = &group->client;
	struct vmm_range *range = group->range;
	unsigned merged = 0;

	add_range(group, 0, IST_REGIONS_OFFSET, IST_RIGHT_READ);
	for (unsigned i = 0; i < client->regions; i++)
		add_range(group, client->region[i].offset, client->region[i].size,
			  client->region[i].right);
	for (uint32_t id = 0; client->output_size != 0 && id < client->max_peers; id++)
		add_range(group, client->output_offset + id * client->output_size,
			  client->output_size, id == client->id ? IST_RIGHT_WRITE : IST_RIGHT_READ);
	for (unsigned i = 0; i < client->regions; i++)
		if (client->region[i].directory != 0)
			add_range(group, client->region[i].directory,
				  ivshm_client_directory_size(client, i), IST_RIGHT_READ);
	qsort(range, group->ranges, sizeof(*range), compare);
	for (unsigned i = 1; i < group->ranges; i++) {
		struct vmm_range *last = &range[merged];

		if (last->offset + last->size == range[i].offset && last->right == range[i].right)
			last->size += range[i].size;
		else
			range[++merged] = range[i];
	}
	group->ranges = merged + 1;
	group->slot = group->memory->slots;
	group->memory->slots += group->ranges;
}

/* Reserves the whole, aligned to the group's pages, with no access. */
static int reserve(struct vmm_group *group, struct vmm_error *error)
{
	uint64_t page = group->client.page_size;
	void *reserved;

	group->reserved_size = group->client.size + page;
	reserved = mmap(NULL, group->reserved_size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return vmm_fail_errno(error, "cannot reserve %" PRIu64 " MiB for group '%s'",
				      group->client.size >> 20, group->client.group);
	group->reserved = reserved;
	group->host = (uint8_t *)reserved + (page - (uintptr_t)reserved % page) % page;
	return 0;
}

static int map(struct vmm_group *group, struct vmm_error *error)
{
	const struct ivshm_client *client = &group->client;
	uint64_t page = client->page_size;
	int result = reserve(group, error);

	collect(group);
	for (unsigned i = 0; result == 0 && i < group->ranges; i++) {
		const struct vmm_range *range = &group->range[i];
		bool writable = range->right == IST_RIGHT_WRITE;
		/* The host can map whole pages of the memfd only; a slot is exact. */
		uint64_t size = (range->size + page - 1) / page * page;

		if (mmap(group->host + range->offset, size,
			 writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED,
			 client->memory, (off_t)range->offset) == MAP_FAILED)
			result = vmm_fail_errno(error, "cannot map group '%s' at offset 0x%" PRIx64,
						client->group, range->offset);
	}
	return result;
}

/* What a v2 device needs more: a way to write the state table, which the guest can only read. */
static int open_v2(struct vmm_group *group, struct vmm_error *error)
{
	void *state = mmap(NULL, group->client.page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   group->client.memory, 0);

	if (state == MAP_FAILED)
		return vmm_fail_errno(error, "cannot map the state table of group '%s'",
				      group->client.group);
	group->state = state;
	group->watch = epoll_create1(EPOLL_CLOEXEC);
	if (group->watch < 0)
		return vmm_fail_errno(error, "cannot watch the doorbells of group '%s'",
				      group->client.group);
	return 0;
}

/* ---- Places ---- */

/* A slot that KVM does not let go of stays what it is, and keeps the group where it is not told. */
static int displace(struct vmm_group *group, struct vmm_error *error)
{
	int result = 0;

	vmm_bus_move(group->mmio, group->claim[IST_BAR_MEMORY], VMM_BUS_NOWHERE);
	for (unsigned i = 0; i < group->ranges; i++) {
		struct vmm_range *range = &group->range[i];
		int one = 0;

		if (range->mapped)
			one = vmm_memory_set_slot(group->memory, group->slot + i, 0, 0, NULL, false,
						  error);
		range->mapped = range->mapped && one != 0;
		result = result != 0 ? result : one;
	}
	group->base = VMM_BUS_NOWHERE;
	if (result == 0)
		vmm_memory_take(group->memory, group->index, 0, 0, error);
	return result;
}

static int place(struct vmm_group *group, uint64_t base, struct vmm_error *error)
{
	int result = vmm_memory_take(group->memory, group->index, base, group->client.size, error);

	for (unsigned i = 0; result == 0 && i < group->ranges; i++) {
		struct vmm_range *range = &group->range[i];

		result = vmm_memory_set_slot(group->memory, group->slot + i, base + range->offset,
					     range->size, group->host + range->offset,
					     range->right != IST_RIGHT_WRITE, error);
		range->mapped = result == 0;
	}
	return result;
}

int vmm_group_place(struct vmm_group *group, uint64_t base, struct vmm_error *error)
{
	struct vmm_error why, ignored;
	int result;

	if (base == group->base)
		return 0;
	result = displace(group, &why);
	if (result == 0 && base != VMM_BUS_NOWHERE)
		result = place(group, base, &why);
	if (result != 0) {
		displace(group, &ignored);
		return vmm_fail(error, -result, "group '%s' cannot be at 0x%" PRIx64 ": %s",
				group->client.group, base, why.text);
	}
	group->base = base;
	vmm_bus_move(group->mmio, group->claim[IST_BAR_MEMORY], base);
	return 0;
}

/* ---- Life ---- */

static int join(struct vmm_group *group, struct vmm_error *error)
{
	const struct vmm_options *options = group->options;
	const struct vmm_group_option *option = &options->group[group->index];
	int result = ivshm_client_join(&group->client, option->socket, options->name,
				       options->kernel != NULL ? IST_KIND_LINUX : IST_KIND_APP,
				       &vmm_doorbell_client_ops, group, error->text,
				       sizeof(error->text));

	group->joined = result == 0;
	if (result == 0 && strcmp(group->client.group, option->name) != 0)
		result = vmm_fail(error, EINVAL, "%s is the socket of group '%s', not of '%s'",
				  option->socket, group->client.group, option->name);
	return result;
}

int vmm_group_create(const struct vmm_options *options, unsigned index, struct vmm_memory *memory,
		     struct vmm_bus *mmio, struct vmm_irqs *irqs, uint64_t *next,
		     struct vmm_error *error, struct vmm_group **out)
{
	struct vmm_group *group = calloc(1, sizeof(*group));
	int result;

	if (group == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	group->options = options;
	group->memory = memory;
	group->mmio = mmio;
	group->irqs = irqs;
	group->index = index;
	group->vm = memory->vm;
	group->base = group->registers = VMM_BUS_NOWHERE;
	group->watch = -1;
	pthread_mutex_init(&group->lock, NULL);
	group->pager = vmm_pager_create();
	result = group->pager != NULL ? join(group, error)
				      : vmm_fail(error, ENOMEM, "out of memory");
	if (result == 0)
		result = vmm_function_init(group, next, error);
	if (result == 0)
		result = map(group, error);
	if (result == 0 && group->device.setup.personality == 2)
		result = open_v2(group, error);
	if (result == 0) {
		group->claim[IST_BAR_MEMORY] = vmm_bus_claim(
			mmio, VMM_BUS_NOWHERE, group->client.size, &memory_ops, group);
		result = vmm_function_settle(group, error);
	}
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
	pthread_mutex_lock(&group->lock);
	group->attached = true;
	result = vmm_vectors_update(group, error);
	vmm_doorbell_attach(group);
	pthread_mutex_unlock(&group->lock);
	return result;
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
	if (group->reserved != NULL)
		munmap(group->reserved, group->reserved_size);
	if (group->watch >= 0)
		close(group->watch);
	vmm_doorbell_close(group);
	if (group->joined)
		ivshm_client_leave(&group->client);
	pthread_mutex_destroy(&group->lock);
	free(group);
}
