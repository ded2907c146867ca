// SPDX-License-Identifier: BSD-2-Clause
/* test_options.c: isthmus-vm's command line: what is taken, and what is refused with one line. */
#include <check.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/options.h"
#include "ivshmem/log.h"
#include "tests/suite.h"

#define WORDS_MAX 40

static struct vmm_options options;
static char said[2][4096]; /* on stdout and stderr */

/* Parses words that are separated by spaces; "~" stands for an empty one. */
static enum vmm_options_result parse(const char *line)
{
	static char text[512], empty[] = "", program[] = "isthmus-vm", *argv[WORDS_MAX];
	char *state;
	enum vmm_options_result result;
	int argc = 1, saved[2], file[2];

	ck_assert_uint_lt(strlen(line), sizeof(text));
	strcpy(text, line);
	argv[0] = program;
	for (char *word = strtok_r(text, " ", &state); word; word = strtok_r(NULL, " ", &state))
		argv[argc++] = strcmp(word, "~") == 0 ? empty : word;
	argv[argc] = NULL;
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		char path[] = "/tmp/ist-options.XXXXXX";

		file[i] = mkstemp(path);
		unlink(path);
		saved[i] = dup(i + 1);
		ck_assert_int_eq(dup2(file[i], i + 1), i + 1);
	}
	optind = 0; /* from the start */
	result = vmm_options_parse(argc, argv, &options);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		ssize_t length = pread(file[i], said[i], sizeof(said[i]) - 1, 0);

		dup2(saved[i], i + 1);
		close(saved[i]);
		close(file[i]);
		ck_assert_int_ge(length, 0);
		said[i][length] = '\0';
	}
	return result;
}

START_TEST(app)
{
	ck_assert_int_eq(parse("--name a --image b"), VMM_OPTIONS_RUN);
	ck_assert_str_eq(options.name, "a");
	ck_assert_str_eq(options.image, "b");
	ck_assert_ptr_null(options.kernel);
	ck_assert_uint_eq(options.memory, 64 << 20);
	ck_assert_uint_eq(options.page_size, 0);
	ck_assert_uint_eq(options.vcpus, 1);
	ck_assert_uint_eq(options.args_count, 0);
	ck_assert_int_eq(options.console, STDOUT_FILENO);
	ck_assert_int_eq(
		parse("--name a --image b --memory 3G --page-size 1G --vcpus 3 --cpus 0,2,1 "
		      "--numa interleave:0,1 --group g=/s --group h=/t --stats s "
		      "--die-with-parent -v -- -x y"),
		VMM_OPTIONS_RUN);
	ck_assert_uint_eq(options.memory, 3ull << 30);
	ck_assert_uint_eq(options.page_size, 1 << 30);
	ck_assert_uint_eq(options.vcpus, 3);
	ck_assert_uint_eq(options.cpus_count, 3);
	ck_assert_uint_eq(options.cpus[1], 2);
	ck_assert_int_eq(options.numa.policy, IVSHM_NUMA_INTERLEAVE);
	ck_assert_uint_eq(options.numa.nodes_count, 2);
	ck_assert_uint_eq(options.numa.nodes[1], 1);
	ck_assert_uint_eq(options.groups, 2);
	ck_assert_str_eq(options.group[1].name, "h");
	ck_assert_str_eq(options.group[1].socket, "/t");
	ck_assert_str_eq(options.stats, "s");
	ck_assert(options.die_with_parent);
	ck_assert_int_eq(ivshm_log_level, IVSHM_LOG_DEBUG);
	ck_assert_str_eq(ivshm_log_name, "isthmus-vm: a");
	ck_assert_uint_eq(options.args_count, 2);
	ck_assert_str_eq(options.args[0], "-x");
	ck_assert_int_eq(parse("--name a --image b --memory 4M"), VMM_OPTIONS_RUN);
	ck_assert_str_eq(said[0], "");
	ck_assert_str_eq(said[1], "");
}
END_TEST

START_TEST(a_linux)
{
	ck_assert_int_eq(parse("--name a --kernel k"), VMM_OPTIONS_RUN);
	ck_assert_str_eq(options.kernel, "k");
	ck_assert_ptr_null(options.image);
	ck_assert_ptr_null(options.initrd);
	ck_assert_str_eq(options.cmdline, "");
	ck_assert_uint_eq(options.personality, 1);
	ck_assert_uint_eq(options.memory, 256 << 20);
	ck_assert_int_eq(parse("--name a --memory 252G --initrd i --cmdline c --personality v2 "
			       "--page-size 2M --kernel k"),
			 VMM_OPTIONS_RUN);
	ck_assert_str_eq(options.initrd, "i");
	ck_assert_str_eq(options.cmdline, "c");
	ck_assert_uint_eq(options.personality, 2);
	ck_assert_uint_eq(options.memory, 252ull << 30);
	ck_assert_uint_eq(options.page_size, 2 << 20);
	ck_assert_int_eq(parse("--name a --kernel k --memory 64M --page-size 4K --personality v1"),
			 VMM_OPTIONS_RUN);
	ck_assert_uint_eq(options.page_size, 0);
	ck_assert_uint_eq(options.personality, 1);
}
END_TEST

