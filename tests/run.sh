#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh: runs the tests that are built under $BUILD; the last line counts them.
#
#   BUILD=build        where the programs are
#   KINDS="unit vm"    only these kinds (default: all)
#   ONLY=config        only tests whose name, kind/test, contains this (a glob)
#   SANITIZER=tsan     what $BUILD was built with: part of the names
#   SOAK=1             long forms are wanted (soak.sh): twenty times as patient, and the whole test bed
#   JOBS=3             so many tests at a time (default: CPUs and one, as many wait; one in the long forms)
#
# A test is a program (of tests/unit, tests/core, tests/fault), a script (of tests/vm, tests/model and some
# here) or a fuzz target over its corpus. It says what it found in TAP, in the file Check is told or on stdout;
# one that prints no TAP counts once, by its exit status: 0, or 77 for "skipped: last line". A test that crashes,
# runs out of time, runs nothing or less than it planned has failed, whatever it printed.
#
# Most tests are one thread, or wait: they share the machine. The others, of `alone` below, have it to themselves, after
# all that share it.
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
KINDS=${KINDS:-fuzz static model vm fault core unit linux sanitizers}
ONLY=${ONLY:-}
SANITIZER=${SANITIZER:-}
MAKE=${MAKE:-make}

# What these find they find by races, of threads, of processes, of machines: who races needs a CPU. Or they say who runs,
# or have a job for each CPU themselves.
alone=(unit/test_coherence_race unit/test_group_bells unit/test_run_state 'core/test_*_stress' core/test_channel
	core/test_channel_wait core/test_hostile core/test_cell_hostile fault/fault_churn 'model/test_trace_*'
	model/test_verify vm/test_adapt vm/test_cell vm/test_coherence vm/test_hostile vm/test_kill vm/test_pages
	vm/test_reload vm/test_running vm/test_storm linux/bed)

work=$(mktemp -d /tmp/ist.XXXXXX) || exit 1
chmod 711 "$work" # a test joins as another user
mkfifo "$work/ended" && exec 3<>"$work/ended" || exit 1

