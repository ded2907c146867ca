/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tenure.c: how long who got a unit keeps it, when others want it too. */
#include "tenure.h"

uint64_t coh_tenure(uint64_t tenure, uint64_t least, uint64_t held)
{
	uint64_t most =
		least > UINT64_MAX / COH_TENURE_GROWTH ? UINT64_MAX : least * COH_TENURE_GROWTH;

	if (held < tenure)
		tenure = tenure > most / 2 ? most : tenure * 2;
	else if (held / 4 >= tenure)
		tenure /= 2;
	if (tenure < least)
		return least;
	return tenure < most ? tenure : most;
}
