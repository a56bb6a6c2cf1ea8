/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prf.h - the pseudo-random functions of IKEv2: HMAC-SHA2-256, -384 and -512 (RFC 4868), and
 * prf+ (RFC 7296 2.13). Transform numbers are enum ike_prf's, as uint16_t because they come from
 * the wire. Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/crypto/ctx.h"

/* PRF_LEN_MAX - bytes of the longest output. */
#define PRF_LEN_MAX 64

/* prf_len - bytes of output, which is also the preferred key length; 0 if prf is not supported. */
size_t prf_len(uint16_t prf);

/* prf_digest - the hash of an HMAC, as OpenSSL calls it (7 characters at most); NULL if prf is not
 * supported. */
const char *prf_digest(uint16_t prf);

/* prf_compute - prf(key, part 1 | part 2 | ...) into out[prf_len(prf)]. Errors: UNSUPPORTED,
 * CRYPTO. */
MUST_USE enum err prf_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX], uint16_t prf,
			      struct bytes key, const struct bytes *parts, size_t num) NONNULL(1);

/* prf_plus - fill the secret out, whose length the caller has chosen (at most 255 outputs), with
 * prf+(key, seed), the seed being num parts (at most 6). Errors: UNSUPPORTED, LIMIT, CRYPTO. */
MUST_USE enum err prf_plus(struct crypto_ctx *c, struct secret *out, uint16_t prf, struct bytes key,
			   const struct bytes *seed, size_t num) NONNULL(1, 2);
