/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ts: two TS payload bodies, the first one's length in the first byte: the peer's selectors
 * and ours. What narrowing gives must lie within both, hold nothing twice, and leave nothing out.
 */
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* covers_common - whatever one selector of each side have in common is in the result. */
static void covers_common(const struct ts_list *out, const struct ts_list *a,
			  const struct ts_list *b)
{
	struct ts common;

	for (uint32_t i = 0; i < a->num; i++) {
		for (uint32_t j = 0; j < b->num; j++) {
			if (ts_intersect(&common, &a->ts[i], &b->ts[j])) {
				require(ts_valid(&common));
				require(ts_list_within(&common, 1, out->ts, out->num));
			}
		}
	}
}

static void check_narrow(const struct ts_list *a, const struct ts_list *b, uint32_t max)
{
	struct ts_list out;
	bool cut;
	enum err e = ts_list_narrow(&out, &cut, a->ts, a->num, b->ts, b->num, max);

	if (e != ERR_OK) {
		out.num = 0;
		require(e == ERR_TS_UNACCEPTABLE);
		covers_common(&out, a, b);
		return;
	}
	require(out.num >= 1 && out.num <= max);
	require(ts_list_within(out.ts, out.num, a->ts, a->num));
	require(ts_list_within(out.ts, out.num, b->ts, b->num));
	for (uint32_t i = 0; i < out.num; i++) {
		for (uint32_t j = 0; j < out.num; j++)
			require(i == j || !ts_contains(&out.ts[i], &out.ts[j]));
	}
	if (!cut)
		covers_common(&out, a, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ts_list a, b;

	if (len < 1 || data[0] > len - 1)
		return 0;
	use_ts(bytes_of(data + 1, data[0]));
	if (ts_list_parse(&a, bytes_of(data + 1, data[0])) != ERR_OK ||
	    ts_list_parse(&b, bytes_of(data + 1 + data[0], len - 1 - data[0])) != ERR_OK)
		return 0;
	check_narrow(&a, &b, IKE_MAX_TS);
	check_narrow(&b, &a, IKE_MAX_TS);
	check_narrow(&a, &b, 2);
	return 0;
}
