#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test_qemu.sh: stock QEMU guests in a group; see tests/linux/foreign.py. Prints TAP, or why it is skipped.
cd "$(dirname "$0")/../.." || exit 1
exec python3 -B tests/linux/foreign.py
