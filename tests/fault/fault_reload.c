/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_reload.c: the n-th call that can fail does, for every n (SOAK; else every fifth),
 * while a broker goes over to another configuration. Each time it is all changed or nothing is, the
 * answer says which, and the next try succeeds; no descriptor is left.
 */
#include <pwd.h>
#include <sys/stat.h>

#include "ivshmem/broker.h"
#include "ivshmem/log.h"
#include "tests/fast_ticks.h" /* a message that could not be sent is sent again after one */
#include "tests/nth_call.h"

static int dispatch(struct ivshm_broker *broker)
{
	int result;

	fault.armed = true;
	result = ivshm_broker_dispatch(broker);
	fault.armed = false;
	return result;
}

/* What the fixture's functions call. */
#define ivshm_broker_dispatch dispatch
#include "tests/control_fixture.h"

static struct fixture f;

#include "tests/reload_group.h"

FAULT(void *, NULL, reallocarray, ENOMEM, (void *memory, size_t count, size_t size), memory, count,
      size)
FAULT(char *, NULL, strdup, ENOMEM, (const char *text), text)
FAULT(FILE *, NULL, open_memstream, ENOMEM, (char **text, size_t *size), text, size)
FAULT(int, -1, open, EMFILE, (const char *path, int flags, ...), path, flags)
FAULT(ssize_t, -1, read, EIO, (int fd, void *data, size_t size), fd, data, size)
FAULT(int, -1, chmod, EPERM, (const char *path, mode_t mode), path, mode)
FAULT(ssize_t, -1, sendmsg, ENOBUFS, (int fd, const struct msghdr *message, int flags), fd, message,
      flags)

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

/* The broker's; not those of libraries, nor of dlsym(). */
void *__wrap_calloc(size_t count, size_t size)
{
	return fails("calloc", ENOMEM) ? NULL : __real_calloc(count, size);
}

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
	       struct passwd **found)
{
	if (fails("getpwnam_r", 0))
		return EIO;
	return REAL(getpwnam_r)(name, entry, buffer, size, found);
}

static const struct text next = {
	.shared = "size: 64K, access: rw, rights: [{instance: left, access: ro}]",
	.more = "      - {name: extra, size: 16K, access: rw}\n    users: [root]\n",
	.others = OTHERS_TEXT FOURTH_TEXT};

/* Answers what it is told, until the reload is over. 0 or what is answered; -1: it was hung up on.
 */
static int reload(struct raw *left)
{
	struct ivshm_control m = {.row = {.type = IVSHM_CONTROL_RELOAD}};
	int fd = control_connect(&f), r = 0;
	struct pollfd p[3] = {{.fd = ivshm_broker_fd(f.broker), .events = POLLIN},
			      {.fd = left->socket, .events = POLLIN},
			      {.fd = fd, .events = POLLIN}};

	snprintf(m.text, sizeof(m.text), "%s", file);
	must(ivshm_control_send(fd, &m) == 0);
	do {
		struct ivshm_packet packet;

		must(poll(p, 3, FIXTURE_PATIENCE_MS) > 0);
		if (p[0].revents)
			must(dispatch(f.broker) == 0);
		if (p[1].revents) {
			must(ivshm_wire_receive(left->socket, &packet) == 0);
			must(packet.wire.type == IST_WIRE_RIGHT ||
			     packet.wire.type == IST_WIRE_REGION);
			packet.wire.type += packet.wire.type == IST_WIRE_RIGHT;
			if (packet.wire.type == IST_WIRE_RIGHT_DONE)
				must(ivshm_wire_send(left->socket, &packet) == 0);
		}
		if (p[2].revents)
			r = ivshm_control_receive(fd, &m, MSG_DONTWAIT);
	} while (r == 0 && (!p[2].revents || m.row.type == IVSHM_CONTROL_LINE));
	close(fd);
	fixture_settle(&f);
	return r ? -1 : m.row.code;
}

static uint32_t regions(const struct raw *left)
{
	return ((const struct ist_roster *)(const void *)(left->map + IST_ROSTER_OFFSET))->regions;
}

/* One run, in which call `at` fails. Returns whether there were so many. */
static bool run(unsigned at)
{
	struct raw left;
	int code;

	reload_start();
	left = raw_live(&f, "left");
	write_file(next);
	fault.calls = 0;
	fault.failed = NULL;
	fault.fail_at = at;
	code = reload(&left);
	fault.fail_at = 0;
	if (code == 0) {
		must(owner.committed == 1 && regions(&left) == 3);
		must(roster_right(&left, 0, 0) == IST_RIGHT_READ);
		must(roster_right(&left, 2, 0) == IST_RIGHT_WRITE);
	} else if (code > 0) {
		must(owner.committed == 0 && owner.starts == 0 && regions(&left) == 2);
		must(roster_right(&left, 0, 0) == IST_RIGHT_WRITE);
		must(fault.failed);
		if (reload(&left) != 0)
			fprintf(stderr, "after %s: no second try\n", fault.failed);
		must(owner.committed == 1 && regions(&left) == 3);
	}
	must(code >= 0 || fault.failed);
	while (!is_quiet(left.socket)) {
		struct ivshm_packet packet;

		must(ivshm_wire_receive(left.socket, &packet) == 0);
		ivshm_wire_close_fds(&packet);
	}
	raw_leave(&f, &left);
	reload_stop();
	return fault.failed != NULL;
}

int main(void)
{
	/* All of them take 8 s: SOAK. Else some, of all kinds. */
	unsigned step = getenv("SOAK") ? 1 : 5, at = 1, tried = 0, before;

	ivshm_log_level = IVSHM_LOG_ERROR;
	must(!run(1000000)); /* what is made once and stays */
	before = count_descriptors();
	while (run(at)) {
		if (count_descriptors() != before)
			fprintf(stderr, "%s, call %u: %u descriptors, not %u\n", fault.failed, at,
				count_descriptors(), before);
		must(count_descriptors() == before);
		at += step;
		tried++;
	}
	printf("1..1\nok 1 - reload, %u of some %u calls that fail\n", tried, at - step);
	must(tried > 20);
	return 0;
}
