// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * selftest_violate.c: stores into memory that this peer may not write, from kernel mode, where no
 * driver stands in the way: what lands shows what the hypervisor's page tables let through.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "roster.h"
#include "selftest.h"

struct violation {
	void *memory;
	u32 id;
	unsigned int writes;
	unsigned int landed;
};

static void try(struct violation *it, u64 offset)
{
	u32 *word = it->memory + offset;
	u32 old = READ_ONCE(*word);
	u32 new = old ^ 0x5aa5a55a;

	WRITE_ONCE(*word, new);
	mb(); /* the store has left for memory before it is looked for there */
	it->writes++;
	if (READ_ONCE(*word) != new)
		return;
	it->landed++;
	pr_info("violate: a write landed at 0x%llx\n", offset);
	WRITE_ONCE(*word, old);
}

static void try_all(struct violation *it, const struct isthmus_roster *roster)
{
	try(it, IST_STATE_TABLE_OFFSET);
	try(it, IST_ROSTER_OFFSET);
	try(it, IST_REGION_TABLE_OFFSET);
	try(it, IST_PEER_TABLE_OFFSET);
	for (u32 i = 0; i < roster->regions; i++) {
		const struct isthmus_region *region = &roster->region[i];

		if (isthmus_right(roster, it->id, region->offset, region->size) != IST_RIGHT_WRITE)
			try(it, region->offset);
	}
	for (u32 i = 0; roster->output_size && i < roster->max_peers; i++)
		if (i != it->id)
			try(it, roster->output_offset + i * roster->output_size);
}

static int run(struct pci_dev *pdev)
{
	struct violation it = {.writes = 0};
	u64 size = pci_resource_len(pdev, IST_BAR_MEMORY);
	struct isthmus_tables *tables = kmalloc(sizeof(*tables), GFP_KERNEL);
	struct isthmus_roster *roster = kmalloc(sizeof(*roster), GFP_KERNEL);
	void __iomem *registers = pci_iomap(pdev, IST_BAR_REGISTERS, 0);
	char why[ISTHMUS_WHY_SIZE];
	int error = -ENOMEM;

	if (!tables || !roster || !registers || size < IST_REGIONS_OFFSET)
		goto out;
	it.memory = memremap(pci_resource_start(pdev, IST_BAR_MEMORY), size, MEMREMAP_WB);
	if (!it.memory)
		goto out;
	it.id = readl(registers + (pdev->vendor == IST_V1_VENDOR ? IST_V1_POSITION : IST_V2_ID));
	memcpy(&tables->header, it.memory + IST_ROSTER_OFFSET, sizeof(tables->header));
	memcpy(tables->region, it.memory + IST_REGION_TABLE_OFFSET, sizeof(tables->region));
	error = isthmus_roster_check(tables, size, roster, why);
	if (error) {
		pr_err("violate: %s\n", why);
	} else {
		try_all(&it, roster);
		pr_info("violate: %u writes, %u landed\n", it.writes, it.landed);
	}
	memunmap(it.memory);
out:
	if (registers)
		pci_iounmap(pdev, registers);
	kfree(roster);
	kfree(tables);
	return error;
}

static bool is_ours(struct pci_dev *pdev)
{
	return (pdev->vendor == IST_V1_VENDOR && pdev->device == IST_V1_DEVICE) ||
	       (pdev->vendor == IST_V2_VENDOR && pdev->device == IST_V2_DEVICE);
}

int isthmus_selftest_violate(const char *device)
{
	struct pci_dev *pdev = NULL;
	unsigned int found = 0;
	int error = 0;

	for_each_pci_dev(pdev) {
		if (error || !is_ours(pdev) || (*device && strcmp(device, pci_name(pdev))))
			continue;
		found++;
		error = pci_enable_device_mem(pdev);
		if (!error) {
			error = run(pdev);
			pci_disable_device(pdev);
		}
	}
	if (!found)
		pr_err("violate: there is no ivshmem device %s\n", device);
	return found ? error : -ENODEV;
}
