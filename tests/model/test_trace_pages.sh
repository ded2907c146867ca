#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_trace_pages.sh: what the pagers of three VMs do to the words of pages, over real userfaultfd, while they race, die
# at each step, stop and come back, is what the model does. A step that is not said, or a mistake, is found.
. "$(dirname "$0")/trace.sh"
pager=coherence/pager

run() { # program, seed, entries, mode...
	timeout 100 "$@" >log 2>said
}

for seed in $(seq "$RUNS"); do
	for mode in random planned; do
		# shellcheck disable=SC2086 # words are meant
		run "$tests/page_run" "$seed" "$([ $mode = planned ] && echo 1000000 || echo 20000)" $mode
		status=$?
		for page in 0 1; do
			[ $status = 0 ] && model_takes page $page log
			result $? "page $page, $mode, seed $seed: the model takes every step" "$([ $status = 0 ] && echo out || echo said)"
			cp trace "steps.$page.$mode"
		done
		cp log "log.$mode"
	done
done
has_steps 'steps.*' CLAIM_S CLAIM_X ASK SET_S SET_X INSTALL RELEASE HEAR_INV HEAR_DOWN DROP REDUCE ACK_INV ACK_DOWN \
	EVICT DIE FENCE LOOK REAP JOIN
result $? "the traces have each step of pages" missing

for step in CLAIM_X HEAR_INV REDUCE SET_S RELEASE; do
	leave_out "$(number $step)" log.random >spoiled
	! cmp -s log.random spoiled && { model_refuses page 0 spoiled || model_refuses page 1 spoiled; }
	result $? "a $step that is not said is missed" out
done

# shellcheck disable=SC2046 # words are meant
mistake() { # name, source, sed script
	changed "$2" "$3" -iquote "$root/$pager" -iquote "$root/coherence" -I"$objects/include/ivshmem" \
		-I"$objects/include/coherence" -I"$objects/include/abi" 2>out &&
		"${CC:-cc}" -o mistaken "$objects/host/tests/model/page_run.o" changed.o \
			$(find "$objects/traced/$pager" -name '*.o' ! -path "*/${2%.c}.o") -Wl,--start-group \
			"$objects/libvm.a" "$objects/libivshmem.a" -Wl,--end-group -lcyaml -lyaml -lnuma -pthread 2>out &&
		mistaken_refused page "0 1" '' 1 6000 random
	result $? "$1: found, $(tail -n 2 out | head -n 1 | cut -c1-60)" out
}
mistake "answered before the permission is dropped" "$pager/answer.c" \
	's/(put_off\(.*\)) \|\| (give_up\(.*\) != 0\))$/\1 || STEP(paged, index, left ? COH_ACK_DOWN : COH_ACK_INV, epoch, \&result) != 0 || \2/
	/internal.h/a #define STEP coh_directory_step'
mistake "installed after release" "$pager/request.c" \
	'/^static void finish/,/^}/{s/^\tif \(install\(/\tSTEP(paged, index, COH_RELEASE, page->epoch, \&result);\n&/}
	/internal.h/a #define STEP coh_directory_step'
mistake "reaped without a fence" "$pager/reap.c" 's/return IST_PEER_STATE\(word\) == IST_PEER_DEAD/return 1 || word/'
mistake "an epoch that stands still" coherence/step.c '/^static int claim\(/,/^}/{/next_epoch/d}'
mistake "a reader that is left out" coherence/step.c 's/(p->sharers) \|= (coh_bit\(event->peer\))/\1 = \2/'
finish
