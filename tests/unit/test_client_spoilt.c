/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_spoilt.c: the client against a broker that plays a spoilt script. */
#include <check.h>

#include "tests/client_script.h"
#include "tests/suite.h"

/* A field of a message, spoilt. Fields of 4 bytes, or 8 where `size` says so. */
#define FIELD(name) offsetof(struct ist_wire, name), sizeof(((struct ist_wire *)0)->name)
static const struct {
	unsigned step;
	size_t offset, size;
	uint64_t value;
	const char *wrong;
} spoilt[] = {
	{WELCOME, FIELD(abi), 0x20000, "another ABI"},
	{WELCOME, FIELD(abi), 0, "another ABI"},
	{WELCOME, FIELD(id), 4, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(id), 0xffffffff, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(count), 0, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(count), 65, "an ID or a number of peers out of range"},
	{WELCOME, FIELD(incarnation), 0, "no incarnation"},
	{WELCOME, FIELD(vectors), 0, "a number of vectors out of range"},
	{WELCOME, FIELD(vectors), 17, "a number of vectors out of range"},
	{WELCOME, FIELD(page_size), 0, "no page size"},
	{WELCOME, FIELD(page_size), 8192, "no page size"},
	{WELCOME, FIELD(size), 0, "no size of a group"},
	{WELCOME, FIELD(size), 0x21000, "no size of a group"},
	{WELCOME, FIELD(size), 0x4000, "no size of a group"},
	{WELCOME, FIELD(size), 0x40000, "the memory has another size"},
	{WELCOME, FIELD(size), 1ull << 63, "the memory has another size"},
	{WELCOME, FIELD(offset), 0x1d000, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0xfffffffffffff000, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0x10001, "output sections beyond the memory"},
	{WELCOME, FIELD(offset), 0x1000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 0x8000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 0x8000000000000000, "output sections beyond the memory"},
	{WELCOME, FIELD(length), 1, "output sections beyond the memory"},
	{WELCOME, FIELD(type), IST_WIRE_READY, "out of order"},
	{WELCOME, FIELD(type), IST_WIRE_REGION, "out of order"},
	{WELCOME, FIELD(type), IST_WIRE_PEER, "out of order"},
	{WELCOME, FIELD(type), 99, "out of order"},
	{SHARED, FIELD(id), 1, "an index out of order"},
	{TABLE, FIELD(id), 0, "an index out of order"},
	{SHARED, FIELD(size), 0, "beyond the memory"},
	{SHARED, FIELD(size), 0x1001, "beyond the memory"},
	{SHARED, FIELD(size), 0x40000, "beyond the memory"},
	{SHARED, FIELD(size), 0xfffffffffffff000, "beyond the memory"},
	{SHARED, FIELD(offset), 0x5001, "beyond the memory"},
	{SHARED, FIELD(offset), 0xfffffffffffff000, "beyond the memory"},
	{SHARED, FIELD(offset), 0x1000, "over something else"},
	{TABLE, FIELD(offset), 0x5000, "over something else"},
	{TABLE, FIELD(size), 0xb000, "over something else"},
	{SHARED, FIELD(right), 3, "an unknown right"},
	{SHARED, FIELD(coherence), 3, "an unknown coherence"},
	{SHARED, FIELD(coherence), 1, "a page directory without pages, or pages without"},
	{SHARED, FIELD(length), 0x18000, "a page directory without pages, or pages without"},
	{SHARED, FIELD(type), IST_WIRE_WELCOME, "out of order"},
	{TABLE, FIELD(type), IST_WIRE_READY, "out of order"},
	{SELF, FIELD(id), 3, "out of order"},
	{SELF, FIELD(incarnation), 8, "not who this is"},
	{SELF, FIELD(vectors), 1, "not as many doorbells as vectors"},
	{SELF, FIELD(vectors), 0, "not as many doorbells as vectors"},
	{SELF, FIELD(vectors), 0xffffffff, "not as many doorbells as vectors"},
	{SELF, FIELD(type), IST_WIRE_GONE, "out of order"},
	{OTHER, FIELD(id), 4, "an ID out of range"},
	{OTHER, FIELD(id), 0xffffffff, "an ID out of range"},
	{OTHER, FIELD(id), 1, "a peer that is there already"},
	{OTHER, FIELD(incarnation), 0, "no incarnation"},
	{OTHER, FIELD(vectors), 3, "not as many doorbells as vectors"},
	{OTHER, FIELD(type), IST_WIRE_REGION, "out of order"},
	{READY, FIELD(type), 0, "out of order"},
	{READY, FIELD(type), IST_WIRE_WELCOME, "out of order"},
	{READY, FIELD(type), IST_WIRE_HELLO, "out of order"},
};

START_TEST(spoilt_field)
{
	struct ist_wire *wire;
	char text[128];

	setup();
	wire = &t.script[spoilt[_i].step].wire;
	memcpy((char *)wire + spoilt[_i].offset, &spoilt[_i].value, spoilt[_i].size);
	snprintf(text, sizeof(text), "the broker sent message %u: %s", wire->type,
		 spoilt[_i].wrong);
	expect_failure(-EPROTO, text);
}
END_TEST

