/* SPDX-License-Identifier: BSD-2-Clause */
/* client_script.h: the client against a broker that plays a script. Include it once. */
#ifndef TESTS_CLIENT_SCRIPT_H
#define TESTS_CLIENT_SCRIPT_H

#include <check.h>

#include "tests/process_peer.h"

enum { WELCOME, SHARED, TABLE, SELF, OTHER, READY, STEPS };

static struct {
	char path[96];
	char dir[64];
	int listener;
	pid_t pid; /* who plays the broker */
	struct ivshm_packet script[STEPS + 4];
	unsigned steps;
	struct process_state state;
	unsigned descriptors;
} t;

static const struct ivshm_client_ops ops = {
	.peer = process_peer, .gone = process_gone, .bells = process_bells};

static inline int make_memory(uint64_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static inline void script_peer(struct ivshm_packet *p, uint32_t id, uint32_t incarnation)
{
	p->wire = (struct ist_wire){
		.type = IST_WIRE_PEER, .id = id, .incarnation = incarnation, .vectors = 2};
	snprintf(p->wire.name, sizeof(p->wire.name), "peer%u", id);
	p->fds_count = 2;
	for (unsigned i = 0; i < 2; i++)
		p->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static inline void setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *tmp = getenv("TMPDIR");

	memset(&t, 0, sizeof(t));
	memset(t.state.doorbell, -1, sizeof(t.state.doorbell));
	t.descriptors = count_descriptors();
	snprintf(t.dir, sizeof(t.dir), "%s/brk.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	must(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/s", t.dir);
	strcpy(address.sun_path, t.path);
	t.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(bind(t.listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(t.listener, 1) == 0);

	t.script[WELCOME].wire = (struct ist_wire){
		.type = IST_WIRE_WELCOME,
		.abi = IVSHM_WIRE_ABI,
		.id = 1,
		.incarnation = 7,
		.vectors = 2,
		.count = 4,
		.size = 0x20000,
		.page_size = 4096,
		.offset = 0x10000,
		.length = 0x1000,
		.name = "ping",
	};
	t.script[WELCOME].fds_count = 1;
	t.script[WELCOME].fds[0] = make_memory(0x20000, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	t.script[SHARED].wire = (struct ist_wire){.type = IST_WIRE_REGION,
						  .right = IST_RIGHT_WRITE,
						  .offset = 0x5000,
						  .size = 0x1000,
						  .name = "shared"};
	t.script[TABLE].wire = (struct ist_wire){.type = IST_WIRE_REGION,
						 .id = 1,
						 .right = IST_RIGHT_READ,
						 .offset = 0x6000,
						 .size = 0xa000,
						 .coherence = 2,
						 .name = "table"};
	script_peer(&t.script[SELF], 1, 7);
	script_peer(&t.script[OTHER], 3, 2);
	t.script[READY].wire.type = IST_WIRE_READY;
	t.steps = STEPS;
}

/* Plays the script to who connects, then waits until it hangs up, or for READY and BYE. */
static inline void play(void)
{
	t.pid = fork();
	must(t.pid >= 0);
	if (t.pid == 0) {
		struct ivshm_packet p;
		int fd = accept(t.listener, NULL, NULL);
		unsigned said = 0;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(recv(fd, &p.wire, sizeof(p.wire), 0) == sizeof(p.wire));
		must(p.wire.type == IST_WIRE_HELLO && p.wire.abi == IVSHM_WIRE_ABI);
		must(!strcmp(p.wire.name, "right") && p.wire.kind == IST_KIND_LINUX);
		for (unsigned i = 0; i < t.steps; i++)
			ivshm_wire_send(fd, &t.script[i]);
		while (recv(fd, &p.wire, sizeof(p.wire), 0) > 0)
			said = said * 10 + p.wire.type;
		_exit((int)said); /* 57: READY, BYE */
	}
	for (unsigned i = 0; i < STEPS + 4; i++)
		ivshm_wire_close_fds(&t.script[i]);
	close(t.listener);
}

static inline int run(void)
{
	play();
	return ivshm_client_join(&t.state.client, t.path, "right", IST_KIND_LINUX, &ops, &t.state,
				 t.state.error, sizeof(t.state.error));
}

/* Ends, with nothing left open here; the broker has heard this. */
static inline void teardown(int said)
{
	int status;

	ck_assert_uint_eq(count_descriptors(), t.descriptors);
	must(waitpid(t.pid, &status, 0) == t.pid);
	ck_assert_int_eq(WEXITSTATUS(status), said);
	unlink(t.path);
	rmdir(t.dir);
}

static inline void expect_failure(int code, const char *text)
{
	char expected[256];

	snprintf(expected, sizeof(expected), "%s: %s", t.path, text);
	ck_assert_int_eq(run(), code);
	ck_assert_str_eq(t.state.error, expected);
	teardown(0);
}

/* RUN_STATE comes before the script's message `at`. */
static inline void insert_run_state(unsigned at, uint64_t size, int fd)
{
	memmove(&t.script[at + 1], &t.script[at], (t.steps - at) * sizeof(t.script[0]));
	t.script[at] = (struct ivshm_packet){.wire = {.type = IST_WIRE_RUN_STATE, .size = size},
					     .fds_count = fd >= 0,
					     .fds = {fd}};
	t.steps++;
}

static inline int make_page(void)
{
	return make_memory(IST_RUN_STATE_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);
}

#endif
