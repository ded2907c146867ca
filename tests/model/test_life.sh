#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_life.sh: all that can happen to an ID that processes use one after the other, and to who watches: nothing bad,
# and at the end everybody has seen what is. With a mistake, it must be found, and be the one that is expected.
. "$(dirname "$0")/model.sh"
cp "$root/ivshmem/life.pml" .

search() { # flags for spin...
	rm -f pan pan.* ./*.trail
	{ spin "$@" -a life.pml && "${CC:-cc}" "$OPT" -w -DSAFETY -DCOLLAPSE -o pan pan.c; } >out 2>&1 || return 1
	./pan -m200000 -w20 >out 2>&1
}

states() {
	sed -n 's/^ *\([0-9]*\) states, stored$/\1/p' out
}

# Nothing is wrong, nothing was left out, and no step of the peers was never taken.
holds() { # name, more states than this, flags...
	local name=$1 least=$2
	shift 2
	OPT=-O2 search "$@"
	grep -q 'errors: 0$' out && ! grep -qE 'too small|not completed|out of memory|[Ww]arning' out &&
		[ "$(states)" -gt "$least" ] && grep -A1 'unreached in proctype process' out | grep -q '(0 of' &&
		grep -A2 'unreached in proctype observer' out | grep -q '(1 of' # its end: it watches for ever
	result $? "$name: $(states) states" out
}

fails() { # name, what the failing assertion begins with, flags...
	local name=$1 assertion=$2
	shift 2
	OPT=-O0 search -DOBSERVERS=1 "$@"
	grep -q 'errors: 1$' out && grep -F "assertion violated ($assertion" out >/dev/null && [ -s life.pml.trail ]
	result $? "$name: a counter-example is found" out
}

holds "two lives, one who joins meanwhile and watches" 500000 -DOBSERVERS=1
holds "one life, and the broker is killed and followed by another" 50000 -DOBSERVERS=1 -DRESTART -DLIVES=1
[ -z "${SOAK:-}" ] ||
	holds "two lives, and the broker is killed and followed by another" 5000000 -DOBSERVERS=1 -DRESTART

dead='( !(mapped[n])'
turn='(knows[i]==0)'
reach='closed[has_bell[i]]'
sent='((((roster_state!=2)||'
rest=' !(1)||(((live[0]&&'
fails "a death is reported before the fence" "$dead" -DREPORT_EARLY
fails "an ID is used again before its end" "$dead" -DREUSE_EARLY
fails "vector 0 before the roster" "$rest" -DBELL_FIRST
fails "an end that nobody is rung for" "$rest" -DNO_RING
fails "who becomes live is not rung itself" "$rest" -DNOT_ITSELF
fails "what a full socket does not take is forgotten" "$rest" -DFORGET_FULL
fails "doorbells that stay with the ID" "$reach" -DSAME_BELLS
fails "PEER before GONE" "$turn" -DPEER_FIRST
fails "an ID that keeps its incarnation" "$turn" -DSAME_INCARNATION
fails "LIVE before PEER" "$sent" -DLIVE_FIRST
back='roster_incarnation>='
fails "the roster before the state file" "$back" -DRESTART -DROSTER_FIRST
fails "whoever has the pid is taken for the process" '(holder==0)||' -DRESTART -DTRUST_PID
if [ -n "${SOAK:-}" ]; then
	fails "incarnations that begin anew" "$back" -DRESTART -DFORGET_INCARNATION
	fails "what is known is not asked for" ' !(whole)||(((live[0]&&' -DRESTART -DTELL_ANEW
fi
finish
