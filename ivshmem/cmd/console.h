/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * console.h: the consoles of all instances on one stdout, each line behind its instance's name.
 *
 * A thread of its own, because stdout may block (a pager, a stopped terminal) and the broker may
 * not. Functions below are for one other thread.
 */
#pragma once

#include <stdbool.h>

struct attach;
struct child;
struct console;

enum console_state {
	CONSOLE_OPEN,
	CONSOLE_BROKEN, /* stdout takes nothing any more; what comes is thrown away */
	CONSOLE_DONE,   /* all that came has been written */
};

/* A console each for `count` instances, which must stay. Ignores SIGPIPE. 0 or -errno. */
int console_create(struct child *const *instances, unsigned count, struct console **out);

/* The end that instance `index` writes to. */
int console_input(const struct console *console, unsigned index);

/*
 * The instance has ended: once all that it wrote is passed on, its line ends, and who is at its
 * console is hung up on. Then it may be started again.
 */
void console_ended(struct console *console, unsigned index);

/*
 * Another attach for an instance that is started again. Takes it over, and has destroyed the last
 * one when it is in use. False: the last one is not in use yet, as stdout takes nothing.
 */
bool console_attach(struct console *console, unsigned index, struct attach *attach);

/* Readable when the state has changed; asking for it makes it unreadable. */
int console_fd(const struct console *console);
enum console_state console_state(struct console *console);

/* Nobody writes any more: become CONSOLE_DONE once all is written. */
void console_finish(struct console *console);

/* Only when it is CONSOLE_DONE. */
void console_destroy(struct console *console);
