/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * run_state.bpf.c: who runs: the kernel's part, at every switch of a processor to another thread.
 *
 * A processor is counted for what it remembers and for nothing else, so the counts hold whatever
 * becomes of the entries that it was counted by. docs/protocol.md, "Who runs".
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "run_state_maps.h"

/* What is read of the kernel's struct, wherever it has these fields. */
struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

struct page {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct ist_run_state));
};

/* By group. As many as the broker has: it sets max_entries. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct page);
} pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IVSHM_RUN_WATCHED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ivshm_run_thread);
	__type(value, struct ivshm_run_seats);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ivshm_run_seats);
} counted SEC(".maps");

static struct ist_run_peer *entry_of(const struct ivshm_run_seat *seat)
{
	struct ist_run_state *page;
	__u32 group = seat->group, id = seat->id, zero = 0;
	void *inner = bpf_map_lookup_elem(&pages, &group);

	if (!inner || id >= IST_PEERS_MAX)
		return NULL;
	page = bpf_map_lookup_elem(inner, &zero);
	return page ? &page->peer[id] : NULL;
}

static void leave(struct ivshm_run_seats *here)
{
	for (__u32 i = 0; i < IST_GROUPS_MAX && i < here->count; i++) {
		struct ist_run_peer *entry = entry_of(&here->seat[i]);

		if (entry)
			__sync_fetch_and_add(&entry->running, -1);
	}
	here->count = 0;
}

/* Whom the entry is about comes last: a reader believes what it knows. */
static void enter(struct ivshm_run_seats *here, const struct ivshm_run_seats *seats)
{
	for (__u32 i = 0; i < IST_GROUPS_MAX && i < seats->count; i++) {
		struct ist_run_peer *entry;

		/* A copy: the entry may be changed, or be another's, at any moment. */
		here->seat[i] = seats->seat[i];
		here->count = i + 1;
		entry = entry_of(&here->seat[i]);
		if (!entry)
			continue;
		__sync_fetch_and_add(&entry->running, 1);
		__sync_fetch_and_add(&entry->switches, 1);
		entry->threads = here->seat[i].threads;
		entry->incarnation = here->seat[i].incarnation;
	}
}

/* The tracepoint's arguments: whether it was preempted, who goes, who comes. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempt, const struct task_struct *prev,
	     const struct task_struct *next)
{
	struct ivshm_run_thread who = {.process = (__u32)next->tgid, .thread = (__u32)next->pid};
	const struct ivshm_run_seats *seats;
	struct ivshm_run_seats *here;
	__u32 zero = 0;

	here = bpf_map_lookup_elem(&counted, &zero);
	if (!here)
		return 0;
	if (here->count)
		leave(here);
	if (!who.thread) /* nobody: the processor is idle */
		return 0;
	seats = bpf_map_lookup_elem(&watched, &who);
	if (!seats) {
		who.thread = IVSHM_RUN_ALL_THREADS;
		seats = bpf_map_lookup_elem(&watched, &who);
	}
	if (seats)
		enter(here, seats);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
