/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backends.h - what the files of this folder share: the back ends themselves and the choice among
 * them. Not for other rooms.
 */
#pragma once

#include "dataplane/crypto/aead.h"

/* struct aead_work - zero where a back end needs nothing. */
struct aead_work {
	void *ipsec_mb; /* its multi-buffer manager, NULL if it cannot be used here */
};

/* aead_openssl - OpenSSL 3 EVP, one packet at a time; everywhere. */
extern const struct aead_backend aead_openssl;

/* aead_vaes - AES-GCM, several packets at a time; amd64 with VAES and VPCLMULQDQ (LATCHKEY_VAES).
 */
extern const struct aead_backend aead_vaes;

/* aead_ipsec_mb - intel-ipsec-mb; amd64 with AES-NI (LATCHKEY_IPSEC_MB). */
extern const struct aead_backend aead_ipsec_mb;

/* ipsec_mb_work_new - its part of struct aead_work; NULL if it cannot be used here. Errors: NOMEM.
 * ipsec_mb_work_free - NULL is accepted. */
MUST_USE enum err ipsec_mb_work_new(void **out) NONNULL(1);
void ipsec_mb_work_free(void *work);

/* aead_sodium - libsodium: ChaCha20-Poly1305, and HMAC without a cipher; everywhere. */
extern const struct aead_backend aead_sodium;

/* aead_high_half - the four bytes that an HMAC covers behind the text with ESN, *out_len 4, else 0
 * (RFC 4303 2.2.1). */
static inline const uint8_t *aead_high_half(const struct aead_op *op, uint32_t *out_len)
{
	*out_len = op->aad_len - AEAD_HEAD_LEN;
	return op->aad + 4;
}

/* aead_judge_fn - whether a back end may be used for alg: OK, or CRYPTO if it failed its test. */
typedef enum err aead_judge_fn(const struct aead_backend *be, enum aead_alg alg);

/* aead_pick - the first of list (NULL-terminated) that supports alg and that judge lets pass; with
 * name, that one or none. Errors: as aead_select(). */
MUST_USE enum err aead_pick(const struct aead_backend **out, const struct aead_backend *const *list,
			    aead_judge_fn *judge, enum aead_alg alg, const char *name)
	NONNULL(1, 2, 3);
