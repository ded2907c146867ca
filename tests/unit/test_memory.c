/* SPDX-License-Identifier: BSD-2-Clause */
/* test_memory.c: a group's memory, byte by byte, its seals, pages and nodes. */
#include <check.h>
#include <numaif.h>

#include "ivshmem/memory.h"
#include "tests/broker_fixture.h"
#include "tests/suite.h"

static struct fixture f;
static struct ivshm_memory memory;

static int create(void)
{
	return ivshm_memory_create(&memory, &f.config, &f.group, f.error, sizeof(f.error));
}

static void setup(void)
{
	fixture_configure(&f);
	ck_assert_int_eq(rmdir(f.dir), 0);
	ck_assert_int_eq(create(), 0);
}

static void teardown(void)
{
	ivshm_memory_destroy(&memory);
}

static uint64_t u64(size_t offset)
{
	uint64_t value;

	memcpy(&value, memory.map + offset, sizeof(value));
	return value;
}

static uint32_t u32(size_t offset)
{
	uint32_t value;

	memcpy(&value, memory.map + offset, sizeof(value));
	return value;
}

/* A member's limits are at its ID, whatever their order in the configuration. */
START_TEST(limits)
{
	static char left[] = "left", third[] = "third";
	struct ivshm_limit_config limit[] = {
		{third, IST_LIMIT_OBJECTS | IST_LIMIT_MEMORY, 5, 1 << 20},
		{left, IST_LIMIT_OBJECTS, 0, 0},
	};

	ivshm_memory_destroy(&memory);
	f.group.limits = limit;
	f.group.limits_count = 2;
	ck_assert_int_eq(create(), 0);
	ck_assert_uint_eq(u32(0x3000 + 84), IST_LIMIT_OBJECTS);
	ck_assert_uint_eq(u32(0x3080 + 84), 0);
	ck_assert_uint_eq(u32(0x3100 + 84), IST_LIMIT_OBJECTS | IST_LIMIT_MEMORY);
	ck_assert_uint_eq(u32(0x3100 + 80), 5);
	ck_assert_uint_eq(u64(0x3100 + 72), 1 << 20);
	ivshm_roster_admit(&memory, 2, 9, "third", 3, IST_KIND_PROCESS);
	ck_assert_uint_eq(u32(0x3100 + 80), 5);
}
END_TEST

/* Offsets as docs/abi.md gives them. */
START_TEST(roster_bytes)
{
	ck_assert_int_eq(memcmp(memory.map + 0x1000, "!ISTHMS1", 8), 0);
	ck_assert_uint_eq(u32(0x1008), 0x30001); /* ABI 1.3 */
	ck_assert_uint_eq(u32(0x100c), 4096);
	ck_assert_uint_eq(u64(0x1010), 0);
	ck_assert_uint_eq(u64(0x1018), 1); /* output sections */
	ck_assert_uint_eq(u64(0x1020), 0x20000);
	ck_assert_uint_eq(u64(0x1028), 0x17000);
	ck_assert_uint_eq(u64(0x1030), 0x1000);
	ck_assert_uint_eq(u32(0x1038), 4);
	ck_assert_uint_eq(u32(0x103c), 3);
	ck_assert_str_eq((char *)memory.map + 0x1040, "ping");
	ck_assert_uint_eq(u32(0x1060), 2);
	ck_assert_uint_eq(u64(0x1080), 0);

	ck_assert_str_eq((char *)memory.map + 0x2000, "shared");
	ck_assert_uint_eq(u64(0x2020), 0x5000);
	ck_assert_uint_eq(u64(0x2028), 0x10000);
	ck_assert_uint_eq(u64(0x2030), 7); /* readers */
	ck_assert_uint_eq(u64(0x2038), 7); /* writers */
	ck_assert_uint_eq(u32(0x2040), 0);
	ck_assert_str_eq((char *)memory.map + 0x2080, "table");
	ck_assert_uint_eq(u64(0x20a0), 0x15000);
	ck_assert_uint_eq(u64(0x20a8), 0x2000);
	ck_assert_uint_eq(u64(0x20b0), 3); /* third may not read */
	ck_assert_uint_eq(u64(0x20b8), 1);
	ck_assert_uint_eq(u32(0x20c0), 2);

	for (size_t at = 0; at < memory.layout.total_size; at++) {
		if (at < 0x1000 || at >= 0x2100 || (at >= 0x10c0 && at < 0x2000))
			ck_assert_uint_eq(memory.map[at], 0);
	}
}
END_TEST

