/* SPDX-License-Identifier: BSD-2-Clause */
/* up_console.c: the consoles of an `up`: one from the start, one more for what each reload adds. */
#include "console.h"
#include "up.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

int up_add_console(struct up *up, struct child **child, unsigned count)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct console **grown = reallocarray(up->console, up->consoles + 1u, sizeof(struct console *));
	int ret;

	if (!grown)
		return -ENOMEM;
	up->console = grown;
	ret = console_create(child, count, &up->console[up->consoles]);
	if (ret)
		return ret;
	up->consoles++;
	if (epoll_ctl(up->consoles_changed, EPOLL_CTL_ADD,
		      console_fd(up->console[up->consoles - 1]), &event)) {
		ret = -errno;
		up_drop_console(up, up->console[up->consoles - 1]);
		return ret;
	}
	for (unsigned i = 0; i < count; i++) {
		child[i]->console = up->console[up->consoles - 1];
		child[i]->stream = i;
	}
	return 0;
}

void up_drop_console(struct up *up, struct console *console)
{
	unsigned c = 0;

	while (up->console[c] != console)
		c++;
	up->console[c] = up->console[--up->consoles];
	console_finish(console);
	console_destroy(console);
}

void up_retire_consoles(struct up *up)
{
	for (unsigned c = 0; c < up->consoles; c++) {
		bool used = false;

		for (unsigned i = 0; i < up->children; i++)
			used |= up->child[i]->console == up->console[c];
		if (!used)
			console_finish(up->console[c]);
	}
}

bool up_look_at_consoles(struct up *up)
{
	bool broken = false;

	for (unsigned c = up->consoles; c-- > 0;) {
		struct console *console = up->console[c];
		enum console_state state = console_state(console);

		broken |= state == CONSOLE_BROKEN;
		if (state != CONSOLE_DONE)
			continue;
		up->console[c] = up->console[--up->consoles];
		console_destroy(console);
	}
	return broken;
}

void up_finish_consoles(struct up *up)
{
	for (unsigned c = 0; c < up->consoles; c++)
		console_finish(up->console[c]);
}
