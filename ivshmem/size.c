/* SPDX-License-Identifier: BSD-2-Clause */
/* size.c: sizes and times as people write them: 4096, 64M, 2G, 50us, 1s. */
#include "size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char suffixes[] = "KMGT";

/* Moves behind them. Sticks above `limit` instead of wrapping: all of the text has to be looked at.
 */
static uint64_t digits(const char **at, uint64_t limit)
{
	uint64_t number = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++)
		if (number <= limit)
			number = number * 10 + (uint64_t)(**at - '0');
	return number;
}

int ivshm_time_parse(const char *text, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	const char *at = text;
	uint64_t number = digits(&at, IVSHM_TIME_MAX);

	for (unsigned i = 0; at != text && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].name) != 0)
			continue;
		if (number > IVSHM_TIME_MAX / units[i].ns)
			return -ERANGE;
		*out = number * units[i].ns;
		return 0;
	}
	return -EINVAL;
}

int ivshm_size_parse(const char *text, uint64_t *out)
{
	const char *at = text;
	uint64_t size = digits(&at, IVSHM_SIZE_MAX);
	unsigned shift = 0;

	if (at == text)
		return -EINVAL;
	if (*at) {
		const char *suffix = strchr(suffixes, *at++);

		if (!suffix || *at)
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (size > IVSHM_SIZE_MAX >> shift)
		return -ERANGE;
	*out = size << shift;
	return 0;
}

const char *ivshm_size_format(uint64_t size, char text[static IVSHM_SIZE_TEXT])
{
	unsigned exact = 0, largest = 0;

	while (exact < 4 && size && !((size >> (10 * exact)) & 1023))
		exact++;
	while (largest < 4 && (size >> (10 * largest)) >= 1024)
		largest++;
	if ((size >> (10 * exact)) < 10000)
		snprintf(text, IVSHM_SIZE_TEXT, "%" PRIu64 "%.1s", size >> (10 * exact),
			 exact ? &suffixes[exact - 1] : "");
	else
		snprintf(text, IVSHM_SIZE_TEXT, "%.1f%.1s",
			 (double)size / (double)(1ull << (10 * largest)),
			 largest ? &suffixes[largest - 1] : "");
	return text;
}
