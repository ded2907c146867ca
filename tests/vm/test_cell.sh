#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_cell.sh: instances share cells, two (app_cell.c, app_policies.c) or four (app_litmus.c too), as app VMs and as
# processes. Prints TAP.
#
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh
image=$PWD/$BUILD/tests/vm/cell.app
rounds=20000

cells() { # options of up...
	config cells <<-END
		  - {name: left, kind: app, image: $image, args: [left, $rounds], memory: 16M, groups: [ping]}
		  - {name: right, kind: app, image: $image, args: [right, $rounds], memory: 16M, groups: [ping]}
	END
	up "$@" "$work/cells.yml"
	expect_status 0
	expect out "left  | sum $((2 * rounds)): $rounds and $rounds"
	expect out "right | sum $((2 * rounds)): $rounds and $rounds"
	expect out "left  | ball $((rounds / 5))"
	expect out "right | ball $((rounds / 5))"
	expect out "right | news $rounds"
	! grep -q bad "$work/out" || complain "$(grep -m 1 bad "$work/out")"
}

processes() { cells --no-kvm; }

# The contents in a region that is declared incoherent: written back and invalidated, though here it is coherent.
replicas() { # options of up...
	cat >"$work/replicas.yml" <<-END
		groups:
		  - name: ping
		    regions:
		      - {name: data, size: 64K}
		      - {name: pool, size: 64K, coherence: incoherent}
		instances:
		  - {name: left, kind: app, image: $image, args: [left, 4000, pool], memory: 16M, groups: [ping]}
		  - {name: right, kind: app, image: $image, args: [right, 4000, pool], memory: 16M, groups: [ping]}
	END
	up "$@" "$work/replicas.yml"
	expect_status 0
	expect out "left  | sum 8000: 4000 and 4000"
	expect out "right | sum 8000: 4000 and 4000"
	expect out "left  | ball 800"
	expect out "right | ball 800"
	! grep -q bad "$work/out" || complain "$(grep -m 1 bad "$work/out")"
}

replicas_of_processes() { replicas --no-kvm; }

policies() { # options of up...
	local policy side
	config policies <<-END
		  - {name: left, kind: app, image: $PWD/$BUILD/tests/vm/policies.app, args: [left, $rounds], memory: 16M, groups: [ping]}
		  - {name: right, kind: app, image: $PWD/$BUILD/tests/vm/policies.app, args: [right, $rounds], memory: 16M, groups: [ping]}
	END
	up "$@" "$work/policies.yml"
	expect_status 0
	for policy in delegated delegated-long write-shared adaptive; do
		for side in "left " right; do
			expect out "$side | $policy $((2 * rounds))"
		done
	done
	! grep -q bad "$work/out" || complain "$(grep -m 1 bad "$work/out")"
}

policies_of_processes() { policies --no-kvm; }

# Every order that a reader may not see: four policies, contents in the head and in slots.
litmus() { # instances rounds, options of up...
	local count=$1 rounds=$2 id
	shift 2
	{
		printf 'groups:\n  - name: ping\n    regions:\n      - {name: data, size: 1M}\n      - {name: meet, size: 4K}\ninstances:\n'
		for ((id = 0; id < count; id++)); do
			echo "  - {name: i$id, kind: app, image: $PWD/$BUILD/tests/vm/litmus.app, args: ['$id', '$count', '$rounds'], memory: 16M, groups: [ping]}"
		done
	} >"$work/litmus.yml"
	up "$@" "$work/litmus.yml"
	expect_status 0
	[ "$(grep -c "i0 | all orders are in order: $rounds rounds" "$work/out")" = 8 ] || complain "not all tests were made: $(cat "$work/out")"
	! grep -q bad "$work/out" || complain "$(grep -m 1 bad "$work/out")"
}

litmus_of_two() { litmus 2 "$((${ORDERS:-60} * 20))" "$@"; }
litmus_of_four() { litmus 4 "${ORDERS:-60}" "$@"; }
litmus_of_two_processes() { litmus_of_two --no-kvm; }
litmus_of_four_processes() { litmus_of_four --no-kvm; }

if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	t "cells between two app VMs" cells
	t "cells' policies between two app VMs" policies
	t "replicas between two app VMs" replicas
	t "litmus tests through cells of two app VMs" litmus_of_two
	t "litmus tests through cells of four app VMs" litmus_of_four
else
	skip "cells between two app VMs" "no /dev/kvm"
	skip "cells' policies between two app VMs" "no /dev/kvm"
	skip "replicas between two app VMs" "no /dev/kvm"
	skip "litmus tests through cells of two app VMs" "no /dev/kvm"
	skip "litmus tests through cells of four app VMs" "no /dev/kvm"
fi
t "cells between two processes" processes
t "cells' policies between two processes" policies_of_processes
t "replicas between two processes" replicas_of_processes
t "litmus tests through cells of two processes" litmus_of_two_processes
t "litmus tests through cells of four processes" litmus_of_four_processes
finish_tests
