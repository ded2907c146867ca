#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A hostile peer beside a victim, as app VMs and as processes: see app_hostile.c.
set -u
BUILD=$(realpath "${BUILD:-build}")
MS=${MS:-3000}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
export ISTHMUS_RUNTIME_DIR=${ISTHMUS_RUNTIME_DIR:-$work/run}

cat >"$work/hostile.yaml" <<END
groups:
  - name: hostile
    regions:
      - {name: main, size: 256K}
      - {name: kept, size: 64K, access: ro}
instances:
  - {name: hostile, kind: app, image: $BUILD/tests/vm/hostile.app, args: [hostile, "$MS"], memory: 16M, groups: [hostile]}
  - {name: victim, kind: app, image: $BUILD/tests/vm/hostile.app, args: [victim, "$MS"], memory: 16M, groups: [hostile]}
END

n=0 failed=0
try() { # name, arguments of isthmus up...
	local name=$1
	shift
	n=$((n + 1))
	timeout -k 5 $((60 + MS / 1000)) "$BUILD/isthmus" up "$@" "$work/hostile.yaml" >"$work/out" 2>&1
	local status=$?
	sed 's/^/# /' "$work/out"
	# Both ended well, the hostile one did write, and the victim did work.
	if [ $status = 0 ] && grep -q '^hostile *| wrote [1-9]' "$work/out" &&
		grep -q '^victim *| [1-9][0-9]* rounds, [1-9][0-9]* opened, [1-9]' "$work/out"; then
		echo "ok $n - $name"
	else
		failed=1
		echo "not ok $n - $name: status $status"
	fi
}

echo 1..2
if [ -w /dev/kvm ]; then
	try "app VMs"
else
	n=1
	echo "ok 1 - app VMs # SKIP no /dev/kvm"
fi
try "processes" --no-kvm
exit $failed
