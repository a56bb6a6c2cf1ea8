/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md5.h - MD5 (RFC 1321) and HMAC-MD5 (RFC 2104), for RADIUS (RFC 2865, RFC 3579, RFC 2548) and
 * nothing else: MD5 is broken, and what RADIUS makes of it alone can be forged, for which reason
 * every packet must have an HMAC, too (control/auth/radius/packet.h). Thread: as ctx.h.
 */
#pragma once

#include "control/crypto/ctx.h"

/* MD5_LEN - bytes of either value. */
#define MD5_LEN 16

/* crypto_md5 - hash of num parts, one after the other. Errors: CRYPTO (also where OpenSSL is
 * configured to have no MD5). */
MUST_USE enum err crypto_md5(struct crypto_ctx *c, uint8_t out[static MD5_LEN],
			     const struct bytes *parts, size_t num) NONNULL(1, 3);

/* crypto_hmac_md5 - HMAC of num parts under key, which is not empty. Errors: CRYPTO. */
MUST_USE enum err crypto_hmac_md5(struct crypto_ctx *c, uint8_t out[static MD5_LEN],
				  struct bytes key, const struct bytes *parts, size_t num)
	NONNULL(1, 4);
