/* SPDX-License-Identifier: BSD-2-Clause */
/* size.h: sizes and times as people write them: 4096, 64M, 2G, 50us, 1s. */
#ifndef IVSHM_SIZE_H
#define IVSHM_SIZE_H

#include <stdint.h>

#define IVSHM_SIZE_MAX (1ull << 46)
#define IVSHM_TIME_MAX (3600ull * 1000000000u)
#define IVSHM_SIZE_TEXT 24u /* bytes for ivshm_size_format() */

/* 0; -EINVAL: not a size; -ERANGE: more than IVSHM_SIZE_MAX. */
int ivshm_size_parse(const char *text, uint64_t *out);

/* Exact where that is short (16M, 8196K), else rounded to one decimal (1023.9G). Returns `text`. */
const char *ivshm_size_format(uint64_t size, char text[static IVSHM_SIZE_TEXT]);

/* "50us" and the like, in ns. 0; -EINVAL: not a time; -ERANGE: more than IVSHM_TIME_MAX. */
int ivshm_time_parse(const char *text, uint64_t *out);

#endif
