/* SPDX-License-Identifier: BSD-2-Clause */
/* test_config.c: good configuration files: defaults, values, what is printed; running out of
 * memory. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ivshmem/config.h"
#include "tests/suite.h"

static char directory[64];
static char path[96]; /* of a configuration in it, which is never written */

static void write_file(const char *name, const char *text, size_t length)
{
	char file[128];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", directory, name);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
	close(fd);
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%.40s/cfgXXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/t.yaml", directory);
	write_file("x.app", "image", 5);
}

static void teardown(void)
{
	static const char *const names[] = {"x.app", "t.yaml"};
	char file[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, names[i]);
		unlink(file);
	}
	ck_assert_int_eq(rmdir(directory), 0);
}

static const char full[] = "groups:\n"
			   "  - name: ping\n"
			   "    size: 16M\n"
			   "    page_size: 4K\n"
			   "    numa: {policy: bind, nodes: [0]}\n"
			   "    vectors: 6\n"
			   "    doorbells: 2000\n"
			   "    limits:\n"
			   "      - {instance: left, objects: 0}\n"
			   "      - {instance: p, objects: 5, memory: 1M}\n"
			   "    max_peers: 8\n"
			   "    output_size: 64K\n"
			   "    legacy: trusted\n"
			   "    users: [alice, bob]\n"
			   "    regions:\n"
			   "      - name: main\n"
			   "        size: 8M\n"
			   "        access: ro\n"
			   "        coherence: page\n"
			   "        rights:\n"
			   "          - {instance: left, access: rw}\n"
			   "          - {instance: p, access: none}\n"
			   "      - {name: other, size: 4096, coherence: incoherent}\n"
			   "  - {name: huge, page_size: 2M, run_state: false}\n"
			   "instances:\n"
			   "  - name: left\n"
			   "    kind: app\n"
			   "    image: x.app\n"
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
			   "    image: x.app\n"
			   "    initrd: x.app\n"
			   "    cmdline: quiet\n"
			   "    memory: 128M\n"
			   "    page_size: 2M\n"
			   "    vcpus: 2\n"
			   "    personality: v2\n"
			   "    groups: [ping]\n"
			   "  - name: q\n"
			   "    kind: qemu\n"
			   "    command: [qemu-system-x86_64, -nodefaults]\n";

static struct ivshm_config *load(const char *text)
{
	struct ivshm_config *config = NULL;
	char *errors = NULL;
	size_t size;
	FILE *file = open_memstream(&errors, &size);
	int result;

	ck_assert_ptr_nonnull(file);
	result = ivshm_config_load_text(text, strlen(text), path, file, &config);
	fclose(file);
	ck_assert_msg(result == 0 && size == 0, "%d: %s", result, errors);
	free(errors);
	ck_assert_ptr_nonnull(config);
	return config;
}

