/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the keys of IKE SAs and Child SAs: SKEYSEED and what follows from it (RFC 7296 2.14,
 * 2.17, 2.18; RFC 5282 7 and RFC 4106 8.1 for AES-GCM, RFC 7634 2 for ChaCha20-Poly1305, whose
 * keys end with a salt of 4 bytes). What protects one direction is one secret here: cipher key ||
 * salt, or cipher key || MAC key.
 * Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/conf/conf.h"
#include "control/crypto/ctx.h"

/* encr_key_len - bytes of keying material that one direction takes: of the cipher, its salt, and
 * its integrity transform; 0 if they are not supported together. */
size_t encr_key_len(struct conf_encr encr);

/* struct ike_keys - the keys of one IKE SA; i is who initiated that SA (for a re-keyed one: who
 * began the re-key). The zero state is "no keys". End with ike_keys_fini(). */
struct ike_keys {
	struct conf_encr encr;
	uint16_t prf;
	struct secret sk_d;  /* for Child SA keys and for re-keying */
	struct secret sk_ei; /* initiator to responder: SK_ei (with salt) || SK_ai */
	struct secret sk_er;
	struct secret sk_pi; /* for AUTH */
	struct secret sk_pr;
};

/* struct ike_keys_params - what SKEYSEED is made from. */
struct ike_keys_params {
	struct conf_encr encr;
	uint16_t prf;
	uint64_t spi_i, spi_r;
	struct bytes ni, nr;
	const struct secret *dh;   /* g^ir */
	const struct secret *more; /* of additional key exchanges, one after the other (RFC 9370
				    * 2.2.4); NULL: none. Re-keyed ones only */
	/* the IKE SA that is re-keyed (2.18), NULL for a first one; this SA itself as it was before
	 * an additional key exchange, whose result is dh (RFC 9370 2.2.2) */
	const struct ike_keys *rekeyed;
	const struct secret *resumed; /* SK_d of the IKE SA that is resumed, under the same prf (RFC
				       * 5723 5.1), instead of dh; NULL: none is */
};

/* ike_keys_derive - SKEYSEED and SK_*. *out must be in the zero state. Errors: UNSUPPORTED, NOMEM,
 * LIMIT, CRYPTO. */
MUST_USE enum err ike_keys_derive(struct crypto_ctx *c, struct ike_keys *out,
				  const struct ike_keys_params *params) NONNULL(1, 2, 3);

/* ike_keys_fini - wipe; the zero state is accepted and is what remains. */
void ike_keys_fini(struct ike_keys *k) NONNULL(1);

/* struct ppk_keys - SK_d, SK_pi and SK_pr with a post-quantum pre-shared key in them (RFC 8784 3).
 * The zero state is "none". End with ppk_keys_fini(). */
struct ppk_keys {
	struct secret sk_d, sk_pi, sk_pr;
};

/* ppk_keys_derive - from a PPK (not empty) and the keys of a first IKE SA. *out must be in the zero
 * state. Errors: INVAL (an empty PPK), UNSUPPORTED, NOMEM, LIMIT, CRYPTO. */
MUST_USE enum err ppk_keys_derive(struct crypto_ctx *c, struct ppk_keys *out,
				  const struct ike_keys *ike, struct bytes ppk) NONNULL(1, 2, 3);

/* ppk_keys_use - they take the place of the three in ike, which are wiped; *k is in the zero state.
 * ppk_keys_fini - wipe; the zero state is accepted and is what remains. */
void ppk_keys_use(struct ike_keys *ike, struct ppk_keys *k) NONNULL(1, 2);
void ppk_keys_fini(struct ppk_keys *k) NONNULL(1);

/* struct child_keys - the keys of a pair of ESP SAs: i2r protects what the initiator
 * of the exchange sends. The zero state is "no keys". End with child_keys_fini(). */
struct child_keys {
	struct secret i2r;
	struct secret r2i;
};

/* child_keys_derive - KEYMAT (2.17). ni and nr are the nonces of the exchange that makes the Child
 * SA (IKE_SA_INIT's for the first); dh is NULL without PFS, more without additional key exchanges
 * (RFC 9370 2.2.4). *out must be in the zero state. Errors: UNSUPPORTED, NOMEM, LIMIT, CRYPTO. */
MUST_USE enum err child_keys_derive(struct crypto_ctx *c, struct child_keys *out,
				    const struct ike_keys *ike, struct conf_encr encr,
				    struct bytes ni, struct bytes nr, const struct secret *dh,
				    const struct secret *more) NONNULL(1, 2, 3);

/* child_keys_fini - wipe; the zero state is accepted and is what remains. */
void child_keys_fini(struct child_keys *k) NONNULL(1);

/* encr_aead_alg - the data path's name for a cipher and its integrity transform; AEAD_NONE if they
 * are not supported. */
enum aead_alg encr_aead_alg(struct conf_encr encr);
