#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_up.sh: `isthmus up` and `isthmus run` from outside: consoles, what cannot start, and what instances get, as
# processes. Nothing is left. Prints TAP.
#
# shellcheck disable=SC2317,SC2016 # functions are called by name; $ is for the instances
set -u
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh
apps=$PWD/$BUILD/tests/vm

# ---- Consoles -----------------------------------------------------------------------------------

consoles() {
	config consoles <<-'END'
		  - {name: left, kind: process, groups: [ping],
		     command: [sh, -c, 'echo to stdout; echo to stderr >&2; echo; printf partial']}
		  - {name: longer, kind: process, groups: [ping], command: [sh, -c, 'read x || echo no stdin']}
	END
	up "$work/consoles.yml"
	expect_status 0
	printf 'left   | %s\n' 'to stdout' 'to stderr' '' partial >"$work/want"
	grep -a '^left' "$work/out" | cmp - "$work/want" || complain "left's lines differ"
	expect out 'longer | no stdin'
	[ ! -s "$work/err" ] || complain "stderr is not empty"
}

long_lines() {
	config long <<-END
		  - {name: a, kind: process, groups: [ping], command: [cat, "$work/data"]}
	END
	{
		printf '%04096d\n%04097d\n' 1 2 # fits; is one too long
		printf 'a\0b\r\377\033[31m\n'   # what is not text is passed on
		printf '%09000d' 3
	} >"$work/data"
	up "$work/long.yml"
	expect_status 0
	{
		printf 'a | %04096d\na | %04096d\na | 2\n' 1 0
		printf 'a | a\0b\r\377\033[31m\n'
		printf 'a | %04096d\na | %04096d\na | %0808d\n' 0 0 3
	} >"$work/want"
	cmp "$work/out" "$work/want" || complain "not split at 4096 bytes"
}

flood() {
	config flood <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [seq, '200000']}
		  - {name: b, kind: process, groups: [ping], command: [seq, '200000']}
	END
	up "$work/flood.yml"
	expect_status 0
	for i in a b; do
		sed -n "s/^$i | //p" "$work/out" | cmp - <(seq 200000) || complain "$i's lines are not all there"
	done
}

colours() { # on a terminal, which script(1) makes
	config colours <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [echo, text]}
	END
	timeout 60 script -qec "'$isthmus' up '$work/colours.yml'" /dev/null >"$work/out" 2>"$work/err" </dev/null
	status=$?
	expect_status 0
	printf '\033[36ma |\033[0m text\r\n' | cmp - "$work/out" || complain "not the coloured line"
	NO_COLOR=1 timeout 60 script -qec "'$isthmus' up '$work/colours.yml'" /dev/null >"$work/out" 2>"$work/err" </dev/null
	printf 'a | text\r\n' | cmp - "$work/out" || complain "not the plain line"
}

no_reader() {
	config endless <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [yes]}
	END
	timeout -k 5 60 "$isthmus" up "$work/endless.yml" 2>"$work/err" </dev/null | head -n 1 >"$work/out"
	status=${PIPESTATUS[0]}
	expect_status 1
	expect_like err 'standard output'
}

stuck_reader() { # nobody reads: instances and broker go on, and it still ends
	config endless <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [yes]}
	END
	mkfifo "$work/fifo"
	exec 7<>"$work/fifo"
	"$isthmus" up "$work/endless.yml" >&7 2>"$work/err" </dev/null &
	up=$!
	eventually test -e "$work/run/ping.sock"
	sleep 0.3 # the pipe fills; without that there is less to test, but nothing fails
	kill -INT "$up"
	eventually alone "$up"
	kill -INT "$up" # the last lines are given up
	finish
	exec 7>&-
	rm "$work/fifo"
	expect_status 130
}

# ---- What cannot start --------------------------------------------------------------------------

no_program() {
	config nothing <<-END
		  - {name: first, kind: process, groups: [ping], command: [sleep, '1000']}
		  - {name: second, kind: process, groups: [ping], command: [$work/nothing-here]}
	END
	up "$work/nothing.yml"
	expect_status 1
	expect err "isthmus: second: could not start: $work/nothing-here: No such file or directory"
}

config_errors() {
	printf 'groups:\n  - name: ping\n    colour: red\ninstances:\n  - name: a\n    kind: process\n    vcpus: 1x\n' \
		>"$work/wrong.yml"
	for command in check up; do
		timeout 60 "$isthmus" "$command" "$work/wrong.yml" >"$work/out" 2>"$work/err"
		status=$?
		expect_status 1
		expect_like err "^$work/wrong.yml:3:5: error: .*colour"
		expect_like err "^$work/wrong.yml:7:[0-9]+: error: .*1x"
		[ ! -s "$work/out" ] || complain "stdout is not empty"
	done
	up "$work/not-there.yml"
	expect_status 1
	expect_like err "not-there.yml.*No such file"
}

