// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * device.c: the PCI function, personality v1 or v2.
 * Sources: QEMU docs/specs/ivshmem-spec.txt; Jailhouse Documentation/ivshmem-v2-specification.md.
 */
#include <linux/interrupt.h>
#include <linux/io.h>

#include "isthmus.h"

#define NAME "isthmus"

/* May users have the registers' page? Only when nothing else is, or will be, in it. */
static void claim_page(struct isthmus *isthmus)
{
	resource_size_t size = pci_resource_len(isthmus->pdev, IST_BAR_REGISTERS);

	if (!PAGE_ALIGNED(isthmus->registers_start))
		return;
	if (size < PAGE_SIZE)
		isthmus->rest = request_mem_region(isthmus->registers_start + size,
						   PAGE_SIZE - size, NAME) != NULL;
	isthmus->page = size >= PAGE_SIZE || isthmus->rest;
}

/* A hint: a device that has none, or something else there, is as good. */
static void map_run_state(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	const struct ist_run_state *page;

	if (!(pci_resource_flags(pdev, IST_BAR_RUN_STATE) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, IST_BAR_RUN_STATE) < IST_RUN_STATE_SIZE)
		return;
	isthmus->run_state_start = pci_resource_start(pdev, IST_BAR_RUN_STATE);
	page = memremap(isthmus->run_state_start, IST_RUN_STATE_SIZE, MEMREMAP_WB);
	if (page && (READ_ONCE(page->magic) != IST_RUN_STATE_MAGIC ||
		     READ_ONCE(page->abi_major) != IST_ABI_MAJOR)) {
		memunmap((void *)page);
		page = NULL;
	}
	isthmus->run_state = (void *)page;
}

static int map_bars(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	resource_size_t size = pci_resource_len(pdev, IST_BAR_MEMORY);

	if (!(pci_resource_flags(pdev, IST_BAR_REGISTERS) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, IST_BAR_REGISTERS) < IST_V1_BAR0_SIZE) {
		dev_err(&pdev->dev, "not bound: BAR0 has no registers\n");
		return -ENODEV;
	}
	if (!(pci_resource_flags(pdev, IST_BAR_MEMORY) & IORESOURCE_MEM) ||
	    size < IST_REGIONS_OFFSET) {
		dev_err(&pdev->dev, "not bound: BAR2 has %llu bytes, a group has %u at least\n",
			(u64)size, IST_REGIONS_OFFSET);
		return -ENODEV;
	}
	isthmus->registers_start = pci_resource_start(pdev, IST_BAR_REGISTERS);
	isthmus->memory_start = pci_resource_start(pdev, IST_BAR_MEMORY);
	isthmus->registers = pci_iomap(pdev, IST_BAR_REGISTERS, 0);
	if (!isthmus->registers)
		return -ENOMEM;
	/* The whole: users' mappings get the caching that the kernel's mapping of a page has. */
	isthmus->memory = memremap(isthmus->memory_start, size, MEMREMAP_WB);
	if (!isthmus->memory) {
		pci_iounmap(pdev, isthmus->registers);
		return -ENOMEM;
	}
	map_run_state(isthmus);
	claim_page(isthmus);
	return 0;
}

static void unmap_bars(struct isthmus *isthmus)
{
	resource_size_t size = pci_resource_len(isthmus->pdev, IST_BAR_REGISTERS);

	if (isthmus->rest)
		release_mem_region(isthmus->registers_start + size, PAGE_SIZE - size);
	if (isthmus->run_state)
		memunmap(isthmus->run_state);
	memunmap(isthmus->memory);
	pci_iounmap(isthmus->pdev, isthmus->registers);
}

static int identify(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	u32 max_peers = IST_PEERS_MAX, position;
	struct ist_peer self;
	int error;

	if (isthmus->personality == 1) {
		isthmus->doorbell = IST_V1_DOORBELL;
		position = readl(isthmus->registers + IST_V1_POSITION);
		/* Where it is not QEMU's it is the ID, which is below 64. */
		isthmus->id = position <= U16_MAX ? IST_QEMU_ID(position) : position;
	} else {
		isthmus->doorbell = IST_V2_DOORBELL;
		isthmus->id = readl(isthmus->registers + IST_V2_ID);
		max_peers = readl(isthmus->registers + IST_V2_MAX_PEERS);
	}
	error = isthmus_group_read(isthmus, pci_resource_len(pdev, IST_BAR_MEMORY));
	/* QEMU's ivshmem-plain shows ID 0, which is another's. */
	if (!error && isthmus->personality == 1 && !pci_resource_len(pdev, IST_BAR_MSIX)) {
		dev_err(&pdev->dev,
			"not bound: a device without doorbells is no peer of group %s\n",
			isthmus->roster.name);
		error = -ENODEV;
	}
	if (!error && max_peers < isthmus->roster.max_peers) {
		dev_err(&pdev->dev, "not bound: the device knows %u peers, the roster %u\n",
			max_peers, isthmus->roster.max_peers);
		error = -ENODEV;
	}
	isthmus->numbers = !error && isthmus_group_peer(isthmus, isthmus->id, &self) &&
			   self.kind == IST_KIND_QEMU;
	if (isthmus->numbers)
		isthmus->page = false; /* what users would write there are IDs */
	return error;
}

