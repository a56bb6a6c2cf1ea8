/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sk.h - opens the Encrypted payload of a received message (RFC 7296 3.14, RFC 5282). Sealing is in
 * build.h. Thread: the engine's control thread.
 */
#pragma once

#include "control/crypto/ike_aead.h"
#include "control/ike/wire/msg.h"

/*
 * sk_open - authenticate and decrypt the SK payload of outer into buf (outer->raw.len bytes always
 * suffice) and parse the chain inside into *inner, whose bodies are views of buf; header and raw
 * are copied from outer. Errors: NOT_FOUND (no SK payload), AUTH (not authentic: ignore it),
 * TRUNCATED (too short to be authenticated: ignore it), FULL (buf), CRYPTO; once authenticated:
 * MALFORMED or LIMIT (contents; the peer is to hear INVALID_SYNTAX). *out_authentic tells the two
 * apart.
 */
MUST_USE enum err sk_open(struct ike_msg *inner, bool *out_authentic, void *buf, size_t cap,
			  const struct ike_msg *outer, struct ike_aead *aead)
	NONNULL(1, 2, 3, 5, 6);

/* struct sk_sealed - what an Encrypted or Encrypted Fragment payload protects: IV, ciphertext and
 * ICV, and the bytes of the message in front of them, which are authenticated too. */
struct sk_sealed {
	struct bytes body, aad;
};

/* sk_decrypt - authenticate and decrypt into buf; *out is what is in front of the padding. Errors:
 * as sk_open(); MALFORMED is bad padding. */
MUST_USE enum err sk_decrypt(struct bytes *out, bool *out_authentic, void *buf, size_t cap,
			     const struct sk_sealed *sealed, struct ike_aead *aead)
	NONNULL(1, 2, 3, 5, 6);
