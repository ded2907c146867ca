/* SPDX-License-Identifier: BSD-2-Clause */
/* test_client_change.c: what a VM that has joined is told of rights and regions, true or spoilt. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem/client.h"
#include "ivshmem/log.h"
#include "ivshmem/wire.h"
#include "tests/suite.h"

static struct ivshm_client client;
static int broker; /* the other end */
static struct {
	unsigned calls, index;
	uint32_t right;
	int result;
} change;

static int on_right(void *context, unsigned index, uint32_t right)
{
	(void)context;
	change.calls++;
	change.index = index;
	change.right = right;
	return change.result;
}

static const struct ivshm_client_ops ops = {.right = on_right};

static void start(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	broker = pair[1];
	memset(&change, 0, sizeof(change));
	client = (struct ivshm_client){.socket = pair[0],
				       .memory = -1,
				       .run_state = -1,
				       .max_peers = 4,
				       .size = 256u << 10,
				       .page_size = 4096,
				       .group = "g",
				       .regions = 1,
				       .ops = &ops};
	client.region[0] = (struct ivshm_client_region){
		.name = "a", .offset = 0x5000, .size = 0x1000, .right = IST_RIGHT_WRITE};
}

static void stop(void)
{
	close(broker);
	close(client.socket);
}

static int tell(struct ist_wire wire)
{
	struct ivshm_packet packet = {.wire = wire};

	ck_assert_int_eq(ivshm_wire_send(broker, &packet), 0);
	return ivshm_client_dispatch(&client);
}

static struct ist_wire answered(void)
{
	struct ivshm_packet packet;

	ck_assert_int_eq(ivshm_wire_receive(broker, &packet), 0);
	ck_assert_uint_eq(packet.wire.type, IST_WIRE_RIGHT_DONE);
	return packet.wire;
}

START_TEST(a_right)
{
	struct ist_wire answer;

	ck_assert_int_eq(tell((struct ist_wire){
				 .type = IST_WIRE_RIGHT, .right = IST_RIGHT_READ, .count = 7}),
			 0);
	ck_assert_uint_eq(change.calls, 1);
	ck_assert_uint_eq(change.right, IST_RIGHT_READ);
	ck_assert_uint_eq(client.region[0].right, IST_RIGHT_READ);
	answer = answered();
	ck_assert_uint_eq(answer.count, 7);
	ck_assert_uint_eq(answer.right, IST_RIGHT_READ);
	ck_assert_uint_eq(answer.code, 0);

	change.result = -ENOMEM;
	ck_assert_int_eq(tell((struct ist_wire){
				 .type = IST_WIRE_RIGHT, .right = IST_RIGHT_WRITE, .count = 8}),
			 0);
	answer = answered();
	ck_assert_uint_eq(answer.code, ENOMEM);
	ck_assert_uint_eq(client.region[0].right, IST_RIGHT_READ);
}
END_TEST

static const struct ist_wire region = {
	.type = IST_WIRE_REGION, .id = 1, .offset = 0x6000, .size = 0x2000, .name = "b"};

/* It comes without a right, gets one, and is taken back when it has none. */
START_TEST(a_region)
{
	ck_assert_int_eq(tell(region), 0);
	ck_assert_uint_eq(client.regions, 2);
	ck_assert_str_eq(client.region[1].name, "b");
	ck_assert_uint_eq(client.region[1].right, IST_RIGHT_NONE);
	ck_assert_uint_eq(change.calls, 0);
	ck_assert_int_eq(
		tell((struct ist_wire){
			.type = IST_WIRE_RIGHT, .id = 1, .right = IST_RIGHT_READ, .count = 1}),
		0);
	answered();
	ck_assert_uint_eq(change.index, 1);
	ck_assert_int_eq(tell((struct ist_wire){.type = IST_WIRE_RIGHT, .id = 1, .count = 2}), 0);
	answered();
	ck_assert_int_eq(tell((struct ist_wire){.type = IST_WIRE_REGION, .id = 1}), 0);
	ck_assert_uint_eq(client.regions, 1);
	ck_assert_int_eq(tell(region), 0);
	ck_assert_uint_eq(client.regions, 2);
}
END_TEST

/* What no broker says: it is given up, and nothing is done. */
static const struct ist_wire wrong[] = {
	{.type = IST_WIRE_RIGHT, .id = 1, .count = 1},
	{.type = IST_WIRE_RIGHT, .id = ~0u, .count = 1},
	{.type = IST_WIRE_RIGHT, .right = 3, .count = 1},
	{.type = IST_WIRE_RIGHT, .right = IST_RIGHT_READ},
	{.type = IST_WIRE_REGION, .id = 0},
	{.type = IST_WIRE_REGION, .id = 1},
	{.type = IST_WIRE_REGION,
	 .id = 1,
	 .offset = 0x6000,
	 .size = 0x2000,
	 .right = 1,
	 .name = "b"},
	{.type = IST_WIRE_REGION,
	 .id = 1,
	 .offset = 0x6000,
	 .size = 0x2000,
	 .coherence = IST_COHERENCE_PAGE,
	 .length = 0x10000,
	 .name = "b"},
	{.type = IST_WIRE_REGION, .id = 2, .offset = 0x6000, .size = 0x2000, .name = "b"},
	{.type = IST_WIRE_REGION, .id = 1, .offset = 0x5000, .size = 0x2000, .name = "b"},
	{.type = IST_WIRE_REGION, .id = 1, .offset = 0x3f000, .size = 0x2000, .name = "b"},
	{.type = IST_WIRE_REGION, .id = 1, .offset = 0x6000, .size = 0x1234, .name = "b"},
};

START_TEST(a_wrong_one)
{
	ck_assert_int_eq(tell(wrong[_i]), -EPROTO);
	ck_assert_uint_eq(change.calls, 0);
	ck_assert_uint_eq(client.regions, 1);
	ck_assert_uint_eq(client.region[0].right, IST_RIGHT_WRITE);
}
END_TEST

/* Who cannot change a right says so. */
START_TEST(unable)
{
	static const struct ivshm_client_ops none;

	client.ops = &none;
	ck_assert_int_eq(tell((struct ist_wire){.type = IST_WIRE_RIGHT, .count = 1}), 0);
	ck_assert_uint_eq(answered().code, EOPNOTSUPP);
	ck_assert_uint_eq(client.region[0].right, IST_RIGHT_WRITE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client, live change");
	TCase *tests = tcase_create("changes");

	ivshm_log_level = IVSHM_LOG_ERROR;
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, a_right);
	tcase_add_test(tests, a_region);
	tcase_add_loop_test(tests, a_wrong_one, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, unable);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
