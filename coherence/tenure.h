/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tenure.h: how long who got a unit keeps it, when others want it too. */
#ifndef COH_TENURE_H
#define COH_TENURE_H

#include <stdint.h>

#define COH_TENURE_GROWTH 16u /* a tenure is at most so many times the least one */

/**
 * coh_tenure - the next tenure, after one of `tenure` at whose `held` the first question came.
 *
 * A question before its end doubles it: handing over costs more than is done in between. One after
 * four times its length halves it. Between `least` and COH_TENURE_GROWTH * least, all in one unit
 * of time. Pure.
 */
uint64_t coh_tenure(uint64_t tenure, uint64_t least, uint64_t held);

#endif
