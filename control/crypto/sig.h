/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sig.h - digital signatures of IKE AUTH: RSASSA-PSS and RSASSA-PKCS1-v1_5 (RFC 8017), ECDSA (FIPS
 * 186), Ed25519 and Ed448 (RFC 8032), with SHA-2 only (S28). Thread: the context's.
 */
#pragma once

#include "control/auth/key.h"
#include "control/crypto/ctx.h"

/* enum sig_hash - hash algorithms by their number in SIGNATURE_HASH_ALGORITHMS (RFC 7427 4, RFC
 * 8420). SHA-1, number 1, is not among them. */
enum sig_hash {
	SIG_SHA2_256 = 2,
	SIG_SHA2_384 = 3,
	SIG_SHA2_512 = 4,
	SIG_IDENTITY = 5, /* EdDSA hashes by itself */
};

/* SIG_HASH_BIT - a hash's bit in a mask. */
#define SIG_HASH_BIT(hash) (1u << (hash))
#define SIG_HASHES_ALL                                                                          \
	(SIG_HASH_BIT(SIG_SHA2_256) | SIG_HASH_BIT(SIG_SHA2_384) | SIG_HASH_BIT(SIG_SHA2_512) | \
	 SIG_HASH_BIT(SIG_IDENTITY))

/* enum sig_form - the signature algorithm. ECDSA_RAW is r and s side by side as RFC 4754 has it,
 * ECDSA the DER of both (RFC 7427 A.3). */
enum sig_form {
	SIG_RSA_PKCS1,
	SIG_RSA_PSS, /* salt as long as the hash, MGF1 with the same hash */
	SIG_ECDSA,
	SIG_ECDSA_RAW,
	SIG_ED25519,
	SIG_ED448,
};

/* struct sig_scheme - form and hash. */
struct sig_scheme {
	enum sig_form form;
	enum sig_hash hash;
};

/* SIG_MAX - bytes of the longest signature: RSA of KEY_RSA_BITS_MAX. */
#define SIG_MAX (KEY_RSA_BITS_MAX / 8)

/* sig_fits - a key of this kind can make signatures of this scheme. */
bool sig_fits(enum key_kind kind, struct sig_scheme scheme);

/* sig_sign - sign message with a private key (PKCS#8 DER), which is decoded for the moment and
 * wiped by OpenSSL. Errors: UNSUPPORTED (the key does not fit the scheme), CRYPTO. */
MUST_USE enum err sig_sign(struct crypto_ctx *c, uint8_t out[static SIG_MAX], size_t *out_len,
			   struct sig_scheme scheme, struct bytes pkcs8, struct bytes message)
	NONNULL(1, 3);

/* sig_verify - OK only if OpenSSL says exactly 1 (S24). spki has passed key_check(). Errors: AUTH
 * (wrong, empty or malformed), UNSUPPORTED (the key does not fit the scheme), CRYPTO. */
MUST_USE enum err sig_verify(struct crypto_ctx *c, struct sig_scheme scheme, struct bytes spki,
			     struct bytes message, struct bytes sig) NONNULL(1);

/* sig_ecdsa_raw - the DER of r and s (SIG_ECDSA) by a key of this kind as SIG_ECDSA_RAW. Errors:
 * CRYPTO (it is not that). */
MUST_USE enum err sig_ecdsa_raw(uint8_t out[static SIG_MAX], size_t *out_len, enum key_kind kind,
				struct bytes der) NONNULL(2);
