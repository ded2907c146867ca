/* SPDX-License-Identifier: BSD-2-Clause */
/* size.c: sizes as people write them. */
#include "size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char suffixes[] = "KMGT";

int ivshm_size_parse(const char *text, uint64_t *out)
{
	const char *at = text;
	uint64_t size = 0;
	unsigned shift = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		/* Sticks above the limit instead of wrapping: all of the text has to be looked at.
		 */
		if (size <= IVSHM_SIZE_MAX)
			size = size * 10 + (uint64_t)(*at - '0');
	}
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
