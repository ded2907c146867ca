/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h: the commands of `isthmus`, and what they share. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ivshmem/config.h"
#include "ivshmem/control.h"

#define EXIT_USAGE 2

struct command_line {
	char **operand;     /* as many as the command has, then NULL */
	char dir[PATH_MAX]; /* of the groups' sockets, absolute; for who takes --runtime-dir */
	int escape;
	bool attach;
	bool no_kvm;
	bool verbose;
	bool json;
};

struct command {
	const char *name;
	const char *usage;    /* "Usage: ...", then what it does in two lines or more */
	const char *options;  /* those it takes, by their letters in main.c */
	const char *operands; /* "FILE is": what is needed */
	int operands_count;
	int operands_optional;                        /* so many more */
	int (*main)(const struct command_line *line); /* returns an exit status */
};

extern const struct command command_check, command_console, command_down, command_path,
	command_qemu_args, command_run, command_start, command_status, command_stop, command_up;

/* All `up`s there are, to be forgotten. False: told. */
bool list_ups(const struct command_line *line, struct ivshm_control_ups *ups);

/* What was printed goes out, if it could be. An exit status; told. */
int finish_output(bool printed);

/* To stdout, also where that is non-blocking. False when it takes no more: errno says why. */
bool write_all(const char *data, size_t size);
