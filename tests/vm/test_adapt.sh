#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# test_adapt.sh: what bench/adapt does is right, whatever it takes: see adapt.py.
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/vm/adapt.py
