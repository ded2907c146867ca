/* SPDX-License-Identifier: BSD-2-Clause */
/* test_compare.c: how two configurations differ: each kind of change, in its words, and when. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/compare.h"
#include "tests/suite.h"

/* Where a case changes something, at "%s". */
static const char all[] =
	"groups:\n"
	"  - name: g\n"
	"    size: 1M\n"
	"    max_peers: 4\n"
	"    run_state: false\n"
	"    regions:\n"
	"      - {name: a, size: 64K, access: rw}\n"
	"      - {name: p, size: 64K, access: rw, coherence: page}\n"
	"instances:\n"
	"  - {name: x, kind: process, command: [c], groups: [g]}\n"
	"  - {name: y, kind: app, image: /dev/null, args: [1], memory: 16M, groups: [g]}\n";

static struct ivshm_config *load(const char *text)
{
	struct ivshm_config *config;

	ck_assert_int_eq(ivshm_config_load_text(text, strlen(text), "t.yml", stderr, &config), 0);
	return config;
}

/* The text with `from` replaced by `to`. */
static char *replaced(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_ge(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)),
			 0);
	return out;
}

/* All changes, a line each: L live, S stopped, N never; text; why. */
static void compare(const char *now_text, const char *next_text, const char *expected)
{
	static const char when[] = "LSN";
	struct ivshm_config *now = load(now_text), *next = load(next_text);
	struct ivshm_changes changes;
	char lines[4096] = "";

	ivshm_compare_continue(now, next);
	ck_assert_int_eq(ivshm_compare(now, next, &changes), 0);
	for (unsigned i = 0; i < changes.count; i++) {
		const struct ivshm_change *change = &changes.change[i];
		size_t used = strlen(lines);

		snprintf(lines + used, sizeof(lines) - used, "%c %s%s%s\n", when[change->when],
			 change->text, *change->why ? ": " : "", change->why);
	}
	ck_assert_str_eq(lines, expected);
	ivshm_changes_free(&changes);
	ivshm_config_free(next);
	ivshm_config_free(now);
}

/* What a piece of the file became, and what that is called. */
static const struct {
	const char *from, *to, *expected;
} one[] = {
	{"groups", "groups", ""},
	/* the group */
	{"    size: 1M\n", "    size: 2M\n",
	 "N group 'g': size 2097152 instead of 1048576: it is what the group was made with\n"},
	{"    size: 1M\n", "    size: 1M\n    vectors: 8\n",
	 "N group 'g': vectors 8 instead of 4: it is what the group was made with\n"},
	{"max_peers: 4", "max_peers: 8",
	 "N group 'g': max_peers 8 instead of 4: it is what the group was made with\n"},
	{"    size: 1M\n", "    size: 1M\n    output_size: 4K\n",
	 "N group 'g': output_size 4096 instead of 0: it is what the group was made with\n"},
	{"run_state: false", "run_state: true",
	 "N group 'g': another 'run_state': it is what the group was made with\n"},
	{"    size: 1M\n", "    size: 1M\n    legacy: trusted\n",
	 "N group 'g': another 'legacy': it is what the group was made with\n"},
	{"    size: 1M\n", "    size: 1M\n    numa: {policy: bind, nodes: [0]}\n",
	 "N group 'g': another 'numa': it is what the group was made with\n"},
	{"    size: 1M\n", "    size: 1M\n    users: [root]\n", "L group 'g': other 'users'\n"},
	{"    size: 1M\n", "    size: 1M\n    limits: [{instance: x, objects: 3}]\n",
	 "L group 'g': other 'limits'\n"},
	{"  - name: g\n", "  - {name: h, run_state: false}\n  - name: g\n",
	 "N group 'h' is new: groups are made when `up` begins\n"},
	/* regions */
	{"name: a, size: 64K", "name: b, size: 64K",
	 "N group 'g': region 'b' in the place of 'a': a region can be added at the end, and "
	 "nothing else\n"},
	{"name: a, size: 64K", "name: a, size: 128K",
	 "N group 'g': region 'a' of 128K instead of 64K: it is mapped as it is\n"},
	{"name: a, size: 64K", "name: a, coherence: incoherent, size: 64K",
	 "N group 'g': region 'a' of another coherence: it is mapped as it is\n"},
	{"coherence: page", "coherence: page, tenure: 60us",
	 "N group 'g': region 'p' of another coherence: it is mapped as it is\n"},
	{"      - {name: p, size: 64K, access: rw, coherence: page}\n", "",
	 "N group 'g': region 'p' is gone: its memory is in use\n"},
	{"coherence: page}\n", "coherence: page}\n      - {name: n, size: 4K}\n",
	 "N group 'g': region 'n' of 4K is new: the page directories would have to move\n"},
	{"coherence: page}\n", "coherence: page}\n      - {name: n, size: 4K, coherence: page}\n",
	 "N group 'g': region 'n' of 4K is new: its members have had no pagers from the start\n"},
	/* rights */
	{"name: a, size: 64K, access: rw", "name: a, size: 64K, access: ro",
	 "L group 'g': region 'a' is ro instead of rw for 'x'\n"
	 "L group 'g': region 'a' is ro instead of rw for 'y'\n"},
	{"name: a, size: 64K, access: rw",
	 "name: a, size: 64K, access: rw, rights: [{instance: y, access: none}]",
	 "L group 'g': region 'a' is none instead of rw for 'y'\n"},
	{"access: rw, coherence: page", "access: none, coherence: page",
	 "S group 'g': region 'p' is none instead of rw for 'x': the region is page-coherent\n"
	 "L group 'g': region 'p' is none instead of rw for 'y'\n"},
	/* instances */
	{"command: [c]", "command: [c, d]", "S instance 'x': another 'command'\n"},
	{"command: [c]", "command: [c], cpus: [0]", "S instance 'x': another 'cpus'\n"},
	{"command: [c]", "command: [c], autostart: false", "L instance 'x': autostart false\n"},
	{"args: [1]", "args: [2]", "S instance 'y': another 'args'\n"},
	{"memory: 16M", "memory: 32M", "S instance 'y': another 'memory'\n"},
	{"image: /dev/null", "image: /etc/passwd", "S instance 'y': another 'image'\n"},
	{"memory: 16M, groups: [g]", "memory: 16M, groups: []",
	 "S instance 'y': another 'groups'\n"},
	{"kind: process, command: [c]", "kind: linux, image: /etc/passwd, memory: 256M",
	 "S instance 'x': another 'kind'\nS instance 'x': another 'image'\n"
	 "S instance 'x': another 'command'\nS instance 'x': another 'memory'\n"
	 "S instance 'x': another 'page_size'\nS instance 'x': another 'vcpus'\n"},
	{"  - {name: x, kind: process, command: [c], groups: [g]}\n", "",
	 "L instance 'x' is gone\n"},
	{"instances:\n", "instances:\n  - {name: z, kind: process, command: [c], groups: [g]}\n",
	 "L instance 'z' is new\n"},
	{"instances:\n", "instances:\n  - {name: q, kind: qemu, autostart: false}\n",
	 "N instance 'q' is new: the sockets of QEMU's peers are there from the start\n"},
};