START_TEST(every_key)
{
	struct ivshm_config *config = load(full);
	const struct ivshm_group_config *group;
	const struct ivshm_instance_config *instance;
	char image[128];

	ck_assert_str_eq(config->path, path);
	ck_assert_uint_eq(config->groups_count, 2);
	ck_assert_uint_eq(config->instances_count, 4);

	group = ivshm_config_group(config, "ping");
	ck_assert_ptr_eq(group, &config->groups[0]);
	ck_assert_uint_eq(group->size, 16 << 20);
	ck_assert_uint_eq(group->page_size, 4096);
	ck_assert_uint_eq(group->output_size, 64 << 10);
	ck_assert_int_eq(group->numa.policy, IVSHM_NUMA_BIND);
	ck_assert_uint_eq(group->numa.nodes_count, 1);
	ck_assert_uint_eq(group->numa.nodes[0], 0);
	ck_assert_uint_eq(group->vectors, 6);
	ck_assert_uint_eq(group->doorbells, 2000);
	ck_assert_uint_eq(group->limits_count, 2);
	ck_assert_str_eq(group->limits[0].instance, "left");
	ck_assert_uint_eq(group->limits[0].limits, IST_LIMIT_OBJECTS);
	ck_assert_uint_eq(group->limits[0].objects, 0);
	ck_assert_uint_eq(group->limits[1].limits, IST_LIMIT_OBJECTS | IST_LIMIT_MEMORY);
	ck_assert_uint_eq(group->limits[1].objects, 5);
	ck_assert_uint_eq(group->limits[1].memory, 1 << 20);
	ck_assert_uint_eq(group->max_peers, 8);
	ck_assert_uint_eq(group->users_count, 2);
	ck_assert_str_eq(group->users[1], "bob");
	ck_assert(group->legacy_trusted);
	ck_assert(group->run_state);
	ck_assert(!group[1].run_state);
	ck_assert_uint_eq(group->regions_count, 2);
	ck_assert_str_eq(group->regions[0].name, "main");
	ck_assert_uint_eq(group->regions[0].size, 8 << 20);
	ck_assert_uint_eq(group->regions[0].access, IST_RIGHT_READ);
	ck_assert_uint_eq(group->regions[0].coherence, IST_COHERENCE_PAGE);
	ck_assert_uint_eq(group->regions[0].rights_count, 2);
	ck_assert_uint_eq(group->regions[1].size, 4096);
	ck_assert_uint_eq(group->regions[1].access, IST_RIGHT_WRITE);
	ck_assert_uint_eq(group->regions[1].coherence, IST_COHERENCE_INCOHERENT);
	ck_assert_uint_eq(group->members_count, 3);
	for (unsigned id = 0; id < 3; id++)
		ck_assert_uint_eq(group->member[id], id);
	ck_assert_uint_eq(ivshm_config_group(config, "huge")->page_size, 2 << 20);

	instance = ivshm_config_instance(config, "left");
	snprintf(image, sizeof(image), "%s/x.app", directory);
	ck_assert_uint_eq(instance->kind, IST_KIND_APP);
	ck_assert_str_eq(instance->image, image);
	ck_assert_uint_eq(instance->args_count, 3);
	ck_assert_str_eq(instance->args[1], "two words");
	ck_assert_str_eq(instance->args[2], "");
	ck_assert_str_eq(instance->command[0], "./left");
	ck_assert_uint_eq(instance->memory, 2 << 20);
	ck_assert_uint_eq(instance->vcpus, 1);
	ck_assert_uint_eq(instance->cpus_count, 1);
	ck_assert_int_eq(instance->numa.policy, IVSHM_NUMA_PREFERRED);
	ck_assert_uint_eq(instance->groups_count, 2);
	ck_assert(instance->autostart);

	instance = ivshm_config_instance(config, "p");
	ck_assert_uint_eq(instance->kind, IST_KIND_PROCESS);
	ck_assert(!instance->autostart);
	ck_assert_uint_eq(instance->command_count, 0);

	instance = ivshm_config_instance(config, "tux");
	ck_assert_str_eq(instance->initrd, image);
	ck_assert_str_eq(instance->cmdline, "quiet");
	ck_assert_uint_eq(instance->memory, 128 << 20);
	ck_assert_uint_eq(instance->page_size, 2 << 20);
	ck_assert_uint_eq(instance->vcpus, 2);
	ck_assert_uint_eq(instance->personality, 2);
	ck_assert_ptr_null(ivshm_config_instance(config, "nobody"));
	ck_assert_ptr_null(ivshm_config_group(config, "nothing"));
	ivshm_config_free(config);
}
END_TEST

START_TEST(rights)
{
	struct ivshm_config *config = load(full);
	const struct ivshm_group_config *group = &config->groups[0];

	ck_assert_uint_eq(ivshm_config_right(config, group, 0, 0), IST_RIGHT_WRITE);
	ck_assert_uint_eq(ivshm_config_right(config, group, 0, 1), IST_RIGHT_NONE);
	ck_assert_uint_eq(ivshm_config_right(config, group, 0, 2), IST_RIGHT_READ);
	ck_assert_uint_eq(ivshm_config_right(config, group, 1, 1), IST_RIGHT_WRITE);
	ck_assert_uint_eq(ivshm_config_right(config, group, 0, 3), IST_RIGHT_NONE);
	ck_assert_uint_eq(ivshm_config_right(config, group, 2, 0), IST_RIGHT_NONE);
	ivshm_config_free(config);
}
END_TEST