# The tests' own world. Each has a mark besides, by which everything it started is found again.
mark=ISTHMUS_TEST_RUN=${work##*/}
world=("BUILD=$BUILD" CK_DEFAULT_TIMEOUT=60
	"ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:quarantine_size_mb=16}" "UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}"
	"TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}")
# Sanitizers of this age cannot live with all of a new kernel's address randomization.
[ -n "$SANITIZER" ] && world+=(setarch -R)

patience=1
JOBS=${JOBS:-$([ -n "${SOAK:-}" ] && echo 1 || echo $(($(nproc) + 1)))}
[ -n "${SOAK:-}" ] && patience=20 && world+=(CK_TIMEOUT_MULTIPLIER=$patience)

passed=0 failed=0 skipped=0
skips=() failures=() leftovers=()
declare -A started=() # a test's number: the process that runs it
numbers=0 later=()
since=$SECONDS

# Nothing that was started outlives this, however it ends.
quit() {
	local f
	[ ${#started[@]} = 0 ] || { kill -KILL "${started[@]}" && wait "${started[@]}"; } 2>/dev/null
	for f in /proc/[0-9]*/environ; do
		! grep -qsFz -- "$mark." "$f" || kill -KILL "$(basename "${f%/environ}")"
	done
	rm -rf "$work"
}
trap quit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

wanted() { # name
	# shellcheck disable=SC2053 # a glob is meant
	[[ $1 == *$ONLY* ]]
}

# Sums up a TAP file: "passed failed skipped planned", then a line for each skip and each failure.
tap() {
	awk '
	/^1\.\.[0-9]+/ {
		planned = substr($1, 4)
		if ($0 ~ /# *[Ss][Kk][Ii][Pp]/) { sub(/.*# *[Ss][Kk][Ii][Pp][A-Za-z]* */, ""); s++; planned++; note = note "skip " $0 "\n" }
	}
	/^ok/ && /# *[Ss][Kk][Ii][Pp]/ {
		s++
		sub(/^ok *[0-9]* *-? */, ""); gsub(/ *# *[Ss][Kk][Ii][Pp][A-Za-z]* */, ": ")
		note = note "skip " $0 "\n"; next
	}
	/^ok/ { p++ }
	/^not ok/ { f++; sub(/^not ok *[0-9]* *-? */, ""); note = note "fail " $0 "\n" }
	/^Bail out!/ { planned = "bailed out" }
	END { printf "%d %d %d %s\n%s", p, f, s, planned == "" ? "none" : planned, note }' "$1"
}

# What a test left behind: its processes (and with them all memory they hold) and files.
leavings() { # name, mark, folder
	local name=$1 mark=$2 at=$3 f pid try
	for try in 1 2 3 4 5; do # what was killed needs a moment to end
		grep -qsFxz -- "$mark" /proc/[0-9]*/environ || break
		[ "$try" = 5 ] || sleep 0.2
	done
	for f in /proc/[0-9]*/environ; do
		grep -qsFxz -- "$mark" "$f" || continue
		pid=${f#/proc/} pid=${pid%/environ}
		echo "left $name: process $pid: $(tr '\0\n' '  ' <"/proc/$pid/cmdline" 2>/dev/null)"
		find "/proc/$pid/fd" -lname '/memfd:*' -printf '%l\n' 2>/dev/null | sort -u |
			sed "s|^|left $name: process $pid holds |"
		kill -KILL "$pid" 2>/dev/null
	done
	find "$at/run" -mindepth 1 | sed "s|^$at/|left $name: |"
}

fail() { # name reason
	failed=$((failed + 1))
	failures+=("$1: $2")
	echo "FAIL $1: $2"
}

skip() { # name reason
	skipped=$((skipped + 1))
	skips+=("$1: $2")
	echo "skip $1: $2"
}

# A test, in a shell of its own. In its folder: `said` is for the reader; `found` has how many passed, failed and were
# skipped, then a line for each skip, failure and thing left behind.
run_one() { # its number, name, time limit in seconds, command...
	local number=$1 name=$2 limit=$(($3 * patience)) at=$work/$1 status p f s planned why='' from=$SECONDS
	shift 3
	{
		env --default-signal=INT,QUIT CK_TAP_LOG_FILE_NAME="$at/tap" "$mark.$number" "ISTHMUS_RUNTIME_DIR=$at/run" \
			"TMPDIR=$at/tmp" "${world[@]}" timeout -k 5 "$limit" "$@" >"$at/out" 2>&1 </dev/null 3>&-
	} 2>/dev/null # bash's own word on signals
	status=$?
	leavings "$name" "$mark.$number" "$at" >"$at/left"
	[ -s "$at/tap" ] || cp "$at/out" "$at/tap"
	tap "$at/tap" >"$at/sum"
	read -r p f s planned <"$at/sum"
	case $status in
	124 | 137) why="still running after $limit s" ;;
	12[89] | 1[3-9]? | 2??) why="killed by signal $((status - 128))" ;;
	esac
	if [ -z "$why" ] && [ "$planned" = none ] && [ $((p + f + s)) = 0 ]; then
		case $status in
		0) p=1 ;;
		77) s=1 && echo "skip $(tail -n 1 "$at/out")" >>"$at/sum" ;;
		*) why="ended with status $status" ;;
		esac
	elif [ -z "$why" ]; then
		if [ "$planned" != $((p + f + s)) ]; then
			why="planned $planned, ran $((p + f + s))"
		elif [ $((p + f + s)) = 0 ]; then
			why="ran no test"
		elif [ "$status" != 0 ] && [ "$f" = 0 ] && ! { [ "$status" = 77 ] && [ $((p + f)) = 0 ]; }; then
			why="ended with status $status"
		fi
	fi
	if [ -n "$why" ]; then
		f=$((f + 1))
		echo "fail $why" >>"$at/sum"
		echo "FAIL $name: $why"
	elif [ "$f" != 0 ]; then
		echo "FAIL $name: $f of $((p + f + s))"
	elif [ "$p" = 0 ]; then
		echo "skip $name"
	else
		echo "ok   $name ($p)$([ "$s" = 0 ] || echo ", $s skipped")$([ $((SECONDS - from)) -lt 10 ] || echo ", $((SECONDS - from)) s")"
	fi >"$at/said"
	if [ "$f" != 0 ]; then
		sed 's/^/     | /' "$at/out" | tail -n 200
		if ! cmp -s "$at/tap" "$at/out"; then
			grep -av '^ok' "$at/tap" | sed 's/^/     | /'
		fi
	fi >>"$at/said"
	{
		echo "$p $f $s"
		tail -n +2 "$at/sum" | sed -E "s,^(skip|fail) ,\\1 $name: ,"
		cat "$at/left"
	} >"$at/all" && mv "$at/all" "$at/found"
}

