/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c: the consoles of all instances on one stdout, each line behind its instance's name. */
#include "console.h"

#include "attach.h"
#include "child.h"
#include "command.h"

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

/* Where in a terminal's control sequence the next byte is. */
enum control { CONTROL_NONE, CONTROL_ESCAPE, CONTROL_SEQUENCE };

struct stream {
	struct attach *attach; /* of a Linux guest, whose output is for a terminal of its own */
	struct attach *_Atomic next; /* it is started again, with this one */
	_Atomic bool ended;
	enum control control;
	int input;     /* the writing end: it stays, so there is no end of file */
	int output;    /* the reading end */
	size_t prefix; /* its length */
	size_t length; /* of the line so far */
	char text[PREFIX_MAX_BYTES + LINE_MAX_BYTES + 1]; /* prefix, line, newline */
};

struct console {
	pthread_t thread;
	int wake; /* tells the thread that there is an `ended`, a `next` or `finishing` */
	_Atomic bool finishing;
	int changed; /* tells of a new state */
	_Atomic int state;
	struct pollfd *poll; /* output and attach of each stream, then wake */
	unsigned count;
	struct stream stream[];
};

static void set_state(struct console *console, enum console_state state)
{
	atomic_store_explicit(&console->state, state, memory_order_release);
	eventfd_write(console->changed, 1); /* it takes 2^64-2 of these */
}

/* One write a line, so that lines stay whole beside what others write to the same place. */
static void write_line(struct console *console, struct stream *stream)
{
	size_t length = stream->prefix + stream->length;

	stream->text[length++] = '\n';
	stream->length = 0;
	if (console->state == CONSOLE_OPEN && !write_all(stream->text, length))
		set_state(console, CONSOLE_BROKEN);
}

/* A full line waits for one more byte: it could be its newline. */
static void take(struct console *console, struct stream *stream, char c)
{
	if (c == '\n' || stream->length == LINE_MAX_BYTES)
		write_line(console, stream);
	if (c != '\n')
		stream->text[stream->prefix + stream->length++] = c;
}

static enum control next_control(enum control control, unsigned char c)
{
	if (c == '\033')
		return CONTROL_ESCAPE;
	if (control == CONTROL_ESCAPE && c == '[')
		return CONTROL_SEQUENCE;
	if (c == '\n' || c >= (control == CONTROL_SEQUENCE ? '@' : '0'))
		return CONTROL_NONE;
	return control;
}

/* False for what would move the cursor or colour what is not the guest's. */
static bool is_text(enum control *control, char byte)
{
	unsigned char c = (unsigned char)byte;
	bool inside = *control != CONTROL_NONE;

	*control = next_control(*control, c);
	return c == '\n' || (!inside && (c == '\t' || (c >= ' ' && c != 0x7f)));
}

/* Reads once. False when there is nothing (more) to read now. */
static bool drain(struct console *console, unsigned index)
{
	struct stream *stream = &console->stream[index];
	char data[LINE_MAX_BYTES];
	ssize_t n = read(stream->output, data, sizeof(data));

	if (n > 0 && stream->attach)
		attach_output(stream->attach, data, (size_t)n);
	for (ssize_t i = 0; i < n; i++)
		if (!stream->attach || is_text(&stream->control, data[i]))
			take(console, stream, data[i]);
	return n > 0 || (n < 0 && errno == EINTR);
}

/*
 * All that is there, then the end of the line. Not until it is empty: somebody who left the process
 * group of its instance may still write.
 */
static void end_output(struct console *console, unsigned index)
{
	struct stream *stream = &console->stream[index];

	for (unsigned n = 0; n < PIPE_READS; n++)
		if (!drain(console, index))
			break;
	if (stream->length)
		write_line(console, stream);
	attach_end(stream->attach);
}

/* What the other thread has told of this stream: acquire pairs with its exchanges. */
static void hear(struct console *console, unsigned index)
{
	struct stream *stream = &console->stream[index];
	struct attach *next;

	if (atomic_exchange_explicit(&stream->ended, false, memory_order_acquire))
		end_output(console, index);
	next = atomic_exchange_explicit(&stream->next, NULL, memory_order_acquire);
	if (!next)
		return;
	attach_destroy(stream->attach);
	stream->attach = next;
	stream->control = CONTROL_NONE;
	console->poll[2 * index + 1].fd = attach_fd(next);
}