int isthmus_device_init(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	int error;

	error = pci_enable_device_mem(pdev);
	if (error)
		return error;
	error = pci_request_regions(pdev, NAME);
	if (error)
		goto disable;
	error = map_bars(isthmus);
	if (error)
		goto release;
	error = identify(isthmus);
	if (error)
		goto unmap;
	pci_set_master(pdev);
	return 0;

unmap:
	unmap_bars(isthmus);
release:
	pci_release_regions(pdev);
disable:
	pci_disable_device(pdev);
	return error;
}

void isthmus_device_fini(struct isthmus *isthmus)
{
	unmap_bars(isthmus);
	pci_release_regions(isthmus->pdev);
	pci_disable_device(isthmus->pdev);
}

static irqreturn_t interrupt(int irq, void *data)
{
	struct isthmus_vector *vector = data;

	isthmus_deliver(vector->isthmus, vector->index);
	return IRQ_HANDLED;
}

/* v2: interrupts on and staying on: one-shot would need a register write per doorbell. */
static void enable_v2(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	int capability = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	u8 control;

	if (capability) {
		pci_read_config_byte(pdev, capability + IST_V2_CAP_CONTROL, &control);
		pci_write_config_byte(pdev, capability + IST_V2_CAP_CONTROL, control & ~1);
	}
	writel(1, isthmus->registers + IST_V2_INT_CONTROL);
}

static int take_vectors(struct isthmus *isthmus, u32 count)
{
	struct pci_dev *pdev = isthmus->pdev;
	int error;

	for (u32 i = 0; i < count; i++) {
		struct isthmus_vector *vector = &isthmus->vector[i];

		vector->isthmus = isthmus;
		vector->index = i;
		snprintf(vector->name, sizeof(vector->name), "%s-%u", dev_name(&isthmus->dev), i);
		error = request_irq(pci_irq_vector(pdev, i), interrupt, 0, vector->name, vector);
		if (error)
			return error;
		isthmus->vectors = i + 1;
	}
	return 0;
}

int isthmus_device_start(struct isthmus *isthmus)
{
	struct pci_dev *pdev = isthmus->pdev;
	int count, error;

	count = pci_alloc_irq_vectors(pdev, 1, isthmus->roster.vectors, PCI_IRQ_MSIX);
	if (count > 0) {
		error = take_vectors(isthmus, count);
		if (error) {
			dev_err(&pdev->dev, "not bound: vector %u: error %d\n", isthmus->vectors,
				error);
			isthmus_device_stop(isthmus);
			return error;
		}
	}
	if (isthmus->personality == 2) {
		if (isthmus->vectors)
			enable_v2(isthmus);
		writel(1, isthmus->registers + IST_V2_STATE);
	}
	return 0;
}

void isthmus_device_stop(struct isthmus *isthmus)
{
	for (u32 i = 0; i < isthmus->vectors; i++)
		free_irq(pci_irq_vector(isthmus->pdev, i), &isthmus->vector[i]);
	pci_free_irq_vectors(isthmus->pdev);
}

void isthmus_device_quiet(struct isthmus *isthmus)
{
	if (isthmus->personality == 2) {
		writel(0, isthmus->registers + IST_V2_INT_CONTROL);
		writel(0, isthmus->registers + IST_V2_STATE);
	}
}

void isthmus_device_ring(struct isthmus *isthmus, u32 peer, u32 incarnation, u32 vector)
{
	if (isthmus->numbers)
		peer = IST_QEMU_NUMBER(peer, incarnation);
	/* writel(): what was stored to the group before is seen by who is rung. */
	writel(IST_DOORBELL(peer, vector), isthmus->registers + isthmus->doorbell);
}
