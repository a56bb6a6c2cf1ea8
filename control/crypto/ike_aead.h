/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_aead.h - AES-GCM (RFC 5282) and ChaCha20-Poly1305 (RFC 7634) for the Encrypted payload: nonce
 * = salt (4) || IV (8), ICV of 16 bytes. The sealing IV is a counter kept here, so that no caller
 * can repeat one under a key; one object serves one direction of one IKE SA, and a retransmission
 * sends the stored bytes again. Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/conf/conf.h"
#include "control/crypto/ctx.h"

#define IKE_AEAD_IV_LEN  8
#define IKE_AEAD_ICV_LEN 16

struct ike_aead;

/* ike_aead_new - from SK_ei or SK_er (key || salt, encr_key_len() bytes). Errors: UNSUPPORTED,
 * INVAL (key length), NOMEM, CRYPTO. */
MUST_USE enum err ike_aead_new(struct crypto_ctx *c, struct ike_aead **out, struct conf_encr encr,
			       const struct secret *key) NONNULL(1, 2, 4);

/* ike_aead_free - wipe and free; NULL is accepted. */
void ike_aead_free(struct ike_aead *a);

/* ike_aead_seal - encrypt len bytes at text in place; writes the IV that was used and the ICV.
 * Errors: EXHAUSTED (no IV is left: the SA must end), LIMIT (65,535 bytes), CRYPTO; BAD_STATE in a
 * forked process, where the key is zero. */
MUST_USE enum err ike_aead_seal(struct ike_aead *a, uint8_t out_iv[static IKE_AEAD_IV_LEN],
				uint8_t out_icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len,
				struct bytes aad) NONNULL(1, 4);

/* ike_aead_open - check and decrypt len bytes at text in place. Errors: AUTH (text is then wiped),
 * LIMIT, CRYPTO; BAD_STATE in a forked process. */
MUST_USE enum err ike_aead_open(struct ike_aead *a, const uint8_t iv[static IKE_AEAD_IV_LEN],
				const uint8_t icv[static IKE_AEAD_ICV_LEN], uint8_t *text,
				size_t len, struct bytes aad) NONNULL(1, 4);
