#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_running.sh: the run-state page from end to end: an instance sees another stopped (SIGSTOP) and going on
# (SIGCONT), as app VMs and as processes; a group without a page says that nothing is known. Prints TAP.
#
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

write_config() { # run_state
	cat >"$work/running.yml" <<END
groups:
  - name: ping
    run_state: $1
    max_peers: 4
    regions: [{name: main, size: 256K}]
instances:
  - {name: watcher, kind: app, image: $PWD/$BUILD/tests/vm/running.app, args: [watch], memory: 16M, groups: [ping]}
  - {name: spinner, kind: app, image: $PWD/$BUILD/tests/vm/running.app, args: [spin], memory: 16M, groups: [ping]}
END
}

pid_of_spinner() {
	local f
	for f in $(ours); do
		tr '\0' ' ' <"/proc/$f/cmdline" 2>/dev/null | grep -qE -- "(--name spinner|running spin)" && spinner=$f
	done
	[ -n "${spinner:-}" ]
}

count() { grep -cxF "watcher | spinner: $1" "$work/out"; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }
last_is() { [ "$(grep "^watcher | spinner" "$work/out" | tail -n 1)" = "watcher | spinner: $1" ]; }

# Stopped, the word becomes 0 and stays so; going on, it becomes 1; a hundred looks lie between.
stops_and_goes() { # arguments of isthmus up...
	local i ups
	spinner=
	write_config true
	start -v "$@" "$work/running.yml"
	eventually at_least 1 1
	eventually pid_of_spinner || return
	for i in 1 2 3; do
		kill -STOP "$spinner"
		eventually last_is 0
		ups=$(count 1)
		sleep 0.1
		[ "$(count 1)" = "$ups" ] || complain "$i: ran while it was stopped"
		kill -CONT "$spinner"
		eventually at_least 1 $((ups + 1))
	done
	kill -TERM "$up"
	finish
	expect_status 143
	expect out 'watcher | nobody: -61, beyond: -22'
}

# The broker dies: what it knew is not believed for ever.
broker_dies() {
	local vm
	spinner=
	write_config true
	start -v "$work/running.yml"
	eventually at_least 1 1
	eventually pid_of_spinner || return
	kill -KILL "$up"
	wait "$up"
	# Nobody takes what the watcher prints any more; its page is what it was made of.
	for vm in $(ours); do
		eventually no_map_of "$vm"
		kill -KILL "$vm"
	done
	eventually nothing_runs
	rm -rf "$work/run"
}

no_map_of() { ! grep -qs 'anon_inode:bpf-map' "/proc/$1/maps"; }

without() {
	write_config false
	start "$work/running.yml"
	eventually printed out 'watcher | spinner: -61'
	kill -TERM "$up"
	finish
	expect_status 143
	[ "$(grep -c spinner: "$work/out")" = 1 ] || complain "something is known"
}

why_none() { grep -a '^isthmus: .*no run state' "$work/err"; }

# Does this machine have it?
write_config true
start -v "$work/running.yml"
eventually printed err 'served at'
why=$(why_none)
kill -TERM "$up"
finish
rm -rf "$work/run"

if [ ! -w /dev/kvm ]; then
	skip "app VMs" "no /dev/kvm"
	skip "the broker is killed" "no /dev/kvm"
elif [ -n "$why" ]; then
	skip "app VMs" "$why"
	skip "the broker is killed" "$why"
else
	t "an app VM sees another stopped and going on" stops_and_goes
	t "the broker is killed" broker_dies
fi
if [ -n "$why" ]; then
	skip "processes" "$why"
else
	processes() { stops_and_goes --no-kvm; }
	t "a process sees another stopped and going on" processes
fi
[ ! -w /dev/kvm ] || t "run_state: false" without
finish_tests
