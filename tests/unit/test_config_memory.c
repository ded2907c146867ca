/* SPDX-License-Identifier: BSD-2-Clause */
/* test_config_memory.c: loading configurations while memory runs out, at every request for it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/config.h"
#include "tests/suite.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
/* Our own malloc family, over glibc's: counts what is in use, and fails the n-th request. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static long in_use, requests, fail_at;

static bool fails(void)
{
	requests++;
	if (requests != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	void *memory = fails() ? NULL : __libc_malloc(size);

	in_use += memory ? 1 : 0;
	return memory;
}

void *calloc(size_t count, size_t size)
{
	void *memory = fails() ? NULL : __libc_calloc(count, size);

	in_use += memory ? 1 : 0;
	return memory;
}

void *realloc(void *memory, size_t size)
{
	void *moved;

	if (memory && !size) {
		free(memory);
		return NULL;
	}
	moved = fails() ? NULL : __libc_realloc(memory, size);
	in_use += moved && !memory ? 1 : 0;
	return moved;
}

void free(void *memory)
{
	in_use -= memory ? 1 : 0;
	__libc_free(memory);
}

static const char full[] = "groups:\n"
			   "  - name: ping\n"
			   "    size: 16M\n"
			   "    page_size: 4K\n"
			   "    numa: {policy: bind, nodes: [0]}\n"
			   "    vectors: 6\n"
			   "    max_peers: 8\n"
			   "    output_size: 64K\n"
			   "    legacy: trusted\n"
			   "    users: [alice, bob]\n"
			   "    limits: [{instance: left, objects: 5, memory: 1M}]\n"
			   "    regions:\n"
			   "      - name: main\n"
			   "        size: 8M\n"
			   "        access: ro\n"
			   "        coherence: page\n"
			   "        rights:\n"
			   "          - {instance: left, access: rw}\n"
			   "          - {instance: p, access: none}\n"
			   "      - {name: other, size: 4096}\n"
			   "  - {name: huge, page_size: 2M, run_state: false}\n"
			   "instances:\n"
			   "  - name: left\n"
			   "    kind: app\n"
			   "    image: /proc/self/exe\n"
			   "    args: [one, 'two words', '']\n"
			   "    command: [./left]\n"
			   "    memory: 2M\n"
			   "    cpus: [0]\n"
			   "    numa: {policy: preferred, nodes: [0]}\n"
			   "    groups: [huge, ping]\n"
			   "  - name: p\n"
			   "    kind: process\n"
			   "    groups: [ping]\n"
			   "    autostart: no\n"
			   "  - name: tux\n"
			   "    kind: linux\n"
			   "    image: /proc/self/exe\n"
			   "    initrd: /proc/self/exe\n"
			   "    cmdline: quiet\n"
			   "    vcpus: 2\n"
			   "    personality: v2\n"
			   "    groups: [ping]\n"
			   "  - name: q\n"
			   "    kind: qemu\n"
			   "    command: [qemu-system-x86_64, -nodefaults]\n";

/* The n-th request for memory fails, for every n: no crash, nothing kept, and a clean error. */
static void fail_everywhere(const char *text, int expected)
{
	static char buffer[4096];
	FILE *null = fopen("/dev/null", "w");
	long n = 0;
	int result;

	ck_assert_ptr_nonnull(null);
	setvbuf(null, buffer, _IOFBF, sizeof(buffer));
	do {
		struct ivshm_config *config = NULL;
		long before = in_use;

		requests = 0;
		fail_at = ++n;
		result = ivshm_config_load_text(text, strlen(text), "t.yaml", null, &config);
		fail_at = 0;
		if (result == 0)
			ivshm_config_free(config);
		else
			ck_assert_ptr_null(config);
		ck_assert_msg(in_use == before, "request %ld: %ld blocks lost", n, in_use - before);
		ck_assert_msg(result == expected || (result == -ENOMEM && requests >= n),
			      "request %ld: %d", n, result);
	} while (requests >= n);
	ck_assert_int_eq(result, expected);
	ck_assert_int_gt(n, 100);
	fclose(null);
}

START_TEST(no_memory)
{
	static const char bad[] = "groups: [{name: g, size: 5K, regions: [{name: r, size: 1M, "
				  "rights: [{instance: x, access: ro}]}]}]\n"
				  "instances: [{name: a, kind: app, image: none, bad: key}, "
				  "{name: a, kind: process, cpus: [9999]}]\n";

	fail_everywhere(full, 0);
	fail_everywhere(bad, -EINVAL);
	fail_everywhere("instances: [{name: a, kind: b, a: 1, b: 2, c: {d: [1, 2, 3]}}]", -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_memory");
	TCase *tests = tcase_create("config_memory");

	if (!requests) {
		puts("this malloc is not the test's (valgrind?)");
		return 77;
	}
	tcase_add_test(tests, no_memory);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
#else
int main(void)
{
	puts("the sanitizer has a malloc of its own");
	return 77;
}
#endif
