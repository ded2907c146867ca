#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_table.sh: word.pml and step.c make the same of every word and event. A difference must be found.
. "$(dirname "$0")/model.sh"

table() { # peers, file
	names "$1"
	spin -T table.pml | grep -- '->' >"$2"
}

for peers in 1 2 3; do
	table $peers model
	"$tests/coherence_table" steps $peers >code
	# 14 steps, 4 states, peers + 2 busy and owners, 2^(peers + 1) sets, peers, 2 epochs
	lines=$((14 * 4 * (peers + 2) * (peers + 2) * (2 << peers) * peers * 2))
	diff model code >differences && [ "$(wc -l <code)" = $lines ]
	result $? "the model's table of $peers peers is the code's: $lines lines" differences
done

# The contract calls the steps as the code does.
sed -n 's/^#define \([A-Z_]*\) \([0-9]*\)$/\2 \1/p' names.pml | sed '/ PEERS$/d; / STEP_LAST$/,$d' | while read -r step; do
	grep -qE "\| .*\b$step\b" "$root/docs/protocol.md" || echo "docs/protocol.md has no step $step"
done >missing
steps=$(grep -cE '^#define [A-Z_]* [0-9]+$' names.pml)
[ "$steps" -gt 25 ] && [ ! -s missing ]
result $? "docs/protocol.md has every step by number and name" missing

# What the comparison is worth: each of these is another machine.
differs() { # name, what to change in the model
	cp word.pml kept
	sed -i "$2" word.pml
	table 3 other
	! cmp -s kept word.pml && [ -s other ] && ! cmp -s other code
	result $? "$1 is another table" word.pml
	cp kept word.pml
}
names 3
"$tests/coherence_table" steps 3 >code
differs "an answer of an old epoch" 's/(!same || (busy == 0/(0 || (busy == 0/'
differs "an answer that nobody asks for" 's/busy == 0 && type != EVICT/0/'
differs "a claim that does not change the epoch" 's/busy = i + 1; bump = 1; ask/busy = i + 1; bump = 0; ask/'
differs "a claim that asks too few" 's/type == CLAIM_S && state != MODIFIED -> ask = 0/type == CLAIM_S -> ask = 0/'
differs "a reader that is left out" 's/state = SHARED; sharers = sharers | BIT(i)/state = SHARED; sharers = BIT(i)/'
finish