START_TEST(one_change)
{
	char *image = replaced(all, "/dev/null", "/etc/hostname");
	char *next =
		replaced(image,
			 strcmp(one[_i].from, "image: /dev/null") != 0 ? one[_i].from
								       : "image: /etc/hostname",
			 one[_i].to);

	compare(image, next, one[_i].expected);
	free(next);
	free(image);
}
END_TEST

/* And back: what was given is taken. */
START_TEST(more_pages)
{
	char *image = replaced(all, "/dev/null", "/etc/hostname");
	char *now = replaced(image, "access: rw, coherence: page", "access: ro, coherence: page");

	compare(now, image,
		"S group 'g': region 'p' is rw instead of ro for 'x': the region is page-coherent\n"
		"S group 'g': region 'p' is rw instead of ro for 'y': the region is "
		"page-coherent\n");
	free(now);
	free(image);
}
END_TEST

/* ---- Where there is room for a region, and where not ----------------------------------------- */

#define GROUP "groups:\n  - name: g\n    run_state: false\n"
#define MEMBERS                                                                                    \
	"instances:\n  - {name: x, kind: process, command: [c], groups: [g]}\n"                    \
	"  - {name: y, kind: process, command: [c], groups: [g]}\n"

static const struct {
	const char *keys, *expected;
} room[] = {
	{"    size: 256K\n", "L group 'g': region 'n' of 64K is new\n"},
	{"",
	 "N group 'g': region 'n' of 64K is new: the group would need 256K and has 128K: 'size' "
	 "gives room\n"},
	{"    size: 256K\n    output_size: 4K\n",
	 "N group 'g': region 'n' of 64K is new: the output sections would have to move\n"},
};

START_TEST(new_region)
{
	char now[512], next[512];
	static const char regions[] = "    regions:\n      - {name: a, size: 64K}\n";

	snprintf(now, sizeof(now), GROUP "%s%s" MEMBERS, room[_i].keys, regions);
	snprintf(next, sizeof(next), GROUP "%s%s      - {name: n, size: 64K}\n" MEMBERS,
		 room[_i].keys, regions);
	compare(now, next, room[_i].expected);
}
END_TEST

/* ---- IDs ------------------------------------------------------------------------------------- */

static const char *id_name(const struct ivshm_config *config, unsigned id)
{
	const struct ivshm_instance_config *member =
		ivshm_config_member(config, &config->groups[0], id);

	return member ? member->name : "-";
}

#define MEMBER(name) "  - {name: " name ", kind: process, command: [c], groups: [g]}\n"

START_TEST(ids)
{
	struct ivshm_config *now =
		load(GROUP "    max_peers: 4\ninstances:\n" MEMBER("a") MEMBER("b") MEMBER("c"));
	struct ivshm_config *next = load(GROUP "instances:\n" MEMBER("d") MEMBER("c") MEMBER("a"));
	struct ivshm_config *last = load(GROUP "instances:\n" MEMBER("c"));

	/* d has the place of b; max_peers is not given, and stays. */
	ivshm_compare_continue(now, next);
	ck_assert_str_eq(id_name(next, 0), "a");
	ck_assert_str_eq(id_name(next, 1), "d");
	ck_assert_str_eq(id_name(next, 2), "c");
	ck_assert_uint_eq(next->groups[0].members_count, 3);
	ck_assert_uint_eq(next->groups[0].max_peers, 4);
	ivshm_compare_continue(next, last);
	ck_assert_str_eq(id_name(last, 0), "-");
	ck_assert_str_eq(id_name(last, 1), "-");
	ck_assert_str_eq(id_name(last, 2), "c");
	ck_assert_str_eq(id_name(last, 3), "-");
	ck_assert_uint_eq(last->groups[0].members_count, 3);
	ivshm_config_free(last);
	ivshm_config_free(next);
	ivshm_config_free(now);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compare");
	TCase *tests = tcase_create("compare");

	tcase_add_loop_test(tests, one_change, 0, sizeof(one) / sizeof(one[0]));
	tcase_add_test(tests, more_pages);
	tcase_add_loop_test(tests, new_region, 0, sizeof(room) / sizeof(room[0]));
	tcase_add_test(tests, ids);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