start() { # name, time limit in seconds, command...
	local number=$((++numbers)) name=${SANITIZER:+$SANITIZER/}$1
	shift
	mkdir "$work/$number" "$work/$number/run" "$work/$number/tmp" && chmod 711 "$work/$number" "$work/$number/tmp"
	echo "$name" >"$work/$number/name"
	{
		run_one "$number" "$name" "$@"
		echo "$number" >&3
	} &
	started[$number]=$!
}

# Waits until one has ended, and counts what it found.
collect() {
	local number p f s kind text
	while
		read -r -t 60 number <&3
		[ -z "$number" ] || [ -z "${started[$number]:-}" ]
	do
		for number in "${!started[@]}"; do # one that was killed says nothing
			kill -0 "${started[$number]}" 2>/dev/null || break 2
		done
	done
	wait "${started[$number]}" 2>/dev/null
	unset "started[$number]"
	if [ ! -e "$work/$number/found" ]; then
		fail "$(cat "$work/$number/name")" "what ran it was killed"
		return
	fi
	cat "$work/$number/said"
	{
		read -r p f s
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		while read -r kind text; do
			case $kind in
			skip) skips+=("$text") ;;
			fail) failures+=("$text") ;;
			left) leftovers+=("$text") ;;
			esac
		done
	} <"$work/$number/found"
	rm -rf "${work:?}/$number"
}

