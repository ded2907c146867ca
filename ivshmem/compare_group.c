/* SPDX-License-Identifier: BSD-2-Clause */
/* compare_group.c: how the groups of two configurations differ: all of theirs, regions, rights. */
#include "compare_internal.h"
#include "layout.h"
#include "size.h"

#include <string.h>

static const char *const rights[] = {"none", "ro", "rw"};

/* A pair of the same group. */
struct pair {
	struct compare *compare;
	const struct ivshm_group_config *a, *b;
};

static void never(const struct pair *pair, const char *what, uint64_t from, uint64_t to)
{
	if (from != to)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER,
				 "it is what the group was made with",
				 "group '%s': %s %llu instead of %llu", pair->b->name, what,
				 (unsigned long long)to, (unsigned long long)from);
}

static void compare_head(const struct pair *pair)
{
	const struct ivshm_group_config *a = pair->a, *b = pair->b;

	never(pair, "page_size", a->page_size, b->page_size);
	never(pair, "output_size", a->output_size, b->output_size);
	never(pair, "vectors", a->vectors, b->vectors);
	never(pair, "max_peers", a->max_peers, b->max_peers);
	if (!ivshm_same_numa(&a->numa, &b->numa))
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER,
				 "it is what the group was made with", "group '%s': another 'numa'",
				 b->name);
	if (a->legacy_trusted != b->legacy_trusted || a->run_state != b->run_state)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER,
				 "it is what the group was made with", "group '%s': another '%s'",
				 b->name, a->run_state != b->run_state ? "run_state" : "legacy");
}

static void compare_users(const struct pair *pair)
{
	const struct ivshm_group_config *a = pair->a, *b = pair->b;
	bool same = a->users_count == b->users_count;

	for (unsigned i = 0; same && i < a->users_count; i++)
		same = !strcmp(a->users[i], b->users[i]);
	if (!same)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_LIVE, "", "group '%s': other 'users'",
				 b->name);
}

/* Returns whether it is the same region, whatever the rights on it. */
static bool compare_region(const struct pair *pair, unsigned i)
{
	const struct ivshm_region_config *a = &pair->a->regions[i], *b = &pair->b->regions[i];
	char was[IVSHM_SIZE_TEXT], is[IVSHM_SIZE_TEXT];

	if (strcmp(a->name, b->name) != 0)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER,
				 "a region can be added at the end, and nothing else",
				 "group '%s': region '%s' in the place of '%s'", pair->b->name,
				 b->name, a->name);
	else if (a->size != b->size)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER, "it is mapped as it is",
				 "group '%s': region '%s' of %s instead of %s", pair->b->name,
				 b->name, ivshm_size_format(b->size, is),
				 ivshm_size_format(a->size, was));
	else if (a->coherence != b->coherence || a->tenure_ns != b->tenure_ns ||
		 a->recall_ns != b->recall_ns)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER, "it is mapped as it is",
				 "group '%s': region '%s' of another coherence", pair->b->name,
				 b->name);
	else
		return true;
	return false;
}

/* All that was there before is where it was, in a memory as large as it was. */
static const char *why_not_added(const struct pair *pair, unsigned i, char *why, size_t size)
{
	struct ivshm_layout was, is;
	char from[IVSHM_SIZE_TEXT], to[IVSHM_SIZE_TEXT];

	if (pair->b->regions[i].coherence == IST_COHERENCE_PAGE)
		return "its members have had no pagers from the start";
	/* Either was possible when it was loaded. */
	if (ivshm_layout_compute(pair->a, &was) || ivshm_layout_compute(pair->b, &is))
		return "there is no room for it";
	if (was.output_offset != is.output_offset)
		return "the output sections would have to move";
	if (memcmp(was.directory_offset, is.directory_offset, sizeof(was.directory_offset)) != 0)
		return "the page directories would have to move";
	if (was.total_size == is.total_size)
		return NULL;
	snprintf(why, size, "the group would need %s and has %s: 'size' gives room",
		 ivshm_size_format(is.total_size, to), ivshm_size_format(was.total_size, from));
	return why;
}

static void compare_added(const struct pair *pair, unsigned i)
{
	const struct ivshm_region_config *region = &pair->b->regions[i];
	char text[160], size[IVSHM_SIZE_TEXT];
	const char *why = why_not_added(pair, i, text, sizeof(text));

	ivshm_change_add(pair->compare, why ? IVSHM_CHANGE_NEVER : IVSHM_CHANGE_LIVE,
			 why ? why : "", "group '%s': region '%s' of %s is new", pair->b->name,
			 region->name, ivshm_size_format(region->size, size));
}

