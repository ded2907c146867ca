#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_status.sh: `isthmus status`, `stop`, `start` and `down` from outside: what they show and do, and of which `up`.
# Prints TAP.
#
# shellcheck disable=SC2317,SC2016 # functions are called by name; $ is for the instances
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh
member=$PWD/$BUILD/tests/vm/running # joins, and says so

if ! command -v jq >/dev/null; then
	echo "1..0 # SKIP jq is not installed"
	exit 0
fi

ask() { # arguments: what it says is in $work/seen and $work/said
	timeout -k 5 60 "$isthmus" "$@" >"$work/seen" 2>"$work/said" </dev/null
	status=$?
}

# What `status --json` has, by a jq filter.
shows() { # filter
	timeout 60 "$isthmus" status --json 2>/dev/null </dev/null | jq -e "$1" >"$work/json" 2>&1
}

said() { # exact
	[ "$(cat "$work/said")" = "$1" ] || complain "it said '$(cat "$work/said")', not '$1'"
}

pair() { # file, group, first, second: two members that spin
	cat >"$work/$1.yml" <<-END
		groups:
		  - name: $2
		    run_state: false
		    max_peers: 4
		    regions: [{name: main, size: 256K}, {name: table, size: 64K, access: ro, rights: [{instance: $4, access: none}]}]
		instances:
		  - {name: $3, kind: process, command: [$member, spin], groups: [$2]}
		  - {name: $4, kind: process, command: [$member, spin], groups: [$2]}
	END
}

down() {
	ask down "$@"
	expect_status 0
	[ ! -s "$work/said" ] || complain "down said: $(cat "$work/said")"
	finish
	expect_status 0
}

peer='.ups[0].groups[0].peers[]'
instance='.ups[0].instances[]'

nothing() {
	ask status
	expect_status 0
	grep -qxF "nothing is up in $work/run" "$work/seen" || complain "seen: $(cat "$work/seen")"
	ask status --json
	expect_status 0
	[ "$(cat "$work/seen")" = '{"ups": []}' ] || complain "seen: $(cat "$work/seen")"
	ask status ping
	expect_status 1
	said "isthmus: no group or file 'ping' is up in $work/run; does \`isthmus up\` run?"
	ask stop a
	expect_status 1
	said "isthmus: no instance 'a' in $work/run; does \`isthmus up\` run?"
	ask down
	expect_status 1
	said "isthmus: nothing is up in $work/run"
	for command in stop start; do
		ask "$command"
		expect_status 2
		ask "$command" a b c
		expect_status 2
	done
	ask down a b
	expect_status 2
}

# What goes through a channel is the one's sent and the other's received, and more the next time.
messages() {
	local first
	cat >"$work/pair.yml" <<-END
		groups:
		  - {name: ping, run_state: false, regions: [{name: main, size: 256K}, {name: raw, size: 64K}]}
		instances:
		  - {name: a, kind: process, command: [$PWD/$BUILD/tests/vm/exchange, source], groups: [ping]}
		  - {name: b, kind: process, command: [$PWD/$BUILD/tests/vm/exchange, sink], groups: [ping]}
	END
	start "$work/pair.yml"
	eventually shows "[$peer | .messages.received // 0] | .[0] == 0 and .[1] > 0"
	shows "[$peer | .messages] | .[0].sent == .[1].received and .[0].received == 0 and .[1].sent == 0" ||
		complain "another has other messages: $(cat "$work/json")"
	first=$("$isthmus" status --json | jq "$peer | select(.name == \"b\").messages.received")
	eventually shows "$peer | select(.name == \"b\") | .messages.received > $first"
	# By the broker at least. Where this kernel lets nobody count, nobody knows.
	"$BUILD/tests/unit/test_bell_count" >"$work/seen"
	case $? in
	0) shows "[$peer | .doorbells > 0] == [true, true]" || complain "not counted: $(cat "$work/json")" ;;
	77) shows "[$peer | .doorbells] == [null, null]" || complain "counted: $(cat "$work/json")" ;;
	*) complain "test_bell_count: $(cat "$work/seen")" ;;
	esac
	ask stop a
	shows "$peer | select(.name == \"a\") | .messages == null" || complain "who is not there has messages"
	down
}