second_up() {
	config first <<<"$two"
	start "$work/first.yml"
	eventually printed out 'a | ready'
	timeout -k 5 60 "$isthmus" up "$work/first.yml" >"$work/out2" 2>"$work/err2"
	status=$?
	expect_status 1
	expect_like err2 'ping'
	[ ! -s "$work/out2" ] || complain "the second one started something"
	kill -0 "$up" || complain "the first one is gone"
	[ -e "$work/run/ping.sock" ] || complain "the first one's socket is gone"
	kill -TERM "$up"
	finish
	expect_status 143
}

usage() {
	for arguments in '' nonsense --nonsense up run check 'up --nonsense x' 'run x' 'up x y' 'check x y' \
		console 'console x y' 'console -e ab x' 'console --escape= x' 'console --no-kvm x' 'check -v x'; do
		# shellcheck disable=SC2086 # words are meant
		timeout 60 "$isthmus" $arguments >"$work/out" 2>"$work/err"
		status=$?
		[ "$status" = 2 ] || complain "isthmus $arguments: status $status, not 2"
		[ -s "$work/err" ] || complain "isthmus $arguments: says nothing"
	done
	for arguments in --help --version 'up --help' 'run --help' 'check --help' 'console --help' 'path --help' 'qemu-args --help'; do
		# shellcheck disable=SC2086
		timeout 60 "$isthmus" $arguments >"$work/out" 2>"$work/err"
		status=$?
		expect_status 0
		[ -s "$work/out" ] || complain "isthmus $arguments: says nothing"
	done
}

check_shows() {
	config shown <<<"$two"
	timeout 60 "$isthmus" check "$work/shown.yml" >"$work/out" 2>"$work/err"
	status=$?
	expect_status 0
	expect_like out '0x0+5000 .*data'
	expect_like out '^ *a .*process'
}

# ---- Instances ----------------------------------------------------------------------------------

environment() {
	config env <<-'END'
		  - {name: a, kind: process, groups: [ping], cpus: [0], numa: {policy: bind, nodes: [0]}, command: [sh, -c,
		     'echo "$ISTHMUS_INSTANCE $ISTHMUS_GROUPS $ISTHMUS_RUNTIME_DIR $HOME"; grep Cpus_allowed_list /proc/self/status;
		       grep -m1 heap /proc/self/numa_maps; ls -l /proc/self/fd']}
	END
	HOME=$work/home ISTHMUS_INSTANCE=wrong up "$work/env.yml"
	expect_status 0
	expect out "a | a ping $work/run $work/home"
	expect_like out 'Cpus_allowed_list:	0$'
	expect_like out ' bind:0 heap '
	for fd in $(sed -nE 's/.* -> ((.memfd|socket|anon_inode|pipe):.*)/\1/p' "$work/out" | sort | uniq -c |
		awk '!/pipe/ || $1 != 2 { print $2 }'); do
		find "/proc/$$/fd" -printf '%l\n' | grep -qxF "$fd" || complain "got $fd"
	done
}

runtime_dir() {
	config dir <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'cd /; ls $ISTHMUS_RUNTIME_DIR']}
	END
	(cd "$work" && timeout 60 "$isthmus" up --runtime-dir elsewhere dir.yml >out 2>err)
	expect out 'a | ping.sock'
	[ ! -e "$work/elsewhere" ] || complain "elsewhere is left"
}

run() {
	config run <<-'END'
		  - {name: a, kind: process, groups: [ping], command: [sh, -c, 'echo ready']}
		  - {name: late, kind: process, groups: [ping], autostart: false, command: [sh, -c,
		     'echo $ISTHMUS_INSTANCE $ISTHMUS_RUNTIME_DIR; cat; exit 5']}
	END
	timeout 60 "$isthmus" run "$work/run.yml" late >"$work/out" 2>"$work/err"
	status=$?
	expect_status 1
	expect_like err "late: group ping is not open in $work/run"
	start "$work/run.yml"
	eventually printed err "isthmus: group ping is open in $work/run; Ctrl-C ends it"
	eventually printed out 'a | ready'
	timeout 60 "$isthmus" run "$work/run.yml" late >"$work/out2" 2>"$work/err2" <<<input
	status=$?
	expect_status 5
	printf '%s\n' "late $work/run" input | cmp - "$work/out2" || complain "the output differs"
	timeout 60 "$isthmus" run "$work/run.yml" nobody >"$work/out2" 2>"$work/err2"
	status=$?
	expect_status 1
	expect_like err2 "no instance 'nobody'"
	kill -INT "$up"
	finish
	expect_status 130
}

is_live() { timeout 10 "$isthmus" status 2>/dev/null | grep -qE "^ +[0-9]+ +$1 +live "; }

