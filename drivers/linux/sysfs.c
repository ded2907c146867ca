// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* sysfs.c: /sys/class/isthmus/isthmusN: what the group is and who is in it. */
#include <linux/sysfs.h>

#include "isthmus.h"

#define SHOW(name, format, value)                                                                  \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attribute,         \
				   char *text)                                                     \
	{                                                                                          \
		struct isthmus *isthmus = isthmus_of(dev);                                         \
                                                                                                   \
		return sysfs_emit(text, format "\n", value);                                       \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

SHOW(group, "%s", isthmus->roster.name);
SHOW(id, "%u", isthmus->id);
SHOW(incarnation, "%u", isthmus->incarnation);
SHOW(personality, "%u", isthmus->personality);
SHOW(vectors, "%u", isthmus->vectors);
SHOW(max_peers, "%u", isthmus->roster.max_peers);
SHOW(size, "%llu", isthmus->roster.size);

/* At most 32 lines of 90 bytes: they fit. */
static ssize_t regions_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	static const char *const rights[] = {"none", "read", "write"};
	static const char *const coherences[] = {"hardware", "page", "incoherent"};
	struct isthmus *isthmus = isthmus_of(dev);
	int length = 0;

	down_read(&isthmus->here);
	for (u32 i = 0; i < isthmus->roster.regions; i++) {
		const struct isthmus_region *region = &isthmus->roster.region[i];
		u32 right =
			isthmus_right(&isthmus->roster, isthmus->id, region->offset, region->size);

		length += sysfs_emit_at(text, length, "%s 0x%llx 0x%llx %s %s\n", region->name,
					region->offset, region->size, rights[right],
					coherences[region->coherence]);
	}
	up_read(&isthmus->here);
	return length;
}
static DEVICE_ATTR_RO(regions);

/* At most 64 lines of 60 bytes: they fit. */
static ssize_t peers_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	static const char *const states[] = {"absent", "joining", "live", "leaving", "dead"};
	struct isthmus *isthmus = isthmus_of(dev);
	struct ist_peer peer;
	int length = 0;

	for (u32 id = 0; id < isthmus->roster.max_peers; id++) {
		u32 state;

		if (!isthmus_group_peer(isthmus, id, &peer))
			continue;
		state = IST_PEER_STATE(peer.word);
		if (state == IST_PEER_ABSENT || state >= ARRAY_SIZE(states))
			continue;
		length += sysfs_emit_at(text, length, "%u %u %s %s %u\n", id,
					IST_PEER_INCARNATION(peer.word), states[state], peer.name,
					peer.vectors);
	}
	return length;
}
static DEVICE_ATTR_RO(peers);

/* At most 64 lines of 60 bytes: they fit. */
static ssize_t running_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	struct isthmus *isthmus = isthmus_of(dev);
	struct ist_run_peer peer;
	int length = 0;

	for (u32 id = 0; id < isthmus->roster.max_peers; id++)
		if (isthmus_group_runs(isthmus, id, &peer))
			length += sysfs_emit_at(text, length, "%u %u %u %u %llu\n", id,
						peer.incarnation, peer.running, peer.threads,
						peer.switches);
	return length;
}
static DEVICE_ATTR_RO(running);

static struct attribute *attributes[] = {
	&dev_attr_group.attr,
	&dev_attr_id.attr,
	&dev_attr_incarnation.attr,
	&dev_attr_personality.attr,
	&dev_attr_vectors.attr,
	&dev_attr_max_peers.attr,
	&dev_attr_size.attr,
	&dev_attr_regions.attr,
	&dev_attr_peers.attr,
	&dev_attr_running.attr,
	NULL,
};

static const struct attribute_group group = {.attrs = attributes};

const struct attribute_group *isthmus_groups[] = {&group, NULL};
