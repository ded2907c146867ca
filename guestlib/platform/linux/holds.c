/* SPDX-License-Identifier: BSD-2-Clause */
/* holds.c: the words that may hold our owner, as the driver knows them (IST_IOCTL_HOLD). */
#include "linux.h"

#include <stdlib.h>
#include <sys/ioctl.h>

struct ist_linux_held {
	uint64_t offset;
	uint32_t count;
};

void ist_linux_holds_init(struct ist_linux_holds *holds)
{
	pthread_mutex_init(&holds->lock, NULL);
}

void ist_linux_holds_fini(struct ist_linux_holds *holds)
{
	pthread_mutex_destroy(&holds->lock);
	free(holds->held);
}

static int tell(int fd, uint64_t offset, bool on)
{
	const struct ist_linux_hold hold = {.offset = offset, .on = on};

	return ioctl(fd, IST_IOCTL_HOLD, &hold) ? -errno : 0;
}

static int add(struct ist_linux_holds *holds, int fd, uint64_t offset)
{
	struct ist_linux_held *more;
	int err;

	if (holds->used == holds->room) {
		more = realloc(holds->held, (holds->room * 2 + 8) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		holds->held = more;
		holds->room = holds->room * 2 + 8;
	}
	err = tell(fd, offset, true);
	if (!err)
		holds->held[holds->used++] = (struct ist_linux_held){.offset = offset, .count = 1};
	return err;
}

int ist_linux_holds_change(struct ist_linux_holds *holds, int fd, uint64_t offset, bool on)
{
	struct ist_linux_held *held;
	uint32_t i = 0;
	int err = 0;

	pthread_mutex_lock(&holds->lock);
	while (i < holds->used && holds->held[i].offset != offset)
		i++;
	held = &holds->held[i];
	if (on && i == holds->used) {
		err = add(holds, fd, offset);
	} else if (on) {
		held->count++;
	} else if (i < holds->used && --held->count == 0) {
		tell(fd, offset, false);
		*held = holds->held[--holds->used];
	}
	pthread_mutex_unlock(&holds->lock);
	return err;
}
