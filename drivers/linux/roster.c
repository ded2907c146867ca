// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* roster.c: what the driver decides from the roster (see roster.h). */
#include "roster.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#endif

typedef unsigned long long ull; /* what printf's %llu and %llx take, in and out of the kernel */

__attribute__((format(printf, 3, 4))) static int bad(char *why, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, ISTHMUS_WHY_SIZE, format, arguments);
	va_end(arguments);
	return error;
}

static int name_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

int isthmus_name_ok(const char name[IST_NAME_SIZE])
{
	unsigned int length = 0;

	while (length < IST_NAME_SIZE && name_letter(name[length]))
		length++;
	return length && length < IST_NAME_SIZE && !name[length] && name[0] != '.' &&
	       name[0] != '-';
}

static int check_header(const struct ist_roster *header, uint64_t memory_size, char *why)
{
	if (header->magic != IST_ROSTER_MAGIC)
		return bad(why, -EPROTO, "no roster: magic 0x%llx, not 0x%llx", (ull)header->magic,
			   (ull)IST_ROSTER_MAGIC);
	if (header->abi_major != IST_ABI_MAJOR)
		return bad(why, -EPROTONOSUPPORT, "roster of ABI %u.%u, this driver speaks %u.x",
			   header->abi_major, header->abi_minor, IST_ABI_MAJOR);
	if (header->features_required & ~IST_FEATURES_KNOWN)
		return bad(why, -EPROTONOSUPPORT, "roster requires unknown features 0x%llx",
			   (ull)(header->features_required & ~IST_FEATURES_KNOWN));
	if (header->page_size != 1u << 12 && header->page_size != 1u << 21 &&
	    header->page_size != 1u << 30)
		return bad(why, -EPROTO, "roster: page size %u", header->page_size);
	if (header->total_size < IST_REGIONS_OFFSET ||
	    (header->total_size & (header->total_size - 1)))
		return bad(why, -EPROTO, "roster: total size %llu", (ull)header->total_size);
	if (header->total_size > memory_size)
		return bad(why, -EPROTO, "roster: total size %llu, but the device's memory is %llu",
			   (ull)header->total_size, (ull)memory_size);
	if (header->max_peers < 1 || header->max_peers > IST_PEERS_MAX)
		return bad(why, -EPROTO, "roster: %u peers at most", header->max_peers);
	if (header->vectors < 1 || header->vectors > IST_VECTORS_MAX)
		return bad(why, -EPROTO, "roster: %u vectors", header->vectors);
	if (header->regions > IST_REGIONS_MAX)
		return bad(why, -EPROTO, "roster: %u regions", header->regions);
	if (!isthmus_name_ok(header->name))
		return bad(why, -EPROTO, "roster: the group's name is none");
	return 0;
}

/* Is [offset, offset + size) in whole pages behind the roster, inside the whole? */
static int extent_ok(const struct ist_roster *header, uint64_t offset, uint64_t size)
{
	return size && offset >= IST_REGIONS_OFFSET && offset <= header->total_size &&
	       size <= header->total_size - offset && !(offset & (header->page_size - 1u)) &&
	       !(size & (header->page_size - 1u));
}

static int check_outputs(const struct ist_roster *header, char *why)
{
	/* The first test keeps the product in the others from wrapping. */
	if (header->output_size > header->total_size / header->max_peers ||
	    (header->output_size & (header->page_size - 1u)) ||
	    (header->output_size &&
	     !extent_ok(header, header->output_offset, header->output_size * header->max_peers)))
		return bad(why, -EPROTO, "roster: %u output sections of 0x%llx bytes at 0x%llx",
			   header->max_peers, (ull)header->output_size, (ull)header->output_offset);
	return 0;
}

