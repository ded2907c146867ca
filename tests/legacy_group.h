/* SPDX-License-Identifier: BSD-2-Clause */
/* legacy_group.h: the group of broker_fixture.h with members of kind qemu. Include it once. */
#ifndef TESTS_LEGACY_GROUP_H
#define TESTS_LEGACY_GROUP_H

#include <check.h>
#include <sys/stat.h>

#include "tests/legacy_client.h"

static struct fixture f;

static inline void configure(void)
{
	fixture_configure(&f);
	f.instance[1].kind = IST_KIND_QEMU; /* right */
	f.instance[2].kind = IST_KIND_QEMU; /* third */
}

static inline void start(void)
{
	configure();
	must(fixture_serve(&f) == 0);
}

static inline void stop(void)
{
	fixture_stop(&f);
}

static inline void close_all(const int *fd, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fd[i]);
}

static inline const uint8_t *map_memory(int memory)
{
	struct stat status;
	void *map;

	must(fstat(memory, &status) == 0);
	map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	must(map != MAP_FAILED);
	close(memory);
	return map;
}

static inline void nothing_more(int socket)
{
	uint8_t bytes[8];
	int descriptor;

	fixture_settle(&f);
	ck_assert_int_eq(legacy_try(socket, bytes, &descriptor), -EAGAIN);
}

static inline struct legacy join(const char *name, uint32_t own, unsigned others)
{
	struct legacy legacy = legacy_start(&f, name);
	int bell[FIXTURE_PEERS * FIXTURE_VECTORS];

	close(legacy_welcome(&f, legacy.socket, own));
	for (unsigned i = 0; i < (others + 1) * FIXTURE_VECTORS; i++) {
		uint8_t bytes[8];

		fixture_await(&f, legacy.socket);
		must(legacy_try(legacy.socket, bytes, &bell[i]) == 0 && bell[i] >= 0);
		close(bell[i]);
	}
	return legacy;
}

static inline void expect_gone(struct raw *left, uint32_t id, uint32_t incarnation)
{
	struct ivshm_packet p = raw_expect(&f, left->socket, IST_WIRE_GONE);

	ck_assert_uint_eq(p.wire.id, id);
	ck_assert_uint_eq(p.wire.incarnation, incarnation);
	ck_assert_uint_eq(p.wire.state, IST_PEER_DEAD);
}

static inline void expect_come(struct raw *left, uint32_t id, uint32_t incarnation)
{
	struct ivshm_packet p = raw_expect(&f, left->socket, IST_WIRE_PEER);

	ck_assert_uint_eq(p.wire.id, id);
	ck_assert_uint_eq(p.wire.incarnation, incarnation);
	ivshm_wire_close_fds(&p);
}

#endif
