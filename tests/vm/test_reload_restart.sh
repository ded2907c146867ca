#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_reload_restart.sh: `isthmus reload` and `isthmus up --attach` know of each other: what a reload has changed
# outlives the broker, and a reload takes nothing from a VM that has not come back. TAP.
set -u
. tests/vm/up_tests.sh

file() { # name, right of sink on "spare", another instance
	cat >"$work/$1.yml" <<-END
		groups:
		  - name: ping
		    size: 2M
		    max_peers: 4
		    regions:
		      - {name: main, size: 1M}
		      - {name: raw, size: 64K}
		      - {name: spare, size: 64K, rights: [{instance: sink, access: $2}]}
		instances:
		$3
		  - {name: source, kind: app, image: $BUILD/tests/vm/exchange.app, args: [source], memory: 16M, groups: [ping]}
		  - {name: sink, kind: app, image: $BUILD/tests/vm/exchange.app, args: [sink], memory: 16M, groups: [ping]}
	END
	sed -i "s,image: $BUILD,image: $PWD/$BUILD," "$work/$1.yml"
}

asked() { # arguments...
	"$isthmus" "$@" >"$work/asked" 2>"$work/err2" </dev/null
	status=$?
}

all_live() { [ "$("$isthmus" status | grep -cE '(source|sink) +live')" = 2 ]; }
all_back() { [ "$("$isthmus" status | grep -cE '(source|sink) +live, back')" = 2 ]; }
row() { "$isthmus" status | awk -v name="$1" '/^group/ { in_group = 1 } in_group && $2 == name'; } # of a peer

killed() {
	kill -KILL "$up"
	wait "$up" 2>/dev/null
}

a_reload_outlives_the_broker() {
	file one rw ''
	file two ro '  - {name: late, kind: process, command: [/bin/true], autostart: false, groups: [ping]}'
	start "$work/one.yml"
	eventually all_live || return
	asked reload "$work/two.yml"
	expect_status 0
	killed
	# With the file of before: it says what is different.
	asked up --attach "$work/one.yml"
	expect_status 1
	grep -qF "runs with another configuration: instance 'late' is gone" "$work/err2" ||
		complain "it says: $(cat "$work/err2")"
	start --attach "$work/two.yml"
	eventually all_back || return
	# The file names them in another order; the IDs are those they had.
	case $(row source) in *' 0 '*source*) ;; *) complain "source is: $(row source)" ;; esac
	case $(row sink) in *' 1 '*sink*) ;; *) complain "sink is: $(row sink)" ;; esac
	case $(row late) in *' 2 '*late*) ;; *) complain "late is: $(row late)" ;; esac
	case $(row sink) in *'spare ro'*) ;; *) complain "its rights are: $(row sink)" ;; esac
	asked reload "$work/one.yml"
	expect_status 0
	case $(row sink) in *'spare rw'*) ;; *) complain "its rights are: $(row sink)" ;; esac
}

nothing_for_who_is_away() {
	sink=$("$isthmus" status --json | python3 -c 'import json, sys
print([p["pid"] for g in json.load(sys.stdin)["ups"][0]["groups"] for p in g["peers"] if p["name"] == "sink"][0])')
	file ro ro ''
	kill -STOP "$sink"
	killed
	start --attach "$work/one.yml"
	came() { row source | grep -q 'live, back'; }
	eventually came || return
	asked reload "$work/ro.yml"
	expect_status 1
	grep -qF "'sink' (pid $sink) has not come back to this broker" "$work/err2" ||
		complain "it says: $(cat "$work/err2")"
	kill -CONT "$sink"
	eventually all_back || return
	asked reload "$work/ro.yml"
	expect_status 0
	case $(row sink) in *'spare ro'*) ;; *) complain "its rights are: $(row sink)" ;; esac
	grep -qa 'bad' "$work/out" && complain "an exchange went wrong: $(grep -a bad "$work/out")"
}

both() {
	a_reload_outlives_the_broker
	if [ -w /dev/kvm ]; then
		nothing_for_who_is_away
	fi
	asked down
	expect_status 0
	wait "$up" 2>/dev/null
	# Who takes over has not made the directory, and leaves it; it is empty.
	rmdir "$work/run" || complain "left: $(ls "$work/run")"
}

t "a reload outlives the broker, IDs stay, and nothing is taken from a VM that has not come back" both
finish_tests