START_TEST(defaults)
{
	struct ivshm_config *config = load("instances:\n"
					   "- {name: a, kind: app, image: x.app, groups: [g]}\n"
					   "- {name: null-free, kind: process, command: [x]}\n"
					   "- {name: tux, kind: linux, image: x.app}\n"
					   "groups: [{name: g, regions: []}]\n");
	const struct ivshm_group_config *group = &config->groups[0];
	const struct ivshm_instance_config *app = &config->instances[0];

	ck_assert_uint_eq(group->size, 0);
	ck_assert_uint_eq(group->page_size, 4096);
	ck_assert_uint_eq(group->output_size, 0);
	ck_assert_uint_eq(group->vectors, 4);
	ck_assert_uint_eq(group->doorbells, 100000);
	ck_assert_uint_eq(group->max_peers, 2);
	ck_assert_uint_eq(group->members_count, 1);
	ck_assert_int_eq(group->numa.policy, IVSHM_NUMA_DEFAULT);
	ck_assert(!group->legacy_trusted);
	ck_assert(group->run_state);
	ck_assert_uint_eq(app->memory, 64 << 20);
	ck_assert_uint_eq(app->page_size, 4096);
	ck_assert_uint_eq(app->vcpus, 1);
	ck_assert_uint_eq(app->cpus_count, 0);
	ck_assert_uint_eq(app->personality, 1);
	ck_assert(app->autostart);
	ck_assert_uint_eq(config->instances[1].memory, 0);
	ck_assert_uint_eq(config->instances[1].vcpus, 0);
	ck_assert_uint_eq(config->instances[2].memory, 256 << 20);
	ck_assert_uint_eq(config->instances[2].vcpus, 1);
	ck_assert_uint_eq(config->instances[2].personality, 1);
	ck_assert_ptr_null(config->instances[2].initrd);
	ivshm_config_free(config);

	config = load("instances: [{name: a, kind: process, command: [x]}]");
	ck_assert_uint_eq(config->groups_count, 0);
	ivshm_config_free(config);
	ivshm_config_free(NULL);
}
END_TEST

START_TEST(yes_and_no)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true},   {"yes", true}, {"on", true},
		     {"false", false}, {"no", false}, {"off", false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct ivshm_config *config;
		char text[128];

		snprintf(text, sizeof(text),
			 "instances: [{name: a, kind: process, command: [x], autostart: %s}]",
			 words[i].word);
		config = load(text);
		ck_assert_int_eq(config->instances[0].autostart, words[i].value);
		ivshm_config_free(config);
	}
}
END_TEST

/* What `isthmus check` prints; to be freed. */
static char *print(const struct ivshm_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ivshm_config_print(config, file), 0);
	fclose(file);
	return text;
}

