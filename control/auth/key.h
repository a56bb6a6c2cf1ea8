/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - public keys as the wire and files give them (SubjectPublicKeyInfo, RFC 5280 4.1.2.7):
 * which kinds are usable, and the checks without which none is (S25). Pure functions over untrusted
 * bytes, any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* enum key_kind - what a key can do; for an elliptic curve the kind names the curve. */
enum key_kind {
	KEY_NONE,
	KEY_RSA,
	KEY_ECP_256,
	KEY_ECP_384,
	KEY_ECP_521,
	KEY_ED25519,
	KEY_ED448,
	KEY_NUM_KINDS
};

/* KEY_BIT - a kind's bit in a mask. */
#define KEY_BIT(kind)  (1u << (kind))
#define KEY_BITS_ECDSA (KEY_BIT(KEY_ECP_256) | KEY_BIT(KEY_ECP_384) | KEY_BIT(KEY_ECP_521))
#define KEY_BITS_ANY   (KEY_BIT(KEY_RSA) | KEY_BITS_ECDSA | KEY_BIT(KEY_ED25519) | KEY_BIT(KEY_ED448))

/* Bounds of RSA keys: shorter ones are weak, longer ones cost whoever verifies too much. */
#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MAX 8192

/* KEY_SPKI_MAX - bytes of the largest SubjectPublicKeyInfo that is looked at. */
#define KEY_SPKI_MAX 2048
/* KEY_ID_LEN - bytes of a key's hash; SHA-1, a name and no protection (RFC 7296 3.7). */
#define KEY_ID_LEN 20
/* KEY_WHY_MAX - room for a sentence that says what is wrong with a key or certificate. */
#define KEY_WHY_MAX 160

/* struct key_info - a usable public key. */
struct key_info {
	enum key_kind kind;
	uint32_t bits;
	uint8_t spki_id[KEY_ID_LEN]; /* hash of the SubjectPublicKeyInfo: what CERTREQ names */
	uint8_t bits_id[KEY_ID_LEN]; /* hash of the key's bits alone: what strongSwan names keys by
				      */
};

/* key_check - whether the SubjectPublicKeyInfo holds a key that may be used: RSA of 2048 to 8192
 * bits with an odd exponent of at least 65537, a point on P-256, P-384 or P-521 as a named curve,
 * Ed25519 of full order, Ed448; not degenerate. why[] says what is wrong. Errors: MALFORMED,
 * UNSUPPORTED (kind), LIMIT (weak, or too long), CRYPTO. */
MUST_USE enum err key_check(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki)
	NONNULL(1);

/* key_check_quick - the same without the test of an RSA modulus, which costs up to a second: for
 * keys that nobody has vouched for yet (S27). key_check() follows before the key is used. */
MUST_USE enum err key_check_quick(struct key_info *out, char why[static KEY_WHY_MAX],
				  struct bytes spki) NONNULL(1);

/* key_kind_name - "RSA", "ECDSA P-256". */
const char *key_kind_name(enum key_kind kind);
