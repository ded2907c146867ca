/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_return.c: hostile connections to a broker that has taken a group over, by the process that
 * its peers left and right are held for.
 *
 * The input is a program of operations on four connections: connect, hang up, send, let the broker
 * run. What is sent is REATTACH, BELLS, READY, HELLO or BYE as left or right would, which the
 * following bytes change: the descriptors (its own, the other's, foreign ones, how many) and
 * fields overwritten. Whoever of the two has not come back by that can do so afterwards.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "ivshmem/broker_internal.h"
#include "ivshmem/log.h"
#include "tests/restart_fixture.h"
#include "tests/fuzz_bell.h"
#include "tests/fuzz_input.h"

#define CONNECTIONS 4
#define PEERS 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[PEERS] = {"left", "right"};
static struct fixture f;
static struct raw peer[PEERS];
static int connection[CONNECTIONS];
static int foreign[2]; /* an eventfd, a memfd */

/* As a broker that is killed leaves it: the file is kept from the end in good order. */
static void take_over(void)
{
	char path[96], kept[96];

	snprintf(path, sizeof(path), "%s/ping.state", f.dir);
	snprintf(kept, sizeof(kept), "%s/kept", f.dir);
	must(link(path, kept) == 0);
	/* Its peers are held open, so that it does not see them leave. */
	ivshm_broker_destroy(f.broker);
	must(rename(kept, path) == 0);
	must(ivshm_broker_attach(&f.config, f.dir, f.error, sizeof(f.error), &f.broker) == 0);
	must(f.broker->group[0].taken);
}

static void hang_up(unsigned n)
{
	if (connection[n] >= 0)
		close(connection[n]);
	connection[n] = -1;
}

static int choose(struct input *in, const struct raw *of, unsigned vector)
{
	switch (take(in) % 6) {
	case 0:
		return of->memory;
	case 1:
		return peer[1 - of->id].own[vector];
	case 2:
		return foreign[0];
	case 3:
		return foreign[1];
	default:
		return of->own[vector];
	}
}

static void send_something(unsigned n, struct input *in)
{
	static const uint32_t types[] = {IST_WIRE_REATTACH, IST_WIRE_BELLS, IST_WIRE_READY,
					 IST_WIRE_BELLS,    IST_WIRE_HELLO, IST_WIRE_BYE,
					 IST_WIRE_THREAD,   IST_WIRE_RECALL};
	uint8_t how = take(in);
	const struct raw *of = &peer[how & 1];
	struct ivshm_packet packet = {.wire = {.type = types[how >> 1 & 7],
					       .abi = IVSHM_WIRE_ABI,
					       .id = of->id,
					       .incarnation = of->incarnation,
					       .vectors = FIXTURE_VECTORS}};

	ivshm_wire_set_string(packet.wire.name, sizeof(packet.wire.name), names[how & 1]);
	if (packet.wire.type == IST_WIRE_REATTACH)
		packet.fds[packet.fds_count++] = of->memory;
	for (unsigned i = 0; packet.wire.type == IST_WIRE_BELLS && i < FIXTURE_VECTORS; i++)
		packet.fds[packet.fds_count++] = of->own[i];
	if (how & 16) {
		packet.fds_count = take(in) % (FIXTURE_VECTORS + 2);
		for (unsigned i = 0; i < packet.fds_count; i++)
			packet.fds[i] = choose(in, of, i % FIXTURE_VECTORS);
	}
	for (unsigned changes = how >> 5; changes > 0; changes--) {
		uint8_t at = take(in);

		((uint8_t *)&packet.wire)[at] = take(in);
	}
	ivshm_wire_send(connection[n], &packet);
}

static void run(struct input *in)
{
	while (in->left > 0) {
		uint8_t operation = take(in);
		unsigned n = operation >> 2 & 3;

		if ((operation & 3) == 0) {
			hang_up(n);
			fixture_settle(&f);
			connection[n] = raw_connect(&f);
			fixture_settle(&f);
		} else if ((operation & 3) == 1) {
			fixture_settle(&f);
		} else if (connection[n] >= 0) {
			send_something(n, in);
		}
	}
}

/* Whoever is still held for comes back; who has come back, or left, is what it is. */
static void check(void)
{
	for (unsigned i = 0; i < PEERS; i++) {
		const struct ivshm_seat *seat = &f.broker->group[0].seat[i];

		if (!seat->link || !seat->link->away || seat->incarnation != peer[i].incarnation)
			continue;
		raw_hand_back(&f, &peer[i], names[i]);
		raw_expect(&f, peer[i].socket, IST_WIRE_READY);
		must(seat->state == IST_PEER_LIVE);
		must(raw_word(&peer[i], i) == IST_PEER_WORD(IST_PEER_LIVE, seat->incarnation));
		for (unsigned v = 0; v < FIXTURE_VECTORS; v++) {
			rings(peer[i].own[v]);
			must(eventfd_write(seat->fds[v], 1) == 0 && rings(peer[i].own[v]) == 1);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned before = count_descriptors();

	ivshm_log_level = IVSHM_LOG_ERROR;
	memset(connection, -1, sizeof(connection));
	foreign[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	foreign[1] = memfd_create("isthmus:ping", MFD_CLOEXEC);
	fixture_start(&f);
	for (unsigned i = 0; i < PEERS; i++)
		peer[i] = raw_live(&f, names[i]);
	take_over();

	run(&in);
	for (unsigned n = 0; n < CONNECTIONS; n++)
		hang_up(n);
	fixture_settle(&f);
	check();

	for (unsigned i = 0; i < PEERS; i++)
		raw_close(&peer[i]);
	fixture_stop(&f);
	close(foreign[0]);
	close(foreign[1]);
	must(count_descriptors() == before);
	return 0;
}