shown() {
	pair pair ping a b
	start "$work/pair.yml"
	eventually shows "[$peer | select(.state == \"live\")] | length == 2"
	shows ".ups | length == 1" || complain "more than one"
	shows ".ups[0].file == \"$work/pair.yml\" and .ups[0].pid == $up" || complain "file, pid: $(cat "$work/json")"
	shows ".ups[0].groups[0] | .name == \"ping\" and .socket == \"$work/run/ping.sock\" and .size == 524288 and
		.max_peers == 4 and .vectors == 4 and (.regions | map(.name)) == [\"main\", \"table\"] and
		.regions[1].offset == .regions[0].offset + 262144" || complain "the group"
	shows "$peer | select(.name == \"b\") | .id == 1 and .incarnation == 1 and .enforced == false and
		.kind == \"process\" and .rights == {\"main\": \"rw\", \"table\": \"none\"} and (.since | fromdate) <= now" ||
		complain "peer b"
	pid=$("$isthmus" status --json | jq "$peer | select(.name == \"b\").pid")
	[ "$(tr '\0' ' ' <"/proc/$pid/cmdline")" = "$member spin " ] || complain "pid $pid is not b's"
	shows "$instance | select(.name == \"b\") | .pid == $pid and .state == \"running\" and .stalled == false" ||
		complain "instance b"
	ask status
	expect_status 0
	grep -qE "^$work/pair.yml, pid $up, up [0-9]+s$" "$work/seen" || complain "no head"
	grep -qE "^a +process  running  [0-9]+ +[0-9]+s$" "$work/seen" || complain "no instance a"
	grep -qE '^group ping: 512K, 2 of at most 4 peers, no run state$' "$work/seen" || complain "no group"
	grep -qE "^  1 +b +live +1 +$pid +[0-9]+s +0 +0 +- +asked +main rw, table none$" "$work/seen" || complain "no peer b"
	down
}

stalled() {
	pair pair ping a b
	start "$work/pair.yml"
	eventually shows "[$peer | select(.state == \"live\")] | length == 2"
	pid=$("$isthmus" status --json | jq "$peer | select(.name == \"b\").pid")
	kill -STOP "$pid"
	eventually shows "$peer | select(.name == \"b\") | .stalled"
	shows "$peer | select(.name == \"b\") | .state == \"live\" and .incarnation == 1" || complain "it is not live"
	shows "$peer | select(.name == \"a\") | .stalled | not" || complain "a is stalled"
	shows "$instance | select(.name == \"b\") | .stalled" || complain "the instance is not"
	ask status
	grep -qE '^b +process  stalled ' "$work/seen" || complain "the instance is not seen as stalled"
	grep -qE '^  1 +b +live, stalled ' "$work/seen" || complain "the peer is not seen as stalled"
	kill -CONT "$pid"
	eventually shows "$peer | select(.name == \"b\") | .stalled | not"
	shows "$peer | select(.name == \"b\") | .state == \"live\" and .incarnation == 1 and .pid == $pid" ||
		complain "something was taken from it"
	down
}

stops_and_starts() {
	config stops <<-END
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'echo began; trap "echo end; exit 4" TERM; while :; do sleep 0.05; done']}
		  - {name: deaf, kind: process, groups: [ping], command: [sh, -c, 'echo deaf; kill -STOP \$\$']}
		  - {name: late, kind: process, autostart: false, groups: [ping], command: [sh, -c, 'echo hello; exec sleep 1000']}
		  - {name: wrong, kind: process, autostart: false, groups: [ping], command: [$work/nothing-here]}
	END
	start "$work/stops.yml"
	eventually printed out 'deaf | deaf'
	eventually printed out 'a    | began'
	ask stop a
	expect_status 0
	expect out 'a    | end'
	shows "$instance | select(.name == \"a\") | .state == \"ended\" and .status == 4 and .signal == null and .pid == null" ||
		complain "a has not ended with 4"
	ask stop a
	expect_status 1
	said "isthmus: instance 'a' does not run"
	ask start a
	expect_status 0
	eventually began 2
	ask start a
	expect_status 1
	grep -qE "^isthmus: instance 'a' runs \(pid [0-9]+\)$" "$work/said" || complain "$(cat "$work/said")"
	eventually shows "$instance | select(.name == \"deaf\") | .stalled"
	ask stop deaf # stopped as it is
	expect_status 0
	shows "$instance | select(.name == \"deaf\") | .state == \"ended\" and .signal == 9" || complain "deaf was not killed"
	ask start late
	expect_status 0
	eventually printed out 'late | hello'
	ask start wrong
	expect_status 1
	said "isthmus: instance 'wrong' could not start: No such file or directory"
	ask stop nobody
	expect_status 1
	said "isthmus: no instance 'nobody' in $work/run; there are a, deaf, late, wrong"
	ask start nothing a
	expect_status 1
	said "isthmus: no group or file 'nothing' is up in $work/run; there are ping"
	ask stop ping late
	expect_status 0
	ask stop "$work/stops.yml" a
	expect_status 0
	shows "$instance | select(.state == \"running\")" && complain "something runs"
	down # it went on, though nothing runs
}
began() { [ "$(grep -cx 'a    | began' "$work/out")" = "$1" ]; }