static void *console_main(void *argument)
{
	struct console *console = argument;
	unsigned count = console->count;
	eventfd_t changes;

	while (!atomic_load_explicit(&console->finishing, memory_order_acquire)) {
		if (poll(console->poll, 2 * count + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < count; i++) {
			if (console->poll[2 * i].revents)
				drain(console, i);
			if (console->poll[2 * i + 1].revents)
				attach_serve(console->stream[i].attach);
		}
		if (!console->poll[2 * count].revents)
			continue;
		eventfd_read(console->wake, &changes);
		for (unsigned i = 0; i < count; i++)
			hear(console, i);
	}
	for (unsigned i = 0; i < count; i++) {
		hear(console, i);
		end_output(console, i);
	}
	set_state(console, CONSOLE_DONE);
	return NULL;
}

/* The name of instance `index`, as wide as those that start at once, and in a colour of its own. */
static void make_prefix(struct stream *stream, const char *name, int width, unsigned index)
{
	static const unsigned colours[] = {36, 33, 32, 35, 34, 31};
	const char *no_colour = getenv("NO_COLOR");
	char *text = stream->text; /* names are below IST_NAME_SIZE */

	if (isatty(STDOUT_FILENO) && !(no_colour && *no_colour))
		sprintf(text, "\033[%um%-*s |\033[0m ",
			colours[index % (sizeof(colours) / sizeof(colours[0]))], width, name);
	else
		sprintf(text, "%-*s | ", width, name);
	stream->prefix = strlen(text);
}

/* A new pipe, or that of an instance which has one. Output that is no pipe is not seen here. */
static int open_stream(struct stream *stream, const struct child *child)
{
	int fds[2] = {-1, -1};
	int ret = -EBADF;

	if (child->pidfd >= 0) {
		fds[0] = child_open(child, STDOUT_FILENO, O_RDONLY | O_NONBLOCK);
		fds[1] = child_open(child, STDOUT_FILENO, O_WRONLY);
		ret = fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : 0;
	}
	if (ret == -EBADF || ret == -ESRCH)
		ret = pipe2(fds, O_CLOEXEC) ? -errno : 0;
	stream->output = fds[0];
	stream->input = fds[1];
	return ret || !fcntl(stream->output, F_SETFL, O_NONBLOCK) ? ret : -errno;
}

static void close_all(struct console *console)
{
	for (unsigned i = 0; i < console->count; i++) {
		if (console->stream[i].input >= 0)
			close(console->stream[i].input);
		if (console->stream[i].output >= 0)
			close(console->stream[i].output);
	}
	if (console->changed >= 0)
		close(console->changed);
	if (console->wake >= 0)
		close(console->wake);
	free(console->poll);
	free(console);
}

int console_create(const struct child *instances, unsigned count, struct console **out)
{
	struct console *console = calloc(1, sizeof(*console) + count * sizeof(console->stream[0]));
	int width = 0, ret = 0;

	if (!console)
		return -ENOMEM;
	console->wake = eventfd(0, EFD_CLOEXEC);
	console->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (console->wake < 0 || console->changed < 0)
		ret = -errno;
	console->poll = calloc(2 * (size_t)count + 1, sizeof(*console->poll));
	if (!console->poll)
		ret = -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		if (instances[i].instance->autostart &&
		    (int)strlen(instances[i].instance->name) > width)
			width = (int)strlen(instances[i].instance->name);
	for (unsigned i = 0; !ret && i < count; i++) {
		struct stream *stream = &console->stream[i];
		int attach = attach_fd(instances[i].attach);

		stream->attach = instances[i].attach;
		make_prefix(stream, instances[i].instance->name, width, i);
		ret = open_stream(stream, &instances[i]);
		console->poll[2 * i] = (struct pollfd){stream->output, POLLIN, 0};
		console->poll[2 * i + 1] = (struct pollfd){attach, POLLIN, 0};
		console->count = i + 1;
	}
	if (!ret) {
		console->poll[2 * count] = (struct pollfd){console->wake, POLLIN, 0};
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

/* Both: release pairs with hear(). */
void console_ended(struct console *console, unsigned index)
{
	atomic_store_explicit(&console->stream[index].ended, true, memory_order_release);
	eventfd_write(console->wake, 1);
}

bool console_attach(struct console *console, unsigned index, struct attach *attach)
{
	struct attach *none = NULL;

	if (!atomic_compare_exchange_strong_explicit(&console->stream[index].next, &none, attach,
						     memory_order_release, memory_order_relaxed))
		return false;
	eventfd_write(console->wake, 1);
	return true;
}

int console_fd(const struct console *console)
{
	return console->changed;
}

enum console_state console_state(struct console *console)
{
	eventfd_t changes;

	eventfd_read(console->changed, &changes);
	return (enum console_state)atomic_load_explicit(&console->state, memory_order_acquire);
}

void console_finish(struct console *console)
{
	/* Release: pairs with the thread's load. */
	atomic_store_explicit(&console->finishing, true, memory_order_release);
	eventfd_write(console->wake, 1);
}

void console_destroy(struct console *console)
{
	pthread_join(console->thread, NULL);
	close_all(console);
}
