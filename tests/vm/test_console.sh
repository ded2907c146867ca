#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_console.sh: `isthmus up` with Linux guests and `isthmus console`. An isthmus-vm of ours stands in for the
# guests: it runs its --cmdline as a shell script. Prints TAP.
#
# shellcheck disable=SC2317,SC2016,SC2119,SC2120 # functions are called by name; $ is for the guests
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/vm/up_tests.sh
. tests/vm/up_tests.sh

mkdir "$work/bin"
cp "$isthmus" "$work/bin/isthmus"
isthmus=$work/bin/isthmus
cat >"$work/bin/isthmus-vm" <<'END'
#!/bin/bash
for argument; do
	[ "${previous:-}" != --cmdline ] || exec bash -c "$argument" "$0" "$@"
	previous=$argument
done
END
chmod +x "$work/bin/isthmus-vm"
touch "$work/kernel" "$work/initrd"

# ---- What the tests are made of -----------------------------------------------------------------

# A guest `tux` with this script, and a process beside it that outlives it.
guest() { # script
	rm -f "$work/go"
	printf '%s' "$1" >"$work/script"
	config guest <<-END
		  - {name: other, kind: process, groups: [ping], command: [sleep, '1000']}
		  - name: tux
		    kind: linux
		    image: kernel
		    groups: [ping]
		    cmdline: '. $work/script'
	END
	start "$work/guest.yml"
	eventually test -S "$work/run/tux.console"
}

stop() { # status
	kill -INT "$up"
	finish
	expect_status 130
}

# In the background, with its own files; nobody types until `typed` is called.
attach() { # number, arguments...
	local number=$1
	shift
	rm -f "$work/keys$number"
	mkfifo "$work/keys$number"
	: >"$work/seen$number" >"$work/said$number" # of the test before
	"$isthmus" console "$@" tux <"$work/keys$number" >"$work/seen$number" 2>"$work/said$number" &
	client=$!
	eval "exec $((10 + number))>'$work/keys$number'"
	eventually printed "said$number" 'connected to tux'
}

typed() { # number, printf's arguments
	local number=$1
	shift
	# shellcheck disable=SC2059 # a format is meant
	printf "$@" >&$((10 + number))
}

left() { # number, status: waits for its end
	local status
	eventually ended "$client" || kill -KILL "$client"
	wait "$client"
	status=$?
	eval "exec $((10 + $1))>&-"
	[ "$status" = "$2" ] || complain "console: status $status, not $2"
}

# On a terminal, which script(1) makes: what the shell commands print, in $work/seen.
on_terminal() { # keys (a command), shell commands
	eval "$1" | timeout 60 script -qec "$2" /dev/null >"$work/seen" 2>&1
}

wait_for_go="while ! [ -e $work/go ]; do sleep 0.05; done"
echoes='echo ready; while read -r line; do echo "[$line]"; done; echo over'

# ---- Starting -----------------------------------------------------------------------------------

arguments() {
	config arguments <<-END
		  - {name: plain, kind: linux, image: kernel, groups: [ping], cmdline: 'printf "%s\\n" "\$0" "\$@"'}
		  - {name: full, kind: linux, image: $work/kernel, initrd: initrd, memory: 2G, page_size: 1G, vcpus: 1,
		     cpus: [0], numa: {policy: bind, nodes: [0]}, personality: v2, groups: [ping],
		     cmdline: 'printf "%s\\n" "\$@"'}
	END
	up "$work/arguments.yml"
	expect_status 0
	printf 'plain | %s\n' "$work/bin/isthmus-vm" --name plain --kernel "$work/kernel" --cmdline \
		'printf "%s\n" "$0" "$@"' --personality v1 --memory 268435456 --vcpus 1 \
		--group "ping=$work/run/ping.sock" >"$work/want"
	grep -a '^plain' "$work/out" | diff - "$work/want" | sed 's/^/# /'
	[ "${PIPESTATUS[1]}" = 0 ] || complain "plain's arguments differ"
	printf 'full  | %s\n' --name full --kernel "$work/kernel" --initrd "$work/initrd" --cmdline \
		'printf "%s\n" "$@"' --personality v2 --memory 2147483648 --page-size 1G --vcpus 1 --cpus 0 \
		--numa bind:0 --group "ping=$work/run/ping.sock" >"$work/want"
	grep -a '^full' "$work/out" | diff - "$work/want" | sed 's/^/# /'
	[ "${PIPESTATUS[1]}" = 0 ] || complain "full's arguments differ"
}

