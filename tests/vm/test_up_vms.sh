#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_up_vms.sh: `isthmus up` from outside, with app VMs. Nothing is left. Prints TAP.
#
# shellcheck disable=SC2317,SC2016 # functions are called by name; $ is for the instances
set -u
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh
apps=$PWD/$BUILD/tests/vm

vm_hello() {
	config vms <<-END
		  - {name: left, kind: app, image: $apps/sleep.app, memory: 16M, groups: [ping], args: ['1']}
		  - {name: right, kind: app, image: $apps/sleep.app, memory: 16M, groups: [ping], args: ['1', '2']}
	END
	up "$work/vms.yml"
	expect_status 0
	expect_like out '^left  \| slept 1 '
	expect_like out '^right \| slept 2 '
	config status <<-END
		  - {name: a, kind: app, image: $apps/hello.app, memory: 16M, groups: [ping], args: [one, 'two three']}
	END
	up "$work/status.yml"
	expect_status 1
	expect out 'a | 2: two three'
	expect err 'isthmus: a: ended with status 3'
}

vm_bad_image() {
	echo 'this is no ELF file' >"$work/bad.app"
	config bad <<-END
		  - {name: first, kind: process, groups: [ping], command: [sleep, '1000']}
		  - {name: second, kind: app, image: bad.app, memory: 16M, groups: [ping]}
	END
	up "$work/bad.yml"
	expect_status 1
	expect_like out "^second \| isthmus-vm: second: .*bad.app"
	expect err 'isthmus: second: could not start: ended with status 125'
}

vm_fault() {
	config fault <<-END
		  - {name: a, kind: app, image: $apps/fault.app, memory: 16M, groups: [ping], args: [ud2]}
	END
	up "$work/fault.yml"
	expect_status 1
	expect_like err '^isthmus: a: ended with status [1-9]'
}

vm_pid() { pgrep -P "$up" -f -- "isthmus-vm --name $1 "; }
vm_running() { vm_pid "$1" >/dev/null; }

vm_interrupt() {
	config sleep <<-END
		  - {name: a, kind: app, image: $apps/sleep.app, memory: 16M, groups: [ping], args: ['1000000']}
		  - {name: b, kind: app, image: $apps/sleep.app, memory: 16M, groups: [ping], args: ['1000000']}
	END
	start "$work/sleep.yml"
	eventually vm_running a
	eventually vm_running b
	kill -INT "$up"
	finish
	expect_status 130
	[ ! -s "$work/err" ] || complain "stderr is not empty"
}

vm_killed() {
	start "$work/sleep.yml"
	eventually vm_running a
	kill -KILL "$(vm_pid a)"
	eventually printed err 'isthmus: a: killed by signal 9'
	kill -TERM "$up"
	finish
	expect_status 143
}

if [ ! -w /dev/kvm ]; then
	for vm in "two of them" "bad image" fault Ctrl-C SIGKILL; do skip "app VM: $vm" "no /dev/kvm"; done
else
	t "app VM: two of them" vm_hello
	t "app VM: bad image" vm_bad_image
	t "app VM: fault" vm_fault
	t "app VM: Ctrl-C" vm_interrupt
	t "app VM: SIGKILL" vm_killed
fi
finish_tests
