/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selectors.h - the TS payloads (RFC 7296 3.13) and narrowing (2.9). Pure functions over untrusted
 * bytes, any thread.
 */
#pragma once

#include "base/addr.h"
#include "control/ike/wire/build.h"

/* struct ts_list - up to IKE_MAX_TS selectors; about 3 KiB. */
struct ts_list {
	struct ts ts[IKE_MAX_TS];
	uint32_t num;
};

/* ts_list_parse - the body of TSi or TSr: count, lengths and each selector are checked (S7).
 * Selectors of unknown types are passed over; num is then smaller, even 0. Errors: TRUNCATED,
 * MALFORMED, LIMIT (more than IKE_MAX_TS). */
MUST_USE enum err ts_list_parse(struct ts_list *out, struct bytes body) NONNULL(1);

/* ts_list_build - type is PAYLOAD_TSI or PAYLOAD_TSR; 1 to IKE_MAX_TS selectors, else the message
 * fails with INVAL or LIMIT. */
void ts_list_build(struct ike_builder *b, uint8_t type, const struct ts *ts, uint32_t num)
	NONNULL(1, 3);

/* ts_list_write - the same as ts_list_parse() reads it, where it is no payload by itself. */
void ts_list_write(struct writer *w, const struct ts *ts, uint32_t num) NONNULL(1, 2);

/*
 * ts_list_narrow - what the peer's selectors and ours have in common: intersections in the peer's
 * order, so that its first selectors (those of the packet that asked, 2.9) come first; a selector
 * within another one is left out, so the result's first may be wider than the peer's first but
 * always contains what of it is acceptable. At most max (1 to IKE_MAX_TS) are kept, the first ones;
 * *out_cut then is true. Errors: TS_UNACCEPTABLE (nothing in common).
 */
MUST_USE enum err ts_list_narrow(struct ts_list *out, bool *out_cut, const struct ts *peer,
				 uint32_t num_peer, const struct ts *ours, uint32_t num_ours,
				 uint32_t max) NONNULL(1, 2, 3, 5);

/* ts_list_within - every selector of part lies in one of whole: an answer is a subset of our offer.
 * False if part is empty. */
bool ts_list_within(const struct ts *part, uint32_t num_part, const struct ts *whole,
		    uint32_t num_whole) NONNULL(1, 3);

/* ts_list_without - take out what `what` has in common with the list, and more only where that
 * cannot be said in selectors: of all protocols together the addresses go. *l is changed only on
 * success. Errors: TS_UNACCEPTABLE (nothing remains), LIMIT (more than IKE_MAX_TS selectors would
 * be needed). */
MUST_USE enum err ts_list_without(struct ts_list *l, const struct ts *what) NONNULL(1, 2);

/* ts_list_prepend - put a packet's own selector in front of a list that is to be offered (2.9); a
 * full list loses its last selector. */
void ts_list_prepend(struct ts_list *l, const struct ts *ts) NONNULL(1, 2);
