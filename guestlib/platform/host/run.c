/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c: the run-state page that the broker has sent. */
#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool ist_host_run_is_sound(const struct ist_host_packet *packet)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat status;
	int seals;

	if (packet->fds != 1 || packet->wire.size != IST_RUN_STATE_SIZE ||
	    fstat(packet->fd[0], &status))
		return false;
	/* No SIGBUS later: a BPF map keeps its size; a file does when it is sealed. */
	if (!S_ISREG(status.st_mode))
		return true;
	seals = fcntl(packet->fd[0], F_GET_SEALS);
	return seals >= 0 && (seals & wanted) == wanted && status.st_size == IST_RUN_STATE_SIZE;
}

int ist_host_run_take(struct ist_host *host, const struct ist_host_packet *packet)
{
	void *page;

	if (host->run || !ist_host_run_is_sound(packet))
		return -EPROTO;
	page = mmap(NULL, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED, packet->fd[0], 0);
	if (page == MAP_FAILED)
		return -errno;
	host->run = page;
	return 0;
}

void ist_host_run_renew(struct ist_host *host, int page)
{
	if (host->run && page >= 0 &&
	    mmap(host->run, IST_RUN_STATE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, page, 0) !=
		    MAP_FAILED)
		__atomic_store_n(&host->blank, 0, __ATOMIC_RELAXED);
}

void ist_host_run_blank(struct ist_host *host)
{
	if (host->run && !__atomic_exchange_n(&host->blank, 1, __ATOMIC_RELAXED))
		(void)!mmap(host->run, IST_RUN_STATE_SIZE, PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void ist_host_run_fini(struct ist_host *host)
{
	if (host->run)
		munmap(host->run, IST_RUN_STATE_SIZE);
	host->run = NULL;
}