/* Region 0 is page-coherent: its directory is behind the output sections of 0x14000. */
static const struct {
	uint64_t shared, table; /* where the directories are */
	const char *wrong;      /* NULL: nothing is */
} directories[] = {
	{0x14000, 0x15000, NULL},
	{0x1d000, 0x1e000, NULL},
	{0x14001, 0, "a page directory over something else, or beyond the memory"},
	{0x13000, 0, "a page directory over something else, or beyond the memory"},
	{0x5000, 0, "a page directory over something else, or beyond the memory"},
	{0x20000, 0, "a page directory over something else, or beyond the memory"},
	{0xfffffffffffff000, 0, "a page directory over something else, or beyond the memory"},
	{0x14000, 0x14000, "a page directory over something else, or beyond the memory"},
	{0x15000, 0x14000, "a page directory over something else, or beyond the memory"},
	{0x14000, 0x1f000, NULL},
	{0x14000, 0x20000, "a page directory over something else, or beyond the memory"},
};

START_TEST(page_directories)
{
	char text[128];

	setup();
	t.script[SHARED].wire.coherence = IST_COHERENCE_PAGE;
	t.script[SHARED].wire.length = directories[_i].shared;
	t.script[TABLE].wire.coherence = IST_COHERENCE_PAGE;
	t.script[TABLE].wire.length = directories[_i].table;
	for (unsigned step = SELF; step <= OTHER; step++) {
		struct ivshm_packet *packet = &t.script[step];

		packet->fds[packet->fds_count++] = eventfd(0, EFD_CLOEXEC);
	}
	if (directories[_i].wrong) {
		snprintf(text, sizeof(text), "the broker sent message 3: %s",
			 directories[_i].wrong);
		expect_failure(-EPROTO, text);
		return;
	}
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(t.state.client.region[0].directory, directories[_i].shared);
	ck_assert_uint_eq(t.state.client.region[1].directory, directories[_i].table);
	ck_assert_uint_eq(t.state.client.directories, directories[_i].shared);
	ivshm_client_leave(&t.state.client);
	ck_assert_uint_eq(t.state.pagers, 2);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7);
}
END_TEST

/* A group with page directories whose peers have no pagers, and the other way round. */
START_TEST(bells_of_pagers)
{
	setup();
	if (_i == 0)
		t.script[SELF].fds[t.script[SELF].fds_count++] = eventfd(0, EFD_CLOEXEC);
	t.script[SHARED].wire.coherence = _i == 0 ? 0 : IST_COHERENCE_PAGE;
	t.script[SHARED].wire.length = _i == 0 ? 0 : 0x14000;
	expect_failure(-EPROTO, "the broker sent message 4: not as many doorbells as vectors");
}
END_TEST

START_TEST(spoilt_memory)
{
	struct ivshm_packet *welcome = &t.script[WELCOME];

	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = make_memory(0x20000, F_SEAL_SHRINK);
	expect_failure(-EPROTO, "the broker sent message 2: the memory's size is not sealed");
	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = make_memory(0x10000, F_SEAL_SHRINK | F_SEAL_GROW);
	expect_failure(-EPROTO, "the broker sent message 2: the memory has another size");
	setup();
	close(welcome->fds[0]);
	welcome->fds[0] = eventfd(0, EFD_CLOEXEC);
	expect_failure(-EPROTO, "the broker sent message 2: the memory has another size");
	setup();
	welcome->fds[1] = dup(welcome->fds[0]);
	welcome->fds_count = 2;
	expect_failure(-EPROTO, "the broker sent message 2: no memory");
	setup();
	ivshm_wire_close_fds(welcome);
	expect_failure(-EPROTO, "the broker sent message 2: no memory");
}
END_TEST

/* Descriptors where none belong are closed, and do no harm otherwise. */
START_TEST(extra_descriptors)
{
	setup();
	t.script[SHARED].fds[0] = eventfd(0, EFD_CLOEXEC);
	t.script[SHARED].fds_count = 1;
	t.script[READY].fds[0] = eventfd(0, EFD_CLOEXEC);
	t.script[READY].fds_count = 1;
	ck_assert_int_eq(run(), 0);
	ivshm_client_leave(&t.state.client);
	process_gone(&t.state, 1, 7, 0);
	process_gone(&t.state, 3, 2, 0);
	teardown(7);
}
END_TEST

START_TEST(region_index)
{
	setup();
	ivshm_wire_close_fds(&t.script[SELF]);
	t.script[SELF] = t.script[TABLE];
	t.script[SELF].wire.id = 0x7fffffff;
	expect_failure(-EPROTO, "the broker sent message 3: an index out of order");
}
END_TEST

START_TEST(spoilt_run_state)
{
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, -1);
	expect_failure(-EPROTO, "the broker sent message 9: no run-state page");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE * 2, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: no run-state page");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_memory(IST_RUN_STATE_SIZE, 0));
	expect_failure(-EPROTO, "the broker sent message 9: a run-state page that may shrink");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE,
			 make_memory(4096, F_SEAL_SHRINK | F_SEAL_GROW));
	expect_failure(-EPROTO, "the broker sent message 9: a run-state page that may shrink");
	setup();
	insert_run_state(WELCOME, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
	setup();
	insert_run_state(TABLE, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
	setup();
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	insert_run_state(SHARED, IST_RUN_STATE_SIZE, make_page());
	expect_failure(-EPROTO, "the broker sent message 9: out of order");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client, spoilt");
	TCase *tcase = tcase_create("client");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, spoilt_field, 0, sizeof(spoilt) / sizeof(spoilt[0]));
	tcase_add_loop_test(tcase, page_directories, 0,
			    sizeof(directories) / sizeof(directories[0]));
	tcase_add_loop_test(tcase, bells_of_pagers, 0, 2);
	tcase_add_test(tcase, spoilt_memory);
	tcase_add_test(tcase, extra_descriptors);
	tcase_add_test(tcase, region_index);
	tcase_add_test(tcase, spoilt_run_state);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
