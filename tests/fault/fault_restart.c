/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_restart.c: a broker is killed at the n-th of its steps, for every n: before each record,
 * each store to the roster, each message, each ring and each closed descriptor of one life: right
 * is admitted, becomes live, leaves, is admitted again and dies, while left watches. The next
 * broker takes over, and what it shows must be one of the states that right can have had there;
 * then left comes back, hears of right what it has not heard, and another right gets in.
 */
#include "ivshmem/broker_internal.h"
#include "ivshmem/log.h"
#include "tests/restart_fixture.h"

#define LEFT 0u
#define RIGHT 1u

/* Shared with the broker's process. */
static struct {
	pid_t broker;
	unsigned killed_at; /* 0: never */
	unsigned step;
} * plan;

static void count_step(void)
{
	if (plan->killed_at && getpid() == plan->broker && ++plan->step == plan->killed_at)
		raise(SIGKILL);
}

/* ---- Steps: the linker sends these calls by here ---- */

#define STEP(type, name, parameters, ...)                                                          \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		count_step();                                                                      \
		return __real_##name(__VA_ARGS__);                                                 \
	}

STEP(void, ivshm_state_set_peer,
     (struct ivshm_state * state, uint32_t id, const struct ivshm_state_peer *peer), state, id,
     peer)
STEP(void, ivshm_roster_admit,
     (struct ivshm_memory * memory, uint32_t id, uint32_t incarnation, const char *name,
      uint32_t vectors, uint32_t kind),
     memory, id, incarnation, name, vectors, kind)
STEP(void, ivshm_roster_set_state,
     (struct ivshm_memory * memory, uint32_t id, uint32_t incarnation, uint32_t state), memory, id,
     incarnation, state)
STEP(int, ivshm_wire_send, (int fd, const struct ivshm_packet *packet), fd, packet)
STEP(int, ivshm_bell_ring, (struct ivshm_bell * bell, int source, int fd), bell, source, fd)
STEP(int, ivshm_eventfd_id, (int fd, uint64_t *id), fd, id)
STEP(int, close, (int fd), fd)

/* ---- A life ---- */

static struct restart r;
static struct raw left;
static uint32_t heard; /* the incarnation of right that left was told of and not gone, or 0 */
static uint32_t last;  /* the highest it was ever told of */

/* What left is told of right: PEER and GONE in turn, incarnations going up. */
static void hear(void)
{
	struct ivshm_packet packet;

	while (ivshm_wire_receive(left.socket, &packet) == 0) {
		must(packet.wire.id == RIGHT);
		if (packet.wire.type == IST_WIRE_PEER) {
			must(heard == 0 && packet.wire.incarnation > last);
			heard = last = packet.wire.incarnation;
			raw_keep_peer(&left, &packet);
		} else {
			must(packet.wire.type == IST_WIRE_GONE);
			must(packet.wire.incarnation == heard);
			heard = left.told[RIGHT] = 0;
		}
	}
}

/* Right's side of it, in a process of its own; ends when its broker does. */
static bool send_type(int fd, uint32_t type)
{
	struct ivshm_packet packet = {.wire = {.type = type, .abi = IVSHM_WIRE_ABI}};

	ivshm_wire_set_string(packet.wire.name, sizeof(packet.wire.name), "right");
	return ivshm_wire_send(fd, &packet) == 0;
}

/* Until this type has come. False: the broker has gone. */
static bool await_type(int fd, uint32_t type)
{
	struct ivshm_packet packet;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	do {
		must(poll(&p, 1, FIXTURE_PATIENCE_MS) == 1);
		if (ivshm_wire_receive(fd, &packet))
			return false;
		ivshm_wire_close_fds(&packet);
	} while (packet.wire.type != type);
	return true;
}

/* Until the roster says so. False: the broker has gone. */
static bool await_right(int fd, uint64_t word)
{
	struct pollfd p = {.fd = fd};

	while (raw_word(&left, RIGHT) != word)
		if (poll(&p, 1, 1) > 0)
			return false;
	return true;
}

