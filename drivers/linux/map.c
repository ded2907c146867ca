// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * map.c: mmap(). Pages come by faults, so that they can be taken back: when the device goes, every
 * mapping is emptied and the next access gets SIGBUS.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "isthmus.h"

#define AROUND (16 * PAGE_SIZE) /* what one fault maps, where the mapping reaches that far */

static unsigned long pfn_of(struct isthmus *isthmus, unsigned long pgoff)
{
	if (pgoff >= IST_LINUX_RUN_STATE >> PAGE_SHIFT)
		return PHYS_PFN(isthmus->run_state_start) + pgoff -
		       (IST_LINUX_RUN_STATE >> PAGE_SHIFT);
	if (pgoff >= IST_LINUX_COUNTS >> PAGE_SHIFT)
		return PHYS_PFN(virt_to_phys(isthmus->counts));
	if (pgoff >= IST_LINUX_REGISTERS >> PAGE_SHIFT)
		return PHYS_PFN(isthmus->registers_start);
	return PHYS_PFN(isthmus->memory_start) + pgoff;
}

/* Rights change: a mapping that allows more than is left is good for nothing. */
static bool allowed(struct isthmus *isthmus, struct vm_area_struct *vma, unsigned long pgoff)
{
	u32 right = IST_RIGHT_WRITE;

	if (pgoff < IST_LINUX_REGISTERS >> PAGE_SHIFT)
		right = isthmus_right(&isthmus->roster, isthmus->id, (u64)pgoff << PAGE_SHIFT,
				      PAGE_SIZE);
	return right == IST_RIGHT_WRITE || (right == IST_RIGHT_READ && !(vma->vm_flags & VM_WRITE));
}

static vm_fault_t isthmus_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct isthmus_file *file = vma->vm_file->private_data;
	struct isthmus *isthmus = file->isthmus;
	unsigned long fault = vmf->address & PAGE_MASK;
	unsigned long from = max(vma->vm_start, ALIGN_DOWN(fault, AROUND));
	unsigned long to = min(vma->vm_end, ALIGN_DOWN(fault, AROUND) + AROUND);
	vm_fault_t result = VM_FAULT_SIGBUS;

	down_read(&isthmus->here);
	if (!isthmus->gone && allowed(isthmus, vma, vmf->pgoff))
		result = vmf_insert_pfn(vma, fault, pfn_of(isthmus, vmf->pgoff));
	for (unsigned long at = from; result == VM_FAULT_NOPAGE && at < to; at += PAGE_SIZE) {
		unsigned long pgoff = linear_page_index(vma, at);

		if (allowed(isthmus, vma, pgoff))
			vmf_insert_pfn(vma, at, pfn_of(isthmus, pgoff));
	}
	up_read(&isthmus->here);
	return result;
}

/* What was made for writing, and may only be read by now, does not become writable again. */
static int isthmus_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			    unsigned long flags)
{
	struct isthmus_file *file = vma->vm_file->private_data;
	struct isthmus *isthmus = file->isthmus;
	u64 offset = (u64)linear_page_index(vma, start) << PAGE_SHIFT;
	u32 right = IST_RIGHT_WRITE;

	if (!(flags & VM_WRITE) || offset >= IST_LINUX_REGISTERS)
		return 0;
	down_read(&isthmus->here);
	right = isthmus_right(&isthmus->roster, isthmus->id, offset, end - start);
	up_read(&isthmus->here);
	return right == IST_RIGHT_WRITE ? 0 : -EACCES;
}

static const struct vm_operations_struct isthmus_vm_ops = {
	.fault = isthmus_fault,
	.mprotect = isthmus_mprotect,
};

/* What may be mapped there: a right, or -EINVAL for a range that is none. */
static int right_of(struct isthmus *isthmus, u64 offset, u64 size)
{
	if (offset < IST_LINUX_REGISTERS)
		return isthmus_right(&isthmus->roster, isthmus->id, offset, size);
	if (size != (offset == IST_LINUX_RUN_STATE ? IST_RUN_STATE_SIZE : PAGE_SIZE))
		return -EINVAL;
	if (offset == IST_LINUX_RUN_STATE)
		return isthmus->run_state ? IST_RIGHT_READ : IST_RIGHT_NONE;
	if (offset == IST_LINUX_REGISTERS)
		return isthmus->page ? IST_RIGHT_WRITE : IST_RIGHT_NONE;
	return offset == IST_LINUX_COUNTS ? IST_RIGHT_READ : -EINVAL;
}

int isthmus_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct isthmus_file *file = filp->private_data;
	struct isthmus *isthmus = file->isthmus;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	unsigned long forbidden = VM_MAYEXEC;
	int right;

	if (READ_ONCE(isthmus->gone))
		return -ENODEV;
	/* A private mapping would be a copy. (VM_SHARED is not set when the file is read-only.) */
	if (!(vma->vm_flags & VM_MAYSHARE) || offset >> PAGE_SHIFT != vma->vm_pgoff)
		return -EINVAL;
	down_read(&isthmus->here);
	right = right_of(isthmus, offset, vma->vm_end - vma->vm_start);
	up_read(&isthmus->here);
	if (right < 0)
		return right;
	if (right != IST_RIGHT_WRITE)
		forbidden |= VM_WRITE | VM_MAYWRITE;
	if (right == IST_RIGHT_NONE || vma->vm_flags & (VM_EXEC | (forbidden & VM_WRITE)))
		return -EACCES;
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP, forbidden);
	if (offset == IST_LINUX_REGISTERS)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_ops = &isthmus_vm_ops;
	return 0;
}

void isthmus_file_revoke(struct isthmus_file *file)
{
	unmap_mapping_range(file->filp->f_mapping, 0, 0, 1);
}

/* What may still be accessed there comes back by faults. */
void isthmus_file_revoke_part(struct isthmus_file *file, u64 offset, u64 size)
{
	unmap_mapping_range(file->filp->f_mapping, offset, size, 1);
}
