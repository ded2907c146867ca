#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_app.sh: the runtime of app VMs without any group: arguments, exit status, console, sleep, and every way to
# go wrong, each of which must end the VM with one line that names it.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUILD=${BUILD:-build}
apps=$BUILD/tests/vm
work=$(mktemp -d "${TMPDIR:-/tmp}/ist-app.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
count=0

# Runs an app image in a VM: $work/out, $work/err, $status.
vm() { # image argument...
	local image=$1
	shift
	timeout -k 5 60 "$BUILD/isthmus-vm" --name app --memory 16M --image "$apps/$image.app" -- "$@" \
		>"$work/out" 2>"$work/err" </dev/null
	status=$?
}

check() { # name, command...
	local name=$1
	shift
	count=$((count + 1))
	if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
		echo "ok $count - $name # SKIP no /dev/kvm"
	elif "$@" >"$work/why" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' "$work/why" "$work/out" "$work/err" 2>/dev/null
	fi
}

expect_status() {
	[ "$status" = "$1" ] || { echo "status $status, not $1" && return 1; }
}

arguments() {
	vm hello one 'two words' '' "$(printf '%0200d' 0)"
	printf '1: one\n2: two words\n3: \n4: %0200d\n' 0 | diff - "$work/out" && expect_status 5
}

no_arguments() {
	vm hello
	[ ! -s "$work/out" ] && [ ! -s "$work/err" ] && expect_status 1
}

formats() { # as the same program prints them as a process
	vm print
	"$apps/print" | diff - "$work/out" && expect_status 0
}

sleeps() {
	vm sleep 1 100
	expect_status 0 && grep -q '^slept 100 times 1 ms' "$work/out"
}

idle() { # asleep for three seconds: far from three seconds of CPU
	local user system
	TIMEFORMAT='%U %S'
	{ time vm sleep 3000; } 2>"$work/cpu"
	read -r user system <"$work/cpu"
	echo "user $user s, system $system s"
	expect_status 0 && awk "BEGIN { exit !($user + $system < 1) }"
}

fault() { # what to do wrong, pattern of the one line
	vm fault "$1"
	echo "about to: $1" | diff - "$work/out" && expect_status 126 &&
		[ "$(wc -l <"$work/err")" = 1 ] && grep -qE "app: .*$2" "$work/err"
}

aborts() {
	vm fault abort
	expect_status 134 && [ ! -s "$work/err" ]
}

check "arguments and exit status" arguments
check "no arguments" no_arguments
check "formats, as in a process" formats
check "sleep is never short" sleeps
check "sleep burns no CPU" idle
check "abort" aborts
while read -r what pattern; do
	check "fault: $what" fault "$what" "$pattern"
done <<'FAULTS'
null-read page fault at RIP 0x2[0-9a-f]*: read of 0x0 .*
null-jump page fault at RIP 0x0: execution of 0x0 .*
text-write page fault at RIP 0x2[0-9a-f]*: write to 0x2[0-9a-f]* .*
data-jump page fault at RIP 0x2[0-9a-f]*: execution of 0x2[0-9a-f]* .*
divide divide error at RIP 0x2
invalid invalid opcode at RIP 0x2
big-frame page fault at RIP 0x2[0-9a-f]*: write to 0x2[0-9a-f]* .*
recursion page fault at RIP 0x2[0-9a-f]*: write to 0x2[0-9a-f]* .*
interrupts-off general protection fault at RIP 0x2
halt general protection fault at RIP 0x2
port general protection fault at RIP 0x2
memory page fault at RIP 0x2[0-9a-f]*: write to 0x5000000000 .*
breakpoint at RIP 0x2
far-memory page fault at RIP 0x2[0-9a-f]*: read of 0xffff800000000000 .*
FAULTS
echo "1..$count"
