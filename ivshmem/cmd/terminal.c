/* SPDX-License-Identifier: BSD-2-Clause */
/* terminal.c: `isthmus console INSTANCE`: this terminal is that of a guest of a running `up`. */
#include "command.h"

#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "ivshmem/door.h"
#include "ivshmem/log.h"

struct terminal {
	int guest;   /* socket */
	bool ready;  /* it takes input */
	bool input;  /* there may be more */
	bool is_tty; /* the input */
};

/* ---- The terminal, given back on every way out ---- */

static struct termios before;
static volatile sig_atomic_t is_raw;

static void leave_raw(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	is_raw = 0;
}

static void on_signal(int signal)
{
	leave_raw();
	raise(signal); /* once more, without this handler */
}

static void enter_raw(void)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, old;
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before))
		return;
	signal(SIGTTOU, SIG_IGN); /* also from the background */
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(ends[i], &action, NULL);
	raw = before;
	cfmakeraw(&raw);
	is_raw = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* ---- Finding the guest ---- */

/* There is no such guest: which are there? */
static void tell_guests(const char *dir, const char *name)
{
	const char *suffix = ivshm_console_door.socket;
	char pattern[PATH_MAX + 16];
	glob_t found = {0};

	snprintf(pattern, sizeof(pattern), "%s/*%s", dir, suffix);
	glob(pattern, 0, NULL, &found);
	fprintf(stderr,
		"isthmus: no Linux guest '%s' in %s (others have no input); there is:", name, dir);
	for (size_t i = 0; i < found.gl_pathc; i++)
		fprintf(stderr, " %.*s",
			(int)(strlen(strrchr(found.gl_pathv[i], '/') + 1) - strlen(suffix)),
			strrchr(found.gl_pathv[i], '/') + 1);
	fputs(found.gl_pathc ? "\n" : " none. Does `isthmus up` run?\n", stderr);
	globfree(&found);
}

/* A socket, or -errno, told. */
static int connect_guest(const char *dir, const char *name)
{
	int fd = ivshm_door_enter(&ivshm_console_door, dir, name);

	if (fd == -ENOENT)
		tell_guests(dir, name);
	else if (fd == -ECONNREFUSED)
		ivshm_log(IVSHM_LOG_ERROR, "%s: its `isthmus up` in %s was killed", name, dir);
	else if (fd < 0)
		ivshm_log(IVSHM_LOG_ERROR, "%s/%s%s: %s", dir, name, ivshm_console_door.socket,
			  strerror(-fd));
	return fd;
}

/* ---- Being the terminal ---- */

/* False when the input says that it is enough. */
static bool take_input(struct terminal *terminal, int escape)
{
	char data[1024], *end;
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		terminal->input = false;
		return !terminal->is_tty;
	}
	end = memchr(data, escape, (size_t)n);
	if (end)
		n = end - data;
	/* It has room for all of it, or for nothing: what is typed then is lost. */
	if (terminal->ready && n)
		send(terminal->guest, data, (size_t)n, MSG_NOSIGNAL);
	terminal->ready = false; /* asked again */
	return !end;
}

/* Returns what to say at the end, or NULL after an error. */
static const char *serve(struct terminal *terminal, int escape)
{
	struct pollfd polls[2] = {{.events = POLLIN}, {.fd = terminal->guest}};
	char data[4096];
	ssize_t n;

	for (;;) {
		/* A guest that takes nothing must not lock the user in. */
		polls[0].fd = terminal->input && (terminal->ready || terminal->is_tty)
				      ? STDIN_FILENO
				      : -1;
		polls[1].events = terminal->ready ? POLLIN : POLLIN | POLLOUT;
		if (poll(polls, 2, -1) < 0)
			continue;
		terminal->ready |= polls[1].revents & POLLOUT;
		if (polls[1].revents & ~POLLOUT) {
			n = recv(terminal->guest, data, sizeof(data), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				return "hung up";
			if (n > 0 && !write_all(data, (size_t)n))
				return NULL;
		}
		if (polls[0].revents && !take_input(terminal, escape))
			return "left";
	}
}

static int console(const struct command_line *line)
{
	struct terminal terminal = {.input = true, .is_tty = isatty(STDIN_FILENO)};
	const char *name = line->operand[0], *end;

	terminal.guest = connect_guest(line->dir, name);
	if (terminal.guest < 0)
		return EXIT_FAILURE;
	fprintf(stderr, "connected to %s, Ctrl-%c leaves\n", name, line->escape | '@');
	if (terminal.is_tty)
		enter_raw();
	end = serve(&terminal, line->escape);
	leave_raw();
	close(terminal.guest);
	if (end)
		fprintf(stderr, "%s%s: %s\n", terminal.is_tty ? "\n" : "", name, end);
	else
		ivshm_log(IVSHM_LOG_ERROR, "standard output: %m");
	return end ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct command command_console = {
	.name = "console",
	.usage = "Usage: isthmus console [OPTION...] INSTANCE\n"
		 "Be the terminal of a Linux guest that `isthmus up` runs: what it prints comes\n"
		 "here, what is typed goes there. Ctrl-] leaves.\n\n"
		 "  -e, --escape CHAR      leave with Ctrl-CHAR instead\n"
		 "      --runtime-dir DIR  where the groups' sockets are\n",
	.options = "ehD",
	.operands = "one INSTANCE is",
	.operands_count = 1,
	.main = console,
};
