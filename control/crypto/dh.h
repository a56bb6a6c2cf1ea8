/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dh.h - Diffie-Hellman: Curve25519 (RFC 8031), ECP-256, -384 and -521 (RFC 5903), MODP-2048, -3072
 * and -4096 (RFC 3526), in the formats of the KE payload (u-coordinate; x || y; a number as long as
 * the prime). The peer's value is checked for length, range and place on the curve before it is
 * used, and an all-zero result is refused (S6; RFC 6989, RFC 7748 6.1). And ML-KEM-512, -768 and
 * -1024 (FIPS 203), where OpenSSL has them: the initiator's value is an encapsulation key, the
 * responder's a ciphertext, which it makes of the former.
 * Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/crypto/ctx.h"

/* DH_PUBLIC_MAX, DH_SHARED_MAX - bytes of the longest public value of a Diffie-Hellman group, and
 * of the longest shared secret. DH_VALUE_MAX - of the longest value of any method. */
#define DH_PUBLIC_MAX 512
#define DH_VALUE_MAX  1568
#define DH_SHARED_MAX 512

/* struct dh - one ephemeral key pair; wiped when freed. */
struct dh;

/* dh_public_len, dh_shared_len - bytes of a group's public value in a KE payload and of g^ir; 0 if
 * the group is not supported. */
size_t dh_public_len(uint16_t group);
size_t dh_shared_len(uint16_t group);

/* dh_answer_len - bytes of what a responder sends: the same but for ML-KEM. */
size_t dh_answer_len(uint16_t group);

/* dh_new - a fresh key pair of a group (enum ike_dh), of ML-KEM as initiator. Errors: UNSUPPORTED,
 * NOMEM, CRYPTO. */
MUST_USE enum err dh_new(struct crypto_ctx *c, struct dh **out, uint16_t group) NONNULL(1, 2);

/* dh_respond - as responder, with the peer's value in hand: our own, for the KE payload, and the
 * shared secret into *shared, which must be empty. Errors: UNSUPPORTED, MALFORMED (the peer's
 * value), NOMEM, CRYPTO. */
MUST_USE enum err dh_respond(struct crypto_ctx *c, struct dh **out, struct secret *shared,
			     uint16_t group, struct bytes peer) NONNULL(1, 2, 3);

/* dh_new_private - a key pair from a private value of dh_shared_len() bytes (big-endian for ECP
 * and MODP), for published test vectors. Errors: UNSUPPORTED, INVAL, NOMEM, CRYPTO. */
MUST_USE enum err dh_new_private(struct crypto_ctx *c, struct dh **out, uint16_t group,
				 struct bytes priv) NONNULL(1, 2);

/* dh_free - wipe and free; NULL is accepted. */
void dh_free(struct dh *dh);

/* dh_group - its group. dh_public - our value for the KE payload; lives as long as dh. */
uint16_t dh_group(const struct dh *dh) NONNULL(1);
struct bytes dh_public(const struct dh *dh) NONNULL(1);

/* dh_compute_shared - g^ir with the peer's public value, or, as initiator, what is encapsulated in
 * it, into *out, which must be empty. An ML-KEM ciphertext that was changed on the way gives
 * another secret than the peer's, not an error (FIPS 203 6.3). Errors: MALFORMED (the peer's value:
 * length, range, not on the curve, low order), NOMEM, CRYPTO. */
MUST_USE enum err dh_compute_shared(const struct dh *dh, struct secret *out, struct bytes peer)
	NONNULL(1, 2);
