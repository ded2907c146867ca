#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# soak.sh: all tests in their long forms, as run.sh runs them and with its last line. Hours; for a machine that has
# nothing else to do. KINDS and ONLY choose as ever, and each variable below may be given.
set -u
cd "$(dirname "$0")/.." || exit 1

export CHURN_LIVES=${CHURN_LIVES:-20000}       # fault/fault_churn: 64 peers come and go for more than a minute
export STRESS_EPISODES=${STRESS_EPISODES:-100} # core/test_cell_stress: of each kind of cell
export OCCURRENCES=${OCCURRENCES:-8}           # fault/fault_pager_kill: killed at each step the 1st to the 8th time
export KILLS=${KILLS:-500}                     # vm/test_kill, vm/test_pages
export ROUNDS=${ROUNDS:-2000}                  # vm/test_pages: of each litmus test
export ORDERS=${ORDERS:-1000}                   # vm/test_cell: the same through cells, of four; 20 times as often of two
export MS=${MS:-60000}                         # vm/test_hostile: how long a hostile VM scribbles
export TRACE_RUNS=${TRACE_RUNS:-20}            # model/test_trace_*: traces compared with the model
export RESTARTS=${RESTARTS:-100}               # vm/test_restart: `up` is killed and followed by another
export RELOAD_TRIES=${RELOAD_TRIES:-1000}      # vm/test_reload: a right is taken while its owners store
export SOAK=1 # fault_reload, fault_restart, model/test_life, linux/bed: in full; and more time for everything
exec tests/run.sh
