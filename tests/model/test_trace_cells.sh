#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_trace_cells.sh: what the library does to a cell's word, of each policy, while its instances race, die at each
# step, stop and come back, is what the model does. A step that is not said, or a mistake in the library, is found.
. "$(dirname "$0")/trace.sh"

run() { # program, policy, size, seed, entries, mode...
	timeout 100 "$@" >log 2>said
}

for seed in $(seq "$RUNS"); do
	for kind in "migratory 8" "read-mostly 4096" "push 40" "write-shared 512" "delegated 1000" "adaptive 8"; do
		for mode in threads random planned alone; do
			# shellcheck disable=SC2086 # words are meant
			run "$tests/cell_run" $kind "$seed" "$([[ $mode == [pa]* ]] && echo 1000000 || echo 10000)" $mode 2 &&
				model_takes cell 0 log -DCELLS
			result $? "$kind, $mode, seed $seed: the model takes every step" "$([ -s said ] && echo said || echo out)"
			cp trace "steps.${kind// /-}.$mode"
			cp log "log.$mode"
		done
	done
done
has_steps 'steps.*' TAKE INSTALL DROP RELEASE DIE FENCE LOOK REAP JOIN
result $? "the traces have each step of cells" missing

# What the replay is worth. A step that somebody who lived on has not said:
for step in TAKE RELEASE INSTALL; do
	leave_out "$(number $step)" log.random >spoiled
	! cmp -s log.random spoiled && model_refuses cell 0 spoiled -DCELLS
	result $? "a $step that is not said is missed" out
done
# One who died may have kept one step to itself, and no more.
awk -v take="$(number TAKE)" -v release="$(number RELEASE)" -v die="$(number DIE)" '
	{ line[NR] = $0 }
	$6 == 1 && ($4 == take || $4 == release) { before[$2] = last[$2]; last[$2] = NR }
	$4 == die && before[$2] && !found { found = before[$2]; other = last[$2] }
	END { for (i = 1; i <= NR; i++) if (i != found && i != other) print line[i] }' log.random >spoiled
! cmp -s log.random spoiled && model_refuses cell 0 spoiled -DCELLS
result $? "two steps that a dead one has not said are missed" out
# A step that was over before the one before it began.
awk -v release="$(number RELEASE)" 'NR > 1000 && $4 == release && $6 == 1 && !found { found = 1; $1 = 1 } { print }' \
	log.random >spoiled
! cmp -s log.random spoiled && model_refuses cell 0 spoiled -DCELLS
result $? "a step that was said too early is found" out
# And libraries with a mistake.
# shellcheck disable=SC2046 # words are meant
mistake() { # name, source, sed script, mode
	local name=$1 source=$2 object
	object=${source%.c}.o
	changed "$source" "$3" -iquote "$root/guestlib/core" -iquote "$root/coherence" -I"$root/guestlib/include" \
		-I"$objects/include/abi" -I"$objects/include/coherence" 2>out &&
		"${CC:-cc}" -o mistaken "$objects/host/tests/model/cell_run.o" changed.o \
			$(find "$objects/traced/guestlib/core" "$objects/host/tests/core/platform" "$objects/host/coherence" \
				-maxdepth 1 -name '*.o' ! -path "*/$object") -pthread 2>out &&
		mistaken_refused cell 0 -DCELLS migratory 8 1 15000 "$4"
	result $? "$name: found, $(tail -n 2 out | head -n 1 | cut -c1-60)" out
}
mistake "released before it is published" guestlib/core/cell_write.c \
	'/^int ist_cell_end_held/,/^}/{s/publish\(cell\);/ist_cell_release(cell); &/;s/return ist_cell_release\(cell\)/return 0/}' random
mistake "an epoch that stands still" coherence/step.c '/^static int take\(/,/^}/{/next_epoch/d}' random
mistake "a dead one's epoch that stays" coherence/step.c '/^static int reap\(/,/^}/{/next_epoch/d}' planned
mistake "a step that is not said" guestlib/core/cell_take.c '/^static int swap\(/,/^}/{/COH_TRACE/d}' random
mistake "one that lives taken for dead" guestlib/core/cell_take.c 's/== IST_FATE_HERE/< 0/' random
mistake "taken from who holds it" coherence/step.c '/^static int take\(/,/^}/{s/if \(p->busy\)/if (0)/}' random
finish
