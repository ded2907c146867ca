/* SPDX-License-Identifier: BSD-2-Clause */
/* client_map.c: the group's memory as one peer has it: what it may access, what is where. */
#include "client.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
	const struct ivshm_client_range *a = left, *b = right;

	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

unsigned ivshm_client_ranges(const struct ivshm_client *client,
			     struct ivshm_client_range out[static IVSHM_CLIENT_RANGES_MAX])
{
	unsigned count = 0, merged = 0;

	out[count++] = (struct ivshm_client_range){0, IST_REGIONS_OFFSET, IST_RIGHT_READ};
	for (unsigned i = 0; i < client->regions; i++) {
		const struct ivshm_client_region *region = &client->region[i];

		if (region->right != IST_RIGHT_NONE)
			out[count++] = (struct ivshm_client_range){region->offset, region->size,
								   region->right};
	}
	for (uint32_t id = 0; client->output_size && id < client->max_peers; id++)
		out[count++] = (struct ivshm_client_range){
			client->output_offset + id * client->output_size, client->output_size,
			id == client->id ? IST_RIGHT_WRITE : IST_RIGHT_READ};
	for (unsigned i = 0; i < client->regions; i++)
		if (client->region[i].directory)
			out[count++] = (struct ivshm_client_range){
				client->region[i].directory, ivshm_client_directory_size(client, i),
				IST_RIGHT_READ};
	qsort(out, count, sizeof(*out), compare);
	for (unsigned i = 1; i < count; i++) {
		struct ivshm_client_range *last = &out[merged];

		if (last->offset + last->size == out[i].offset && last->right == out[i].right)
			last->size += out[i].size;
		else
			out[++merged] = out[i];
	}
	return merged + 1;
}

unsigned ivshm_client_locate(const struct ivshm_client *client, uint64_t *offset, const char **name)
{
	for (unsigned i = 0; i < client->regions; i++) {
		const struct ivshm_client_region *region = &client->region[i];

		if (*offset >= region->offset && *offset - region->offset < region->size) {
			*offset -= region->offset;
			*name = region->name;
			return i;
		}
	}
	if (*offset < IST_REGIONS_OFFSET)
		*name = "roster";
	else if (client->output_size && *offset >= client->output_offset &&
		 *offset - client->output_offset < client->output_size * client->max_peers)
		*name = "output sections";
	else if (client->directories && *offset >= client->directories)
		*name = "page directories";
	else
		*name = "unused";
	return IST_REGIONS_MAX;
}

uint64_t ivshm_client_rw_size(const struct ivshm_client *client)
{
	uint64_t end = IST_REGIONS_OFFSET;

	for (unsigned i = 0; i < client->regions; i++)
		if (end < client->region[i].offset + client->region[i].size)
			end = client->region[i].offset + client->region[i].size;
	if (client->output_size)
		end = client->output_offset;
	return end - IST_STATE_TABLE_SIZE;
}
