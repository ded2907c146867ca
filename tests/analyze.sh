#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# analyze.sh: clang-tidy, cppcheck and gcc's analyzer over the host's code. Status 1 when one of them has something
# to say, or is missing.
#
#   BUILD=build ONLY=hv/pci   only files whose path contains this
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
ONLY=${ONLY:-}
"${MAKE:-make}" --no-print-directory -s BUILD="$BUILD" "$BUILD"/{include/.made,generated/dsdt.inc,generated/run_state.inc,generated/bell_count.inc} || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

files() { # folders...
	find "$@" -name '*.c' 2>/dev/null | grep -F -- "$ONLY" | grep -v -e platform/bare -e '\.bpf\.c$' | sort
}

# The flags a file is compiled with: the Makefile's own.
flags() { # file
	"${MAKE:-make}" --no-print-directory -nB BUILD="$BUILD" "$BUILD/host/${1%.c}.o" 2>/dev/null |
		sed -n 's/.* && \(.*\) -c .*/\1/p' | tail -n 1 | cut -d' ' -f2-
}

tools() { # one file
	local flags out
	# gcc 12 takes whatever is stored at a computed index for lost; leaks are clang's, and the sanitizers'.
	eval "flags=($(flags "$1"))"
	out=$(gcc "${flags[@]}" -fanalyzer -Wno-analyzer-malloc-leak -MF /dev/null -c "$1" -o "$work/object" 2>&1) ||
		{ echo "$out" && bad=1; }
	out=$(clang-tidy --quiet "$1" -- "${flags[@]}" 2>/dev/null) || bad=1
	[ -z "$out" ] || echo "$out"
}

for tool in gcc clang-tidy cppcheck; do
	if ! command -v $tool >/dev/null; then
		echo "analyze: $tool is not installed" >&2
		bad=1
	fi
done
[ $bad = 0 ] || exit 1

mapfile -t sources < <(files ivshmem coherence hv guestlib)
for f in "${sources[@]}"; do
	echo "  ANALYZE $f"
	tools "$f"
done

echo "  CPPCHECK"
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	--suppress=missingIncludeSystem --suppress=unusedStructMember --suppress=checkersReport \
	-D__x86_64__ -D_GNU_SOURCE -I"$BUILD/include/ivshmem" -I"$BUILD/include/abi" -I"$BUILD/generated" -I"$BUILD/include/coherence" \
	-Iguestlib/include -Iguestlib/core "${sources[@]}" || bad=1
[ $bad = 0 ] && echo "analyze: nothing found in ${#sources[@]} files"
exit $bad
