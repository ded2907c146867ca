/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bell_count.bpf.c: how often doorbells are rung: the kernel's part, at every signal of an eventfd.
 *
 * The kernel signals one (KVM's ioeventfd, a completion of asynchronous I/O, a driver), or a
 * process writes to it: each way is one function of the kernel, and they do not call each other.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* What is read of the kernel's structs, wherever they have these fields. */
struct eventfd_ctx {
	int id;
} __attribute__((preserve_access_index));

struct file {
	void *private_data;
} __attribute__((preserve_access_index));

/* By `eventfd-id`. As many as the broker may have: it sets max_entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} rings SEC(".maps");

static void count(int id)
{
	__u32 key = (__u32)id;
	__u64 *times = bpf_map_lookup_elem(&rings, &key);

	if (times)
		__sync_fetch_and_add(times, 1);
}

SEC("fentry/eventfd_signal_mask")
int BPF_PROG(on_signal, struct eventfd_ctx *context)
{
	count(context->id);
	return 0;
}

/* Afterwards: one that finds the counter full has rung nobody. */
SEC("fexit/eventfd_write")
int BPF_PROG(on_write, struct file *file, const char *bytes, unsigned long size, long long *at,
	     long written)
{
	const struct eventfd_ctx *context = file->private_data;

	if (written > 0)
		count(BPF_CORE_READ(context, id));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