static int overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int check_region(const struct isthmus_tables *tables, uint32_t index, char *why)
{
	const struct ist_roster *header = &tables->header;
	const struct ist_region *region = &tables->region[index];

	if (!isthmus_name_ok(region->name))
		return bad(why, -EPROTO, "roster: the name of region %u is none", index);
	if (!extent_ok(header, region->offset, region->size))
		return bad(why, -EPROTO, "roster: region %u has 0x%llx bytes at 0x%llx", index,
			   (ull)region->size, (ull)region->offset);
	if (region->coherence > IST_COHERENCE_INCOHERENT)
		return bad(why, -EPROTO, "roster: region %u has coherence %u", index,
			   region->coherence);
	if (header->output_size && overlap(region->offset, region->size, header->output_offset,
					   header->output_size * header->max_peers))
		return bad(why, -EPROTO, "roster: region %u overlaps the output sections", index);
	for (uint32_t i = 0; i < index; i++) {
		const struct ist_region *other = &tables->region[i];

		if (overlap(region->offset, region->size, other->offset, other->size))
			return bad(why, -EPROTO, "roster: regions %u and %u overlap", i, index);
		if (!strcmp(region->name, other->name))
			return bad(why, -EPROTO, "roster: regions %u and %u have one name", i,
				   index);
	}
	return 0;
}

int isthmus_roster_check(const struct isthmus_tables *tables, uint64_t memory_size,
			 struct isthmus_roster *out, char why[ISTHMUS_WHY_SIZE])
{
	const struct ist_roster *header = &tables->header;
	int error = check_header(header, memory_size, why);

	if (!error)
		error = check_outputs(header, why);
	for (uint32_t i = 0; !error && i < header->regions; i++)
		error = check_region(tables, i, why);
	if (error)
		return error;

	memset(out, 0, sizeof(*out));
	memcpy(out->name, header->name, sizeof(out->name));
	out->max_peers = header->max_peers;
	out->vectors = header->vectors;
	out->regions = header->regions;
	out->size = header->total_size;
	out->output_size = header->output_size;
	out->output_offset = header->output_size ? header->output_offset : 0;
	for (uint32_t i = 0; i < header->regions; i++) {
		const struct ist_region *from = &tables->region[i];
		struct isthmus_region *to = &out->region[i];

		memcpy(to->name, from->name, sizeof(to->name));
		to->offset = from->offset;
		to->size = from->size;
		to->readers = from->readers;
		to->writers = from->writers;
		to->coherence = from->coherence;
	}
	return 0;
}

int isthmus_roster_self(const struct isthmus_roster *roster, uint32_t id, uint64_t word,
			char why[ISTHMUS_WHY_SIZE])
{
	if (id >= roster->max_peers)
		return bad(why, -EPROTO, "this is peer %u, but group %s has %u at most", id,
			   roster->name, roster->max_peers);
	if (isthmus_reachable(word, 0))
		return bad(why, -EPROTO, "this is peer %u, which group %s has not admitted", id,
			   roster->name);
	return 0;
}

/* The part of the group that a byte is in: its end and the peer's right on it. */
static uint32_t right_at(const struct isthmus_roster *roster, uint32_t id, uint64_t offset,
			 uint64_t *end)
{
	const uint64_t behind = offset - roster->output_offset;

	if (offset < IST_REGIONS_OFFSET) {
		*end = IST_REGIONS_OFFSET;
		return IST_RIGHT_READ;
	}
	for (uint32_t i = 0; i < roster->regions; i++) {
		const struct isthmus_region *region = &roster->region[i];

		if (offset < region->offset || offset - region->offset >= region->size)
			continue;
		*end = region->offset + region->size;
		if (region->writers >> id & 1)
			return IST_RIGHT_WRITE;
		return region->readers >> id & 1 ? IST_RIGHT_READ : IST_RIGHT_NONE;
	}
	for (uint32_t i = 0; roster->output_size && i < roster->max_peers; i++) {
		if (offset < roster->output_offset || behind < i * roster->output_size ||
		    behind - i * roster->output_size >= roster->output_size)
			continue;
		*end = roster->output_offset + (i + 1) * roster->output_size;
		return i == id ? IST_RIGHT_WRITE : IST_RIGHT_READ;
	}
	return IST_RIGHT_NONE;
}

