/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_config.c: configuration text from a fuzzer: an error or a configuration that can be shown.
 */
#include <stdlib.h>

#include "ivshmem/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct ivshm_config *config;

	if (!null)
		null = fopen("/dev/null", "w");
	if (!null)
		abort();
	if (ivshm_config_load_text((const char *)data, size, "fuzz.yaml", null, &config))
		return 0;
	/* What was accepted has a layout. */
	if (ivshm_config_print(config, null))
		abort();
	ivshm_config_free(config);
	return 0;
}
