/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_aead.h - what the Encrypted payload is protected with. AES-GCM (RFC 5282) and
 * ChaCha20-Poly1305 (RFC 7634): nonce = salt (4) || IV (8), ICV of 16 bytes; the sealing IV is a
 * counter kept here, so that no caller can repeat one under a key. AES-CBC with HMAC-SHA-2 (RFC
 * 7296 3.14, RFC 4868): random IV from the engine's source, encrypt-then-MAC. One object serves one
 * direction of one IKE SA, and a retransmission sends the stored bytes again. Thread: the engine's
 * control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/conf/conf.h"
#include "control/crypto/ctx.h"

/* IKE_AEAD_IV_LEN, IKE_AEAD_ICV_LEN - of the combined modes. IKE_AEAD_IV_MAX, _ICV_MAX, _PAD_MAX -
 * what any of them needs. */
#define IKE_AEAD_IV_LEN  8
#define IKE_AEAD_ICV_LEN 16
#define IKE_AEAD_IV_MAX  AEAD_IV_MAX
#define IKE_AEAD_ICV_MAX AEAD_ICV_MAX
#define IKE_AEAD_PAD_MAX (AEAD_ALIGN_MAX - 1)

struct ike_aead;

/* ike_aead_new - from the key of one direction (struct ike_keys, encr_key_len() bytes). c outlives
 * it. Errors: UNSUPPORTED (also for what only ESP may use), INVAL (key length), NOMEM, CRYPTO. */
MUST_USE enum err ike_aead_new(struct crypto_ctx *c, struct ike_aead **out, struct conf_encr encr,
			       const struct secret *key) NONNULL(1, 2, 4);

/* ike_aead_iv_len, ike_aead_icv_len - bytes in the payload. ike_aead_pad_len - bytes of padding
 * that text_len bytes of payloads need before the Pad Length byte. */
size_t ike_aead_iv_len(const struct ike_aead *a) NONNULL(1);
size_t ike_aead_icv_len(const struct ike_aead *a) NONNULL(1);
size_t ike_aead_pad_len(const struct ike_aead *a, size_t text_len) NONNULL(1);

/* ike_aead_free - wipe and free; NULL is accepted. */
void ike_aead_free(struct ike_aead *a);

/* ike_aead_seal - encrypt len bytes at text in place; writes the IV that was used and the ICV.
 * Errors: EXHAUSTED (no IV is left: the SA must end), LIMIT (65,535 bytes), INVAL (not whole
 * blocks), CRYPTO; BAD_STATE in a forked process, where the key is zero. */
MUST_USE enum err ike_aead_seal(struct ike_aead *a, uint8_t *out_iv, uint8_t *out_icv,
				uint8_t *text, size_t len, struct bytes aad) NONNULL(1, 2, 3, 4);

/* ike_aead_open - check and decrypt len bytes at text in place. Errors: AUTH (text is then wiped;
 * also for what is not whole blocks), LIMIT, CRYPTO; BAD_STATE in a forked process. */
MUST_USE enum err ike_aead_open(struct ike_aead *a, const uint8_t *iv, const uint8_t *icv,
				uint8_t *text, size_t len, struct bytes aad) NONNULL(1, 2, 3, 4);