START_TEST(refused)
{
	static const char *const wrong[][2] = {
		{"", "--name is missing"},
		{"--image a", "--name is missing"},
		{"--name a", "neither --image nor --kernel is given"},
		{"--name a --image a --kernel a", "--image and --kernel exclude each other"},
		{"--name a --image a --initrd a",
		 "--initrd, --cmdline and --personality are for a --kernel"},
		{"--name a --image a --cmdline a",
		 "--initrd, --cmdline and --personality are for a --kernel"},
		{"--name a --image a --personality v1",
		 "--initrd, --cmdline and --personality are for a --kernel"},
		{"--name a --kernel a b",
		 "arguments are for an --image; a --kernel takes --cmdline"},
		{"--name a --image a --memory 4G", "--memory: an app takes 4M to 3G"},
		{"--name a --image a --memory 1M", "--memory: an app takes 4M to 3G"},
		{"--name a --kernel a --memory 63M", "--memory: a Linux takes 64M to 252G"},
		{"--name a --kernel a --memory 253G", "--memory: a Linux takes 64M to 252G"},
		{"--name a --image a --memory 5000001", "--memory is not a number of whole pages"},
		{"--name a --kernel a --memory 65M --page-size 2M",
		 "--memory is not a number of whole pages"},
		{"--name a --image a --cpus 0,1",
		 "--cpus names another number of CPUs than --vcpus"},
		{"--name ~ --image a", "--name: wrong value ''"},
		{"--name 01234567890123456789012345678901 --image a",
		 "--name: wrong value '01234567890123456789012345678901'"},
		{"--name a --kernel a --personality v3", "--personality: wrong value 'v3'"},
		{"--name a --kernel a --personality 1", "--personality: wrong value '1'"},
		{"--name a --kernel a --personality v", "--personality: wrong value 'v'"},
		{"--name a --kernel a --personality v12", "--personality: wrong value 'v12'"},
		{"--name a --kernel a --page-size 8K", "--page-size: wrong value '8K'"},
		{"--name a --kernel a --page-size ~", "--page-size: wrong value ''"},
		{"--name a --image a --memory 64Mb", "--memory: wrong value '64Mb'"},
		{"--name a --image a --memory 0", "--memory: wrong value '0'"},
		{"--name a --image a --memory 18446744073709551615",
		 "--memory: wrong value '18446744073709551615'"},
		{"--name a --image a --memory 17179869184G",
		 "--memory: wrong value '17179869184G'"},
		{"--name a --image a --memory -64M", "--memory: wrong value '-64M'"},
		{"--name a --image a --vcpus 0", "--vcpus: wrong value '0'"},
		{"--name a --image a --vcpus 17", "--vcpus: wrong value '17'"},
		{"--name a --image a --cpus 0,", "--cpus: wrong value '0,'"},
		{"--name a --image a --numa bind", "--numa: wrong value 'bind'"},
		{"--name a --image a --numa b:0", "--numa: wrong value 'b:0'"},
		{"--name a --image a --numa bind:64", "--numa: wrong value 'bind:64'"},
		{"--name a --image a --group ping", "--group: wrong value 'ping'"},
		{"--name a --image a --group =x", "--group: wrong value '=x'"},
	};
	char line[200];

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(parse(wrong[i][0]), VMM_OPTIONS_USAGE);
		snprintf(line, sizeof(line), "isthmus-vm: %s (try --help)\n", wrong[i][1]);
		ck_assert_str_eq(said[1], line);
		ck_assert_str_eq(said[0], "");
	}
	ck_assert_int_eq(parse("--name a --image a --no-such-option"), VMM_OPTIONS_USAGE);
	ck_assert_ptr_nonnull(strstr(said[1], "--no-such-option"));
}
END_TEST

START_TEST(help)
{
	ck_assert_int_eq(parse("--help"), VMM_OPTIONS_DONE);
	ck_assert_ptr_nonnull(strstr(said[0], "--personality v1|v2"));
	for (const char *at = said[0], *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
		ck_assert_int_le(end - at, 90);
	ck_assert_int_eq(parse("--version"), VMM_OPTIONS_DONE);
	ck_assert_ptr_nonnull(strstr(said[0], "isthmus-vm"));
	ck_assert_str_eq(said[1], "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");

	tcase_add_test(tcase, app);
	tcase_add_test(tcase, a_linux);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, help);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
