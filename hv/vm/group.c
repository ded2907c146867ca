// SPDX-License-Identifier: BSD-2-Clause
/* group.c: a group's memory: what this peer may read and write is what KVM maps. */
#include "group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "paging.h"

#define RANGES_MAX (1u + IST_REGIONS_MAX + IST_PEERS_MAX)

struct range {
	uint64_t offset;
	uint64_t size;
	uint32_t right; /* IST_RIGHT_* */
};

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
	const struct range *a = left, *b = right;

	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* What may be accessed, in order of offset, neighbours of the same right merged. */
static unsigned collect(const struct ivshm_client *client, struct range *range)
{
	unsigned count = 0, merged = 0;

	range[count++] = (struct range){0, IST_REGIONS_OFFSET, IST_RIGHT_READ};
	for (unsigned i = 0; i < client->regions; i++) {
		const struct ivshm_client_region *region = &client->region[i];

		if (region->right != IST_RIGHT_NONE)
			range[count++] =
				(struct range){region->offset, region->size, region->right};
	}
	for (uint32_t id = 0; client->output_size != 0 && id < client->max_peers; id++)
		range[count++] = (struct range){
			client->output_offset + id * client->output_size, client->output_size,
			id == client->id ? IST_RIGHT_WRITE : IST_RIGHT_READ};
	qsort(range, count, sizeof(*range), compare);
	for (unsigned i = 1; i < count; i++) {
		struct range *last = &range[merged];

		if (last->offset + last->size == range[i].offset && last->right == range[i].right)
			last->size += range[i].size;
		else
			range[++merged] = range[i];
	}
	return merged + 1;
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

static int map(struct vmm_group *group, struct vmm_memory *memory, struct vmm_error *error)
{
	const struct ivshm_client *client = &group->client;
	uint64_t page = client->page_size;
	struct range range[RANGES_MAX];
	unsigned count = collect(client, range);
	int result = reserve(group, error);

	for (unsigned i = 0; result == 0 && i < count; i++) {
		bool writable = range[i].right == IST_RIGHT_WRITE;
		/* The host can map whole pages of the memfd only; a slot is exact. */
		uint64_t size = (range[i].size + page - 1) / page * page;

		if (mmap(group->host + range[i].offset, size,
			 writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED,
			 client->memory, (off_t)range[i].offset) == MAP_FAILED)
			return vmm_fail_errno(error, "cannot map group '%s' at offset 0x%" PRIx64,
					      client->group, range[i].offset);
		result = vmm_memory_add_slot(memory, group->base + range[i].offset, range[i].size,
					     group->host + range[i].offset, !writable, error);
	}
	return result;
}

/* ---- Life ---- */

int vmm_group_create(const struct vmm_options *options, unsigned index, struct vmm_memory *memory,
		     struct vmm_bus *mmio, struct vmm_irqs *irqs, uint64_t *next,
		     struct vmm_error *error, struct vmm_group **out)
{
	const struct vmm_group_option *option = &options->group[index];
	struct vmm_group *group = calloc(1, sizeof(*group));
	uint64_t size;
	int result;

	if (group == NULL)
		return vmm_fail(error, ENOMEM, "out of memory");
	group->options = options;
	group->irqs = irqs;
	group->index = index;
	group->vm = memory->vm;
	pthread_mutex_init(&group->lock, NULL);
	result = ivshm_client_join(&group->client, option->socket, options->name, IST_KIND_APP,
				   &vmm_doorbell_client_ops, group, error->text,
				   sizeof(error->text));
	if (result != 0)
		goto fail;
	group->joined = true;
	if (strcmp(group->client.group, option->name) != 0) {
		result = vmm_fail(error, EINVAL, "%s is the socket of group '%s', not of '%s'",
				  option->socket, group->client.group, option->name);
		goto fail;
	}
	size = group->client.size;
	if (size > VMM_ADDRESS_LIMIT / 2) {
		result = vmm_fail(error, EFBIG, "group '%s' is larger than %llu GiB", option->name,
				  VMM_ADDRESS_LIMIT >> 31);
		goto fail;
	}
	group->base = (*next + size - 1) & ~(size - 1);
	*next = group->base + size;
	if (*next > VMM_ADDRESS_LIMIT) {
		result = vmm_fail(error, ENOSPC, "group '%s' does not fit below %llu GiB",
				  option->name, VMM_ADDRESS_LIMIT >> 30);
		goto fail;
	}
	group->registers = VMM_REGISTERS_START + VMM_REGISTERS_SIZE * index;
	group->device.id = group->client.id;
	result = map(group, memory, error);
	if (result != 0)
		goto fail;
	vmm_bus_claim(mmio, group->base, size, &memory_ops, group);
	vmm_bus_claim(mmio, group->registers, VMM_REGISTERS_SIZE, &vmm_doorbell_ops, group);
	*out = group;
	return 0;
fail:
	vmm_group_destroy(group);
	return result;
}

void vmm_group_destroy(struct vmm_group *group)
{
	if (group == NULL)
		return;
	if (group->reserved != NULL)
		munmap(group->reserved, group->reserved_size);
	vmm_doorbell_close(group);
	if (group->joined)
		ivshm_client_leave(&group->client);
	pthread_mutex_destroy(&group->lock);
	free(group);
}
