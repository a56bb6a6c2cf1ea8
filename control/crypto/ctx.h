/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctx.h - the cryptographic context of one keying engine: an OpenSSL library context of its own
 * whose randomness, ephemeral keys included, comes from the injected struct rng alone. The same
 * stream of random bytes therefore gives the same handshake, byte for byte.
 *
 * Thread: one at a time; the engine's control thread. It may be made, used and freed by different
 * threads.
 */
#pragma once

#include "base/bytes.h"
#include "base/rng.h"

struct crypto_ctx;

/* crypto_ctx_new - a context that draws from rng, which must outlive it. Algorithms are fetched
 * here once. Errors: NOMEM, CRYPTO (an algorithm is absent). */
MUST_USE enum err crypto_ctx_new(struct crypto_ctx **out, const struct rng *rng) NONNULL(1, 2);

/* crypto_ctx_free - nothing made from it (struct dh, struct ike_aead) may be left. NULL accepted.
 */
void crypto_ctx_free(struct crypto_ctx *c);

/* crypto_ctx_rng - the source it was made with. */
const struct rng *crypto_ctx_rng(const struct crypto_ctx *c) NONNULL(1);

/* SHA1_LEN - bytes of a SHA-1 value; used for NAT detection only (RFC 7296 2.23). */
#define SHA1_LEN 20

/* crypto_sha1 - hash of num parts, one after the other. Errors: CRYPTO. */
MUST_USE enum err crypto_sha1(struct crypto_ctx *c, uint8_t out[static SHA1_LEN],
			      const struct bytes *parts, size_t num) NONNULL(1, 3);
