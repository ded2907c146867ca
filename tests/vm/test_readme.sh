#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The README's smallest application, typed in from there into an empty folder against an installed Isthmus.
set -u
BUILD=$(realpath "${BUILD:-build}")
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
export ISTHMUS_RUNTIME_DIR=${ISTHMUS_RUNTIME_DIR:-$work/run}
n=0 failed=0

result() { # name, status of what was tried
	n=$((n + 1))
	[ "$2" = 0 ] && echo "ok $n - $1" && return
	failed=1
	echo "not ok $n - $1"
	sed 's/^/# /' "$work/out"
}

# The block that follows "`NAME`:" in the README.
block() {
	awk -v name="\`$1\`:" '$0 == name { want = 1; next } want && /^```/ { if (on) exit; on = 1; next } on' \
		"$top/README.md"
}

echo 1..5
make -s -C "$top" BUILD="$BUILD" PREFIX="$work/usr" install >"$work/out" 2>&1
result "make install" $?
export PATH=$work/usr/bin:$PATH PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
mkdir "$work/empty" && cd "$work/empty" || exit 1
for f in hello.c straits.yaml; do
	block "$f" >"$f"
done
{ [ -s hello.c ] && [ -s straits.yaml ] && isthmus-cc -o hello.app hello.c &&
	isthmus-cc --host -o hello hello.c; } >"$work/out" 2>&1
result "both builds" $?

greeted() { # arguments of isthmus up
	timeout -k 5 30 isthmus up "$@" straits.yaml >"$work/out" 2>&1 &&
		grep -qx 'north | sent: the land bridge holds' "$work/out" &&
		grep -qx 'south | received: the land bridge holds' "$work/out"
}
if [ -w /dev/kvm ]; then
	greeted
	result "as app VMs" $?
else
	n=$((n + 1))
	echo "ok $n - as app VMs # SKIP no /dev/kvm"
fi
greeted --no-kvm
result "as processes" $?

# The shared library, found by pkg-config, serves the same program.
# shellcheck disable=SC2046 # words are meant
{ cc -o hello hello.c $(pkg-config --cflags --libs isthmus) && ldd hello | grep -q libisthmus.so.0; } \
	>"$work/out" 2>&1 && LD_LIBRARY_PATH=$work/usr/lib greeted --no-kvm
result "as processes with libisthmus.so" $?
exit $failed
