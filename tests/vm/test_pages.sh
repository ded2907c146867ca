#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_pages.sh: page-coherent regions between VMs. See pages.py.
cd "$(dirname "$0")/../.." || exit 1
exec tests/vm/pages.py
