// SPDX-License-Identifier: BSD-2-Clause
/*
 * console.c: room in the guest's console. While a broker has gone, and with it, perhaps, who reads
 * the console, the oldest there makes room for the newest: `isthmus up` gives its VMs a pipe that
 * they can read themselves.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "vm.h"

#define OLDEST 4096u /* bytes that are thrown away at a time */

static bool is_own_pipe(int console)
{
	int flags = fcntl(console, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && fstat(console, &st) == 0 &&
	       S_ISFIFO(st.st_mode);
}

/* Does not block: without O_NONBLOCK nobody comes here. */
static void make_room(int console)
{
	char oldest[OLDEST];

	(void)!read(console, oldest, sizeof(oldest));
}

void vmm_console_alone(struct vmm_vm *vm, bool alone)
{
	int console = vm->options->console;
	int flags = fcntl(console, F_GETFL);

	if (!is_own_pipe(console) || __atomic_load_n(&vm->alone, __ATOMIC_RELAXED) == alone)
		return;
	fcntl(console, F_SETFL, alone ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
	__atomic_store_n(&vm->alone, alone, __ATOMIC_RELAXED);
	/* Who waits for room already gets some, and looks again. */
	if (alone)
		vmm_console_wait(vm, 0);
}

int vmm_console_wait(const struct vmm_vm *vm, int patience_ms)
{
	struct pollfd console = {.fd = vm->options->console, .events = POLLOUT};
	bool alone = __atomic_load_n(&vm->alone, __ATOMIC_RELAXED);
	int ready = poll(&console, 1, alone ? 0 : patience_ms);

	if (ready != 0 || !alone)
		return ready;
	make_room(console.fd);
	return poll(&console, 1, 0);
}