run() { # name, time limit in seconds, command...
	local pattern
	for pattern in "${alone[@]}"; do
		# shellcheck disable=SC2053 # a glob is meant
		if [[ $1 == $pattern ]]; then
			later+=("$(printf '%q ' "$@")")
			return
		fi
	done
	[ ${#started[@]} -lt "$JOBS" ] || collect
	start "$@"
}

# Until everything has run.
run_all() {
	local words
	while [ ${#started[@]} != 0 ]; do
		collect
	done
	for words in "${later[@]}"; do
		eval "start $words"
		collect
	done
	later=()
}

scripts() { # kind, time limit
	local f
	for f in tests/"$1"/test_*.sh; do
		[ -e "$f" ] || continue
		f=${f#tests/} f=${f%.sh}
		wanted "$f" && run "$f" "$2" "tests/$f.sh"
	done
}

kind_programs() { # kind, time limit
	local source name
	for source in tests/"$1"/*.c; do
		[ -e "$source" ] || continue
		name=${source#tests/} name=${name%.c}
		wanted "$name" || continue
		if [ -x "$BUILD/tests/$name" ]; then
			run "$name" "$2" "$BUILD/tests/$name"
		else
			fail "$name" "is not built"
		fi
	done
}

kind_unit() { kind_programs unit 180; }
kind_core() { kind_programs core 300; }
kind_fault() { kind_programs fault 600; }
kind_vm() { scripts vm 600; }
kind_model() { scripts model 600; }

# Linux guests: one run of the test bed, which reports each of its scenarios.
kind_linux() {
	local quick=(--quick)
	[ "$patience" = 1 ] || quick=()
	! wanted linux/bed || run linux/bed 900 tests/linux/run.py "${quick[@]}"
}

# Every input that a fuzzer once found worth keeping, again, under ASan and UBSan.
kind_fuzz() {
	local source name any=
	for source in tests/fuzz/fuzz_*.c; do
		[ -e "$source" ] || continue
		wanted "fuzz/$(basename "$source" .c)" && any=1
	done
	[ -n "$any" ] || return
	if ! clang -fsanitize=fuzzer,address -x c -o "$work/probe" - 2>/dev/null \
		<<<'int LLVMFuzzerTestOneInput(const char *p, long n) { return p && n ? 0 : 0; }'; then
		skip fuzz "clang with libFuzzer is not installed"
		return
	fi
	if ! "$MAKE" --no-print-directory -j2 BUILD="$BUILD" fuzzers >"$work/build" 2>&1; then
		tail -n 50 "$work/build"
		fail fuzz "does not build"
		return
	fi
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		wanted "fuzz/$name" || continue
		if [ -z "$(ls -A "tests/fuzz/corpus/${name#fuzz_}" 2>/dev/null)" ]; then
			fail "fuzz/$name" "tests/fuzz/corpus/${name#fuzz_} has no input"
			continue
		fi
		run "fuzz/$name" 300 setarch -R "$BUILD/fuzz/tests/fuzz/$name" -runs=0 -timeout=10 \
			-artifact_prefix="$work/" "tests/fuzz/corpus/${name#fuzz_}"
	done
}

kind_static() {
	local f
	for f in headers.sh abi_doc.py man.sh modules.sh loc.sh; do
		[ -e "tests/$f" ] || continue
		wanted "static/${f%.*}" && run "static/${f%.*}" 300 "tests/$f"
	done
}

# The same programs again, built with each sanitizer in a folder of its own.
kind_sanitizers() {
	local san p f s
	for san in asan tsan; do
		[ -z "$ONLY" ] || [ "$ONLY" = $san ] || continue
		env -u ONLY -u KINDS -u MAKEFLAGS -u MAKELEVEL "$MAKE" --no-print-directory BUILD="$BUILD" $san \
			>"$work/$san" 2>&1
		# make has the last word when something failed.
		if ! read -r p f s < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' \
			"$work/$san" | tail -n 1); then
			tail -n 50 "$work/$san"
			fail $san "does not build or run"
			continue
		fi
		grep -aE '^(ok|FAIL|skip|     \|) ' "$work/$san"
		while read -r line; do
			skips+=("$line")
		done < <(sed -n 's/^skipped: //p' "$work/$san")
		while read -r line; do
			failures+=("$line")
		done < <(sed -n 's/^failed: //p' "$work/$san")
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
		[ $((p + f)) != 0 ] || fail $san "ran no test"
	done
}

for kind in $KINDS; do
	[ "$kind" != sanitizers ] || run_all # what builds has the machine to itself, too
	"kind_$kind"
done
run_all

# The last test: nothing of all that is still there.
if [ $((passed + failed)) != 0 ]; then
	if [ ${#leftovers[@]} = 0 ]; then
		passed=$((passed + 1))
		echo "ok   ${SANITIZER:+$SANITIZER/}nothing-left (1)"
	else
		printf '     | %s\n' "${leftovers[@]}"
		fail "${SANITIZER:+$SANITIZER/}nothing-left" "${#leftovers[@]} things were left behind"
	fi
fi

echo
[ ${#skips[@]} = 0 ] || printf 'skipped: %s\n' "${skips[@]}"
[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
echo "in $((SECONDS - since)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
