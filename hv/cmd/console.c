/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c: the consoles of all instances on one stdout, each line behind its instance's name. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u /* longer lines are split */
#define PREFIX_MAX_BYTES 128u
#define PIPE_READS 256u /* more than empty any pipe */

struct stream {
	char *prefix;
	size_t prefix_length;
	int input;  /* this process's copy of the writing end */
	int output; /* the reading end */
	size_t length;
	char line[LINE_MAX_BYTES];
};

struct console {
	pthread_t thread;
	int wake;    /* tells the thread to finish */
	int changed; /* tells of a new state */
	_Atomic int state;
	unsigned count;
	struct pollfd *poll; /* streams, then wake */
	struct stream *stream;
};

static void set_state(struct console *console, enum console_state state)
{
	uint64_t one = 1;

	atomic_store_explicit(&console->state, state, memory_order_release);
	/* An eventfd takes 2^64-2 of these. */
	(void)!write(console->changed, &one, sizeof(one));
}

static void write_out(struct console *console, const char *data, size_t size)
{
	while (size && console->state == CONSOLE_OPEN) {
		ssize_t n = write(STDOUT_FILENO, data, size);

		if (n >= 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
		} else if (errno != EINTR) {
			set_state(console, CONSOLE_BROKEN);
		}
	}
}

/* One write a line, so that lines stay whole beside what others write to the same place. */
static void write_line(struct console *console, struct stream *stream)
{
	char text[PREFIX_MAX_BYTES + LINE_MAX_BYTES + 1];
	size_t length = stream->prefix_length;

	memcpy(text, stream->prefix, length);
	memcpy(text + length, stream->line, stream->length);
	length += stream->length;
	text[length++] = '\n';
	stream->length = 0;
	write_out(console, text, length);
}

static void take(struct console *console, struct stream *stream, const char *data, size_t size)
{
	while (size) {
		size_t room = LINE_MAX_BYTES - stream->length;
		const char *end = memchr(data, '\n', size < room + 1 ? size : room + 1);
		size_t part = end ? (size_t)(end - data) : size < room ? size : room;

		memcpy(stream->line + stream->length, data, part);
		stream->length += part;
		data += part;
		size -= part;
		if (end) {
			data++;
			size--;
		}
		/* A full line waits for one more byte: it could be its newline. */
		if (end || (size && stream->length == LINE_MAX_BYTES))
			write_line(console, stream);
	}
}

/* Reads once. False when there is nothing (more) to read now. */
static bool drain(struct console *console, unsigned index)
{
	struct stream *stream = &console->stream[index];
	char data[LINE_MAX_BYTES];
	ssize_t n;

	n = read(stream->output, data, sizeof(data));
	if (n > 0)
		take(console, stream, data, (size_t)n);
	else if (n == 0)
		console->poll[index].fd = -1; /* closed by all who could write */
	return n > 0 || (n < 0 && errno == EINTR);
}

static void *console_main(void *argument)
{
	struct console *console = argument;
	unsigned count = console->count;

	while (!console->poll[count].revents) {
		if (poll(console->poll, count + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < count; i++)
			if (console->poll[i].revents)
				drain(console, i);
	}
	for (unsigned i = 0; i < count; i++) {
		/* Not until it is empty: somebody who left the group of its instance may still
		 * write. */
		for (unsigned n = 0; n < PIPE_READS && console->poll[i].fd >= 0; n++)
			if (!drain(console, i))
				break;
		if (console->stream[i].length)
			write_line(console, &console->stream[i]);
	}
	set_state(console, CONSOLE_DONE);
	return NULL;
}

static char *make_prefix(const char *name, int width, unsigned index, bool colour)
{
	static const unsigned colours[] = {36, 33, 32, 35, 34, 31};
	char *prefix;
	int n;

	if (colour)
		n = asprintf(&prefix, "\033[%um%-*s |\033[0m ",
			     colours[index % (sizeof(colours) / sizeof(colours[0]))], width, name);
	else
		n = asprintf(&prefix, "%-*s | ", width, name);
	return n < 0 ? NULL : prefix;
}

static int open_stream(struct stream *stream, struct pollfd *poll)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	stream->output = fds[0];
	stream->input = fds[1];
	if (fcntl(stream->output, F_SETFL, O_NONBLOCK))
		return -errno;
	*poll = (struct pollfd){.fd = stream->output, .events = POLLIN};
	return 0;
}

static void close_all(struct console *console)
{
	for (unsigned i = 0; i < console->count; i++) {
		free(console->stream[i].prefix);
		console_started(console, i);
		if (console->stream[i].output >= 0)
			close(console->stream[i].output);
	}
	if (console->changed >= 0)
		close(console->changed);
	if (console->wake >= 0)
		close(console->wake);
	free(console->stream);
	free(console->poll);
	free(console);
}

int console_create(const char *const *names, unsigned count, struct console **out)
{
	const char *no_colour = getenv("NO_COLOR");
	bool colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
	struct console *console;
	int width = 0;
	int ret = 0;

	console = calloc(1, sizeof(*console));
	if (!console)
		return -ENOMEM;
	console->wake = eventfd(0, EFD_CLOEXEC);
	console->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	console->poll = calloc(count + 1u, sizeof(*console->poll));
	console->stream = calloc(count + 1u, sizeof(*console->stream));
	if (console->wake < 0 || console->changed < 0)
		ret = -errno;
	else if (!console->poll || !console->stream)
		ret = -ENOMEM;
	for (unsigned i = 0; !ret && i < count; i++) {
		console->stream[i].input = console->stream[i].output = -1;
		console->count = i + 1;
		ret = open_stream(&console->stream[i], &console->poll[i]);
		if ((int)strlen(names[i]) > width)
			width = (int)strlen(names[i]);
	}
	for (unsigned i = 0; !ret && i < count; i++) {
		console->stream[i].prefix = make_prefix(names[i], width, i, colour);
		if (console->stream[i].prefix)
			console->stream[i].prefix_length = strlen(console->stream[i].prefix);
		else
			ret = -ENOMEM;
		if (console->stream[i].prefix_length > PREFIX_MAX_BYTES)
			ret = -ENAMETOOLONG;
	}
	if (!ret) {
		console->poll[count] = (struct pollfd){.fd = console->wake, .events = POLLIN};
		signal(SIGPIPE, SIG_IGN);
		ret = -pthread_create(&console->thread, NULL, console_main, console);
	}
	if (ret) {
		close_all(console);
		return ret;
	}
	*out = console;
	return 0;
}

int console_input(const struct console *console, unsigned index)
{
	return console->stream[index].input;
}

void console_started(struct console *console, unsigned index)
{
	if (console->stream[index].input >= 0)
		close(console->stream[index].input);
	console->stream[index].input = -1;
}

int console_fd(const struct console *console)
{
	return console->changed;
}

enum console_state console_state(struct console *console)
{
	uint64_t count;

	(void)!read(console->changed, &count, sizeof(count));
	return (enum console_state)atomic_load_explicit(&console->state, memory_order_acquire);
}

void console_finish(struct console *console)
{
	uint64_t one = 1;

	(void)!write(console->wake, &one, sizeof(one));
}

void console_destroy(struct console *console)
{
	pthread_join(console->thread, NULL);
	close_all(console);
}
