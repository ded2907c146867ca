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
# shellcheck source=tests/tap.sh
. tests/tap.sh

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
