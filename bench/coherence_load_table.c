/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherence_load_table.c: a small key-value table: 64 records of 40 bytes, 95 % reads, the keys
 * under a Zipf distribution. Each record is an object of its own.
 */
#include "coherence.h"

#define TABLE_READS 950u /* in a thousand */
#define PICKS 8192u

static uint16_t picks[PICKS]; /* keys, each as often as it is wanted */

/*
 * Zipf with exponent 1: the key of rank r is wanted in proportion to 1/r. The ranks lie scattered,
 * so that the wanted ones are no neighbours.
 */
static void table_prepare(struct bench *b)
{
	static double until[OBJECTS_MAX]; /* the sum of 1/r up to here */
	static int ready;
	double sum = 0;

	if (ready++ != 0)
		return;
	for (unsigned i = 0; i < OBJECTS_MAX; i++)
		until[i] = sum += 1.0 / (i + 1);
	for (unsigned i = 0; i < PICKS; i++) {
		double wanted = (double)(random_next(b) >> 11) * (1.0 / 9007199254740992.0) * sum;
		unsigned low = 0, high = OBJECTS_MAX - 1;

		while (low < high) {
			unsigned middle = (low + high) / 2;

			if (until[middle] <= wanted)
				low = middle + 1;
			else
				high = middle;
		}
		picks[i] = (uint16_t)(low * 389 % OBJECTS_MAX);
	}
}

static int table_run(struct bench *b)
{
	int error = 0;

	while (error == 0 && going(b))
		error = counted(b, mixed_once(b, &b->site.objects[picks[random_next(b) % PICKS]],
					      TABLE_READS));
	return error;
}

const struct load load_table = {
	.name = "table",
	.unit = "M/s",
	.needs = NEED_RECORD,
	.words = 5,
	.objects = OBJECTS_MAX,
	.prepare = table_prepare,
	.run = table_run,
	.check = check_each,
};
