/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_control.c: hostile requests at the control socket, and a hostile `up` that answers.
 *
 * The input's first byte says which. Requests: a program of operations on four connections, beside
 * a peer in good order: connect, hang up, send, read, let the broker run, let time pass; and what
 * the owner of the processes says. An operation is a byte: what (bits 0-2), which connection (bits
 * 3-4). What is sent is a request that the following bytes change: type, name, size, descriptors,
 * fields overwritten. Answers: packets made in the same way are what `status` is told; they are
 * shown as text and as JSON.
 */
#include <pthread.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/control.h"
#include "ivshmem/log.h"
#include "tests/broker_fixture.h"
#include "tests/fuzz_input.h"

#define CONNECTIONS 4u
#define PACKETS_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture f;
static int connection[CONNECTIONS]; /* -1: not connected */

/* ---- The owner of the processes -------------------------------------------------------------- */

static struct {
	bool runs[3];
	int result;
	unsigned downs;
} owner;

static struct ivshm_process process_of(void *context, unsigned instance)
{
	struct ivshm_process process = {.pid = owner.runs[instance] ? getpid() : 0,
					.pidfd = -1,
					.since_ns = 1,
					.ended = !owner.runs[instance]};

	(void)context;
	return process;
}

static int on_start(void *context, unsigned instance)
{
	(void)context;
	must(instance < 3 && !owner.runs[instance]);
	owner.runs[instance] = owner.result == 0;
	return owner.result;
}

static int on_stop(void *context, unsigned instance)
{
	(void)context;
	must(instance < 3 && owner.runs[instance]);
	return owner.result;
}

static void on_down(void *context)
{
	(void)context;
	owner.downs++;
}

/* A reload gets as far as this: the fixture's instances are the configuration's for good. */
static int on_prepare(void *context, const struct ivshm_config *next)
{
	(void)context;
	(void)next;
	return -ENOMEM;
}

static void on_commit(void *context)
{
	(void)context;
	must(false);
}

static void on_abandon(void *context)
{
	(void)context;
}

static const struct ivshm_control_ops ops = {.process = process_of,
					     .start = on_start,
					     .stop = on_stop,
					     .down = on_down,
					     .prepare = on_prepare,
					     .commit = on_commit,
					     .abandon = on_abandon};

/* ---- Requests -------------------------------------------------------------------------------- */

/* A packet of this kind that is changed as the input says, and how long it is. */
static size_t make(struct input *in, struct ivshm_control *out, uint32_t type)
{
	static const char *const name[] = {"left", "right", "ping", ""};
	uint8_t how = take(in);
	size_t size;

	memset(out, 0, sizeof(*out));
	out->row.type = type;
	out->row.version = IVSHM_CONTROL_VERSION;
	strcpy(out->row.name, name[how & 3]);
	strcpy(out->text, "file.yml");
	size = how & 8 ? (size_t)take(in) << (how & 4 ? 5 : 0)
		       : sizeof(out->row) + (how & 4 ? sizeof("file.yml") : 0);
	for (unsigned changes = how >> 4; changes > 0; changes--) {
		uint8_t at = take(in);

		((uint8_t *)out)[at] = take(in);
	}
	return size < sizeof(*out) ? size : sizeof(*out);
}

static void send_changed(unsigned n, struct input *in)
{
	struct ivshm_control request;
	uint8_t type = take(in);
	size_t size = make(in, &request, type % 8u);

	raw_send_bytes(connection[n], &request, size, type & 0x80 ? 3 : 0, MSG_DONTWAIT);
}

static void run(struct input *in)
{
	struct ivshm_control answer;

	while (in->left > 0) {
		uint8_t operation = take(in);
		unsigned n = operation >> 3 & 3;

		switch (operation & 7) {
		case 0:
			if (connection[n] < 0)
				connection[n] = ivshm_door_enter(&ivshm_control_door, f.dir, "1");
			break;
		case 1:
			if (connection[n] >= 0)
				close(connection[n]);
			connection[n] = -1;
			break;
		case 2:
			ivshm_controls_tick(f.broker->controls);
			break;
		case 3:
			fixture_settle(&f);
			break;
		case 4:
			if (connection[n] >= 0)
				ivshm_control_receive(connection[n], &answer, MSG_DONTWAIT);
			break;
		case 5:
			owner.runs[n % 3] = false;
			ivshm_control_ended(f.broker, n % 3);
			break;
		case 6:
			owner.result = n == 0 ? 0 : n == 1 ? -ESHUTDOWN : -ENOENT;
			break;
		default:
			if (connection[n] >= 0)
				send_changed(n, in);
		}
	}
}

