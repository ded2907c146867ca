#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# storm.sh: what a storm of doorbells takes from others' doorbells, without and with the limit; and what the limit
# takes from doorbells that are none. Ratios of neighbouring seconds: median, least, most (bench/app_storm.c).
#
#   bench/storm.sh [vm|process] [seconds]        who is stormed; after `make`
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
kind=${1:-vm} seconds=${2:-17}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export ISTHMUS_RUNTIME_DIR=$work/run

instance() { # kind name cpu phases
	case $1 in
	vm) echo "  - {name: $2, kind: app, image: $PWD/$BUILD/bench/storm.app, args: [$2, '$seconds', '$4'], memory: 16M, cpus: [$3], groups: [open, limited]}" ;;
	*) echo "  - {name: $2, kind: process, command: [$PWD/$BUILD/bench/storm, $2, '$seconds', '$4'], cpus: [$3], groups: [open, limited]}" ;;
	esac
}

run() { # instances on stdin
	{
		printf 'groups:\n'
		printf '  - {name: open, doorbells: 0, regions: [{name: main, size: 1M}]}\n'
		printf '  - {name: limited, regions: [{name: main, size: 1M}]}\ninstances:\n'
		cat
	} >"$work/storm.yml"
	"$BUILD/isthmus" up "$work/storm.yml" >"$work/out" 2>"$work/err" || {
		cat "$work/out" "$work/err" >&2
		exit 1
	}
}

ratios() { # what, expression in awk over the round's phases a, b, c
	sed -n 's/.*| round //p' "$work/out" | awk "{ a = \$1; b = \$2; c = \$3; print $2 }" | sort -n |
		awk -v what="$1" '{ r[NR] = $1 } END { printf "%-52s %.2f, from %.2f to %.2f in %d rounds\n", what, r[int((NR + 1) / 2)], r[1], r[NR], NR }'
}

{ instance "$kind" pong 0 3 && instance process ping 1 3 && instance process storm 1 3; } | run
ratios "round trips, a storm and no limit / no storm" 'b / a'
ratios "round trips, a storm and the limit / no storm" 'c / a'
{ instance "$kind" pong 0 2 && instance "$kind" ping 1 2; } | run
ratios "round trips, no storm, with the limit / without" 'b / a'