# one.yml and two.yml, in one directory; their pids are $first and $second.
start_both() {
	start "$work/one.yml"
	first=$up
	eventually test -S "$work/run/1.control"
	"$isthmus" up "$work/two.yml" >"$work/out2" 2>"$work/err2" </dev/null &
	second=$!
	eventually test -S "$work/run/2.control"
}

several() { # two `up`s in one directory
	pair one ping a b
	pair two pong b c
	local first second
	start_both
	eventually shows '[.ups[].groups[].peers[] | select(.state == "live")] | length == 4'
	shows "[.ups[].pid] == [$first, $second]" || complain "not both are there"
	ask status pong
	expect_status 0
	grep -q 'group ping' "$work/seen" && complain "pong shows ping"
	grep -q '^group pong' "$work/seen" || complain "pong does not show pong"
	ask status "$work/one.yml"
	grep -q 'group pong' "$work/seen" && complain "one.yml shows pong"
	ask stop b
	expect_status 1
	said "isthmus: instance 'b' is of several: say which file; there are $work/one.yml (pid $first), $work/two.yml (pid $second)"
	ask down
	expect_status 1
	said "isthmus: this is of several: say which file; there are $work/one.yml (pid $first), $work/two.yml (pid $second)"
	ask stop pong b
	expect_status 0
	shows '[.ups[].instances[] | select(.name == "b") | .state] == ["running", "ended"]' || complain "the wrong b"
	ask stop c
	expect_status 0
	ask down "$work/two.yml"
	expect_status 0
	eventually ended "$second"
	wait "$second" || complain "two.yml: status $?"
	shows "[.ups[].pid] == [$first]" || complain "not one alone"
	down ping
}

beside() { # who was started by `run` joins, and is not `up`'s to stop
	pair pair ping a b
	sed -i 's/name: b, kind/name: b, autostart: false, kind/' "$work/pair.yml"
	start "$work/pair.yml"
	eventually test -S "$work/run/1.control"
	"$isthmus" run "$work/pair.yml" b >"$work/out2" 2>"$work/err2" </dev/null &
	local run=$!
	eventually shows "$peer | select(.name == \"b\") | .state == \"live\" and .pid == $run"
	shows "$instance | select(.name == \"b\") | .state == \"never\"" || complain "up has started it"
	ask stop b
	expect_status 1
	said "isthmus: instance 'b' was not started here (pid $run)"
	ask start b
	expect_status 1
	said "isthmus: instance 'b' runs (pid $run)"
	kill -KILL "$run"
	wait "$run" 2>/dev/null
	eventually shows "$peer | select(.name == \"b\") | .state == \"dead\" and .pid == null and .enforced == null"
	ask start b
	expect_status 0
	eventually shows "$peer | select(.name == \"b\") | .state == \"live\" and .incarnation == 2"
	down
}

downs() { # of what does not want to end: at once with a second one
	config deaf <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'trap "echo told" TERM; echo ready; while :; do sleep 0.05; done']}
	END
	start "$work/deaf.yml"
	eventually printed out 'a | ready'
	"$isthmus" down >/dev/null 2>&1 &
	local first=$!
	eventually printed out 'a | told'
	down
	wait "$first" || complain "the first down: status $?"
}

over() { # all have ended, and the last lines wait for who reads them: nothing is started any more
	config over <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [head, -c, '100000', /dev/zero]}
	END
	mkfifo "$work/fifo"
	exec 7<>"$work/fifo"
	"$isthmus" up "$work/over.yml" >&7 2>"$work/err" </dev/null &
	up=$!
	eventually shows "$instance | .state == \"ended\" and .status == 0"
	ask start a
	expect_status 1
	said "isthmus: all is being ended"
	cat <&7 >/dev/null &
	finish
	expect_status 0
	kill $!
	wait $! 2>/dev/null
	exec 7>&-
	rm "$work/fifo"
}

up_stopped() { # it says nothing, and does not keep others from being shown
	pair one ping a b
	pair two pong c d
	local first second
	start_both
	kill -STOP "$first"
	ask status
	expect_status 0
	said "isthmus: $work/run/1.control does not answer: its \`isthmus up\` is stopped"
	grep -q '^group pong' "$work/seen" || complain "the other is not shown"
	kill -CONT "$first"
	ask down pong
	wait "$second" || complain "two.yml: status $?"
	down
}

