/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broker_recall.c: a process that does not give up a page is ended, a VM's or one of its own.
 *
 * The accuser is a process with a pager, not a guest. What it says is compared with the page's
 * directory word all the same: only pagers write that, and it must tell the same story.
 */
#include "broker_internal.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The page's word as it is now, and its region; NULL: `offset` is in no page-coherent region. */
static const struct ivshm_region_config *find_page(const struct ivshm_group *group, uint64_t offset,
						   struct ist_directory *word)
{
	const struct ivshm_layout *layout = &group->memory.layout;

	for (unsigned i = 0; i < group->config->regions_count; i++) {
		const struct ivshm_region_config *region = &group->config->regions[i];
		const struct ist_page *page;

		if (region->coherence != IST_COHERENCE_PAGE || offset < layout->region_offset[i] ||
		    offset - layout->region_offset[i] >= region->size)
			continue;
		page = (const void *)(group->memory.map + layout->directory_offset[i] +
				      sizeof(struct ist_page_directory));
		page += (offset - layout->region_offset[i]) / IST_PAGE;
		word->control = __atomic_load_n(&page->directory.control, __ATOMIC_ACQUIRE);
		word->sharers = __atomic_load_n(&page->directory.sharers, __ATOMIC_ACQUIRE);
		return region;
	}
	return NULL;
}

int ivshm_recall(struct ivshm_link *link, const struct ist_wire *wire)
{
	struct ivshm_group *group = link->group;
	const struct ivshm_region_config *region;
	const struct ivshm_seat *seat;
	struct ist_directory word;
	uint32_t busy;

	region = find_page(group, wire->offset, &word);
	if (!region || wire->id >= group->config->max_peers || wire->id == link->id) {
		ivshm_link_refuse(link, EINVAL, "a recall of no page, or of no other peer");
		return -EPROTO;
	}
	seat = &group->seat[wire->id];
	busy = IST_DIR_BUSY(word.control);
	/* What has changed since it was sent is over: the accused has answered, or is gone. */
	if (!seat->link || seat->link->bye || seat->incarnation != wire->incarnation ||
	    (busy != wire->id + 1 &&
	     (busy != link->id + 1 || !(word.sharers & (uint64_t)1 << wire->id))))
		return 0;
	/* In any case, however many warnings peers have caused: it is the end of a process. */
	ivshm_log(IVSHM_LOG_WARN,
		  "group %s: peer %u (pid %d) does not give up region '%s' at offset 0x%llx: "
		  "killed",
		  group->config->name, wire->id, (int)seat->link->pid, region->name,
		  (unsigned long long)wire->offset & ~(IST_PAGE - 1ull));
	if (syscall(SYS_pidfd_send_signal, seat->link->process.fd, SIGKILL, NULL, 0) != 0)
		ivshm_broker_warn(group->broker, "group %s: pid %d: %s", group->config->name,
				  (int)seat->link->pid, strerror(errno));
	return 0;
}
