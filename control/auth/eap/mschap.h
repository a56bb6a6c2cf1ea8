/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mschap.h - the computations of MSCHAPv2 (RFC 2759 8) and the keys that come of it (RFC 3079 3).
 * It is weak: whoever sees an exchange finds the password by trying at most 2^56 keys, which is why
 * it runs inside an IKE SA whose server has proven itself (S23). Thread: the engine's control
 * thread.
 */
#pragma once

#include "control/crypto/ctx.h"
#include "control/crypto/md4.h"

#define MSCHAP_CHALLENGE_LEN     16
#define MSCHAP_NT_RESPONSE_LEN   24
#define MSCHAP_AUTHENTICATOR_LEN 20
#define MSCHAP_KEY_LEN           16

/* struct mschap - what both sides know of one exchange. user: the name without a domain in front
 * (RFC 2759 8.2). hash is a secret (MD4_LEN bytes), borrowed of the owner. */
struct mschap {
	uint8_t authenticator_challenge[MSCHAP_CHALLENGE_LEN];
	uint8_t peer_challenge[MSCHAP_CHALLENGE_LEN];
	struct bytes user;
	const uint8_t *hash; /* of the password */
};

/* mschap_hash - MD4 of the password (UTF-8) in UTF-16, into out. Errors: INVAL (not UTF-8), LIMIT
 * (longer than 256 units of UTF-16). */
MUST_USE enum err mschap_hash(uint8_t out[static MD4_LEN], struct bytes password);

/* mschap_user - the part of a name behind the last backslash. */
struct bytes mschap_user(struct bytes name);

/* mschap_response - GenerateNTResponse(). mschap_authenticator - GenerateAuthenticatorResponse(),
 * its bytes. mschap_keys - the two start keys of 128 bits (RFC 3079 3.3): by which the peer sends,
 * by which it receives. Errors: CRYPTO. */
MUST_USE enum err mschap_response(struct crypto_ctx *c, uint8_t out[static MSCHAP_NT_RESPONSE_LEN],
				  const struct mschap *m) NONNULL(1, 3);
MUST_USE enum err
mschap_authenticator(struct crypto_ctx *c, uint8_t out[static MSCHAP_AUTHENTICATOR_LEN],
		     const struct mschap *m, const uint8_t response[static MSCHAP_NT_RESPONSE_LEN])
	NONNULL(1, 3);
MUST_USE enum err mschap_keys(struct crypto_ctx *c, uint8_t out_send[static MSCHAP_KEY_LEN],
			      uint8_t out_receive[static MSCHAP_KEY_LEN], const struct mschap *m,
			      const uint8_t response[static MSCHAP_NT_RESPONSE_LEN]) NONNULL(1, 4);