static bool join_and_go_live(int fd, uint32_t incarnation)
{
	return send_type(fd, IST_WIRE_HELLO) && await_type(fd, IST_WIRE_READY) &&
	       send_type(fd, IST_WIRE_READY) &&
	       await_right(fd, IST_PEER_WORD(IST_PEER_LIVE, incarnation));
}

static void be_right(void)
{
	int stranger = raw_connect(&r.f), fd = raw_connect(&r.f);

	if (join_and_go_live(fd, 1) && send_type(fd, IST_WIRE_BYE)) {
		close(fd);
		fd = -1;
		if (await_right(stranger, IST_PEER_WORD(IST_PEER_ABSENT, 1)))
			fd = raw_connect(&r.f);
		if (fd >= 0)
			join_and_go_live(fd, 2);
	}
	_exit(0); /* dies, whatever it was */
}

/* The broker is gone; right, who may not have seen it, too. */
static void check_what_is_left(void)
{
	struct raw another;
	uint64_t word;

	must(restart_begin(&r, ivshm_broker_attach) == 0);
	hear(); /* what was sent before the end */
	raw_return(&r.f, &left, "left");
	word = raw_word(&left, RIGHT);
	must(raw_word(&left, LEFT) == IST_PEER_WORD(IST_PEER_LIVE, 1));
	/* Its process has ended: so has whatever it was. */
	must(word == 0 || (uint32_t)word == IST_PEER_ABSENT || (uint32_t)word == IST_PEER_DEAD);
	must(word >> 32 >= last);
	another = raw_live(&r.f, "right");
	must(another.incarnation > last && another.incarnation == (word >> 32) + 1);
	must(another.told[LEFT] == 1);
	raw_await_word(&r.f, &left, RIGHT, IST_PEER_WORD(IST_PEER_LIVE, another.incarnation));
	while (heard != another.incarnation) {
		fixture_await(&r.f, left.socket);
		hear();
	}
	raw_rings(&left, &another, 1);
	raw_rings(&another, &left, 2);
	raw_close(&another);
}

/* Returns whether there was an n-th step. */
static bool run(unsigned n)
{
	struct pollfd end;
	bool killed;
	pid_t right;

	heard = last = 0;
	fixture_configure(&r.f);
	plan->killed_at = 0;
	must(restart_begin(&r, ivshm_broker_create) == 0);
	left = raw_live(&r.f, "left");
	raw_await_word(&r.f, &left, LEFT, IST_PEER_WORD(IST_PEER_LIVE, 1));
	plan->broker = r.broker;
	plan->step = 0;
	plan->killed_at = n;
	right = fork();
	must(right >= 0);
	if (right == 0)
		be_right();
	must(waitpid(right, NULL, 0) == right);
	end = (struct pollfd){.fd = r.control, .events = POLLIN};
	/* What is left to do after right's end is done, or it was killed before. */
	for (unsigned ms = 0; poll(&end, 1, 1) == 0; ms++) {
		must(ms < FIXTURE_PATIENCE_MS);
		if (raw_word(&left, RIGHT) == IST_PEER_WORD(IST_PEER_DEAD, 2) && ms > 20)
			break;
	}
	killed = poll(&end, 1, 0) == 1;
	plan->killed_at = 0;
	if (killed)
		must(waitpid(r.broker, NULL, 0) == r.broker);
	else
		restart_kill(&r);
	if (killed)
		close(r.control);
	check_what_is_left();
	raw_close(&left);
	restart_end(&r);
	return killed;
}

int main(void)
{
	/* All of them where there is time, else every third, another one each time. */
	unsigned every = getenv("SOAK") ? 1 : 3, kills = 0;
	unsigned n = every == 1 ? 1 : 1 + (unsigned)getpid() % 3;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ivshm_log_level = IVSHM_LOG_ERROR;
	plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(plan != MAP_FAILED);
	for (; run(n); n += every)
		kills++;
	must(kills > 10); /* or the calls do not come by here */
	printf("ok 1 - killed at %u steps\n1..1\n", kills);
	return 0;
}
