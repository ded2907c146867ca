# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# trace.sh: what the tests that replay traces of the implementation have in common; sourced by them.
# TRACE_RUNS=n in the environment makes each run n times, with other seeds.
. "$(dirname "${BASH_SOURCE[0]}")/model.sh"
names 3
# shellcheck disable=SC2034 # for who sources this
RUNS=${TRACE_RUNS:-1}
# shellcheck disable=SC2034
objects=$(cd "$root/$BUILD" 2>/dev/null || cd "$BUILD" && pwd)

# The trace of one unit, out of a log, through the model. What is said of it is in `out`.
replay() { # cell|page, unit, log, flags for spin...
	local kind=$1 unit=$2 log=$3
	shift 3
	"$tests/trace_order" "$kind" "$unit" <"$log" >trace 2>out
	timeout 300 spin "$@" -T replay.pml <trace 2>&1 | sed '/process created/d' >>out
}

model_takes() { # as replay
	replay "$@"
	cat out >>all-out
	grep -q '^in order' out && grep -q "^accepted: $(($(wc -l <trace) - 1)) steps" out
}

# It is none of the model's, or there is no order of steps that would explain it.
model_refuses() { # as replay
	replay "$@"
	grep -qE '^(rejected|no order): ' out
}

number() { # step
	sed -n "s/^#define $1 //p" names.pml
}

has_steps() { # trace files, steps...
	local files=$1 name
	shift
	for name; do
		# shellcheck disable=SC2086 # a pattern is meant
		cat $files | grep -q "^$(number "$name") " || echo "no $name"
	done >missing
	# and steps that had their effect when their process died, before it had said so
	grep -q '^in order, [1-9]' all-out || echo "nothing that was not said" >>missing
	[ ! -s missing ]
}

# A program with one source changed. It must differ, and compile.
changed() { # source, sed script, flags for the compiler...
	local source=$root/$1 script=$2
	shift 2
	sed -E "$script" "$source" >changed.c
	! cmp -s "$source" changed.c &&
		"${CC:-cc}" -std=gnu11 -O2 -D_GNU_SOURCE -DCOH_TRACING -fPIC "$@" -c changed.c -o changed.o
}

# The first word-changing step of this kind after which its life says two more of the same unit: leaves it out. What a life
# says last of a unit it may have kept to itself, had it died over it.
leave_out() { # step, log
	awk -v step="$1" '{ line[NR] = $0; of[NR] = $2 " " $3; said[NR] = $6 == 1; is[NR] = $4 == step && said[NR] }
		function went_on(i, more, j) {
			for (j = i + 1; j <= NR && more < 2; j++)
				more += said[j] && of[j] == of[i]
			return more == 2
		}
		END { for (i = 1; i <= NR; i++) if (is[i] && !done && i > NR / 2 && went_on(i)) done = i
		      else print line[i] }' "$2"
}

# A run of ./mistaken, whatever becomes of it, is refused: on a busy machine not always the first one.
mistaken_refused() { # kind, units, flags for spin, arguments of the program...
	local kind=$1 units=$2 flags=$3 unit
	shift 3
	for _ in 1 2 3; do
		TRACE_PATIENCE=500 timeout 100 ./mistaken "$@" >log 2>said
		for unit in $units; do
			# shellcheck disable=SC2086 # words are meant
			model_refuses "$kind" "$unit" log $flags && return
		done
	done
	return 1
}
