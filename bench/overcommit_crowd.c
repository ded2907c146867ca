/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overcommit_crowd.c: all contend for one record, hold it for a while, and work without it. How
 * long is random, from half of what was asked for to one and a half.
 */
#include "overcommit.h"

static uint64_t about(uint64_t *random, uint64_t ns)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return ns ? ns / 2 + *random % ns : 0;
}

int contest_crowd(struct contest *c)
{
	const struct ist_cell_options options = {
		.region = "main", .size = 8, .policy = IST_MIGRATORY};
	uint64_t random = 88172645463325252ull + ist_group_self(c->group[0]), now, made = 0;
	struct ist_cell *cell[GROUPS];
	uint64_t *place;
	int error = 0;

	for (unsigned i = 0; i < GROUPS && !error; i++)
		error = ist_cell_open(c->group[i], "record", &options, &cell[i]);
	while (!error && (now = ist_time_ns()) < c->end) {
		unsigned here = contest_group(now);

		error = ist_cell_write_begin(cell[here], 0, IST_FOREVER, (void **)&place);
		if (error)
			break;
		contest_work(c, about(&random, c->hold_ns));
		++*place;
		error = ist_cell_write_end(cell[here]);
		made++;
		contest_count(c, now);
		contest_work(c, about(&random, c->work_ns));
	}
	ist_print("made %u\n", (uint32_t)made);
	for (unsigned i = 0; i < GROUPS && !error; i++) {
		uint64_t is;

		error = ist_cell_read(cell[i], &is, NULL, IST_FOREVER);
		if (!error)
			ist_print("record %u is %u\n", i, (uint32_t)is);
	}
	return error;
}