START_TEST(peer_bytes)
{
	size_t at = 0x3000 + 128 * 2;
	uint64_t since;

	memory.map[8] = 5; /* state table, ID 2 */
	ivshm_roster_admit(&memory, 2, 9, "third", 3, IST_KIND_PROCESS);
	ck_assert_uint_eq(u64(at), 9ull << 32 | 1);
	ck_assert_str_eq((char *)memory.map + at + 8, "third");
	ck_assert_uint_eq(u32(at + 40), 3);
	ck_assert_uint_eq(u32(at + 44), 3);
	since = u64(at + 48);
	ck_assert_uint_ne(since, 0);
	ck_assert_uint_eq(memory.map[8], 0);
	ck_assert_uint_eq(u64(0x1080), 1);

	memory.map[8] = 5;
	ivshm_roster_set_state(&memory, 2, 9, IST_PEER_LIVE);
	ck_assert_uint_eq(u64(at), 9ull << 32 | 2);
	ck_assert_uint_ge(u64(at + 48), since);
	ck_assert_uint_eq(memory.map[8], 5);
	memset(memory.map + 0x1080, 0xff, 8); /* a peer wrote there: it is not read back */
	ivshm_roster_set_state(&memory, 2, 9, IST_PEER_DEAD);
	ck_assert_uint_eq(u64(at), 9ull << 32 | 4);
	ck_assert_str_eq((char *)memory.map + at + 8, "third");
	ck_assert_uint_eq(memory.map[8], 0);
	ck_assert_uint_eq(u64(0x1080), 3);
}
END_TEST

START_TEST(sealed)
{
	ck_assert_int_eq(fcntl(memory.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	ck_assert_int_eq(ftruncate(memory.fd, 4096), -1);
	ck_assert_int_eq(ftruncate(memory.fd, 1 << 20), -1);
	ck_assert_int_eq(fcntl(memory.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(fcntl(memory.fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(too_large)
{
	ivshm_memory_destroy(&memory);
	f.group.size = 4096;
	ck_assert_int_eq(create(), -ENOSPC);
	ck_assert_str_eq(f.error, "group 'ping': its regions do not fit it");
}
END_TEST

START_TEST(nodes)
{
	unsigned node[] = {0, 1000, 1024};
	unsigned long mask = 0;
	int mode;

	ivshm_memory_destroy(&memory);
	f.group.numa.policy = IVSHM_NUMA_BIND;
	f.group.numa.nodes = node;
	f.group.numa.nodes_count = 1;
	ck_assert_int_eq(create(), 0);
	ck_assert_int_eq(get_mempolicy(&mode, &mask, 64, memory.map + 0x8000, MPOL_F_ADDR), 0);
	ck_assert_int_eq(mode, MPOL_BIND);
	ck_assert_uint_eq(mask, 1);
	ivshm_memory_destroy(&memory);
	for (unsigned i = 1; i < 3; i++) {
		f.group.numa.nodes = &node[i];
		ck_assert_int_eq(create(), -EINVAL);
		ck_assert_str_eq(f.error, "group 'ping': no such NUMA nodes for its 131072 bytes: "
					  "Invalid argument");
	}
}
END_TEST

static unsigned long free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned long n = 0;

	if (file) {
		must(fscanf(file, "%lu", &n) == 1);
		fclose(file);
	}
	return n;
}

/* Two of them, where there are any; otherwise an error, and no SIGBUS. */
START_TEST(huge_pages)
{
	ivshm_memory_destroy(&memory);
	f.group.page_size = 2 << 20;
	f.group.output_size = 0;
	f.group.regions_count = 1;
	f.region[0].size = 2 << 20;
	if (free_huge_pages() >= 2) {
		ck_assert_int_eq(create(), 0);
		ck_assert_uint_eq(memory.layout.total_size, 4 << 20);
		ck_assert_uint_eq(u64(0x2020), 2 << 20);
		ck_assert_uint_eq(u32(0x100c), 2 << 20);
	} else {
		ck_assert_int_lt(create(), 0);
		ck_assert_ptr_nonnull(strstr(f.error, "group 'ping': "));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("group memory");
	TCase *tcase = tcase_create("memory");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, roster_bytes);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, peer_bytes);
	tcase_add_test(tcase, sealed);
	tcase_add_test(tcase, too_large);
	tcase_add_test(tcase, nodes);
	tcase_add_test(tcase, huge_pages);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
