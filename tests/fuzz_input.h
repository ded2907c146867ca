/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_input.h: a fuzzer's input, taken byte by byte: 0 behind its end. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *data;
	size_t left;
};

static inline uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

#endif
