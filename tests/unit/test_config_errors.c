/* SPDX-License-Identifier: BSD-2-Clause */
/* test_config_errors.c: what is wrong with a file is said, all of it, at its place. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ivshmem/config.h"
#include "tests/suite.h"

/* Images that are always there: a file, and a directory. */
#define IMAGE "/proc/self/exe"
#define FOLDER "/proc/self"

/* An instance and a group to stand beside what is tested. */
#define ONE "instances: [{name: one, kind: app, image: " IMAGE ", groups: [g]}]\n"
#define G "groups: [{name: g}]\n"

/* The longest command line there is. */
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define X1024 X128 X128 X128 X128 X128 X128 X128 X128
#define LINE_2047                                                                                  \
	"x" X1024 X128 X128 X128 X128 X128 X128 X128 X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxx"

static const struct {
	const char *text;
	const char *errors[12]; /* "LINE:COLUMN: error: " and how the text starts, in their order */
} cases[] = {
	/* No YAML of ours */
	{"", {"1:1: error: the file is empty"}},
	{"# only\n# comments\n", {"1:1: error: the file is empty"}},
	{"---\n", {"2:1: error: the file must be a mapping"}},
	{"hello\n", {"1:1: error: the file must be a mapping"}},
	{"- a\n", {"1:1: error: the file must be a mapping"}},
	{G ONE "---\n" G, {"3:1: error: a second document"}},
	{"groups: [\n", {"2:1: error: while parsing a flow node: did not find expected node"}},
	{"groups:\n\t- x\n", {"2:1: error: while scanning for the next token"}},
	{"a: b\n c: d\n", {"2:3: error: mapping values are not allowed"}},
	{"groups: &x [{name: g}]\n" ONE, {"1:9: error: anchors are not allowed"}},
	{"groups: *x\n" ONE, {"1:9: error: aliases are not allowed"}},
	{"&a [*a]", {"1:1: error: anchors are not allowed"}},
	{"groups: !!seq []\n" ONE, {"1:9: error: tags are not allowed"}},
	{"instances: [{name: !x a}]", {"1:20: error: tags are not allowed"}},
	{"a: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", {"1:15: error: nested too deeply"}},
	{"a: {b: {b: {b: {b: {b: {b: {b: {b: {b: {b: {b: {b: {b: 1}}}}}}}}}}}}}",
	 {"1:48: error: nested too deeply"}},
	{"groups: []\nx\xff: y\n", {"2:2: error: not UTF-8 text"}},
	{"\xc3\xa4\xc3\xa4\xff", {"1:3: error: not UTF-8 text"}},
	{"\xff\xfeg", {"1:3: error: not UTF-8 text"}},
	{"groups: \x01\n", {"1:9: error: not UTF-8 text"}},
	{"instances: [{name: \"a\\0b\"}]", {"1:20: error: a NUL character"}},

	/* Structure */
	{"instances: []\n", {"1:12: error: 'instances': at least 1 needed"}},
	{"groups: []\n", {"1:1: error: key 'instances' is missing"}},
	{"groups: {}\n" ONE, {"1:9: error: 'groups': expected a list"}},
	{"groups:\n" ONE, {"1:8: error: 'groups' has no value"}},
	{"groups: [~]\n" ONE, {"1:10: error: 'groups' has no value"}},
	{"groups: [g]\n" ONE, {"1:10: error: 'groups': expected a mapping"}},
	{"groups: [{name: [g]}]\n" ONE, {"1:17: error: 'name': expected one value"}},
	{"groups: [{size: 4M}]\n" ONE, {"1:10: error: key 'name' is missing"}},
	{"groups: [{name: g, name: h}]\n" ONE,
	 {"1:20: error: duplicate key 'name', first in line 1"}},
	{"groups: []\ngroups: []\n" ONE, {"2:1: error: duplicate key 'groups', first in line 1"}},
	{"groups: [{name: g, [a]: b}]\n" ONE, {"1:20: error: a key must be a word"}},
	{"groups: [{name: ''}]\n" ONE, {"1:17: error: 'name' is empty"}},
	{G "instance: [a]\n",
	 {"1:1: error: key 'instances' is missing",
	  "2:1: error: unknown key 'instance'; did you mean 'instances'?"}},
	{"groups: [{name: g, nam: 1, vectros: 2, siz: {a: [1, {b: c}]}, x-y: z}]\n" ONE,
	 {"1:20: error: unknown key 'nam'; did you mean 'name'?",
	  "1:28: error: unknown key 'vectros'; did you mean 'vectors'?",
	  "1:40: error: unknown key 'siz'; did you mean 'size'?",
	  "1:63: error: unknown key 'x-y'"}},
	{"\"a\\nb\\e\": 1\n" G ONE, {"1:1: error: unknown key 'a?b?'"}},
	{"groups: [{name: g, vectors: many, max_peers: -1, page_size: 8K, legacy: no}]\n" ONE,
	 {"1:29: error: 'vectors': expected a number, found 'many'",
	  "1:46: error: 'max_peers': expected a number, found '-1'",
	  "1:61: error: 'page_size': expected 4K, 2M or 1G, found '8K'",
	  "1:73: error: 'legacy': expected refused or trusted, found 'no'"}},
	{G "instances: [{name: a, kind: app, vcpus: 010, cpus: [0x1, 4294967296, 99999999999]}]\n",
	 {"2:41: error: 'vcpus': expected a number, found '010'",
	  "2:53: error: 'cpus': expected a number, found '0x1'",
	  "2:58: error: 'cpus': 4294967296 is out of range",
	  "2:70: error: 'cpus': 99999999999 is out of range"}},
	{G "instances:\n- name: a\n  kind: vm\n  autostart: maybe\n  groups: g\n  command: []\n",
	 {"4:9: error: 'kind': expected app, linux, qemu or process, found 'vm'",
	  "5:14: error: 'autostart': expected true or false, found 'maybe'",
	  "6:11: error: 'groups': expected a list", "7:12: error: 'command': at least 1 needed"}},
	{"groups: [{name: g, regions: [{name: r}, {size: 4K, access: write}]}]\n" ONE,
	 {"1:30: error: key 'size' is missing", "1:41: error: key 'name' is missing",
	  "1:60: error: 'access': expected none, ro or rw, found 'write'"}},

	/* Names */
	{"groups: [{name: g}, {name: a/b}, {name: .h}, {name: -h}, {name: 'a b'},\n"
	 " {name: abcdefghijklmnopqrstuvwxyz012345}, {name: "
	 "abcdefghijklmnopqrstuvwxyz01234}]\n" ONE,
	 {"1:28: error: group name 'a/b': 1 to 31 letters", "1:41: error: group name '.h'",
	  "1:53: error: group name '-h'", "1:65: error: group name 'a b'",
	  "2:9: error: group name 'abcdefghijklmnopqrstuvwxyz012345'"}},
	{"groups: [{name: g}, {name: h}, {name: g}]\n" ONE,
	 {"1:39: error: group 'g' is there twice, first in line 1"}},
	{"groups:\n- name: g\n  regions:\n  - {name: r, size: 4K}\n  - size: 4K\n    name: r\n" ONE,
	 {"6:11: error: region 'r' is there twice, first in line 4"}},
	{"groups: [{name: g, regions: [{name: 'a b', size: 4K}]}]\n" ONE,
	 {"1:37: error: region name 'a b'"}},
	{G
	 "instances:\n- {name: a, kind: process, command: [x]}\n"
	 "- {name: ../a, kind: process, command: [x]}\n- {name: a, kind: process, command: [x]}\n",
	 {"4:10: error: instance name '../a'",
	  "5:10: error: instance 'a' is there twice, first in line 3"}},

	/* Sizes */
	{"groups: [{name: g, size: 12M}]\n" ONE,
	 {"1:26: error: 'size': 12M is not a power of two"}},
	{"groups: [{name: g, size: 5000}]\n" ONE,
	 {"1:26: error: 'size': 5000 is not a multiple of the page size 4K"}},
	{"groups: [{name: g, size: 1M, page_size: 2M}]\n" ONE,
	 {"1:26: error: 'size': 1M is not a multiple of the page size 2M"}},
	{"groups: [{name: g, size: 0}]\n" ONE, {"1:26: error: 'size' is 0"}},
	{"groups: [{name: g, size: 128T}]\n" ONE,
	 {"1:26: error: 'size': 128T is too much, at most 64T are possible"}},
	{"groups: [{name: g, size: 99999999999999999999999999999}]\n" ONE,
	 {"1:26: error: 'size': 99999999999999999999999999999 is too much"}},
	{"groups: [{name: g, size: 18014398509481984K}]\n" ONE,
	 {"1:26: error: 'size': 18014398509481984K is too much"}},
	{"groups: [{name: g, size: 1.5M, output_size: 4k, regions: [{name: a, size: -4K},\n"
	 "{name: b, size: 4MB}, {name: c, size: M}, {name: d, size: 4 K}]}]\n" ONE,
	 {"1:26: error: 'size': expected a size like 4096, 64M or 2G, found '1.5M'",
	  "1:45: error: 'output_size': expected a size", "1:75: error: 'size': expected a size",
	  "2:17: error: 'size': expected a size like 4096, 64M or 2G, found '4MB'",
	  "2:39: error: 'size': expected a size", "2:59: error: 'size': expected a size"}},
	{"groups: [{name: g, output_size: 100, regions: [{name: a, size: 0}, {name: b, size: "
	 "6K}]}]\n" ONE,
	 {"1:33: error: 'output_size': 100 is not a multiple of the page size 4K",
	  "1:64: error: 'size' is 0",
	  "1:84: error: 'size': 6K is not a multiple of the page size 4K"}},
	{"groups: [{name: g, page_size: 1G, regions: [{name: b, size: 2M}]}]\n" ONE,
	 {"1:61: error: 'size': 2M is not a multiple of the page size 1G"}},
	{"groups:\n- name: g\n  size: 8M\n  regions: [{name: a, size: 8M}]\n" ONE,
	 {"3:9: error: 'size': 8M is too little for group 'g', which needs 16M"}},
	{"groups:\n- name: g\n  regions: [{name: a, size: 64T}, {name: b, size: 64T}]\n" ONE,
	 {"2:9: error: group 'g' needs more than 64T"}},
	{"groups:\n- name: g\n  output_size: 32T\n" ONE,
	 {"2:9: error: group 'g' needs more than 64T"}},

	/* Groups */
	{"groups: [{name: g, vectors: 0, max_peers: 1}]\n" ONE,
	 {"1:29: error: 'vectors': 0; 1 to 16 are possible",
	  "1:43: error: 'max_peers': 1; 2 to 64 are possible"}},
	{"groups:\n"
	 "  - name: g\n"
	 "    limits:\n"
	 "      - {instance: one}\n"
	 "      - {instance: one, objects: 128}\n"
	 "      - {instance: two, memory: 1X}\n"
	 "      - {objects: 1}\n" ONE,
	 {"7:9: error: key 'instance' is missing"}},
	{"groups:\n"
	 "  - name: g\n"
	 "    limits:\n"
	 "      - {instance: one}\n"
	 "      - {instance: one, objects: 128}\n"
	 "      - {instance: two, memory: 1X}\n" ONE,
	 {"4:9: error: a limit for 'one' of neither 'objects' nor 'memory'",
	  "5:20: error: group 'g' has a limit for 'one' already",
	  "5:34: error: 'objects': 128; a region has 127",
	  "6:20: error: a limit for 'two', but there is no such instance",
	  "6:33: error: 'memory': expected a size"}},
	{"groups: [{name: g, doorbells: 999}, {name: h, doorbells: 1000001}]\n" ONE,
	 {"1:31: error: 'doorbells': 999; 1000 to 1000000 a second are possible, or 0: no limit",
	  "1:58: error: 'doorbells': 1000001;"}},
	{"groups: [{name: g, vectors: 17, max_peers: 65}]\n" ONE,
	 {"1:29: error: 'vectors': 17", "1:44: error: 'max_peers': 65"}},
	{"groups: [{name: g, max_peers: 0}]\n" ONE, {"1:31: error: 'max_peers': 0"}},
	{"groups:\n- {name: g, max_peers: 2}\ninstances:\n"
	 "- {name: a, kind: process, command: [x], groups: [g]}\n"
	 "- {name: b, kind: process, command: [x], groups: [g]}\n"
	 "- {name: c, kind: process, command: [x], groups: [g]}\n",
	 {"2:24: error: group 'g' has 3 members, but takes at most 2"}},
	{"groups:\n- name: g\n  regions:\n  - name: r\n    size: 4K\n    rights:\n"
	 "    - {instance: two, access: ro}\n    - {instance: one, access: ro}\n"
	 "    - {instance: zero, access: none}\n    - {instance: one, access: rw}\n"
	 "instances:\n- {name: one, kind: process, command: [x], groups: [g]}\n"
	 "- {name: two, kind: process, command: [x]}\n",
	 {"7:18: error: a right for instance 'two', which is not a member of group 'g'",
	  "9:18: error: a right for 'zero', but there is no such instance",
	  "10:18: error: region 'r' has a right for 'one' already"}},
	{"groups: [{name: g, numa: {policy: bind}}, {name: h, numa: {policy: default, nodes: "
	 "[0]}},\n"
	 "{name: i, numa: {policy: preferred, nodes: [0, 0]}},\n"
	 "{name: j, numa: {policy: interleave, nodes: [0, 1000, 70000]}}]\n" ONE,
	 {"1:26: error: 'numa': this policy needs 'nodes'",
	  "1:84: error: 'nodes': policy default takes none",
	  "2:44: error: 'nodes': policy preferred takes one",
	  "3:49: error: 'nodes': NUMA node 1000 does not exist",
	  "3:55: error: 'nodes': NUMA node 70000 does not exist"}},
	{"groups: [{name: g, numa: {nodes: [x]}}]\n" ONE,
	 {"1:26: error: key 'policy' is missing", "1:35: error: 'nodes': expected a number"}},

	/* Instances */
	{G "instances: [{name: a, kind: process, command: [x], groups: [h, g, g]}]\n",
	 {"2:61: error: there is no group 'h'",
	  "2:67: error: instance 'a' is in group 'g' already"}},
	{G "instances: [{name: a, kind: process, command: [x], groups: [a,b,c,d,e,f,g,h,i]}]\n",
	 {"2:60: error: 'groups': 9 are too many, at most 8 are possible"}},
	{G "instances:\n- {name: a, kind: app}\n- {name: b, kind: linux}\n",
	 {"3:3: error: instance 'a': kind 'app' needs an 'image'",
	  "4:3: error: instance 'b': kind 'linux' needs an 'image'"}},
	{G "instances:\n- {name: a, kind: app, image: /nowhere/x.app}\n"
	   "- {name: b, kind: app, image: " FOLDER "}\n- {name: c, kind: app, image: none}\n"
	   "- {name: d, kind: linux, image: " IMAGE ", initrd: /nowhere/initrd}\n",
	 {"3:31: error: image '/nowhere/x.app': No such file or directory",
	  "4:31: error: image '/proc/self': not a file",
	  "5:31: error: image 'some/where/none': No such file or directory",
	  "6:57: error: initrd '/nowhere/initrd': No such file"}},
	{G "instances:\n- {name: a, kind: app, image: " IMAGE
	   ", initrd: x, cmdline: y, personality: v1}\n",
	 {"3:47: error: 'initrd' is not for kind 'app'",
	  "3:58: error: 'cmdline' is not for kind 'app'",
	  "3:70: error: 'personality' is not for kind 'app'"}},
	{G "instances:\n- {name: a, kind: process, command: [x], image: y, args: [z], memory: 4M, "
	   "vcpus: 1}\n",
	 {"3:42: error: 'image' is not for kind 'process'",
	  "3:52: error: 'args' is not for kind 'process'",
	  "3:63: error: 'memory' is not for kind 'process'",
	  "3:75: error: 'vcpus' is not for kind 'process'"}},
	{G "instances:\n- {name: a, kind: linux, image: " IMAGE ", command: [x], args: []}\n",
	 {"3:49: error: 'command' is not for kind 'linux'",
	  "3:63: error: 'args' is not for kind 'linux'"}},
	{G "instances:\n- {name: a, kind: qemu, command: [x], memory: 4M, page_size: 4K}\n",
	 {"3:39: error: 'memory' is not for kind 'qemu'",
	  "3:51: error: 'page_size' is not for kind 'qemu'"}},
	{G "instances:\n- {name: a, kind: process}\n- {name: b, kind: process, autostart: false}\n"
	   "- {name: c, kind: qemu}\n- {name: d, kind: process, command: ['']}\n",
	 {"3:3: error: instance 'a' has no 'command': give one, or 'autostart: false'",
	  "5:3: error: instance 'c' has no 'command'",
	  "6:38: error: 'command': the program's name is empty"}},
	{G "instances:\n- {name: a, kind: app, image: " IMAGE ", memory: 0}\n"
	   "- {name: b, kind: app, image: " IMAGE ", memory: 3M}\n"
	   "- {name: c, kind: app, image: " IMAGE ", memory: 4G}\n"
	   "- {name: d, kind: app, image: " IMAGE ", memory: 3G}\n"
	   "- {name: e, kind: linux, image: " IMAGE ", memory: 32M}\n"
	   "- {name: f, kind: linux, image: " IMAGE ", memory: 67108865}\n"
	   "- {name: g, kind: app, image: " IMAGE ", memory: lots}\n"
	   "- {name: h, kind: linux, image: " IMAGE ", memory: 253G}\n"
	   "- {name: i, kind: linux, image: " IMAGE ", memory: 252G}\n",
	 {"3:55: error: 'memory': 0; an app has a multiple of 2M from 2M to 3G",
	  "4:55: error: 'memory': 3M;", "5:55: error: 'memory': 4G;",
	  "7:57: error: 'memory': 32M; kind linux has 64M to 252G",
	  "8:57: error: 'memory': 67108865 is not a multiple of the page size 4K",
	  "9:55: error: 'memory': expected a size", "10:57: error: 'memory': 253G;"}},
	{G "instances:\n- {name: a, kind: linux, image: " IMAGE
	   ", page_size: 4M, cmdline: [quiet]}\n"
	   "- {name: b, kind: linux, image: " IMAGE ", personality: v3}\n",
	 {"3:60: error: 'page_size': expected 4K, 2M or 1G, found '4M'",
	  "3:73: error: 'cmdline': expected one value",
	  "4:62: error: 'personality': expected v1 or v2, found 'v3'"}},
	{G "instances:\n- {name: a, kind: linux, image: " IMAGE ", page_size: 1G}\n"
	   "- {name: b, kind: linux, image: " IMAGE ", page_size: 2M, memory: 65M}\n"
	   "- {name: c, kind: linux, image: " IMAGE ", page_size: 1G, memory: 6G}\n"
	   "- {name: d, kind: app, image: " IMAGE ", page_size: 1G, memory: 1026M}\n"
	   "- {name: e, kind: process, command: [x], page_size: 2M}\n",
	 {"3:60: error: 'page_size': memory 256M is not a multiple of 1G",
	  "4:72: error: 'memory': 65M is not a multiple of the page size 2M",
	  "6:70: error: 'memory': 1026M is not a multiple of the page size 1G",
	  "7:42: error: 'page_size' is not for kind 'process'"}},
	{G "instances:\n- {name: a, kind: linux, image: " IMAGE ", cmdline: " LINE_2047 "}\n"
	   "- {name: b, kind: linux, image: " IMAGE ", cmdline: " LINE_2047 "x}\n"
	   "- {name: c, kind: linux, image: " IMAGE ", initrd: " FOLDER "}\n",
	 {"4:58: error: 'cmdline': 2048 bytes; a kernel takes at most 2047",
	  "5:57: error: initrd '/proc/self': not a file"}},
	{G "instances:\n- {name: a, kind: app, image: " IMAGE ", vcpus: 2}\n"
	   "- {name: b, kind: linux, image: " IMAGE ", vcpus: 0}\n"
	   "- {name: c, kind: linux, image: " IMAGE ", vcpus: 17}\n"
	   "- {name: d, kind: linux, image: " IMAGE ", vcpus: 2, cpus: [0]}\n"
	   "- {name: e, kind: app, image: " IMAGE ", cpus: [0, 0]}\n",
	 {"3:54: error: 'vcpus': an app has one, not 2", "4:56: error: 'vcpus': 0; 1 to 16",
	  "5:56: error: 'vcpus': 17; 1 to 16",
	  "6:65: error: 'cpus': 1 given for 2 vCPUs; each vCPU needs one",
	  "7:53: error: 'cpus': 2 given for 1 vCPU; each vCPU needs one"}},
	{G "instances:\n- {name: a, kind: process, command: [x], cpus: [0, 8191, 9000, "
	   "4294967295]}\n",
	 {"3:52: error: 'cpus': CPU 8191 does not exist", "3:58: error: 'cpus': CPU 9000",
	  "3:64: error: 'cpus': CPU 4294967295 does not exist"}},

	/* QEMU */
	{"groups:\n- {name: g, regions: [{name: r, size: 4K}, {name: s, size: 4K, access: ro}]}\n"
	 "- {name: h, output_size: 4K}\n- {name: i, legacy: trusted, output_size: 4K}\n"
	 "- {name: j, regions: [{name: r, size: 4K, rights: [{instance: a, access: none}]}]}\n"
	 "instances:\n- {name: a, kind: qemu, command: [x], groups: [g, i, h, j]}\n"
	 "- {name: b, kind: qemu, command: [x], personality: v2}\n",
	 {"7:48: error: instance 'a' is QEMU's, which maps all of group 'g' for writing: its right "
	  "ro on region 's' can only be asked for; say 'legacy: trusted' in the group to do so",
	  "7:54: error: instance 'a' is QEMU's, which maps all of group 'h' for writing, others' "
	  "output sections too; say 'legacy: trusted'",
	  "7:57: error: instance 'a' is QEMU's, which maps all of group 'j' for writing: its right "
	  "none on region 'r'",
	  "8:52: error: 'personality': QEMU's own device is v1; kind 'qemu' has no v2"}},

	/* Page coherence */
	{"groups: [{name: g, regions: [{name: r, size: 4K, coherence: page, tenure: 50, recall: "
	 "2}, "
	 "{name: s, size: 4K, tenure: 50us}, {name: t, size: 4K, recall: 1s}]}]\n" ONE,
	 {"1:75: error: 'tenure': expected a time like 50us, 20ms or 1s, found '50'",
	  "1:87: error: 'recall': expected a time",
	  "1:111: error: 'tenure' is for coherence 'page'",
	  "1:146: error: 'recall' is for coherence 'page'"}},
	{"groups: [{name: g, regions: [\n"
	 "{name: r, size: 4K, coherence: page, tenure: 3601s},\n"
	 "{name: s, size: 4K, coherence: page, recall: 9999999999999999999999ns},\n"
	 "{name: t, size: 4K, coherence: page, recall: 9ms},\n"
	 "{name: u, size: 4K, coherence: page, tenure: 16ms},\n"
	 "{name: v, size: 4K, coherence: page, tenure: 20ms, recall: 1s},\n"
	 "{name: w, size: 4K, coherence: page, tenure: 0ns, recall: 3600s}]}]\n" ONE,
	 {"2:46: error: 'tenure': 3601s is too much, at most 3600s are possible",
	  "3:46: error: 'recall': 9999999999999999999999ns is too much",
	  "4:46: error: region 't': 'recall' has to be at least 10ms and 64 times 'tenure'",
	  "5:46: error: region 'u': 'recall' has to be", "6:60: error: region 'v': 'recall' has"}},
	{"groups: [{name: g, page_size: 2M, regions: [{name: r, size: 2M, coherence: "
	 "page}]}]\n" ONE,
	 {"1:76: error: region 'r': coherence 'page' takes a group in pages of 4K"}},
	{"groups: [{name: g, regions: [{name: r, size: 4K, coherence: page}, {name: s, size: 4K, "
	 "coherence: page, rights: [{instance: p, access: none}]}]}]\ninstances: [{name: p, kind: "
	 "qemu, command: [x], groups: [g]}]\n",
	 {"1:61: error: region 'r': coherence 'page' takes a pager: instance 'p' is a qemu, give "
	  "it the right none",
	  "2:58: error: instance 'p' is QEMU's, which maps all of group 'g' for writing: its right "
	  "none on region 's' can only be asked for; say 'legacy: trusted'"}},

	/* All of a file in one run, in its order */
	{"groups:\n- name: g\n  flavour: sweet\n  size: 3M\n  regions: [{name: r, size: 1, rights: "
	 "[{instance: x, access: ro}]}]\ninstances:\n- {name: a, kind: app, image: none, cpus: "
	 "[8191], "
	 "groups: [x]}\n",
	 {"3:3: error: unknown key 'flavour'", "4:9: error: 'size': 3M is not a power of two",
	  "5:29: error: 'size': 1 is not a multiple", "5:52: error: a right for 'x'",
	  "7:31: error: image 'some/where/none'", "7:44: error: 'cpus': CPU 8191 does not exist",
	  "7:60: error: there is no group 'x'"}},
};

