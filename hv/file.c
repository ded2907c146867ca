// SPDX-License-Identifier: BSD-2-Clause
/* file.c: files that VMs are loaded from. */
#include "image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int vmm_file_read(const struct vmm_file *file, uint64_t offset, void *out, uint64_t size,
		  struct vmm_error *error)
{
	uint8_t *next = out;

	while (size != 0) {
		ssize_t got = pread(file->fd, next, size, (off_t)offset);

		if (got < 0)
			return vmm_fail(error, errno, "%s %s: %m", file->what, file->path);
		if (got == 0)
			return vmm_fail(error, EIO, "%s %s: became shorter while it was read",
					file->what, file->path);
		next += got;
		offset += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

int vmm_file_open(struct vmm_file *file, const char *what, const char *path,
		  struct vmm_error *error)
{
	struct stat status;
	int result = 0;

	*file = (struct vmm_file){.what = what, .path = path};
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* waits for no pipe's writer */
	if (file->fd < 0 || fstat(file->fd, &status) != 0) {
		result = vmm_fail(error, errno, "%s %s: %m", what, path);
	} else if (!S_ISREG(status.st_mode)) {
		result = vmm_fail(error, EINVAL, "%s %s: not a regular file", what, path);
	} else {
		file->size = (uint64_t)status.st_size;
		file->head_size = file->size < VMM_FILE_HEAD ? file->size : VMM_FILE_HEAD;
		file->head = malloc(file->head_size + 1); /* an empty file is no error here */
		result = file->head == NULL
				 ? vmm_fail(error, ENOMEM, "out of memory")
				 : vmm_file_read(file, 0, file->head, file->head_size, error);
	}
	if (result != 0)
		vmm_file_close(file);
	return result;
}

void vmm_file_close(struct vmm_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->head);
	*file = (struct vmm_file){.fd = -1};
}

int vmm_file_load(const struct vmm_file *file, const struct vmm_image *image, uint8_t *ram,
		  struct vmm_error *error)
{
	int result = 0;

	for (unsigned i = 0; result == 0 && i < image->segments; i++) {
		const struct vmm_segment *segment = &image->segment[i];

		result = vmm_file_read(file, segment->file_offset, ram + segment->address,
				       segment->file_size, error);
	}
	return result;
}
