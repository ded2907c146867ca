#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# fuzz.sh: runs every fuzzer for SECONDS_EACH seconds on its corpus, and keeps the inputs that reach something new
# in tests/fuzz/corpus (which `make check` replays). An input that fails is left in $BUILD/fuzz and ends this with 1.
#
#   BUILD=build SECONDS_EACH=60 ONLY=config
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
SECONDS_EACH=${SECONDS_EACH:-60}
ONLY=${ONLY:-}

"${MAKE:-make}" --no-print-directory -j2 BUILD="$BUILD" fuzzers || exit 1
new=$(mktemp -d) || exit 1
trap 'rm -rf "$new"' EXIT
status=0
for source in tests/fuzz/fuzz_*"$ONLY"*.c; do
	name=$(basename "$source" .c)
	corpus=tests/fuzz/corpus/${name#fuzz_}
	fuzzer=("setarch" -R "$BUILD/fuzz/tests/fuzz/$name" -timeout=10 "-artifact_prefix=$BUILD/fuzz/$name-")
	mkdir -p "$corpus" "$new/$name"
	echo "$name: $SECONDS_EACH s from $(find "$corpus" -type f | wc -l) inputs"
	if ! "${fuzzer[@]}" -max_total_time="$SECONDS_EACH" "$new/$name" "$corpus" >"$new/log" 2>&1; then
		tail -n 60 "$new/log"
		echo "$name: failed; the input is in $BUILD/fuzz" >&2
		status=1
		continue
	fi
	tail -n 1 "$new/log"
	# Only what adds something to what is there.
	"${fuzzer[@]}" -merge=1 "$corpus" "$new/$name" >"$new/log" 2>&1 || { tail "$new/log" && status=1; }
	echo "$name: $(find "$corpus" -type f | wc -l) inputs now"
done
exit $status
