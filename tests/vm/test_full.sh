#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_full.sh: a runtime directory on a file system that is full: `isthmus up` says so in one line, starts nothing and
# leaves nothing there; with room again it serves, and what is full then does not matter to it. Prints TAP.
#
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

FILES=9 # inodes of the file system, its root among them

if ! unshare -m true 2>"$work/why"; then
	skip "a full runtime directory" "no mount namespace: $(cat "$work/why")"
	finish_tests
fi
if [ "${IN_NAMESPACE:-}" != 1 ]; then
	rm -rf "$work"
	IN_NAMESPACE=1 exec unshare -m "$0"
fi

mkdir "$work/disk"
mount -t tmpfs -o "size=64k,nr_inodes=$FILES" none "$work/disk" || exit 1
export ISTHMUS_RUNTIME_DIR=$work/disk/run
trap 'umount "$work/disk"; rm -rf "$work"' EXIT

config one <<END
  - {name: a, kind: process, command: [sleep, '100'], groups: [ping]}
END

used() { find "$work/disk" -mindepth 1 | wc -l; }

# With room for n files more, from none to one less than it takes.
full() {
	local room fill
	for room in $(seq 0 $((takes - 1))); do
		for fill in $(seq 1 $((FILES - 1 - room))); do : >"$work/disk/fill$fill"; done
		up "$work/one.yml"
		expect_status 1
		grep -qF 'No space left on device' "$work/err" || complain "room for $room: it did not say why"
		[ "$(wc -l <"$work/err")" = 1 ] || complain "room for $room: more than one line"
		rm "$work/disk"/fill*
		[ "$(used)" = 0 ] || complain "room for $room: left: $(find "$work/disk" -mindepth 1)"
	done
}

# Full after it has begun: what serves goes on, and ends in good order.
full_later() {
	start "$work/one.yml"
	eventually [ -S "$ISTHMUS_RUNTIME_DIR/ping.sock" ]
	eventually "$isthmus" status >"$work/seen" 2>&1
	takes=$(used)
	echo "# it takes $takes files"
	while : >"$work/disk/fill$(used)"; do :; done 2>"$work/why"
	grep -q 'No space left' "$work/why" || complain "the disk is not full"
	"$isthmus" status >"$work/seen" 2>&1 || complain "no status: $(cat "$work/seen")"
	"$isthmus" down >"$work/seen" 2>&1 || complain "no end: $(cat "$work/seen")"
	finish
	expect_status 0
	rm "$work/disk"/fill*
	[ "$(used)" = 0 ] || complain "left: $(find "$work/disk" -mindepth 1)"
}

takes=0
t "the disk is full while it serves" full_later
t "the disk is full when it begins" full
[ "$takes" -ge 3 ] || bad=1
finish_tests
