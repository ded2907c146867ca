#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# overcommit.sh: runs bench/overcommit.yaml and sums up: round trips with the run-state page ÷ without, of
# neighbouring quarters of a second: median, least, most; and of the whole.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export ISTHMUS_RUNTIME_DIR=$work/run

"${BUILD:-build}/isthmus" up -v "${1:-bench/overcommit.yaml}" >"$work/out" 2>"$work/err" || {
	cat "$work/out" "$work/err" >&2
	exit 1
}
grep 'no run state' "$work/err" && exit 1
sed -n 's/.*quarters blind=\([0-9]*\) page=\([0-9]*\)$/\1 \2/p' "$work/out" >"$work/quarters"
awk '$1 > 0 { print $2 / $1 }' "$work/quarters" | sort -n | awk '
	{ ratio[NR] = $1 }
	END { printf "page / blind: %.2f, from %.2f to %.2f in %d pairs of quarters", ratio[int((NR + 1) / 2)], ratio[1], ratio[NR], NR }'
awk '{ blind += $1; page += $2 } END { printf "; of the whole %.2f (%d and %d round trips)\n", page / blind, page, blind }' "$work/quarters"
