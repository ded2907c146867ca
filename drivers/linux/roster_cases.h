/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* roster_cases.h: tests of roster.c, for isthmus_selftest.ko and for the unit test alike. */
#ifndef ISTHMUS_ROSTER_CASES_H
#define ISTHMUS_ROSTER_CASES_H

/* Runs all cases. `result` hears of each: what it is, and whether it is so. */
void isthmus_roster_cases(void (*result)(const char *what, int ok));

#endif
