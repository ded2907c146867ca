/* SPDX-License-Identifier: BSD-2-Clause */
/* run_state.c: the broker's side of run_state.bpf.c: loads it, fills its maps. */
#include "run_state.h"

#include "bpf_object.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* run_state.bpf.c, compiled; libbpf reads it where it lies. */
static const uint8_t program[] __attribute__((aligned(8))) = {
#include "run_state.inc"
};

/* The initial PID namespace: the kernel's PROC_PID_INIT_INO. The program counts in its numbers. */
#define INITIAL_PID_NAMESPACE 0xeffffffcu

struct ivshm_run_state {
	struct bpf_object *object;
	struct bpf_link *link;
	int pages; /* maps of the program */
	int watched;
	unsigned groups;
	int page[]; /* -1: not made */
};

static int check_namespace(char *error, size_t error_size)
{
	struct stat status;

	if (stat("/proc/self/ns/pid", &status))
		return ivshm_fail(error, error_size, -errno, "/proc/self/ns/pid: %s",
				  strerror(errno));
	if (status.st_ino != INITIAL_PID_NAMESPACE)
		return ivshm_fail(error, error_size, -EXDEV,
				  "this is not the initial PID namespace");
	return 0;
}

static int load(struct ivshm_run_state *run, char *error, size_t error_size)
{
	struct bpf_map *pages;
	int r = ivshm_bpf_open(program, sizeof(program), error, error_size, &run->object);

	if (r)
		return r;
	pages = bpf_object__find_map_by_name(run->object, "pages");
	bpf_map__set_max_entries(pages, run->groups); /* which only what is loaded refuses */
	r = ivshm_bpf_load(run->object, error, error_size);
	if (r == 0)
		r = ivshm_bpf_attach(run->object, "on_switch", error, error_size, &run->link);
	if (r)
		return r;
	run->pages = bpf_map__fd(pages);
	run->watched = bpf_object__find_map_fd_by_name(run->object, "watched");
	return 0;
}

int ivshm_run_state_create(unsigned groups, char *error, size_t error_size,
			   struct ivshm_run_state **out)
{
	struct ivshm_run_state *run;
	int r = check_namespace(error, error_size);

	if (r)
		return r;
	run = calloc(1, sizeof(*run) + groups * sizeof(run->page[0]));
	if (!run)
		return ivshm_fail(error, error_size, -ENOMEM, "out of memory");
	run->groups = groups;
	for (unsigned i = 0; i < groups; i++)
		run->page[i] = -1;
	r = load(run, error, error_size);
	if (r) {
		ivshm_run_state_destroy(run);
		return r;
	}
	*out = run;
	return 0;
}

void ivshm_run_state_destroy(struct ivshm_run_state *run)
{
	if (!run)
		return;
	bpf_link__destroy(run->link);
	bpf_object__close(run->object);
	for (unsigned i = 0; i < run->groups; i++) {
		if (run->page[i] >= 0)
			close(run->page[i]);
	}
	free(run);
}

/* Frozen before anybody knows of it: from then on only the program writes. */
static int fill_page(struct ivshm_run_state *run, int fd, unsigned group, uint32_t max_peers)
{
	struct ist_run_state *page = calloc(1, sizeof(*page));
	const uint32_t zero = 0;
	int r;

	if (!page)
		return -ENOMEM;
	page->magic = IST_RUN_STATE_MAGIC;
	page->abi_major = IST_ABI_MAJOR;
	page->abi_minor = IST_ABI_MINOR;
	page->max_peers = max_peers;
	r = bpf_map_update_elem(fd, &zero, page, BPF_ANY);
	free(page);
	if (r == 0)
		r = bpf_map_freeze(fd);
	if (r == 0)
		r = bpf_map_update_elem(run->pages, &group, &fd, BPF_ANY);
	return r;
}

int ivshm_run_state_add_page(struct ivshm_run_state *run, unsigned group, uint32_t max_peers)
{
	const struct bpf_map_create_opts options = {.sz = sizeof(options),
						    .map_flags = BPF_F_MMAPABLE};
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "isthmus_run", sizeof(uint32_t),
				sizeof(struct ist_run_state), 1, &options);
	int r;

	if (fd < 0)
		return fd;
	r = fill_page(run, fd, group, max_peers);
	if (r) {
		close(fd);
		return r;
	}
	run->page[group] = fd;
	return fd;
}

int ivshm_run_state_watch(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			  const struct ivshm_run_seat *seat)
{
	struct ivshm_run_seats seats = {0};

	/* Nobody else changes it. -ENOENT is no error: it is at no seat yet. */
	bpf_map_lookup_elem(run->watched, thread, &seats);
	if (seats.count == IST_GROUPS_MAX)
		return -ENOSPC;
	seats.seat[seats.count++] = *seat;
	return bpf_map_update_elem(run->watched, thread, &seats, BPF_ANY);
}

void ivshm_run_state_forget(struct ivshm_run_state *run, const struct ivshm_run_thread *thread,
			    const struct ivshm_run_seat *seat)
{
	struct ivshm_run_seats seats, rest = {0};

	if (bpf_map_lookup_elem(run->watched, thread, &seats))
		return;
	for (uint32_t i = 0; i < seats.count; i++) {
		if (seats.seat[i].group != seat->group || seats.seat[i].id != seat->id)
			rest.seat[rest.count++] = seats.seat[i];
	}
	if (rest.count == 0)
		bpf_map_delete_elem(run->watched, thread);
	else
		bpf_map_update_elem(run->watched, thread, &rest, BPF_EXIST);
}
