/* SPDX-License-Identifier: BSD-2-Clause */
/* test_flush.c: how a machine's lines are written back, by what CPUID says of it; and that the
   instructions that were chosen leave alone what is in memory. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <isthmus/abi.h>

#include "flush.h"
#include "tests/suite.h"

#define EBX_LINE(bytes) ((uint32_t)(bytes) / 8 << 8)

static const struct {
	struct ist_flush_machine machine;
	const char *name; /* NULL: refused */
} machines[] = {
	{{EBX_LINE(64), 1u << 19, 1u << 24 | 1u << 23}, "clwb"},
	{{EBX_LINE(64) | 0xff0000ffu, ~0u, ~0u}, "clwb"},
	{{EBX_LINE(128), 1u << 19, 1u << 24 | 1u << 23}, "clwb"},
	{{EBX_LINE(64), 1u << 19, 1u << 23}, "clflushopt"},
	{{EBX_LINE(64), 1u << 19, 1u << 24}, "clflush"}, /* no machine; what it lacks is not used */
	{{EBX_LINE(64), 1u << 19, 0}, "clflush"},
	{{EBX_LINE(64), 1u << 19, ~(1u << 23)}, "clflush"},
	{{EBX_LINE(64), ~(1u << 19), ~0u}, NULL},
	{{EBX_LINE(32), 1u << 19, ~0u}, NULL},
	{{EBX_LINE(256), 1u << 19, ~0u}, NULL},
	{{0, 1u << 19, ~0u}, NULL},
	{{0, 0, 0}, NULL},
};
#define MACHINES ((int)(sizeof(machines) / sizeof(machines[0])))

START_TEST(chosen_by_cpuid)
{
	const struct ist_flush *flush = ist_flush_choose(&machines[_i].machine);

#ifdef __x86_64__
	if (machines[_i].name) {
		ck_assert_ptr_nonnull(flush);
		ck_assert_str_eq(flush->name, machines[_i].name);
		return;
	}
#endif
	ck_assert_ptr_null(flush);
}
END_TEST

/* Ways from the plainest to the best: a machine that has one has those before it. */
static const uint32_t ways[] = {0, 1u << 23, 1u << 24 | 1u << 23};

START_TEST(content_stays)
{
	static uint8_t memory[8192] __attribute__((aligned(4096)));
	static const size_t sizes[] = {1, 63, 64, 65, 1000, 4096};
	const struct ist_flush_machine machine = {EBX_LINE(64), 1u << 19, ways[_i]};
	const struct ist_flush *flush = ist_flush_choose(&machine), *best = ist_flush_here();
	size_t i, k;

	/* An instruction that this machine lacks would be the end. */
	if (!best || (!strcmp(flush->name, "clwb") && flush != best) ||
	    (!strcmp(flush->name, "clflushopt") && !strcmp(best->name, "clflush"))) {
		printf("# this machine has no such instruction\n");
		return;
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 0; k < sizeof(memory); k++)
			memory[k] = (uint8_t)(k * 7 + i);
		flush->write_back(memory, sizes[i]);
		memory[sizes[i] / 2]++;
		flush->invalidate(memory, sizes[i]); /* what is not home yet goes there first */
		for (k = 0; k < sizeof(memory); k++)
			ck_assert_uint_eq(memory[k], (uint8_t)(k * 7 + i + (k == sizes[i] / 2)));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flush");
	TCase *test = tcase_create("machines");

	tcase_add_loop_test(test, chosen_by_cpuid, 0, MACHINES);
	tcase_add_loop_test(test, content_stays, 0, 3);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
