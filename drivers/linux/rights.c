// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * rights.c: this peer's rights change while the device is bound. The hypervisor's page tables hold
 * by the time the roster's word of it arrives; here users are told, by SIGBUS if need be.
 */
#include "isthmus.h"

static const char *const names[] = {"none", "read", "write"};

/* The right on a region is another one, or the region is new. */
static void tell(struct isthmus *isthmus, u32 index)
{
	const struct isthmus_region *region = &isthmus->roster.region[index];
	u32 right = isthmus_right(&isthmus->roster, isthmus->id, region->offset, region->size);
	char name[sizeof("REGION=") + IST_NAME_SIZE], word[sizeof("RIGHT=write")];
	char *environment[] = {name, word, NULL};

	dev_info(&isthmus->pdev->dev, "%s: region %s: %s\n", dev_name(&isthmus->dev), region->name,
		 names[right]);
	snprintf(name, sizeof(name), "REGION=%s", region->name);
	snprintf(word, sizeof(word), "RIGHT=%s", names[right]);
	kobject_uevent_env(&isthmus->dev.kobj, KOBJ_CHANGE, environment);
}

/* Mappings of the region go: those that allow no more than is left come back by faults. */
static void take_away(struct isthmus *isthmus, u32 index)
{
	const struct isthmus_region *region = &isthmus->roster.region[index];
	struct isthmus_file *file;

	list_for_each_entry(file, &isthmus->files, node)
		isthmus_file_revoke_part(file, region->offset, region->size);
}

void isthmus_rights_follow(struct isthmus *isthmus)
{
	u32 less = 0, other = 0;
	char why[ISTHMUS_WHY_SIZE];
	int error;

	mutex_lock(&isthmus->mutex);
	if (isthmus->gone)
		goto unlock;
	error = isthmus_group_look(isthmus, isthmus->roster.size, &isthmus->fresh, why);
	if (!error) {
		snprintf(why, sizeof(why), "roster: it is another group's by now");
		down_write(&isthmus->here);
		error = isthmus_roster_follow(&isthmus->roster, &isthmus->fresh, isthmus->id, &less,
					      &other);
		up_write(&isthmus->here);
	}
	if (error)
		dev_warn_ratelimited(&isthmus->pdev->dev, "rights stay as they were: %s\n", why);
	/* From here on no fault brings a page that may not be accessed so. */
	for (u32 i = 0; i < isthmus->roster.regions; i++)
		if (less >> i & 1)
			take_away(isthmus, i);
	for (u32 i = 0; i < isthmus->roster.regions; i++)
		if (other >> i & 1)
			tell(isthmus, i);
	if (other)
		sysfs_notify(&isthmus->dev.kobj, NULL, "regions");
unlock:
	mutex_unlock(&isthmus->mutex);
}