static const char path[] = "some/where/t.yaml"; /* is not there: only names the text */

/* Loads what must not load; the messages are the caller's to free. */
static char *load_bad(const char *text)
{
	struct ivshm_config *config = NULL;
	char *errors = NULL;
	size_t size;
	FILE *file = open_memstream(&errors, &size);

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ivshm_config_load_text(text, strlen(text), path, file, &config), -EINVAL);
	fclose(file);
	ck_assert_ptr_null(config);
	return errors;
}

START_TEST(errors)
{
	const char *const *expected = cases[_i].errors;
	char *all = load_bad(cases[_i].text), *rest = all, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		ck_assert_msg(*expected, "case %d: more than expected: %s\n%s", _i, line,
			      cases[_i].text);
		ck_assert_msg(!strncmp(line, path, strlen(path)) && line[strlen(path)] == ':',
			      "case %d: no path: %s", _i, line);
		line += strlen(path) + 1;
		ck_assert_msg(!strncmp(line, *expected, strlen(*expected)),
			      "case %d:\nexpected %s\nfound    %s\n%s", _i, *expected, line,
			      cases[_i].text);
		expected++;
	}
	ck_assert_msg(!*expected, "case %d: not reported: %s\n%s", _i, *expected, cases[_i].text);
	free(all);
}
END_TEST

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

