#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# man.sh: the manual is sound, complete, and its examples compile. Prints TAP.
#
#   BUILD=build   where libisthmus.a is
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
CC=${CC:-cc}
work=$(mktemp -d "${TMPDIR:-/tmp}/man.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

# The program in a page's EXAMPLES, as the reader sees it.
example() { # page
	awk '/^\.Sh/ { inside = $2 == "EXAMPLES" }
	     /^\.Ed/ { text = 0 }
	     inside && text { gsub(/\\e/, "\\"); gsub(/\\&/, ""); print }
	     /^\.Bd -literal/ { text = 1 }' "$1"
}

# Applications are the same source in a process and in an app VM.
compile() { # source
	# shellcheck disable=SC2046 # a list of options
	"$CC" -std=gnu11 -Wall -Wextra -Werror -Iguestlib/include -I"$BUILD/include/abi" \
		-o "$work/program" "$1" "$BUILD/libisthmus.a" $(pkg-config --libs liburcu-bp) -pthread &&
		"$CC" -std=gnu11 -Wall -Wextra -Werror -ffreestanding -nostdinc \
			-isystem "$("$CC" -print-file-name=include)" -Iguestlib/include \
			-I"$BUILD/include/abi" -c -o "$work/program.o" "$1"
}

for page in docs/man/*.[1345]; do
	if command -v mandoc >/dev/null; then
		mandoc -T lint -W warning "$page" >"$work/log" 2>&1
		result $? "$page is sound" "$work/log"
	else
		skip "$page is sound" "mandoc is not installed"
	fi
done

for page in docs/man/*.3; do
	example "$page" >"$work/example.c"
	grep -q 'int main(' "$work/example.c" && compile "$work/example.c" >"$work/log" 2>&1
	result $? "the example of $page compiles" "$work/log"
done

# The same names in the headers, in the manual and in the shared library.
grep -h '^IST_API' guestlib/include/isthmus/*.h | grep -o 'ist_[a-z_]*(' | tr -d '(' | sort >"$work/headers"
sed -n 's/^\.Nm \(ist_[a-z_]*\).*/\1/p' docs/man/*.3 | sort >"$work/manual"
sed -n 's/^\t\(ist_[a-z_]*\);$/\1/p' guestlib/libisthmus.map | sort >"$work/map"
diff "$work/headers" "$work/manual" >"$work/log"
result $? "every function has its page" "$work/log"
diff "$work/headers" "$work/map" >"$work/log"
result $? "every function is in libisthmus.map" "$work/log"

# No page refers to one of ours that is not there.
{
	cat "$work/manual"
	for page in docs/man/*.[1345]; do
		page=${page##*/}
		echo "${page%.?}"
	done
} | sort -u >"$work/known"
sed -n 's/^\.Xr \(ist[^ ]*\) [1345].*/\1/p' docs/man/*.[1345] | sort -u | comm -23 - "$work/known" >"$work/log"
[ ! -s "$work/log" ]
result $? "no reference leads nowhere" "$work/log"

finish
