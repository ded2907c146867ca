/* SPDX-License-Identifier: BSD-2-Clause */
/* bell_count.c: the broker's side of bell_count.bpf.c: loads it, says what is counted. */
#include "bell_count.h"

#include "bpf_object.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

/* bell_count.bpf.c, compiled; libbpf reads it where it lies. */
static const uint8_t program[] __attribute__((aligned(8))) = {
#include "bell_count.inc"
};

struct ivshm_bell_count {
	struct bpf_object *object;
	struct bpf_link *signals, *writes;
	int rings; /* map of the programs */
};

/*
 * The function that KVM, asynchronous I/O and drivers call. Up to Linux 6.7 it is eventfd_signal(),
 * which takes two arguments and may have eventfd_signal_mask() in itself; then it is inline.
 */
static const char *find_signal(void)
{
	const char *name = "eventfd_signal_mask";
	struct btf *kernel = btf__load_vmlinux_btf();
	const struct btf_type *type = NULL;
	int id;

	if (!kernel)
		return name; /* who loads says why */
	id = btf__find_by_name_kind(kernel, "eventfd_signal", BTF_KIND_FUNC);
	if (id > 0)
		type = btf__type_by_id(kernel, (uint32_t)id);
	if (type)
		type = btf__type_by_id(kernel, type->type);
	if (type && btf_vlen(type) == 2)
		name = "eventfd_signal";
	btf__free(kernel);
	return name;
}

static int load(struct ivshm_bell_count *count, uint32_t eventfds, char *error, size_t error_size)
{
	struct bpf_map *rings;
	int r = ivshm_bpf_open(program, sizeof(program), error, error_size, &count->object);

	if (r)
		return r;
	rings = bpf_object__find_map_by_name(count->object, "rings");
	bpf_map__set_max_entries(rings, eventfds); /* which only what is loaded refuses */
	r = bpf_program__set_attach_target(
		bpf_object__find_program_by_name(count->object, "on_signal"), 0, find_signal());
	if (r)
		return ivshm_fail(error, error_size, r, "the kernel's eventfd_signal: %s",
				  strerror(-r));
	r = ivshm_bpf_load(count->object, error, error_size);
	if (r == 0)
		r = ivshm_bpf_attach(count->object, "on_signal", error, error_size,
				     &count->signals);
	if (r == 0)
		r = ivshm_bpf_attach(count->object, "on_write", error, error_size, &count->writes);
	count->rings = bpf_map__fd(rings);
	return r;
}

int ivshm_bell_count_create(uint32_t eventfds, char *error, size_t error_size,
			    struct ivshm_bell_count **out)
{
	struct ivshm_bell_count *count = calloc(1, sizeof(*count));
	int r;

	if (!count)
		return ivshm_fail(error, error_size, -ENOMEM, "out of memory");
	r = load(count, eventfds, error, error_size);
	if (r) {
		ivshm_bell_count_destroy(count);
		return r;
	}
	*out = count;
	return 0;
}

void ivshm_bell_count_destroy(struct ivshm_bell_count *count)
{
	if (!count)
		return;
	bpf_link__destroy(count->signals);
	bpf_link__destroy(count->writes);
	bpf_object__close(count->object);
	free(count);
}

/* As the kernel numbers them: 0 is one of its. */
static uint32_t key_of(uint64_t eventfd)
{
	return (uint32_t)(eventfd - 1);
}

int ivshm_bell_count_add(struct ivshm_bell_count *count, uint64_t eventfd)
{
	const uint32_t key = key_of(eventfd);
	const uint64_t none = 0;

	if (eventfd == 0)
		return -EINVAL;
	return bpf_map_update_elem(count->rings, &key, &none, BPF_ANY);
}

void ivshm_bell_count_remove(struct ivshm_bell_count *count, uint64_t eventfd)
{
	const uint32_t key = key_of(eventfd);

	if (eventfd != 0)
		bpf_map_delete_elem(count->rings, &key);
}

int ivshm_bell_count_read(const struct ivshm_bell_count *count, uint64_t eventfd, uint64_t *rings)
{
	const uint32_t key = key_of(eventfd);

	if (eventfd == 0)
		return -ENOENT;
	return bpf_map_lookup_elem(count->rings, &key, rings);
}
