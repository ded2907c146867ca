# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# tap.sh: what scripts that print TAP have in common; sourced by them.
count=0 bad=0

result() { # status, name, [file to show when it is not 0]
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		bad=1
		echo "not ok $count - $2"
		[ -z "${3:-}" ] || tail -n 200 "$3" | cut -c1-200 | sed 's/^/# /'
	fi
}

skip() { # name, reason
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

finish() {
	echo "1..$count"
	exit $bad
}
