#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_storm.sh: a peer that rings another's doorbells without a pause: an app VM and a process take it within the
# group's limit, and no last ring is lost (tests/vm/app_storm.c). Prints TAP.
#
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

stormed() { # instance's keys
	cat >"$work/storm.yml" <<END
groups:
  - {name: open, doorbells: 0, regions: [{name: raw, size: 4K}]}
  - {name: limited, doorbells: 10000, regions: [{name: raw, size: 4K}]}
instances:
  - {name: stormed, $1, groups: [open, limited]}
  - {name: storm, kind: process, command: [$PWD/$BUILD/tests/vm/storm, storm], groups: [open, limited]}
END
	up "$work/storm.yml"
	expect_status 0
	expect_like out 'stormed \| limit: [0-9]+ in'
}

vm() {
	stormed "kind: app, image: $PWD/$BUILD/tests/vm/storm.app, args: [stormed], memory: 16M"
	expect_like out "doorbells of vector 2 in group 'limited' come faster than 10000 a second"
}
process() { stormed "kind: process, command: [$PWD/$BUILD/tests/vm/storm, stormed]"; }

if [ -w /dev/kvm ]; then
	t "an app VM is stormed" vm
else
	skip "an app VM is stormed" "no /dev/kvm"
fi
t "a process is stormed" process
finish_tests
