/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skf.h - the Encrypted Fragment payload (RFC 7383 2.5): a message that is too large for one
 * datagram, cut into pieces that are authenticated each by itself. Putting received pieces together
 * is reassembly.h. Thread: the engine's control thread.
 */
#pragma once

#include "control/ike/wire/build.h"
#include "control/ike/wire/sk.h"

/* struct skf - an Encrypted Fragment payload as received, not yet authenticated. */
struct skf {
	uint16_t number, total; /* 1 <= number <= total <= IKE_MAX_FRAGMENTS */
	uint8_t first;          /* type of the first payload inside; counts in fragment 1 */
	struct sk_sealed sealed;
};

/* skf_parse - the SKF payload of outer. Errors: NOT_FOUND (there is none), TRUNCATED, MALFORMED
 * (the numbers make no sense), LIMIT (more than IKE_MAX_FRAGMENTS). */
MUST_USE enum err skf_parse(struct skf *out, const struct ike_msg *outer) NONNULL(1, 2);

/*
 * skf_split - instead of ike_build_finish(), when the message in b (with ike_build_sk()) would be
 * longer than limit: complete messages, one after the other, each no longer than limit unless that
 * would make more than IKE_MAX_FRAGMENTS of them. *out is the caller's to free; b's buffer is
 * wiped. Errors: NOMEM, FULL, LIMIT (one piece would not fit), EXHAUSTED, CRYPTO.
 */
MUST_USE enum err skf_split(uint8_t **out, size_t *out_len, struct ike_builder *b,
			    struct ike_aead *aead, size_t limit) NONNULL(1, 2, 3, 4);

/* skf_message_len - the length of the first of several messages that stand one after the other, as
 * its header says; `messages` is our own and whole. */
size_t skf_message_len(struct bytes messages);
