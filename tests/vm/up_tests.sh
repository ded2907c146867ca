# SPDX-License-Identifier: BSD-2-Clause
#
# up_tests.sh: what the tests of `isthmus up` from outside are made of. For bash, sourced at the top of the tree.
#
# shellcheck shell=bash disable=SC2034 # variables are used by who sources this
BUILD=${BUILD:-build}
isthmus=$PWD/$BUILD/isthmus
work=$(mktemp -d /tmp/ist-up.XXXXXX) || exit 1
export ISTHMUS_RUNTIME_DIR=$work/run UP_TEST=${work##*/}
trap 'rm -rf "$work"' EXIT
n=0 bad=0

# Two instances that do not end by themselves.
two='  - {name: a, kind: process, groups: [ping], command: [sh, -c, "echo ready; sleep 1000; echo more"]}
  - {name: b, kind: process, groups: [ping], command: [sleep, "1000"]}'

complain() {
	echo "# $*"
	wrong=1
}

config() { # name; instances on stdin
	{
		printf 'groups:\n  - name: ping\n    vectors: 4\n    max_peers: 4\n    regions:\n'
		printf '      - {name: data, size: 64K, access: rw}\ninstances:\n'
		cat
	} >"$work/$1.yml"
}

# Runs it to its end; what it printed is in $work/out and $work/err, how it ended in $status.
up() { # arguments...
	timeout -k 5 60 "$isthmus" up "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
}

start() { # arguments...
	"$isthmus" up "$@" >"$work/out" 2>"$work/err" </dev/null &
	up=$!
}

ended() { ! [ -e "/proc/$1/exe" ]; }

finish() {
	eventually ended "$up" || kill -KILL "$up"
	wait "$up"
	status=$?
}

eventually() { # command...
	local try
	for try in {1..400}; do
		"$@" && return 0
		sleep 0.05
	done
	complain "never came true after $try tries: $*"
	return 1
}

expect_status() {
	[ "$status" = "$1" ] || complain "status $status, not $1"
}

expect() { # file, exact line
	grep -qaxF -- "$2" "$work/$1" || complain "$1 has no line '$2'"
}

expect_like() { # file, regular expression
	grep -qaE -- "$2" "$work/$1" || complain "$1 has nothing like '$2'"
}

printed() { grep -qaF -- "$2" "$work/$1"; }

ours() { # pids of everything started here, but for this script
	local f
	for f in /proc/[0-9]*/environ; do
		f=${f#/proc/} f=${f%/environ}
		[ "$f" = $$ ] || [ "$f" = "$BASHPID" ] || ! grep -qsFz "UP_TEST=$UP_TEST" "/proc/$f/environ" ||
			echo "$f"
	done
}

nothing_runs() { [ -z "$(ours)" ]; }
alone() { [ "$(ours)" = "$1" ]; }

t() { # description, function
	n=$((n + 1)) wrong=0
	: >"$work/out"
	: >"$work/err"
	"$2"
	if ! nothing_runs; then
		sleep 0.3 # what was killed needs a moment to end
		for pid in $(ours); do
			complain "left: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
			kill -KILL "$pid"
		done
	fi
	if [ -e "$work/run" ]; then
		complain "left: $(find "$work/run")"
		rm -rf "$work/run"
	fi
	if [ $wrong = 0 ]; then
		echo "ok $n - $1"
	else
		bad=1
		sed 's/^/# out: /' "$work/out" | cut -c1-200 | head -n 20
		sed 's/^/# err: /' "$work/err" | cut -c1-200 | head -n 20
		echo "not ok $n - $1"
	fi
}

skip() { # description, reason
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

finish_tests() {
	echo "1..$n"
	exit $bad
}
