#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# test_coherence.sh: what bench/coherence does is right, whatever it takes: see coherence.py.
cd "$(dirname "$0")/../.." || exit 1
exec python3 tests/vm/coherence.py