statuses() {
	config statuses <<-'END'
		  - {name: good, kind: linux, image: kernel, cmdline: 'exit 0'}
		  - {name: bad, kind: linux, image: kernel, cmdline: 'exit 126'}
	END
	up "$work/statuses.yml"
	expect_status 1
	expect err 'isthmus: bad: ended with status 126'
	[ "$(wc -l <"$work/err")" = 1 ] || complain "stderr has not one line"
	config refused <<-'END'
		  - {name: bad, kind: linux, image: kernel, cmdline: 'echo why; exit 125'}
	END
	up "$work/refused.yml"
	expect_status 1
	expect out 'bad | why'
	expect err 'isthmus: bad: could not start: ended with status 125'
}

no_file() {
	config nofile <<-'END'
		  - {name: tux, kind: linux, image: kernel, initrd: nowhere}
	END
	for command in check up; do
		timeout 60 "$isthmus" "$command" "$work/nofile.yml" >"$work/out" 2>"$work/err"
		status=$?
		expect_status 1
		expect err "$work/nofile.yml:8:53: error: initrd '$work/nowhere': No such file or directory"
	done
}

checked() {
	config checked <<-'END'
		  - {name: tux, kind: linux, image: kernel, initrd: initrd, memory: 1G, vcpus: 2, personality: v2, cmdline: quiet}
	END
	timeout 60 "$isthmus" check "$work/checked.yml" >"$work/out" 2>"$work/err"
	status=$?
	expect_status 0
	expect_like out "^tux +linux +1G +2 +- +- +$work/kernel, initrd $work/initrd, personality v2, command line: quiet$"
	[ ! -s "$work/err" ] || complain "stderr is not empty"
}

# ---- Output of `up` -----------------------------------------------------------------------------

stripped() {
	printf 'a\rb\033[1;31mred\033[0m\033[2J\tc\r\n\033(B\033=d\033[Ke\a\b\177f\0g\n\033[12\nh\303\244\n' >"$work/data"
	config stripped <<-END
		  - {name: tux, kind: linux, image: kernel, cmdline: 'cat $work/data'}
	END
	up "$work/stripped.yml"
	expect_status 0
	printf 'tux | %b\n' 'abred\tc' defg '' 'h\303\244' >"$work/want"
	cmp "$work/out" "$work/want" || complain "not the text alone"
}
gone() { [ ! -e "$work/run/tux.console" ]; }

# ---- Attached -----------------------------------------------------------------------------------

both_ways() {
	guest 'printf "\033[32mhello\033[0m\r\nlogin: "; read -r name; printf "hi %s\r\n" "$name"; read -r x; echo "x=$x"; read -r x'
	eventually printed out 'tux   | hello'
	attach 1
	eventually printed seen1 'login: ' # that came before
	typed 1 'me\n'
	eventually printed seen1 'hi me'
	typed 1 '\003\004\377\n' # all but one character is the guest's
	eventually printed out 'x='
	typed 1 'not sent?\035more'
	left 1 0
	printf '\033[32mhello\033[0m\r\nlogin: hi me\r\nx=\003\004\377\n' | cmp - "$work/seen1" || complain "not all of it, as it was"
	printf '%s\n' 'connected to tux, Ctrl-] leaves' 'tux: left' | cmp - "$work/said1" || complain "said something else"
	stop
}

input_ends() { # then it prints until the guest ends, which is no end of `up`
	guest "$echoes"
	eventually printed out ready
	attach 1
	typed 1 'one\ntwo\n'
	exec 11>&-
	eventually printed seen1 '[two]'
	attach 2
	typed 2 'end\n'
	eventually printed seen1 '[end]'
	kill -KILL "$(pgrep -P "$up" -f isthmus-vm)"
	left 2 0
	expect said2 'tux: hung up'
	eventually gone
	eventually printed err 'tux: killed by signal 9'
	[ ! -e "$work/run/tux.console-lock" ] || complain "the lock is left"
	stop
}

two_clients() {
	guest "$echoes"
	attach 1
	attach 2
	typed 1 'from one\n'
	typed 2 'from two\n'
	for i in 1 2; do
		eventually printed "seen$i" '[from one]'
		eventually printed "seen$i" '[from two]'
	done
	typed 2 '\035'
	left 2 0
	typed 1 'still\n'
	eventually printed seen1 '[still]'
	stop
	exec 11>&-
}

many_clients() { # the ninth gets the eighth's place
	guest "$echoes"
	eventually printed out ready
	local pids=()
	for i in {1..9}; do
		attach "$i"
		eventually printed "seen$i" ready
		pids+=("$client")
	done
	eventually ended "${pids[7]}"
	typed 9 'nine\n'
	for i in 1 7 9; do eventually printed "seen$i" '[nine]'; done
	stop
	for i in {1..9}; do eval "exec $((10 + i))>&-"; done
	for pid in "${pids[@]}"; do eventually ended "$pid"; done
}

escape_key() {
	guest "$echoes"
	attach 1 -e a
	expect said1 'connected to tux, Ctrl-A leaves'
	typed 1 '\035\n'
	eventually printed seen1 '['$'\035'']'
	typed 1 '\001'
	left 1 0
	stop
}

