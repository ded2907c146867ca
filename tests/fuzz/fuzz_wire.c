/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_wire.c: hostile connections to a broker, beside a peer in good order.
 *
 * The input is a program of operations on four connections: connect, hang up, die, send, read, let
 * the broker run. An operation is a byte: what (bits 0-2), which connection (bits 3-4), and for
 * connecting whether to QEMU's socket of third (bit 5). What is sent is a HELLO that the following
 * bytes change: type, instance's name, size, descriptors, and fields overwritten. Processes that
 * die are played: their pidfds are eventfds.
 */
#include <sys/syscall.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/log.h"
#include "tests/legacy_client.h"
#include "tests/fuzz_bell.h"
#include "tests/fuzz_input.h"

#define CONNECTIONS 4
#define SENT_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture f;

static struct {
	int socket; /* -1: not connected */
	int death;  /* its process has ended when this is readable */
} connection[CONNECTIONS];

static int next_death; /* of the connection that is being accepted */

/* ---- What is played -------------------------------------------------------------------------- */

/* Instead of a process. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (level == SOL_SOCKET && name == SO_PEERCRED)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, size);
	*(int *)value = dup(next_death);
	return 0;
}

/* ---- The peer in good order ------------------------------------------------------------------ */

static uint32_t heard[FIXTURE_PEERS]; /* incarnations that it was told of */

/* Reads what its socket's buffer has room for. Returns how many messages there were. */
static unsigned good_reads(struct raw *good)
{
	struct ivshm_packet p;
	unsigned n = 0;
	int r;

	while ((r = ivshm_wire_receive(good->socket, &p)) == 0) {
		must(p.wire.id < FIXTURE_PEERS && p.wire.id != good->id);
		if (p.wire.type == IST_WIRE_PEER) {
			must(heard[p.wire.id] == 0 && p.wire.incarnation != 0);
			must(p.fds_count == FIXTURE_VECTORS);
			heard[p.wire.id] = p.wire.incarnation;
		} else {
			must(p.wire.type == IST_WIRE_GONE);
			must(heard[p.wire.id] == p.wire.incarnation);
			heard[p.wire.id] = 0;
		}
		ivshm_wire_close_fds(&p);
		n++;
	}
	must(r == -EAGAIN);
	return n;
}

/* Everybody else has ended: an ID that a hostile one had is free, and good hears who takes it. */
static void check_good(struct raw *good)
{
	struct raw left;

	do
		fixture_settle(&f);
	while (good_reads(good) > 0);
	must(heard[0] == 0 && heard[2] == 0);
	must(raw_word(good, good->id) == IST_PEER_WORD(IST_PEER_LIVE, 1));
	left = raw_live(&f, "left");
	good_reads(good);
	must(heard[0] == left.incarnation);
	must(eventfd_write(left.peer[good->id][1], 1) == 0 && rings(good->own[1]) == 1);
	must(rings(good->own[IST_VECTOR_ROSTER]) > 0);
	raw_leave(&f, &left);
	good_reads(good);
	must(heard[0] == 0);
}

/* ---- The hostile ones ------------------------------------------------------------------------ */

static void hang_up(unsigned n)
{
	if (connection[n].socket >= 0)
		close(connection[n].socket);
	connection[n].socket = -1;
}

static void die(unsigned n)
{
	if (connection[n].death >= 0) {
		must(eventfd_write(connection[n].death, 1) == 0);
		close(connection[n].death);
	}
	connection[n].death = -1;
}

static void connect_anew(unsigned n, bool legacy)
{
	hang_up(n);
	die(n);
	connection[n].death = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(connection[n].death >= 0);
	fixture_settle(&f); /* all that came before are accepted */
	next_death = connection[n].death;
	connection[n].socket = legacy ? legacy_connect(&f, "third") : raw_connect(&f);
	fixture_settle(&f);
}

static void send_changed(unsigned n, struct input *in)
{
	static const char *const name[] = {"left", "right", "third", ""};
	union {
		struct ist_wire wire;
		uint8_t bytes[SENT_MAX];
	} sent = {.wire = {.type = take(in) % 10u, .abi = IVSHM_WIRE_ABI}};
	uint8_t how = take(in);
	unsigned descriptors = how & 4 ? take(in) % 20u : 0;
	size_t size = how & 8 ? take(in) + 20u : sizeof(sent.wire);

	strcpy(sent.wire.name, name[how & 3]);
	for (unsigned changes = how >> 4; changes > 0; changes--) {
		uint8_t at = take(in);

		sent.bytes[at] = take(in);
	}
	raw_send_bytes(connection[n].socket, &sent, size, descriptors, MSG_DONTWAIT);
}

static void read_one(unsigned n)
{
	struct ivshm_packet p;

	if (ivshm_wire_receive(connection[n].socket, &p) == 0)
		ivshm_wire_close_fds(&p);
}

static void run(struct input *in, struct raw *good)
{
	while (in->left > 0) {
		uint8_t operation = take(in);
		unsigned n = operation >> 3 & 3;

		switch (operation & 7) {
		case 0:
			connect_anew(n, operation & 32);
			break;
		case 1:
			hang_up(n);
			break;
		case 2:
			die(n);
			break;
		case 3:
			fixture_settle(&f);
			break;
		case 4:
			good_reads(good);
			break;
		case 5:
			read_one(n);
			break;
		default:
			send_changed(n, in);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned before = count_descriptors();
	int death_of_good = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct raw good;

	ivshm_log_level = IVSHM_LOG_ERROR;
	next_death = death_of_good;
	memset(heard, 0, sizeof(heard));
	memset(connection, -1, sizeof(connection));
	fixture_configure(&f);
	f.instance[2].kind = IST_KIND_QEMU;
	must(fixture_serve(&f) == 0);
	good = raw_live(&f, "right");

	run(&in, &good);
	for (unsigned n = 0; n < CONNECTIONS; n++) {
		hang_up(n);
		die(n);
	}
	fixture_settle(&f);
	next_death = death_of_good;
	check_good(&good);

	raw_leave(&f, &good);
	fixture_stop(&f);
	close(death_of_good);
	must(count_descriptors() == before);
	return 0;
}
