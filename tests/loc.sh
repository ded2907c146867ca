#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# loc.sh: the hypervisor core stays compact: hv/ has fewer than 6,000 lines of code, as `make loc` counts them. TAP.
set -u
cd "$(dirname "$0")/.." || exit 1

limit=6000
read -r code all < <("${MAKE:-make}" --no-print-directory -s loc | awk '$1 == "hv" { print $2, $3 }')

echo 1..1
if [ "${code:-0}" -gt 0 ] && [ "$code" -lt $limit ]; then
	echo "ok 1 - hv/ has $code lines of code (of $all in all), fewer than $limit"
else
	echo "not ok 1 - hv/ has ${code:-no} lines of code (of ${all:-none} in all), not fewer than $limit"
	exit 1
fi
