#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_qemu_args.sh: instances of kind qemu from outside: what their command gets, what `isthmus qemu-args` and
# `isthmus path` say. No QEMU runs here; see test_qemu.sh. Prints TAP.
#
# shellcheck disable=SC2317,SC2016 # functions are called by name; $ is for the instances
set -u
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

device="-chardev socket,id=isthmus-ping,path=$work/run/q@ping.qemu -device ivshmem-doorbell,chardev=isthmus-ping,vectors=4"

# Its command gets a device a group, and it dies like all.
qemu_starts() {
	config qemu <<-'END'
		  - {name: q, kind: qemu, groups: [ping], command: [sh, -c, 'echo "$ISTHMUS_INSTANCE $*"; exec sleep 1000', me, -m, 1G]}
	END
	start "$work/qemu.yml"
	eventually printed out "q | q -m 1G $device"
	kill -TERM "$up"
	finish
	expect_status 143
	config qemu <<-'END'
		  - {name: q, kind: qemu, groups: [ping], autostart: false}
	END
	start "$work/qemu.yml"
	eventually printed err 'group ping is open'
	timeout 60 "$isthmus" run "$work/qemu.yml" q >"$work/out" 2>&1 && complain "ran without a command"
	expect_like out "could not start: no program"
	kill -TERM "$up"
	finish
}

# What is printed of a running up: arguments, and a file that is the memory.
qemu_asks() {
	local memory
	config qemu <<-'END'
		  - {name: q, kind: qemu, groups: [ping], autostart: false}
		  - {name: p, kind: process, groups: [ping], autostart: false}
	END
	start "$work/qemu.yml"
	eventually printed err 'group ping is open'
	timeout 60 "$isthmus" qemu-args q >"$work/out" 2>&1 || complain "qemu-args: status $?"
	expect out "$device"
	[ "$(wc -l <"$work/out")" = 1 ] || complain "qemu-args: more than one line"
	memory=$(timeout 60 "$isthmus" path ping) || complain "path: status $?"
	[ "$(stat -L -c %s "$memory")" = 131072 ] || complain "path: '$memory' is not the memory"
	[ "$(dd if="$memory" bs=4096 skip=1 count=1 2>/dev/null | head -c 8)" = '!ISTHMS1' ] || complain "path: no roster"
	for arguments in 'qemu-args p' 'qemu-args nobody' 'path pong' 'path'; do
		# shellcheck disable=SC2086
		timeout 60 "$isthmus" $arguments >"$work/out" 2>&1 && complain "$arguments: status 0"
		expect_like out '^isthmus( path)?: (instance .p. is not of kind qemu|no instance .nobody. in .*; there are q, p|group pong is not open|one GROUP is needed)'
	done
	kill -TERM "$up"
	finish
	timeout 60 "$isthmus" qemu-args q >"$work/out" 2>&1 && complain "qemu-args without up: status 0"
	expect_like out "does \`isthmus up\` run"
	timeout 60 "$isthmus" path ping >"$work/out" 2>&1 && complain "path without up: status 0"
	expect_like out "group ping is not open"
}

t "QEMU gets its devices" qemu_starts
t "what QEMU is told, and the memory as a file" qemu_asks
finish_tests
