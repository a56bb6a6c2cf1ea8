/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonce.h - nonces, and which of two crossing re-keys gives way (RFC 7296 2.8.1, 2.10). Pure
 * functions but nonce_fill(). Control thread.
 */
#pragma once

#include "control/ike/core.h"

/* struct nonce - 16 to 256 bytes (RFC 7296 3.9). */
struct nonce {
	uint16_t len;
	uint8_t b[IKE_NONCE_MAX];
};

/* nonce_fill - IKE_NONCE_LEN fresh bytes. Errors: CRYPTO. */
MUST_USE enum err nonce_fill(struct ike_engine *e, struct nonce *n) NONNULL(1, 2);

/* nonce_set - a parsed nonce (16 to 256 bytes). */
void nonce_set(struct nonce *n, struct bytes b) NONNULL(1);

/* nonce_lower - the lower of two, octet by octet. */
const struct nonce *nonce_lower(const struct nonce *a, const struct nonce *b) NONNULL(1, 2);

/* nonce_loses - the exchange with nonces ni and nr holds the lowest of the four nonces of two that
 * crossed (rival: the lower one of the other exchange): what it made is closed by who began it. */
bool nonce_loses(const struct nonce *ni, const struct nonce *nr, const struct nonce *rival)
	NONNULL(1, 2, 3);

/* nonce_bytes - a view. */
static inline struct bytes nonce_bytes(const struct nonce *n)
{
	return bytes_of(n->b, n->len);
}