/* Of those who are members in both. */
static void compare_rights(const struct pair *pair, unsigned i)
{
	const struct compare *compare = pair->compare;
	const struct ivshm_region_config *region = &pair->b->regions[i];
	bool paged = region->coherence == IST_COHERENCE_PAGE;

	for (unsigned id = 0; id < pair->b->members_count; id++) {
		const struct ivshm_instance_config *a, *b;
		struct ivshm_change *change;
		uint32_t from, to;
		bool live;

		a = ivshm_config_member(compare->now, pair->a, id);
		b = ivshm_config_member(compare->next, pair->b, id);
		if (!a || !b || strcmp(a->name, b->name) != 0)
			continue;
		from = ivshm_config_right(compare->now, pair->a, i, id);
		to = ivshm_config_right(compare->next, pair->b, i, id);
		if (from == to)
			continue;
		live = !paged ||
		       (to < from && (b->kind == IST_KIND_APP || b->kind == IST_KIND_LINUX));
		change = ivshm_change_add(
			pair->compare, live ? IVSHM_CHANGE_LIVE : IVSHM_CHANGE_STOPPED,
			live ? "" : "the region is page-coherent",
			"group '%s': region '%s' is %s instead of %s for '%s'", pair->b->name,
			region->name, rights[to], rights[from], b->name);
		change->what = IVSHM_CHANGE_RIGHT;
		change->instance = b->name;
		change->group = pair->b->name;
		change->region = i;
		change->paged = paged;
		change->from = from;
		change->to = to;
	}
}

static void compare_regions(const struct pair *pair)
{
	unsigned both = pair->a->regions_count < pair->b->regions_count ? pair->a->regions_count
									: pair->b->regions_count;

	for (unsigned i = 0; i < both; i++) {
		if (!compare_region(pair, i))
			return; /* what follows is shifted, or moves with it */
		compare_rights(pair, i);
	}
	for (unsigned i = both; i < pair->a->regions_count; i++)
		ivshm_change_add(pair->compare, IVSHM_CHANGE_NEVER, "its memory is in use",
				 "group '%s': region '%s' is gone", pair->b->name,
				 pair->a->regions[i].name);
	for (unsigned i = both; i < pair->b->regions_count; i++)
		compare_added(pair, i);
}

/* As large as it was: with the regions that are there. A new one says for itself what it needs. */
static void compare_size(const struct pair *pair)
{
	struct ivshm_layout was, is;

	if (pair->a->regions_count != pair->b->regions_count ||
	    ivshm_layout_compute(pair->a, &was) || ivshm_layout_compute(pair->b, &is))
		return;
	never(pair, "size", was.total_size, is.total_size);
}

void ivshm_compare_groups(struct compare *compare)
{
	static const char why[] = "groups are made when `up` begins";

	for (unsigned i = 0; i < compare->next->groups_count; i++) {
		struct pair pair = {.compare = compare, .b = &compare->next->groups[i]};

		pair.a = ivshm_config_group(compare->now, pair.b->name);
		if (!pair.a) {
			ivshm_change_add(compare, IVSHM_CHANGE_NEVER, why, "group '%s' is new",
					 pair.b->name);
			continue;
		}
		compare_head(&pair);
		compare_size(&pair);
		compare_users(&pair);
		compare_regions(&pair);
	}
	for (unsigned i = 0; i < compare->now->groups_count; i++)
		if (!ivshm_config_group(compare->next, compare->now->groups[i].name))
			ivshm_change_add(compare, IVSHM_CHANGE_NEVER, why, "group '%s' is gone",
					 compare->now->groups[i].name);
}

/* ---- IDs ---- */

static bool is_member(const struct ivshm_config *config, const struct ivshm_group_config *group,
		      const char *name, unsigned *id)
{
	for (*id = 0; *id < group->members_count; (*id)++) {
		const struct ivshm_instance_config *member =
			ivshm_config_member(config, group, *id);

		if (member && !strcmp(member->name, name))
			return true;
	}
	return false;
}

static void keep_ids(const struct ivshm_config *now, const struct ivshm_group_config *a,
		     const struct ivshm_config *next, struct ivshm_group_config *b)
{
	unsigned place[IST_PEERS_MAX], count = b->members_count, id;

	for (unsigned i = 0; i < IST_PEERS_MAX; i++)
		place[i] = IVSHM_NO_MEMBER;
	b->members_count = 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < count; i++) {
			bool stays = is_member(now, a, next->instances[b->member[i]].name, &id);

			if (stays != (pass == 0))
				continue;
			for (id = stays ? id : 0; place[id] != IVSHM_NO_MEMBER;)
				id++;
			place[id] = b->member[i];
			if (id >= b->members_count)
				b->members_count = id + 1;
		}
	}
	memcpy(b->member, place, sizeof(place));
}

void ivshm_compare_continue(const struct ivshm_config *now, struct ivshm_config *next)
{
	for (unsigned i = 0; i < next->groups_count; i++) {
		struct ivshm_group_config *b = &next->groups[i];
		const struct ivshm_group_config *a = ivshm_config_group(now, b->name);

		if (!a)
			continue;
		if (!b->max_peers_given && b->members_count <= a->max_peers)
			b->max_peers = a->max_peers;
		keep_ids(now, a, next, b);
	}
}
