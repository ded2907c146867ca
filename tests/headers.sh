#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# headers.sh: every header compiles alone, in each language and place it is meant for. Prints TAP.
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
I=$BUILD/include
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh
make --no-print-directory -s BUILD="$BUILD" "$I/.made" || exit 1

# Included twice: what it defines, it must define once.
alone() { # name, include directive's operand, compiler and flags...
	local name=$1 header=$2
	shift 2
	printf '#include %s\n#include %s\nint nothing;\n' "$header" "$header" |
		"$@" -Wall -Wextra -Werror -fsyntax-only - >"$work/out" 2>&1
	result $? "$name" "$work/out"
}

has() { command -v "$1" >/dev/null; }

public=("$I/abi/isthmus/abi.h" guestlib/include/isthmus/*.h)
paths=(-Iguestlib/include "-I$I/abi")

for cc in gcc clang; do
	if ! has $cc; then
		skip "public headers with $cc" "$cc is not installed"
		continue
	fi
	own=$($cc -print-file-name=include)
	for h in "${public[@]}"; do
		h=isthmus/$(basename "$h")
		alone "$h: C99, $cc" "<$h>" $cc -x c -std=c99 -pedantic "${paths[@]}"
		alone "$h: freestanding C, $cc" "<$h>" $cc -x c -ffreestanding -nostdinc -isystem "$own" "${paths[@]}"
	done
done
for cxx in g++ clang++; do
	if ! has $cxx; then
		skip "public headers with $cxx" "$cxx is not installed"
		continue
	fi
	for h in "${public[@]}"; do
		h=isthmus/$(basename "$h")
		alone "$h: C++17, $cxx" "<$h>" $cxx -x c++ -std=c++17 -pedantic "${paths[@]}"
	done
done

# Headers of the house: with the paths their own folder has, and no others.
inside() { # flags... -- headers...
	local flags=()
	while [ "$1" != -- ]; do
		flags+=("$1")
		shift
	done
	shift
	for h in "$@"; do
		[ -e "$h" ] || continue
		alone "$h" "\"$PWD/$h\"" "${CC:-cc}" -x c -std=gnu11 -D_GNU_SOURCE -Wstrict-prototypes "${flags[@]}"
	done
}
inside "-I$I/abi" -- ivshmem/*.h
inside "-I$I/ivshmem" "-I$I/abi" -- ivshmem/cmd/*.h
inside "-I$I/ivshmem" "-I$I/coherence" "-I$I/abi" -- hv/*.h
inside "-I$I/abi" -- coherence/*.h coherence/pager/*.h
inside -iquote guestlib/core -Iguestlib/include "-I$I/abi" "-I$I/coherence" -- \
	guestlib/core/*.h guestlib/platform/*/*.h

# abi.h in a kernel module, against whatever kernel's headers are here.
kernel=
for dir in /lib/modules/*/build /usr/src/linux-headers-*; do
	[ -e "$dir/Makefile" ] && [ -e "$dir/Module.symvers" ] && kernel=$dir && break
done
if [ -z "$kernel" ]; then
	skip "abi.h in a kernel module" "no kernel headers are installed"
else
	mkdir "$work/module"
	ln -s "$PWD/ivshmem/abi.h" "$work/module/abi.h"
	printf 'obj-m := abi_alone.o\nccflags-y := -Wall -Werror\n' >"$work/module/Kbuild"
	cat >"$work/module/abi_alone.c" <<-'END'
		#include "abi.h"
		#include <linux/module.h>

		static u64 ist_magic = IST_ROSTER_MAGIC;
		module_param_named(magic, ist_magic, ullong, 0444);
		MODULE_LICENSE("Dual BSD/GPL");
	END
	make -C "$kernel" M="$work/module" modules >"$work/out" 2>&1
	result $? "abi.h in a kernel module ($(basename "$(readlink -f "$kernel")"))" "$work/out"
fi

finish