uint32_t isthmus_right(const struct isthmus_roster *roster, uint32_t id, uint64_t offset,
		       uint64_t size)
{
	uint32_t right = IST_RIGHT_WRITE;
	uint64_t at = offset;

	if (!size || offset > roster->size || size > roster->size - offset ||
	    id >= roster->max_peers)
		return IST_RIGHT_NONE;
	/* Ends: each step leaves one of at most 1 + 32 + 64 parts behind. */
	while (at < offset + size && right != IST_RIGHT_NONE) {
		uint64_t end = 0;
		uint32_t here = right_at(roster, id, at, &end);

		right = here < right ? here : right;
		at = end;
	}
	return right;
}

static int same_region(const struct isthmus_region *a, const struct isthmus_region *b)
{
	return !strcmp(a->name, b->name) && a->offset == b->offset && a->size == b->size &&
	       a->coherence == b->coherence;
}

int isthmus_roster_follow(struct isthmus_roster *roster, const struct isthmus_roster *fresh,
			  uint32_t id, uint32_t *less, uint32_t *other)
{
	*less = *other = 0;
	if (strcmp(roster->name, fresh->name) || roster->max_peers != fresh->max_peers ||
	    roster->vectors != fresh->vectors || roster->size != fresh->size ||
	    roster->output_offset != fresh->output_offset ||
	    roster->output_size != fresh->output_size || fresh->regions < roster->regions)
		return -EPROTO;
	for (uint32_t i = 0; i < roster->regions; i++)
		if (!same_region(&roster->region[i], &fresh->region[i]))
			return -EPROTO;
	for (uint32_t i = 0; i < fresh->regions; i++) {
		const struct isthmus_region *now = &fresh->region[i];
		uint32_t before = isthmus_right(roster, id, now->offset, now->size);
		uint32_t after = isthmus_right(fresh, id, now->offset, now->size);

		if (after < before)
			*less |= 1u << i;
		if (after != before || i >= roster->regions)
			*other |= 1u << i;
	}
	*roster = *fresh;
	return 0;
}

int isthmus_hold_check(const struct isthmus_roster *roster, uint32_t id,
		       const struct ist_linux_hold *hold)
{
	if (hold->offset % sizeof(uint64_t) || hold->on > 1 || hold->reserved)
		return -EINVAL;
	if (isthmus_right(roster, id, hold->offset, sizeof(uint64_t)) != IST_RIGHT_WRITE)
		return -EACCES;
	return 0;
}

int isthmus_reachable(uint64_t word, uint32_t incarnation)
{
	uint32_t state = IST_PEER_STATE(word);

	if (state != IST_PEER_LIVE && state != IST_PEER_JOINING)
		return -EPIPE;
	return !incarnation || incarnation == IST_PEER_INCARNATION(word) ? 0 : -EPIPE;
}

unsigned int isthmus_peer_step(struct isthmus_peer *told, uint64_t word,
			       const char name[IST_NAME_SIZE], struct isthmus_peer_event event[2])
{
	uint32_t state = IST_PEER_STATE(word);
	uint32_t incarnation = IST_PEER_INCARNATION(word);
	unsigned int count = 0;

	if (incarnation != IST_PEER_INCARNATION(told->word)) {
		if (IST_PEER_STATE(told->word) == IST_PEER_LIVE) {
			event[count].state = IST_PEER_DEAD;
			memcpy(event[count++].name, told->name, IST_NAME_SIZE);
		}
		told->word = IST_PEER_WORD(IST_PEER_ABSENT, incarnation);
		memcpy(told->name, name, IST_NAME_SIZE);
	}
	/* Who is joining or leaving is told of when it is there, or gone. */
	if (state != IST_PEER_STATE(told->word) &&
	    (state == IST_PEER_ABSENT || state == IST_PEER_LIVE || state == IST_PEER_DEAD)) {
		event[count].state = state;
		memcpy(event[count++].name, told->name, IST_NAME_SIZE);
		told->word = IST_PEER_WORD(state, incarnation);
	}
	return count;
}
