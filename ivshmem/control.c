/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c: packets of the control socket, and who asks there. */
#include "control.h"
#include "door.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ROWS_MAX 65536u    /* far more than any configuration has: who sends more is no broker */
#define PATIENCE_SECONDS 5 /* with a broker that says nothing: it is stopped */

int ivshm_control_send(int socket, struct ivshm_control *message)
{
	size_t length = offsetof(struct ivshm_control, text) + strlen(message->text);

	message->row.version = IVSHM_CONTROL_VERSION;
	for (;;) {
		if (send(socket, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int ivshm_control_receive(int socket, struct ivshm_control *message, int flags)
{
	unsigned reset = 0;
	ssize_t length;

	/* One byte is kept for the end of `text`. Descriptors are for nobody: the kernel closes
	 * them. */
	do
		length = recv(socket, message, sizeof(*message) - 1, flags | MSG_TRUNC);
	/* Who closes without having read all is told of first, once; what it has sent comes after.
	 */
	while (length < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
	if (length < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (length == 0)
		return -EPIPE;
	if ((size_t)length < offsetof(struct ivshm_control, text) ||
	    (size_t)length >= sizeof(*message) || message->row.version != IVSHM_CONTROL_VERSION)
		return -EPROTO;
	((char *)message)[length] = '\0';
	message->row.name[sizeof(message->row.name) - 1] = '\0';
	return 0;
}

/* A connection on which this was asked, or -errno. */
static int ask_for(const char *dir, unsigned number, struct ivshm_control *request)
{
	char socket_name[16];
	int fd, r;

	snprintf(socket_name, sizeof(socket_name), "%u", number);
	fd = ivshm_door_enter(&ivshm_control_door, dir, socket_name);
	if (fd < 0)
		return fd;
	r = ivshm_control_send(fd, request);
	/* Who was refused finds the reason there to read. */
	if (r && r != -EPIPE) {
		close(fd);
		return r;
	}
	return fd;
}

static int ask(const char *dir, unsigned number, uint32_t type, const char *name)
{
	struct ivshm_control request = {.row = {.type = type}};

	snprintf(request.row.name, sizeof(request.row.name), "%s", name);
	return ask_for(dir, number, &request);
}

static int fail_version(char *error, size_t error_size, const char *dir, unsigned number)
{
	return ivshm_fail(error, error_size, -EPROTO, "%s/%u%s: is of another version", dir, number,
			  ivshm_control_door.socket);
}

static int add_row(struct ivshm_control_up *up, const struct ivshm_control_row *row)
{
	struct ivshm_control_row *grown;

	if (up->rows == ROWS_MAX)
		return -EPROTO;
	/* Doubled when it is full, at the powers of two. */
	if ((up->rows & (up->rows - 1)) == 0) {
		grown = reallocarray(up->row, up->rows ? 2 * (size_t)up->rows : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		up->row = grown;
	}
	up->row[up->rows++] = *row;
	return 0;
}

static void forget_up(struct ivshm_control_up *up)
{
	free(up->path);
	free(up->row);
}

/* Takes the whole answer. -EPIPE: it ends before its end. */
static int take_status(int fd, struct ivshm_control_up *up, char *error, size_t error_size)
{
	struct ivshm_control message;
	int r;

	for (;;) {
		r = ivshm_control_receive(fd, &message, 0);
		if (r)
			return r;
		switch (message.row.type) {
		case IVSHM_CONTROL_UP:
			free(up->path);
			up->pid = message.row.pid;
			up->age_ns = message.row.age_ns;
			up->path = strdup(message.text);
			if (!up->path)
				return -ENOMEM;
			break;
		case IVSHM_CONTROL_DONE:
			return up->path ? 0 : -EPROTO;
		case IVSHM_CONTROL_ERROR:
			if (message.row.code <= 0)
				return -EPROTO;
			return ivshm_fail(error, error_size, -message.row.code, "%s", message.text);
		default:
			r = add_row(up, &message.row);
			if (r)
				return r;
		}
	}
}

/* -ENOENT: there is none. */
static int list_one(const char *dir, unsigned number, struct ivshm_control_ups *ups, char *error,
		    size_t error_size)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	struct ivshm_control_up up = {.number = number}, *grown;
	int fd = ask(dir, number, IVSHM_CONTROL_STATUS, "");
	char why[256] = ""; /* what it says itself; `error` may hold another's refusal */
	int r;

	if (fd == -ECONNREFUSED || fd == -ENOENT || fd == -EPIPE)
		return -ENOENT;
	if (fd < 0)
		return ivshm_fail(error, error_size, fd, "%s/%u%s: %s", dir, number,
				  ivshm_control_door.socket, strerror(-fd));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r = take_status(fd, &up, why, sizeof(why));
	close(fd);
	if (r == 0) {
		grown = reallocarray(ups->up, ups->count + 1, sizeof(*grown));
		if (grown) {
			ups->up = grown;
			ups->up[ups->count++] = up;
			return 0;
		}
		r = -ENOMEM;
	}
	forget_up(&up);
	if (r == -EPIPE)
		return -ENOENT;
	if (r == -EAGAIN && !*why) {
		ivshm_log(IVSHM_LOG_WARN, "%s/%u%s does not answer: its `isthmus up` is stopped",
			  dir, number, ivshm_control_door.socket);
		return -ENOENT;
	}
	if (r == -EPROTO && !*why)
		return fail_version(error, error_size, dir, number);
	return ivshm_fail(error, error_size, r, "%s", *why ? why : strerror(-r));
}

int ivshm_control_list(const char *dir, struct ivshm_control_ups *out, char *error,
		       size_t error_size)
{
	bool refused = false;
	int r;

	*out = (struct ivshm_control_ups){0};
	for (unsigned number = 1; number <= IVSHM_CONTROL_NUMBERS; number++) {
		r = list_one(dir, number, out, error, error_size);
		refused |= r == -EACCES;
		if (r && r != -ENOENT && r != -EACCES) {
			ivshm_control_forget(out);
			return r;
		}
	}
	return refused && out->count == 0 ? -EACCES : 0;
}

void ivshm_control_forget(struct ivshm_control_ups *ups)
{
	while (ups->count > 0)
		forget_up(&ups->up[--ups->count]);
	free(ups->up);
	ups->up = NULL;
}

int ivshm_control_ask(const char *dir, unsigned number, uint32_t type, const char *name,
		      char *error, size_t error_size)
{
	struct ivshm_control message;
	int fd = ask(dir, number, type, name);
	int r = fd < 0 ? fd : ivshm_control_receive(fd, &message, 0);

	if (fd >= 0)
		close(fd);
	/* All that DOWN has to say is that it is gone. */
	if (r == -EPIPE && type == IVSHM_CONTROL_DOWN)
		return 0;
	if (r == -EPIPE)
		return ivshm_fail(error, error_size, r, "`isthmus up` has ended meanwhile");
	if (r == -EPROTO)
		return fail_version(error, error_size, dir, number);
	if (r)
		return ivshm_fail(error, error_size, r, "%s/%u%s: %s", dir, number,
				  ivshm_control_door.socket, strerror(-r));
	if (message.row.type == IVSHM_CONTROL_DONE)
		return 0;
	if (message.row.type != IVSHM_CONTROL_ERROR || message.row.code <= 0)
		return fail_version(error, error_size, dir, number);
	return ivshm_fail(error, error_size, -message.row.code, "%s", message.text);
}

/* Takes the answer to RELOAD; as ivshm_control_receive(), or what ERROR says. */
static int take_lines(int fd, struct ivshm_control *message, FILE *out, FILE *errors, bool *said)
{
	for (;;) {
		int r = ivshm_control_receive(fd, message, 0);

		if (r || message->row.type == IVSHM_CONTROL_DONE)
			return r;
		if (message->row.type == IVSHM_CONTROL_ERROR)
			return message->row.code > 0 ? -message->row.code : -EPROTO;
		if (message->row.type != IVSHM_CONTROL_LINE)
			return -EPROTO;
		*said |= message->row.flags & IVSHM_CONTROL_WRONG;
		fprintf(message->row.flags & IVSHM_CONTROL_WRONG ? errors : out, "%s%s\n",
			message->row.flags & IVSHM_CONTROL_WRONG &&
					!(message->row.flags & IVSHM_CONTROL_PLAIN)
				? "isthmus: "
				: "",
			message->text);
	}
}

int ivshm_control_reload(const char *dir, unsigned number, const char *path, uint32_t flags,
			 FILE *out, FILE *errors)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_RELOAD, .flags = flags}};
	bool said = false;
	int fd, r;

	snprintf(message.text, sizeof(message.text), "%s", path);
	r = fd = ask_for(dir, number, &message);
	if (fd >= 0) {
		r = take_lines(fd, &message, out, errors, &said);
		close(fd);
	}
	if (r && !said)
		fprintf(errors, "isthmus: %s\n",
			r == -EPIPE ? "`isthmus up` has ended meanwhile"
			: message.row.type == IVSHM_CONTROL_ERROR ? message.text
								  : strerror(-r));
	return r;
}

const struct ivshm_control_row *ivshm_control_find(const struct ivshm_control_up *up, uint32_t type,
						   const char *name)
{
	for (unsigned i = 0; i < up->rows; i++) {
		if (up->row[i].type == type && !strcmp(up->row[i].name, name))
			return &up->row[i];
	}
	return NULL;
}

bool ivshm_control_member(const struct ivshm_control_up *up, const char *group,
			  const char *instance)
{
	bool inside = false;

	for (unsigned i = 0; i < up->rows; i++) {
		if (up->row[i].type == IVSHM_CONTROL_GROUP)
			inside = !strcmp(up->row[i].name, group);
		else if (inside && up->row[i].type == IVSHM_CONTROL_PEER &&
			 !strcmp(up->row[i].name, instance))
			return true;
	}
	return false;
}
