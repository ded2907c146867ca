#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_replay.sh: what instances that race, die and come back have done with coh_step() is what the model does; a trace
# that was spoiled, or is of a run with a mistake, is none of the model's.
. "$(dirname "$0")/model.sh"
names 3
STEPS=4000

replay() { # trace, flags for spin...
	local trace=$1
	shift
	timeout 100 spin "$@" -T replay.pml <"$trace" >out 2>&1
}

accepted() { # kind, seed, flags...
	local kind=$1 seed=$2
	shift 2
	timeout 100 "$tests/coherence_run" "$kind" "$seed" $STEPS >"$kind.$seed" && replay "$kind.$seed" "$@" &&
		grep -q "^accepted: $(($(wc -l <"$kind.$seed") - 1)) steps" out
	result $? "a $kind, seed $seed: the model takes every step" out
}

for seed in 1 2 3 4; do
	accepted page $seed
	accepted cell $seed -DCELLS
done

# The traces have something to say: questions, answers, deaths, survivors, content lost.
for name in ASK ACK_INV ACK_DOWN EVICT TAKE DIE FENCE LOOK REAP JOIN; do
	number=$(sed -n "s/^#define $name //p" names.pml)
	grep -q "^$number " page.* cell.* || echo "$name"
done >missing
[ ! -s missing ]
result $? "the traces have each kind of step" missing

rejected() { # name, line at which
	replay spoiled
	grep -q "^rejected: line $2," out
	result $? "$1 is rejected" out
}

awk '!done && $1 <= 2 { done = NR; next } { print } END { print done >"where" }' page.1 >spoiled
rejected "a claim left out" "$(cat where)"
# the epoch jumps; an unknown step; a peer beyond the group; a word that is another
sed '1000s/[01]$/7/' page.1 >spoiled && rejected "an epoch that jumps" 1000
sed '1000s/^[0-9]*/99/' page.1 >spoiled && rejected "a step that is none" 1000
sed '1000s/^\([0-9]*\) [0-9]/\1 3/' page.1 >spoiled && rejected "a peer beyond the group" 1000
awk 'NR == 1000 { $10 = 7 - $10 } { print }' page.1 >spoiled && rejected "another word" 1000
# The first permission that is installed, once more at the end of its transition.
awk '{ print } $1 == 7 && !done { $1 = 6; $11 = 0; $3 = $7; $4 = $8; $5 = $9; $6 = $10; print; done = NR + 1 }
	END { print done >"where" }' page.1 >spoiled
rejected "a permission installed after release" "$(cat where)"

mistake() { # name, seeds to try
	local seed
	for seed in $(seq "$2"); do
		timeout 100 "$tests/coherence_run" page "$seed" $STEPS "$1" >spoiled && replay spoiled
		grep -q '^rejected: ' out && break
	done
	grep -q '^rejected: ' out
	result $? "a run with the mistake $1 is rejected" out
}
mistake late-install 1
mistake ack-first 1
mistake reap-blind 20 # it takes a new incarnation at the wrong moment
finish