/* Everybody else has hung up: who asks in good order is answered. */
static void check_good(void)
{
	struct ivshm_control message = {.row = {.type = IVSHM_CONTROL_STATUS}};
	unsigned rows = 0, peers = 0;
	int fd = ivshm_door_enter(&ivshm_control_door, f.dir, "1");

	must(fd >= 0 && ivshm_control_send(fd, &message) == 0);
	do {
		fixture_await(&f, fd);
		must(ivshm_control_receive(fd, &message, MSG_DONTWAIT) == 0);
		peers += message.row.type == IVSHM_CONTROL_PEER;
		/* This broker was not asked to count. */
		must(!(message.row.flags & IVSHM_CONTROL_COUNTED) && message.row.doorbells == 0);
		must(++rows < 20 && message.row.type != IVSHM_CONTROL_ERROR);
	} while (message.row.type != IVSHM_CONTROL_DONE);
	must(peers == 3);
	close(fd);
	fixture_settle(&f);
}

static void requests(struct input *in)
{
	static char path[] = "no-such-file.yml";
	struct raw good;

	memset(&owner, 0, sizeof(owner));
	memset(connection, -1, sizeof(connection));
	fixture_configure(&f);
	f.config.path = path;
	must(fixture_serve(&f) == 0);
	must(ivshm_broker_serve_control(f.broker, f.dir, &ops, NULL, f.error, sizeof(f.error)) ==
	     0);
	good = raw_live(&f, "right");

	run(in);
	for (unsigned n = 0; n < CONNECTIONS; n++)
		if (connection[n] >= 0)
			close(connection[n]);
	fixture_settle(&f);
	check_good();
	must(raw_word(&good, good.id) == IST_PEER_WORD(IST_PEER_LIVE, 1));
	raw_leave(&f, &good);
	fixture_stop(&f);
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* Plays an `up` at DIR/1.control: takes the request, sends what the input says, hangs up. */
struct liar {
	struct ivshm_door door;
	struct input *in;
};

static void *lie(void *argument)
{
	struct liar *liar = argument;
	struct ivshm_control message;
	int fd = accept4(liar->door.listener, NULL, NULL, SOCK_CLOEXEC);

	must(fd >= 0);
	ivshm_control_receive(fd, &message, 0);
	for (unsigned i = 0; i < PACKETS_MAX && liar->in->left > 0; i++) {
		uint8_t type = take(liar->in);
		size_t size = make(liar->in, &message, type % 13u);

		raw_send_bytes(fd, &message, size, type & 0x80 ? 3 : 0, 0);
	}
	close(fd);
	return NULL;
}

static void show(const struct ivshm_control_ups *ups, const char *dir)
{
	FILE *null = fopen("/dev/null", "we");

	must(null != NULL);
	for (unsigned i = 0; i < ups->count; i++) {
		ivshm_status_text(&ups->up[i], NULL, null);
		ivshm_status_text(&ups->up[i], "ping", null);
		ivshm_status_json(&ups->up[i], NULL, dir, null);
		ivshm_control_find(&ups->up[i], IVSHM_CONTROL_INSTANCE, "left");
		ivshm_control_member(&ups->up[i], "ping", "left");
		ivshm_control_match(&ups->up[i], "file.yml");
	}
	fclose(null);
}

static void answers(struct input *in)
{
	char dir[] = "/tmp/fuzz_control.XXXXXX", error[512];
	struct ivshm_control_ups ups;
	struct liar liar = {.in = in};
	pthread_t thread;

	must(mkdtemp(dir) != NULL);
	must(ivshm_door_open(&liar.door, &ivshm_control_door, dir, "1", 0600, error,
			     sizeof(error)) == 0);
	must(fcntl(liar.door.listener, F_SETFL, 0) == 0);
	must(pthread_create(&thread, NULL, lie, &liar) == 0);
	if (ivshm_control_list(dir, &ups, error, sizeof(error)) == 0) {
		show(&ups, dir);
		ivshm_control_forget(&ups);
	}
	pthread_join(thread, NULL);
	close(liar.door.listener);
	ivshm_door_close(&liar.door);
	must(rmdir(dir) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned before = count_descriptors();

	ivshm_log_level = IVSHM_LOG_ERROR;
	/* Who is hung up on while it sends is told by the call. */
	signal(SIGPIPE, SIG_IGN);
	if (take(&in) & 1)
		answers(&in);
	else
		requests(&in);
	must(count_descriptors() == before);
	return 0;
}
