/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_raw_header: what an IPv4 raw socket delivers. What is left of it must lie within it. */
#include <stdlib.h>

#include "base/alloc.h"
#include "drivers/raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = len <= 65535 ? mem_alloc(len ? len : 1) : NULL;

	if (!copy)
		return 0;
	if (len)
		memcpy(copy, data, len);
	struct packet p = {.data = copy, .buf = copy, .len = (uint32_t)len, .cap = (uint32_t)len};

	if (raw_strip_ipv4(&p)) {
		if (p.data < copy + 20 || p.data > copy + 60 || p.data + p.len > copy + len)
			abort();
	} else if (p.data != copy || p.len != len) {
		abort();
	}
	mem_free(copy);
	return 0;
}
