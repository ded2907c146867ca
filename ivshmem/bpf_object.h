/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_object.h: the broker's BPF programs, which it has in itself. */
#ifndef IVSHM_BPF_OBJECT_H
#define IVSHM_BPF_OBJECT_H

#include <stddef.h>

#include <bpf/libbpf.h>

/*
 * What clang has made of the program, opened and not loaded yet; aligned to 8 bytes, and read where
 * it lies. 0; or -errno with one line in `error`.
 */
int ivshm_bpf_open(const void *program, size_t size, char *error, size_t error_size,
		   struct bpf_object **out);

/* Loads it: 0; or -errno with one line in `error`. */
int ivshm_bpf_load(struct bpf_object *object, char *error, size_t error_size);

/* Attaches the program of that name. 0; or -errno with one line in `error`. */
int ivshm_bpf_attach(const struct bpf_object *object, const char *name, char *error,
		     size_t error_size, struct bpf_link **out);

#endif
