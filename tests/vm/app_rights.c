// SPDX-License-Identifier: BSD-2-Clause
/*
 * app_rights.c: stores as fast as it can, in all regions of its group that it may write at the
 * start; for the tests of rights that change (tests/vm/test_reload.sh).
 *
 * In the first page of each region a word of each line is a counter, at this peer's ID in the line.
 * What the library says of the rights is printed when it changes. Ends when the first word of the
 * region "stop" is 1.
 */
#include <isthmus/isthmus.h>

#define WORDS 512u

static const char *const names[] = {"none", "ro", "rw"};

static void store_all(struct ist_region_info *region, unsigned count, uint32_t id, uint64_t value)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned w = id % 8; region[i].right == IST_WRITE && w < WORDS; w += 8)
			__atomic_store_n((uint64_t *)region[i].address + w, value,
					 __ATOMIC_RELAXED);
}

/* Prints each right that is another one than it was. */
static void look(struct ist_group *group, enum ist_right *known)
{
	struct ist_region_info info;

	for (uint32_t i = 0; ist_region_get(group, i, &info) == 0; i++) {
		if (info.right == IST_READ)
			(void)*(volatile uint64_t *)info.address; /* and it can be */
		if (info.right == known[i])
			continue;
		known[i] = info.right;
		ist_print("%s is %s\n", info.name, names[info.right]);
	}
}

int main(void)
{
	struct ist_region_info region[32], stop;
	enum ist_right known[32] = {0};
	struct ist_group *group;
	unsigned count = 0;
	int err = ist_group_open(NULL, &group);

	if (err || ist_region_find(group, "stop", &stop)) {
		ist_print("error %d\n", err);
		return 1;
	}
	while (count < 32 && ist_region_get(group, count, &region[count]) == 0)
		count++;
	for (uint64_t value = 1; __atomic_load_n((uint64_t *)stop.address, __ATOMIC_RELAXED) == 0;
	     value++) {
		store_all(region, count, ist_group_self(group), value);
		if (value % 64 == 1)
			look(group, known);
	}
	ist_group_close(group);
	return 0;
}