START_TEST(too_many_errors)
{
	char text[4096] = "instances:\n";
	char *all;

	for (unsigned i = 0; i < 200; i++)
		strcat(text, "- key: 1\n");
	all = load_bad(text);
	ck_assert_uint_eq(lines_of(all), 101);
	ck_assert_ptr_nonnull(strstr(all, ": error: too many errors, some are not shown\n"));
	free(all);
}
END_TEST

START_TEST(too_many_members)
{
	char text[8192] = "groups: [{name: g}]\ninstances:\n";
	char *all;

	for (unsigned i = 0; i <= IST_PEERS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "- {name: i%u, kind: process, command: [x], groups: [g]}\n", i);
	all = load_bad(text);
	ck_assert_str_eq(all, "some/where/t.yaml:1:17: error: group 'g' has 65 members, but takes "
			      "at most 64\n");
	free(all);
}
END_TEST

START_TEST(long_words_are_cut)
{
	static char text[100000];
	char *all;

	strcpy(text, "instances: [{name: a, kind: ");
	for (unsigned i = 0; i < 30000; i++)
		strcat(text + 28 + 3 * i, "\u20ac");
	strcat(text, "}]");
	all = load_bad(text);
	ck_assert_uint_eq(lines_of(all), 1);
	ck_assert_uint_le(strlen(all), 1100);
	free(all);
}
END_TEST

/* libyaml reads UTF-16 too; libcyaml, and we, do not want to know. */
START_TEST(utf16)
{
	static const char text[] = "\xff\xfe[\0]\0";
	struct ivshm_config *config;
	char buffer[256] = "";
	FILE *file = fmemopen(buffer, sizeof(buffer), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ivshm_config_load_text(text, 6, path, file, &config), -EINVAL);
	fclose(file);
	ck_assert_str_eq(buffer, "some/where/t.yaml:1:1: error: not UTF-8 text\n");
}
END_TEST

START_TEST(nobody_listens)
{
	struct ivshm_config *config = NULL;

	ck_assert_int_eq(ivshm_config_load_text("x", 1, path, NULL, &config), -EINVAL);
	ck_assert_int_eq(ivshm_config_load_text(NULL, 0, path, NULL, &config), -EINVAL);
	ck_assert_ptr_null(config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_errors");
	TCase *tests = tcase_create("config_errors");

	tcase_add_loop_test(tests, errors, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, too_many_errors);
	tcase_add_test(tests, too_many_members);
	tcase_add_test(tests, long_words_are_cut);
	tcase_add_test(tests, utf16);
	tcase_add_test(tests, nobody_listens);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
