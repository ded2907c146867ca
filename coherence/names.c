/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* names.c: the steps' names. */
#include "names.h"

const char *coh_step_name(unsigned type)
{
	switch (type) {
#define COH_STEP_NAME(number, name, word)                                                          \
	case number:                                                                               \
		return #name;
		COH_STEPS(COH_STEP_NAME)
#undef COH_STEP_NAME
	default:
		return "?";
	}
}

int coh_step_changes_word(unsigned type)
{
	switch (type) {
#define COH_STEP_WORD(number, name, word)                                                          \
	case number:                                                                               \
		return word;
		COH_STEPS(COH_STEP_WORD)
#undef COH_STEP_WORD
	default:
		return 0;
	}
}
