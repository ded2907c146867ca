/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_object.c: libbpf, with errors in one line as everywhere here. */
#include "bpf_object.h"

#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* What libbpf says is for who asks for everything. */
static int print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[256];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	ivshm_log(IVSHM_LOG_DEBUG, "%s", line);
	return 0;
}

int ivshm_bpf_open(const void *program, size_t size, char *error, size_t error_size,
		   struct bpf_object **out)
{
	const struct bpf_object_open_opts options = {.sz = sizeof(options),
						     .object_name = "isthmus"};

	libbpf_set_print(print);
	*out = bpf_object__open_mem(program, size, &options);
	if (!*out)
		return ivshm_fail(error, error_size, -errno, "the BPF program: %s",
				  strerror(errno));
	return 0;
}

int ivshm_bpf_load(struct bpf_object *object, char *error, size_t error_size)
{
	int r = bpf_object__load(object);

	if (r)
		return ivshm_fail(error, error_size, r, "the kernel refuses the BPF program: %s",
				  strerror(-r));
	return 0;
}

int ivshm_bpf_attach(const struct bpf_object *object, const char *name, char *error,
		     size_t error_size, struct bpf_link **out)
{
	*out = bpf_program__attach(bpf_object__find_program_by_name(object, name));
	if (!*out)
		return ivshm_fail(error, error_size, -errno,
				  "the kernel attaches no BPF program: %s", strerror(errno));
	return 0;
}