# Somebody else joins when the group says so, and does not otherwise.
other_users() {
	local user other
	cp "$apps/running" "$work/running"
	chmod 755 "$work" "$work/running"
	for user in '' '    users: [nobody]' '    users: [nosuchuser]'; do
		config users <<-'END'
			  - {name: a, kind: process, groups: [ping], command: [sleep, "1000"]}
			  - {name: b, kind: process, groups: [ping], command: [x], autostart: false}
		END
		sed -i "s/^    vectors: 4\$/&\n$user/" "$work/users.yml"
		start "$work/users.yml"
		if [[ $user = *nosuchuser* ]]; then
			finish
			expect_status 1
			expect_like err "group 'ping': no user 'nosuchuser'"
			continue
		fi
		eventually test -S "$work/run/ping.sock"
		setpriv --reuid=65534 --regid=65534 --clear-groups env ISTHMUS_INSTANCE=b "$work/running" spin \
			>"$work/out2" 2>&1 &
		other=$!
		if [ -n "$user" ]; then
			eventually is_live b
			kill "$other"
		fi
		wait "$other"
		status=$?
		if [ -n "$user" ]; then
			expect_status 143
		else # it cannot open the socket
			[ $status != 0 ] && [ $status != 143 ] || complain "nobody: status $status, without being named"
		fi
		kill -INT "$up"
		finish
		expect_status 130
	done
}

apps_as_processes() {
	printf '#!/bin/sh\necho "$0 $*"\n' >"$work/program"
	printf '#!/bin/sh\necho "the command $*"\n' >"$work/command"
	chmod +x "$work/program" "$work/command"
	touch "$work/program.app"
	config apps <<-END
		  - {name: a, kind: app, image: program.app, memory: 16M, groups: [ping], args: [one, 'two three']}
		  - {name: b, kind: app, image: program.app, memory: 16M, groups: [ping], command: ['$work/command', x]}
	END
	up --no-kvm "$work/apps.yml"
	expect_status 0
	expect err 'isthmus: --no-kvm: app instances run as processes'
	expect out "a | $work/program one two three"
	expect out 'b | the command x'
	printf '  - {name: tux, kind: linux, image: /bin/sh}\n' >>"$work/apps.yml"
	up --no-kvm "$work/apps.yml"
	expect_status 1
	expect err 'isthmus: tux: could not start: --no-kvm: a Linux guest needs KVM'
	rm "$work/program"
	up --no-kvm "$work/apps.yml"
	expect_status 1
	expect err "isthmus: a: could not start: $work/program: No such file or directory"
}

# A /dev without kvm, in a mount namespace of its own.
no_kvm() { unshare -m sh -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"' sh "$@"; }

no_kvm_device() {
	printf '#!/bin/sh\necho ran\n' >"$work/program"
	chmod +x "$work/program"
	touch "$work/program.app"
	config nokvm <<-END
		  - {name: a, kind: app, image: program.app, memory: 16M, groups: [ping]}
	END
	no_kvm timeout 60 "$isthmus" up "$work/nokvm.yml" >"$work/out" 2>"$work/err"
	status=$?
	expect_status 0
	expect err 'isthmus: no /dev/kvm: app instances run as processes'
	expect out 'a | ran'
	no_kvm timeout 60 "$isthmus" up -q "$work/nokvm.yml" >"$work/out" 2>"$work/err"
	[ ! -s "$work/err" ] || complain "-q is not quiet"
	config linux <<-'END'
		  - {name: tux, kind: linux, image: /bin/sh, groups: [ping]}
	END
	no_kvm timeout 60 "$isthmus" up "$work/linux.yml" >"$work/out" 2>"$work/err"
	status=$?
	expect_status 1
	expect err 'isthmus: tux: could not start: no /dev/kvm: a Linux guest needs KVM'
	[ "$(wc -l <"$work/err")" = 1 ] || complain "stderr has not one line"
}


t "console lines carry the instance's name" consoles
t "long lines are split, other bytes passed on" long_lines
if command -v script >/dev/null; then
	t "colours on a terminal" colours
else
	skip "colours on a terminal" "script(1) is not installed"
fi
t "400,000 lines arrive whole and in order" flood
t "a reader that goes away ends it" no_reader
t "a reader that does not read does not keep it from ending" stuck_reader
t "a program that is missing" no_program
t "errors in the configuration have positions" config_errors
t "a second up of the same group" second_up
t "wrong command lines" usage
t "check" check_shows
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	t "users who may join" other_users
else
	skip "users who may join" "not root"
fi
t "environment, CPUs and descriptors of a process" environment
t "a runtime directory of one's own" runtime_dir
t "run" run
t "apps as processes" apps_as_processes
if no_kvm true 2>/dev/null; then
	t "no /dev/kvm" no_kvm_device
else
	skip "no /dev/kvm" "no mount namespaces here"
fi
finish_tests
