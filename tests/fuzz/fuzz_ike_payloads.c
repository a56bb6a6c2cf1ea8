/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ike_payloads: the type of the first payload, then a chain in the clear. */
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ike_msg m;

	if (len < 1)
		return 0;
	if (ike_chain_parse(&m, data[0], bytes_of(data + 1, len - 1), true) == ERR_OK)
		use_payloads(&m);
	return 0;
}