history() { # the last 4 KiB of what came before
	guest 'seq 2000; printf "login: "; read x'
	eventually printed out 'tux   | 2000'
	attach 1
	eventually printed seen1 'login: '
	{ seq 2000 && printf 'login: '; } | tail -c 4096 | cmp - "$work/seen1" || complain "not the last 4 KiB"
	stop
	exec 11>&-
}

much_input() {
	guest 'echo ready; head -c 1000000 | md5sum; read x'
	eventually printed out ready
	seq 200000 | head -c 1000000 >"$work/data"
	"$isthmus" console tux <"$work/data" >"$work/seen1" 2>"$work/said1" &
	client=$!
	eventually printed out "$(md5sum <"$work/data")"
	stop
	eventually ended "$client"
	expect said1 'tux: hung up'
}

much_output() { # faster than anybody reads: whole, or hung up
	guest "$echoes"
	attach 1
	typed 1 'x\n'
	eventually printed seen1 '[x]'
	stop
	exec 11>&-
	guest 'read x; for i in {1..200}; do seq $((i * 100)) $((i * 100 + 99)); sleep 0.01; done; read x'
	attach 1
	typed 1 '\n'
	eventually printed out '| 20099'
	eventually printed seen1 '20099'
	seq 100 20099 | cmp - "$work/seen1" || complain "not whole"
	stop
	exec 11>&-
}

# ---- Clients that do not do as they should -------------------------------------------------------

does_not_read() {
	guest 'echo ready; '"$wait_for_go"'; seq 300000; echo finished; while read x; do echo "<$x>"; done'
	attach 1
	eventually printed seen1 ready
	kill -STOP "$client"
	local stopped=$client
	touch "$work/go"
	eventually printed out '| finished'
	attach 2
	eventually printed seen2 finished
	typed 2 'alive\n'
	eventually printed seen2 '<alive>'
	typed 2 '\035'
	left 2 0
	kill -CONT "$stopped"
	eventually ended "$stopped"
	expect said1 'tux: hung up'
	stop
	exec 11>&-
}

vanishes() {
	guest "$echoes"
	for i in {1..20}; do
		attach 1
		typed 1 'text\n'
		kill -KILL "$client"
		wait "$client" 2>/dev/null
		exec 11>&-
	done
	attach 1
	typed 1 'alive\n'
	eventually printed seen1 '[alive]'
	stop
	exec 11>&-
}

guest_does_not_read() { # what is typed is held back, and the way out is not
	guest 'echo ready; '"$wait_for_go"'; head -n 100000 | md5sum; read x'
	eventually printed out ready
	yes 2>/dev/null | "$isthmus" console tux >"$work/seen1" 2>"$work/said1" &
	local flood=$!
	attach 2
	sleep 0.3 # the pipe fills; without that there is less to test, but nothing fails
	typed 2 '\035'
	left 2 0
	touch "$work/go"
	eventually printed out "$(yes | head -n 100000 | md5sum)"
	eventually ended "$flood"
	stop
}

# ---- On a terminal ------------------------------------------------------------------------------

session="stty -a >$work/before; sh -c 'echo \$\$ >$work/pid; exec $isthmus console tux'; echo rc=\$?; stty -a >$work/after"

terminal() {
	guest "$echoes"
	eventually printed out ready
	on_terminal 'sleep 0.5; printf "one\n"; sleep 0.5; printf "\035"; sleep 0.3' \
		"$session"
	cmp "$work/before" "$work/after" || complain "the terminal is not as it was"
	expect_like seen '^connected to tux, Ctrl-\] leaves'
	expect_like seen '^\[one\]'
	expect_like seen '^tux: left'
	expect_like seen '^rc=0'
	stop
}

terminal_ends() { # by signals, by the guest's end, and with `up`
	guest 'echo ready; while read x; do case $x in end) exit;; *) kill -"$x" "$(cat '"$work/pid"')";; esac; done'
	eventually printed out ready
	for signal in TERM HUP INT QUIT; do
		on_terminal "sleep 0.5; printf '$signal\n'; sleep 0.5" \
			"$session"
		cmp "$work/before" "$work/after" || complain "the terminal is not as it was after SIG$signal"
		expect_like seen "^rc=$((128 + $(kill -l "$signal")))"
	done
	on_terminal "sleep 0.5; printf 'end\n'; sleep 0.5" \
		"$session"
	cmp "$work/before" "$work/after" || complain "the terminal is not as it was after the guest's end"
	expect_like seen '^tux: hung up'
	expect_like seen '^rc=0'
	stop
}

# ---- What cannot be ------------------------------------------------------------------------------

console() { # arguments: what it says is in $work/said
	timeout 60 "$isthmus" console "$@" >"$work/seen" 2>"$work/said" </dev/null
	status=$?
}

