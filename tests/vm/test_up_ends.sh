#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_up_ends.sh: how `isthmus up` ends: with its instances, by signals, and killed; who takes over then; and that
# nothing is left. Prints TAP.
#
# shellcheck disable=SC2317,SC2016 # functions are called by name; $ is for the instances
set -u
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

statuses() {
	config statuses <<-'END'
		  - {name: good, kind: process, groups: [ping], command: ['true']}
		  - {name: three, kind: process, groups: [ping], command: [sh, -c, 'exit 3']}
		  - {name: killed, kind: process, groups: [ping], command: [sh, -c, 'kill -KILL $$']}
	END
	up "$work/statuses.yml"
	expect_status 1
	expect err 'isthmus: three: ended with status 3'
	expect err 'isthmus: killed: killed by signal 9'
	[ "$(wc -l <"$work/err")" = 2 ] || complain "stderr has not two lines"
}

kill_one() { # the others go on
	config pair <<-END
		  - {name: victim, kind: process, groups: [ping], command: [sh, -c, 'echo pid \$\$; exec sleep 1000']}
		  - {name: other, kind: process, groups: [ping], command: [sh, -c,
		     'while ! [ -e "$work/go" ]; do sleep 0.05; done; echo went on']}
	END
	rm -f "$work/go"
	start "$work/pair.yml"
	eventually printed out 'victim | pid'
	kill -KILL "$(sed -n 's/^victim | pid //p' "$work/out")"
	eventually printed err 'victim: killed by signal 9'
	touch "$work/go"
	finish
	expect_status 1
	expect out 'other  | went on'
}

signalled() { # signal, status, instances on stdin
	config signalled
	start "$work/signalled.yml"
	eventually printed out 'a | ready'
	kill "-$1" "$up"
	finish
	expect_status "$2"
	[ ! -s "$work/err" ] || complain "stderr is not empty"
}
interrupt() { signalled INT 130 <<<"$two"; }
terminate() { signalled TERM 143 <<<"$two"; }
hangup() { signalled HUP 129 <<<"$two"; }
last_words() {
	signalled INT 130 <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c,
		     'trap "echo bye; printf and; exit" TERM; echo ready; while :; do sleep 0.05; done']}
	END
	expect out 'a | bye'
	expect out 'a | and'
}
stubborn() {
	signalled INT 130 <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c,
		     'trap "" TERM; echo ready; while :; do sleep 0.05; done']}
	END
}
stopped() {
	signalled INT 130 <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'echo ready; kill -STOP $$']}
	END
}

second_interrupt() {
	config stubborn <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c,
		     'trap "echo told" TERM; echo ready; while :; do sleep 0.05; done']}
	END
	start "$work/stubborn.yml"
	eventually printed out 'a | ready'
	kill -INT "$up"
	eventually printed out 'a | told'
	kill -INT "$up"
	finish
	expect_status 130
}

grandchildren() { # what an instance leaves in its process group ends with it
	config grand <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'sleep 1000 & echo ready']}
	END
	up "$work/grand.yml"
	expect_status 0
	expect out 'a | ready'
}

own_group() { # a terminal's Ctrl-C reaches isthmus alone
	config groups <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'ps -o pgid= -p $$; echo $$']}
	END
	up "$work/groups.yml"
	[ "$(sed 's/^a | *//' "$work/out" | uniq | wc -l)" = 1 ] || complain "not a process group of its own"
}

killed_hard() { # isthmus itself: its instances go on, but for who is in no group; the next one has them
	local pid
	config hard <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'echo first; read x <go; seq 3; exec sleep 1000']}
	END
	rm -f "$work/go"
	mkfifo "$work/go"
	cd "$work" || return
	start "$work/hard.yml"
	eventually test -e "$work/run/ping.sock"
	eventually printed out 'a | first'
	pid=$(pgrep -P "$up" sh)
	kill -KILL "$up"
	wait "$up" 2>/dev/null
	[ -e "$work/run/ping.sock" ] || complain "there is no stale socket to try"
	up "$work/hard.yml"
	expect_status 1
	expect err "isthmus: group 'ping': a broker that was killed has left 'a' running (pid $pid): --attach takes it over"
	echo >"$work/go" # what it prints now nobody reads, yet
	eventually is_named "$pid" sleep
	sed 's/64K/128K/' "$work/hard.yml" >"$work/other.yml"
	up --attach "$work/other.yml"
	expect_status 1
	expect err "isthmus: group 'ping' runs with another configuration: size of region 'data' was 65536 and is 131072"
	start --attach "$work/hard.yml"
	eventually printed out 'a | 3'
	printf 'a | %s\n' 1 2 3 | cmp - "$work/out" || complain "not what it printed meanwhile"
	kill -TERM "$up"
	finish
	expect_status 143
	ended "$pid" || complain "it was not ended"
	start --attach "$work/hard.yml" # there is nothing to attach to
	eventually printed out 'a | first'
	kill -INT "$up"
	finish
	expect_status 130
	cd "$OLDPWD" || return
	rmdir "$work/run" # the second one did not make it
}
is_named() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }

ended_meanwhile() { # while no isthmus is there
	config meanwhile <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sleep, '1000']}
		  - {name: b, kind: process, groups: [ping], command: [sleep, '1001']}
	END
	start "$work/meanwhile.yml"
	eventually has_children 2
	set -- $(pgrep -P "$up" sleep)
	kill -KILL "$up"
	wait "$up" 2>/dev/null
	kill -KILL "$1"
	eventually ended "$1"
	start --attach "$work/meanwhile.yml"
	eventually printed err 'ended while nobody was there to see how'
	"$isthmus" status --json | jq -e '[.ups[0].instances[] | .state, .status, .signal] | sort == [null, null, null, null, "ended", "running"]' \
		>/dev/null || complain "status does not say so"
	[ -e "/proc/$2" ] || complain "the other one was ended"
	kill -INT "$up"
	finish
	expect_status 130
	ended "$2" || complain "the other one was not ended"
	rmdir "$work/run"
}
has_children() { [ "$(pgrep -c -P "$up" sleep)" -eq "$1" ]; }

t "exit statuses" statuses
t "an instance killed; the others go on" kill_one
t "Ctrl-C" interrupt
t "SIGTERM" terminate
t "SIGHUP" hangup
t "last words after Ctrl-C" last_words
t "an instance that ignores SIGTERM" stubborn
t "an instance that is stopped" stopped
t "a second Ctrl-C" second_interrupt
t "what an instance left behind" grandchildren
t "instances are process groups of their own" own_group
t "SIGKILL of isthmus, and another one that takes over" killed_hard
t "an instance that ends while no isthmus is there" ended_meanwhile
finish_tests
