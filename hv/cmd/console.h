/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h: the consoles of all instances on one stdout, each line behind its instance's name.
 *
 * A thread of its own, because stdout may block (a pager, a stopped terminal) and the broker may
 * not. Functions below are for one other thread.
 */
#pragma once

struct child;
struct console;

enum console_state {
	CONSOLE_OPEN,
	CONSOLE_BROKEN, /* stdout takes nothing any more; what comes is thrown away */
	CONSOLE_DONE,   /* all that came has been written */
};

/* A console each for `count` instances, which must stay. Ignores SIGPIPE. 0 or -errno. */
int console_create(const struct child *instances, unsigned count, struct console **out);

/* The end that instance `index` writes to. */
int console_input(const struct console *console, unsigned index);

/* Closes this process's copy of that end. */
void console_started(struct console *console, unsigned index);

/* Readable when the state has changed; asking for it makes it unreadable. */
int console_fd(const struct console *console);
enum console_state console_state(struct console *console);

/* Nobody writes any more: become CONSOLE_DONE once all is written. */
void console_finish(struct console *console);

/* Only when it is CONSOLE_DONE. */
void console_destroy(struct console *console);
