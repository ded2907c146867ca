#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_verify.sh: all that can happen to a page and to a cell of three instances, with deaths at every step: nothing
# bad, and everything comes to an end. With a mistake, it must be found, and be the one that is expected.
. "$(dirname "$0")/model.sh"
names 3

search() { # depth, flags for spin...
	local depth=$1
	shift
	rm -f pan pan.* ./*.trail
	{ spin "$@" -a verify.pml && "${CC:-cc}" "$OPT" -w -DSAFETY -DNOREDUCE -o pan pan.c; } >out 2>&1 || return 1
	./pan "-m$depth" -w23 >out 2>&1
}

states() {
	sed -n 's/^ *\([0-9]*\) states, stored$/\1/p' out
}

# Nothing is wrong, nothing was left out, and no part of the model was never used.
holds() { # name, flags...
	local name=$1
	shift
	OPT=-O2 search 8000000 "$@"
	grep -q 'errors: 0$' out && ! grep -qE 'too small|not completed|out of memory|[Ww]arning' out &&
		[ "$(states)" -gt 1000000 ] && [ "$(grep -c 'verify.pml:[0-9]*, state' out)" = 1 ] && grep -q '"-end-"' out
	result $? "$name: safe, and every request completes; $(states) states" out
}

fails() { # name, what the failing assertion says, flags...
	local name=$1 assertion=$2
	shift 2
	OPT=-O0 search 2000000 "$@"
	grep -q 'errors: 1$' out && grep 'assertion violated' out | grep -qF "$assertion" && [ -s verify.pml.trail ]
	result $? "$name: a counter-example is found" out
}

permitted='((perm[a]==0)||((sharers&(1<<a))&&((perm[a]==1)||(owner==(a+1)))))'
pages() {
	holds "a page"
	fails "questions without an epoch" "$permitted" -DNO_EPOCH -DSAFETY_ALONE
	fails "installed after release" "$permitted" -DLATE_INSTALL -DSAFETY_ALONE
	fails "answered before the permission is dropped" "$permitted" -DACK_FIRST -DSAFETY_ALONE
	fails "reaped without a fence" "$permitted" -DNO_FENCE -DSAFETY_ALONE
	fails "no recovery" "((life[0]!=1)&&(life[0]!=3))&&((life[0]!=0)||(req[0]==0))" -DNO_RECOVERY
}

cells() {
	holds "a cell" -DCELLS
	fails "a stale answer accepted" "$permitted" -DSTALE_ACK -DSAFETY_ALONE
	fails "the roster looked at before the word" "$permitted" -DLOOK_FIRST -DSAFETY_ALONE
	fails "given up in its own transition" "$permitted" -DEVICT_BUSY -DSAFETY_ALONE
	fails "TAKE from those who share" "$permitted" -DCELLS -DTAKE_SHARED -DSAFETY_ALONE
	fails "an owner that claims to read what others take" "$permitted" -DCELLS -DREAD_OWN -DSAFETY_ALONE
}

# Two searches at a time, each in a folder of its own. What the second found is numbered after the first.
mkdir cells && cp ./*.pml cells || exit 1
(cd cells && cells && exit "$bad") >cells.tap &
pages
wait $! || bad=1
awk -v n="$count" '/^(not )?ok / { sub(/ok [0-9]+/, "ok " ++n) } { print }' cells.tap
count=$((count + $(grep -cE '^(not )?ok ' cells.tap)))
finish