killed() { # a stale socket counts as nothing, and is used again, by who takes over
	pair pair ping a b
	start "$work/pair.yml"
	eventually shows "[$peer | select(.state == \"live\" and .reachable and .back == null)] | length == 2"
	kill -KILL "$up"
	wait "$up" 2>/dev/null
	[ -S "$work/run/1.control" ] || complain "there is no stale socket to try"
	ask status
	expect_status 0
	grep -qxF "nothing is up in $work/run" "$work/seen" || complain "seen: $(cat "$work/seen")"
	start --attach "$work/pair.yml"
	eventually shows ".ups[0].pid == $up"
	[ ! -e "$work/run/2.control" ] || complain "the stale one was not used again"
	# Who only spins does not come back, and is live.
	shows '.ups[0].groups[0] | .taken_over and (.whole | not)' || complain "the group"
	shows "[$peer | select(.state == \"live\" and .away and (.reachable | not) and .incarnation == 1)] | length == 2" ||
		complain "the peers"
	ask status
	grep -qE '^group ping: .*, taken over, waits for its memory$' "$work/seen" || complain "seen: $(cat "$work/seen")"
	grep -qE '^  1 +b +live, away, unreachable +1 ' "$work/seen" || complain "seen: $(cat "$work/seen")"
	down
	rmdir "$work/run" # the second one did not make it
}

other_user() {
	chmod 755 "$work"
	pair pair ping a b
	start "$work/pair.yml"
	eventually test -S "$work/run/1.control"
	setpriv --reuid 65534 --clear-groups "$isthmus" status >"$work/seen" 2>"$work/said" </dev/null
	status=$?
	expect_status 1
	said "isthmus: $work/run/1.control: Permission denied"
	chmod 666 "$work/run/1.control" # the door is not all there is
	setpriv --reuid 65534 --clear-groups "$isthmus" status >"$work/seen" 2>"$work/said" </dev/null
	status=$?
	expect_status 1
	said "isthmus: user 65534 may not control this"
	down
}

app_vm() {
	pair pair ping a b
	sed -i "s|name: a, kind: process, command: .[^]]*.|name: a, kind: app, image: $member.app, args: [spin], memory: 16M|" "$work/pair.yml"
	start "$work/pair.yml"
	eventually shows "[$peer | select(.state == \"live\")] | length == 2"
	shows "[$peer | .enforced] == [true, false] and [$peer | .kind] == [\"app\", \"process\"]" || complain "not enforced: $(cat "$work/json")"
	ask stop a
	expect_status 0
	eventually shows "$peer | select(.name == \"a\") | .state == \"absent\" and .incarnation == 1"
	ask start a
	expect_status 0
	eventually shows "$peer | select(.name == \"a\") | .state == \"live\" and .incarnation == 2 and .enforced"
	down
}

linux_guest() { # its console goes and comes with it
	[ -w /dev/kvm ] || return
	mkdir -p "$work/bin"
	ln -sf "$isthmus" "$work/bin/isthmus"
	cp "$isthmus" "$work/bin/isthmus.copy" && mv "$work/bin/isthmus.copy" "$work/bin/isthmus"
	printf '#!/bin/sh\necho boot\nwhile read -r x; do echo "[$x]"; done\n' >"$work/bin/isthmus-vm"
	chmod +x "$work/bin/isthmus-vm"
	touch "$work/kernel"
	config guest <<-'END'
		  - {name: tux, kind: linux, image: kernel}
	END
	"$work/bin/isthmus" up "$work/guest.yml" >"$work/out" 2>"$work/err" </dev/null &
	up=$!
	for round in 1 2 3; do
		eventually test -S "$work/run/tux.console"
		printf 'round %s\n\035' "$round" >"$work/typed"
		eventually typed "[round $round]"
		ask stop tux
		expect_status 0
		[ ! -e "$work/run/tux.console" ] || complain "the console is still there"
		ask start tux
		expect_status 0
	done
	[ "$(grep -c 'tux | boot' "$work/out")" -ge 3 ] || complain "it did not boot again"
	down
}
typed() { # text, which must come back
	timeout 20 "$isthmus" console tux <"$work/typed" >"$work/seen" 2>/dev/null
	grep -qaF "$1" "$work/out"
}

t "nothing is up" nothing
t "what is shown" shown
t "messages" messages
t "a stalled peer" stalled
t "stop and start" stops_and_starts
t "two ups in one directory" several
t "an instance of \`run\`" beside
t "down" downs
t "start when all have ended" over
t "an up that is stopped" up_stopped
t "a killed up" killed
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	t "another user" other_user
else
	skip "another user" "not root, or no setpriv"
fi
if [ -w /dev/kvm ]; then
	t "an app VM" app_vm
	t "the console of a guest that is started again" linux_guest
else
	skip "an app VM" "no /dev/kvm"
	skip "the console of a guest that is started again" "no /dev/kvm"
fi
finish_tests