errors() {
	console tux
	expect_status 1
	expect said "isthmus: no Linux guest 'tux' in $work/run (others have no input); there is: none. Does \`isthmus up\` run?"
	guest "$echoes"
	console other
	expect_status 1
	expect said "isthmus: no Linux guest 'other' in $work/run (others have no input); there is: tux"
	console --runtime-dir "$work/elsewhere" tux
	expect_status 1
	expect_like said "no Linux guest 'tux' in $work/elsewhere .* none"
	console "$(printf '%0200d' 1)"
	expect_status 1
	expect_like said 'File name too long'
	if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
		chmod 755 "$work"
		setpriv --reuid 65534 --clear-groups "$isthmus" console tux >"$work/seen" 2>"$work/said" </dev/null
		status=$?
		expect_status 1
		expect said "isthmus: $work/run/tux.console: Permission denied"
	fi
	stop
}

killed_up() {
	guest "$echoes"
	attach 1
	kill -KILL "$up"
	wait "$up" 2>/dev/null
	left 1 0
	console tux
	expect_status 1
	expect said "isthmus: tux: its \`isthmus up\` in $work/run was killed"
	start --attach "$work/guest.yml"
	eventually serves "$up" # the killed one's sockets are still there
	attach 1
	typed 1 'after all\n'
	eventually printed seen1 'after all'
	stop
	left 1 0
	rmdir "$work/run" # the second one did not make it
}

serves() { "$isthmus" status 2>/dev/null | grep -q ", pid $1, "; }

twice() { # another file's guest of the same name
	guest "$echoes"
	printf 'instances:\n  - {name: tux, kind: linux, image: kernel}\n' >"$work/second.yml"
	timeout -k 5 60 "$isthmus" up "$work/second.yml" >"$work/out2" 2>"$work/err2"
	status=$?
	expect_status 1
	expect err2 "isthmus: console 'tux' is already served ($work/run/tux.console)"
	attach 1
	typed 1 'alive\n'
	eventually printed seen1 '[alive]'
	stop
	exec 11>&-
}

reboot() { # isthmus-vm executes itself anew
	guest 'echo boot; read -r x; case $x in reboot) exec "$0" "$@";; esac'
	eventually printed out boot
	attach 1
	typed 1 'reboot\n'
	eventually boots 2
	typed 1 'off\n'
	left 1 0
	eventually gone
	stop
}
boots() { [ "$(grep -c boot "$work/seen1")" = "$1" ]; }

not_started() { # an instance before it cannot be: its console goes all the same
	config notstarted <<-END
		  - {name: first, kind: process, groups: [ping], command: [$work/nothing-here]}
		  - {name: tux, kind: linux, image: kernel, cmdline: 'sleep 1000'}
	END
	up "$work/notstarted.yml"
	expect_status 1
}

stuck_stdout() { # nobody reads what `up` prints, and it is given up: the console's socket goes too
	config stuck <<-'END'
		  - {name: tux, kind: linux, image: kernel, cmdline: 'yes'}
	END
	mkfifo "$work/fifo"
	exec 7<>"$work/fifo"
	"$isthmus" up "$work/stuck.yml" >&7 2>"$work/err" </dev/null &
	up=$!
	eventually test -S "$work/run/tux.console"
	sleep 0.3 # the pipe fills; without that there is less to test, but nothing fails
	kill -INT "$up"
	eventually alone "$up"
	kill -INT "$up"
	finish
	exec 7>&-
	rm "$work/fifo"
	expect_status 130
}

if [ ! -w /dev/kvm ]; then
	echo "1..0 # SKIP no /dev/kvm: no Linux guest starts"
	exit 0
fi
t "what isthmus-vm is told" arguments
t "exit statuses" statuses
t "a file that is not there" no_file
t "check" checked
t "up prints text alone" stripped
t "a console both ways" both_ways
t "input ends, the guest ends" input_ends
t "two at one console" two_clients
t "nine at one console" many_clients
t "another key to leave" escape_key
t "what came before" history
t "a megabyte of input" much_input
t "output arrives whole" much_output
t "a client that does not read is hung up on" does_not_read
t "clients that vanish" vanishes
t "a guest that does not read" guest_does_not_read
if command -v script >/dev/null; then
	t "a terminal is given back" terminal
	t "a terminal is given back however it ends" terminal_ends
else
	skip "a terminal is given back" "script(1) is not installed"
	skip "a terminal is given back however it ends" "script(1) is not installed"
fi
t "errors" errors
t "SIGKILL of up, and another one that takes the guest over" killed_up
t "a guest of the same name elsewhere" twice
t "a reboot" reboot
t "an instance before it does not start" not_started
t "an up that is stuck" stuck_stdout
finish_tests
