#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# modules.sh: the guest's kernel modules build without a warning: compiler's (W=1), sparse's (C=2), and those of
# what `make install` puts in place for DKMS. Prints TAP.
#
#   BUILD=build   where to build, in folders of their own
#   KDIR=...      the kernel's headers; without it the newest that are installed
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
KDIR=${KDIR:-$(ls -d /lib/modules/*/build 2>/dev/null | sort -V | tail -n 1)}
work=$(mktemp -d "${TMPDIR:-/tmp}/modules.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/tap.sh
. tests/tap.sh

if [ -z "$KDIR" ] || [ ! -e "$KDIR/Makefile" ]; then
	echo "1..0 # SKIP no kernel headers are installed (linux-headers-amd64)"
	exit 0
fi

# A module folder as `make modules` makes it; whatever is said is a warning.
modules() { # name, make's variables...
	local name=$1
	shift
	rm -rf "$BUILD/modules-check"
	make --no-print-directory BUILD="$BUILD/modules-check" KDIR="$KDIR" "$@" modules 2>&1 |
		grep -v '^  KBUILD' >"$work/out"
	[ "${PIPESTATUS[0]}" = 0 ] && [ ! -s "$work/out" ] &&
		[ -e "$BUILD/modules-check/drivers/isthmus.ko" ] &&
		[ -e "$BUILD/modules-check/drivers/isthmus_selftest.ko" ]
	result $? "$name" "$work/out"
	rm -rf "$BUILD/modules-check"
}

before=$(ls -A drivers/linux)
modules "no warning of the compiler (W=1)" W=1
if command -v sparse >/dev/null; then
	modules "no warning of sparse (C=2)" C=2
else
	skip "no warning of sparse (C=2)" "sparse is not installed"
fi
[ "$before" = "$(ls -A drivers/linux)" ]
result $? "the source tree is as it was" /dev/null

# As DKMS does: the installed sources alone, elsewhere.
make --no-print-directory BUILD="$BUILD" DESTDIR="$work/root" PREFIX=/usr install-driver >"$work/out" 2>&1
result $? "the sources are installed" "$work/out"
mv "$work"/root/usr/src/isthmus-* "$work/dkms" 2>"$work/out" &&
	grep -qx 'PACKAGE_VERSION="[0-9.]*"' "$work/dkms/dkms.conf" &&
	MAKEFLAGS='' make -s -C "$KDIR" M="$work/dkms" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$work/out" 2>&1 &&
	[ ! -s "$work/out" ] && [ -e "$work/dkms/isthmus.ko" ]
result $? "and build alone, as for DKMS" "$work/out"
[ -s "$work/root/usr/lib/udev/rules.d/60-isthmus.rules" ]
result $? "with them the udev rule" /dev/null

finish
