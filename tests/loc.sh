#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# loc.sh: the hypervisor core stays compact: hv/ as a whole has fewer than 6,000 lines, comments and blanks too. TAP.
set -u
cd "$(dirname "$0")/.." || exit 1

limit=6000
read -r code all < <("${MAKE:-make}" --no-print-directory -s loc | awk '$1 == "hv" { print $2, $3 }')

echo 1..1
if [ "${all:-0}" -gt 0 ] && [ "$all" -lt $limit ]; then
	echo "ok 1 - hv/ has $all lines ($code of code), fewer than $limit"
else
	echo "not ok 1 - hv/ has ${all:-no} lines, not fewer than $limit"
	exit 1
fi
