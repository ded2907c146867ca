# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# model.sh: what the tests of the protocol's model have in common; sourced by them. Prints TAP.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

BUILD=${BUILD:-build}
# shellcheck disable=SC2034 # for who sources this
root=$PWD
tests=$(cd "$BUILD" && pwd)/tests/model
work=$(mktemp -d "${TMPDIR:-/tmp}/model.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
count=0 bad=0

if ! command -v spin >/dev/null; then
	echo "1..0 # SKIP spin is not installed"
	exit 0
fi
if [ ! -x "$tests/coherence_table" ]; then
	echo "Bail out! $tests/coherence_table is not built"
	exit 1
fi

# spin leaves its files where it is called; the model finds the names there.
cp coherence/*.pml "$work"
cd "$work" || exit 1

names() { # peers
	"$tests/coherence_table" names "$1" >names.pml || exit 1
}

result() { # 0 when it holds, name, file to show when it does not
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		bad=1
		echo "not ok $count - $2"
		tail -n 40 "$3" | cut -c1-200 | sed 's/^/# /'
	fi
}

finish() {
	echo "1..$count"
	exit $bad
}