START_TEST(printed)
{
	static const char expected[] = "group ping: 16M in pages of 4K, 3 of at most 8 peers, 6 "
				       "vectors each, NUMA bind 0\n"
				       "\n"
				       "  OFFSET            SIZE  WHAT\n"
				       "  0x0000000000        4K  state table\n"
				       "  0x0000001000       16K  roster\n"
				       "  0x0000005000        8M  region main, coherence page\n"
				       "  0x0000805000        4K  region other, incoherent\n"
				       "  0x0000806000      512K  output sections, 8 of 64K\n"
				       "  0x0000886000      260K  page directory of region main\n"
				       "  0x00008c7000     7396K  free\n"
				       "  0x0001000000       16M  total\n"
				       "\n"
				       "  ID  PEER  KIND\n"
				       "   0  left  app\n"
				       "   1  p     process\n"
				       "   2  tux   linux\n"
				       "\n"
				       "  REGION  left  p     tux\n"
				       "  main    rw    none  ro\n"
				       "  other   rw    rw    rw\n"
				       "\n";
	struct ivshm_config *config = load(full);
	char tux[256];
	char *text = print(config);

	ck_assert_msg(!strncmp(text, expected, strlen(expected)), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\nINSTANCE  KIND     MEMORY  VCPUS  CPUS"));
	ck_assert_ptr_nonnull(strstr(text, "\np         process       -      -  -     ping       - "
					   "(not started by isthmus up)\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "\ntux       linux      128M      2  -     ping       "));
	snprintf(tux, sizeof(tux),
		 "  %s/x.app, initrd %s/x.app, personality v2, pages of 2M, command line: quiet\n",
		 directory, directory);
	ck_assert_msg(strstr(text, tux), "%s", text);
	free(text);
	ivshm_config_free(config);
}
END_TEST

/* What QEMU is asked for is told from what is enforced. */
START_TEST(printed_legacy)
{
	static const char expected[] =
		"  REGION  p     q      tux\n"
		"  main    ro    ro*    rw\n"
		"  secret  none  none*  rw\n"
		"  free    rw    rw     rw\n"
		"  * asked for, not enforced: QEMU maps all for reading and writing\n\n";
	struct ivshm_config *config = load(
		"groups: [{name: g, legacy: trusted, regions: [\n"
		"  {name: main, size: 4K, access: ro, rights: [{instance: tux, access: rw}]},\n"
		"  {name: secret, size: 4K, access: none, rights: [{instance: tux, access: "
		"rw}]},\n"
		"  {name: free, size: 4K}]}]\n"
		"instances:\n"
		"- {name: p, kind: process, command: [x], groups: [g]}\n"
		"- {name: q, kind: qemu, command: [x], groups: [g]}\n"
		"- {name: tux, kind: linux, image: x.app, groups: [g]}\n");
	char *text = print(config);

	ck_assert_msg(strstr(text, expected), "%s", text);
	ck_assert(ivshm_config_asked(config, config->groups, 0, 1));
	ck_assert(!ivshm_config_asked(config, config->groups, 0, 0));
	ck_assert(!ivshm_config_asked(config, config->groups, 2, 1));
	ck_assert(!ivshm_config_asked(config, config->groups, 0, 3));
	free(text);
	ivshm_config_free(config);
}
END_TEST

/* A group whose members may all write all of it takes QEMU as it is. */
START_TEST(legacy_without_trust)
{
	struct ivshm_config *config =
		load("groups: [{name: g, regions: [{name: r, size: 4K, rights: [{instance: p, "
		     "access: ro}]}]}, {name: h}]\n"
		     "instances:\n"
		     "- {name: p, kind: process, command: [x], groups: [g, h]}\n"
		     "- {name: q, kind: qemu, command: [x], personality: v1, groups: [g, h]}\n");

	ck_assert_uint_eq(config->instances[1].personality, 1);
	ivshm_config_free(config);
}
END_TEST

/* A table of rights is split rather than wider than a terminal. */
START_TEST(printed_narrow)
{
	char text[8192] = "groups: [{name: g, regions: [{name: r, size: 4K}]}]\ninstances:\n";
	struct ivshm_config *config;
	char *output = NULL, *line, *rest;
	unsigned tables = 0;
	size_t size;
	FILE *file;

	for (unsigned i = 0; i < IST_PEERS_MAX; i++)
		snprintf(
			text + strlen(text), sizeof(text) - strlen(text),
			"- {name: peer-with-a-name-%u, kind: process, command: [x], groups: [g]}\n",
			i);
	config = load(text);
	ck_assert_uint_eq(config->groups[0].max_peers, IST_PEERS_MAX);
	file = open_memstream(&output, &size);
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ivshm_config_print(config, file), 0);
	fclose(file);
	rest = output;
	while ((line = strsep(&rest, "\n"))) {
		ck_assert_msg(strlen(line) <= 100, "%s", line);
		tables += !strncmp(line, "  REGION", strlen("  REGION"));
	}
	ck_assert_uint_eq(tables, 16); /* four names fit beside each other */
	free(output);
	ivshm_config_free(config);
}
END_TEST

/* A file that cannot be read is reported like what is wrong in one. */
static void expect_unreadable(const char *file, int expected, const char *message)
{
	struct ivshm_config *config;
	char buffer[256] = "", line[256];
	FILE *errors = fmemopen(buffer, sizeof(buffer), "w");

	ck_assert_ptr_nonnull(errors);
	ck_assert_int_eq(ivshm_config_load(file, errors, &config), expected);
	fclose(errors);
	snprintf(line, sizeof(line), "%s:1:1: error: %s\n", file, message);
	ck_assert_str_eq(buffer, line);
}

START_TEST(from_a_file)
{
	struct ivshm_config *config;
	char *big = calloc(1, 2 << 20);

	write_file("t.yaml", full, strlen(full));
	ck_assert_int_eq(ivshm_config_load(path, NULL, &config), 0);
	ivshm_config_free(config);
	unlink(path);
	expect_unreadable(path, -ENOENT, "cannot read the file: No such file or directory");
	expect_unreadable(directory, -EISDIR, "cannot read the file: Is a directory");
	expect_unreadable("/dev/zero", -EINVAL, "the file is larger than 1 MiB");
	expect_unreadable("/dev/null", -EINVAL, "the file is empty");

	/* 1 MiB is the limit: a comment is as good as anything. */
	ck_assert_ptr_nonnull(big);
	memset(big, '#', 2 << 20);
	memcpy(big, full, strlen(full));
	write_file("t.yaml", big, 1 << 20);
	ck_assert_int_eq(ivshm_config_load(path, NULL, &config), 0);
	ivshm_config_free(config);
	write_file("t.yaml", big, (1 << 20) + 1);
	ck_assert_int_eq(ivshm_config_load(path, NULL, &config), -EINVAL);
	free(big);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tests = tcase_create("config");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, every_key);
	tcase_add_test(tests, rights);
	tcase_add_test(tests, defaults);
	tcase_add_test(tests, yes_and_no);
	tcase_add_test(tests, printed);
	tcase_add_test(tests, printed_legacy);
	tcase_add_test(tests, legacy_without_trust);
	tcase_add_test(tests, printed_narrow);
	tcase_add_test(tests, from_a_file);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
