/* SPDX-License-Identifier: BSD-2-Clause */
/* reload_group.h: the group of control_fixture.h from a file, and other files to go over to. */
#ifndef TESTS_RELOAD_GROUP_H
#define TESTS_RELOAD_GROUP_H

#include <stdarg.h>

#include "tests/control_fixture.h"

/* The test has its fixture: static struct fixture f. */
static char file[96]; /* that `up` was started with, and those that follow */

/* What a file says where it is not told something else. */
struct text {
	const char *shared; /* of the region, behind its name */
	const char *table;
	const char *more;   /* regions, and other keys of the group */
	const char *left;   /* of the instance, behind its name */
	const char *others; /* instances after left */
};

#define SHARED_TEXT "size: 64K, access: rw"
#define TABLE_TEXT                                                                                 \
	"size: 8K, access: ro, coherence: incoherent, rights: [{instance: left, access: rw}, "     \
	"{instance: third, access: none}]"
#define RIGHT_TEXT "  - {name: right, kind: process, command: [x], groups: [ping]}\n"
#define THIRD_TEXT "  - {name: third, kind: process, command: [x], groups: [ping]}\n"
#define FOURTH_TEXT "  - {name: fourth, kind: process, command: [x], groups: [ping]}\n"
#define OTHERS_TEXT RIGHT_TEXT THIRD_TEXT

static inline const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static inline void write_file(struct text text)
{
	FILE *out = fopen(file, "w");

	must(out);
	fprintf(out,
		"groups:\n  - name: ping\n    vectors: 3\n    max_peers: 4\n    size: 256K\n"
		"    run_state: false\n    regions:\n      - {name: shared, %s}\n"
		"      - {name: table, %s}\n%s"
		"instances:\n  - {name: left, %s, groups: [ping]}\n%s",
		or_else(text.shared, SHARED_TEXT), or_else(text.table, TABLE_TEXT),
		or_else(text.more, ""), or_else(text.left, "kind: process, command: [x]"),
		or_else(text.others, OTHERS_TEXT));
	must(fclose(out) == 0);
}

static struct ivshm_config *loaded;

/* What is created is what this says. */
static inline void start_with(struct text text)
{
	memset(&owner, 0, sizeof(owner));
	fixture_configure(&f);
	snprintf(file, sizeof(file), "%s.yml", f.dir);
	write_file(text);
	must(ivshm_config_load(file, stderr, &loaded) == 0);
	f.config = *loaded;
	must(fixture_serve(&f) == 0);
	must(control_serve(&f) == 0);
}

static inline void reload_start(void)
{
	start_with((struct text){0});
}

static inline void reload_stop(void)
{
	fixture_stop(&f);
	ivshm_config_free(loaded);
	unlink(file);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Asks to go over to what the file says now. */
static inline int ask_reload(uint32_t flags)
{
	struct ivshm_control request = {.row = {.type = IVSHM_CONTROL_RELOAD, .flags = flags}};
	int fd = control_connect(&f);

	snprintf(request.text, sizeof(request.text), "%s", file);
	must(ivshm_control_send(fd, &request) == 0);
	fixture_settle(&f);
	return fd;
}

/* All that is answered, a line each, and how it ends: "= 0", or the errno. */
static inline const char *answer(int fd)
{
	static char text[8192];
	struct ivshm_control m;
	size_t used = 0;

	do {
		must(control_receive(&f, fd, &m) == 0);
		if (m.row.type == IVSHM_CONTROL_LINE)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s\n",
						 m.row.flags & IVSHM_CONTROL_WRONG ? "! " : "",
						 m.text);
	} while (m.row.type == IVSHM_CONTROL_LINE);
	must(m.row.type == IVSHM_CONTROL_DONE || m.row.type == IVSHM_CONTROL_ERROR);
	snprintf(text + used, sizeof(text) - used, "= %d", m.row.code);
	close(fd);
	fixture_settle(&f);
	return text;
}

/* Nothing is there to read: no answer, or no message. */
static inline bool is_quiet(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	fixture_settle(&f);
	return poll(&p, 1, 0) == 0;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static inline struct ist_wire expect_right(int fd, uint32_t index, uint32_t right)
{
	struct ivshm_packet packet = raw_expect(&f, fd, IST_WIRE_RIGHT);

	must(packet.wire.id == index && packet.wire.right == right && packet.wire.count != 0);
	return packet.wire;
}

static inline void right_done(int fd, struct ist_wire told, uint32_t code)
{
	struct ivshm_packet packet = {.wire = told};

	packet.wire.type = IST_WIRE_RIGHT_DONE;
	packet.wire.code = code;
	must(ivshm_wire_send(fd, &packet) == 0);
	fixture_settle(&f);
}

/* Joins in a process's place, as the ABI's minor number `minor` and as a kind. */
static inline struct raw live_as(const char *name, uint32_t minor, uint32_t kind)
{
	struct ivshm_packet hello = {
		.wire = {.type = IST_WIRE_HELLO, .abi = IST_ABI_MAJOR << 16 | minor, .kind = kind}};
	struct raw raw = {.socket = raw_connect(&f)};
	struct ivshm_packet packet;

	memset(raw.own, -1, sizeof(raw.own));
	memset(raw.peer, -1, sizeof(raw.peer));
	snprintf(hello.wire.name, sizeof(hello.wire.name), "%s", name);
	must(ivshm_wire_send(raw.socket, &hello) == 0);
	packet = raw_expect(&f, raw.socket, IST_WIRE_WELCOME);
	raw.memory = packet.fds[0];
	raw.size = packet.wire.size;
	raw.id = packet.wire.id;
	raw.map = mmap(NULL, raw.size, PROT_READ, MAP_SHARED, raw.memory, 0);
	must(raw.map != MAP_FAILED);
	do {
		must(raw_receive(&f, raw.socket, &packet) == 0);
		if (packet.fds_count == FIXTURE_VECTORS)
			raw_keep_peer(&raw, &packet);
		else
			ivshm_wire_close_fds(&packet); /* with a pager's */
	} while (packet.wire.type != IST_WIRE_READY);
	raw_send(raw.socket, IST_WIRE_READY, "");
	fixture_settle(&f);
	return raw;
}

/* What the roster says that a peer may do. */
static inline uint32_t roster_right(const struct raw *raw, uint32_t index, uint32_t id)
{
	const struct ist_region *table = (const void *)(raw->map + IST_REGION_TABLE_OFFSET);

	if (__atomic_load_n(&table[index].writers, __ATOMIC_RELAXED) >> id & 1)
		return IST_RIGHT_WRITE;
	return __atomic_load_n(&table[index].readers, __ATOMIC_RELAXED) >> id & 1 ? IST_RIGHT_READ
										  : IST_RIGHT_NONE;
}

#endif
