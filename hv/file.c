// SPDX-License-Identifier: BSD-2-Clause
/* file.c: files that VMs are loaded from. */
#include "image.h"

#include <fcntl.h>
#include <pthread.h>
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

/* ---- By two threads: memory that nobody has touched yet costs more than the bytes do ---- */

#define PIECE ((uint64_t)4 << 20) /* what a thread takes at a time */

struct load {
	const struct vmm_file *file;
	const struct vmm_image *image;
	uint8_t *ram;
	uint64_t taken; /* pieces, by both threads: all segments' one after the other */
	int result;     /* the helper's */
	struct vmm_error error;
};

/* Reads the pieces that nobody has taken, until there are none left or one fails. */
static int load_pieces(struct load *load, struct vmm_error *error)
{
	const struct vmm_segment *end = load->image->segment + load->image->segments;
	int result = 0;

	while (result == 0) {
		const struct vmm_segment *segment = load->image->segment;
		uint64_t piece = __atomic_fetch_add(&load->taken, 1, __ATOMIC_RELAXED), left;

		for (; segment != end; segment++) {
			uint64_t pieces = (segment->file_size + PIECE - 1) / PIECE;

			if (piece < pieces)
				break;
			piece -= pieces;
		}
		if (segment == end)
			break;
		left = segment->file_size - piece * PIECE;
		result = vmm_file_read(load->file, segment->file_offset + piece * PIECE,
				       load->ram + segment->address + piece * PIECE,
				       left < PIECE ? left : PIECE, error);
	}
	return result;
}

static void *help(void *argument)
{
	struct load *load = argument;

	load->result = load_pieces(load, &load->error);
	return NULL;
}

int vmm_file_load(const struct vmm_file *file, const struct vmm_image *image, uint8_t *ram,
		  struct vmm_error *error)
{
	struct load load = {.file = file, .image = image, .ram = ram};
	pthread_t helper;
	/* Small images are not worth a thread, and where there is none it only takes longer. */
	bool worth = image->high - image->low > PIECE;
	bool helped = worth && pthread_create(&helper, NULL, help, &load) == 0;
	int result = load_pieces(&load, error);

	if (helped)
		pthread_join(helper, NULL);
	if (result == 0 && load.result != 0)
		*error = load.error;
	return result != 0 ? result : load.result;
}
