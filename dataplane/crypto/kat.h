/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kat.h - known answers for AES-GCM as ESP uses it: the test cases of draft-mcgrew-gcm-test-01
 * section 4 ("Test Cases for the use of GCM and GMAC in IPsec ESP") with 128- and 256-bit keys.
 * For ChaCha20-Poly1305 that of RFC 7634 appendix A and the ones of RFC 8439 (2.8.2, A.5), whose
 * additional data has the 12 bytes of an extended sequence number. They are what a back end has to
 * reproduce before it may be used. Constant; any thread.
 */
#pragma once

#include "dataplane/crypto/aead.h"

/* AEAD_KAT_TEXT_MAX - bytes of the longest plain text in the table. */
#define AEAD_KAT_TEXT_MAX 272

/* struct aead_kat - one case: hexadecimal digits as printed there; out is cipher text || ICV. */
struct aead_kat {
	enum aead_alg alg;
	const char *key;
	const char *nonce;
	const char *aad;
	const char *text;
	const char *out;
};

/* aead_kats - the table; *out_num is the number of rows. */
const struct aead_kat *aead_kats(size_t *out_num) NONNULL(1);

/* struct aead_kat_bytes - a case as bytes. */
struct aead_kat_bytes {
	size_t key_len;
	size_t aad_len;
	size_t text_len;
	uint8_t key[32];
	uint8_t nonce[AEAD_NONCE_LEN];
	uint8_t aad[AEAD_AAD_MAX];
	uint8_t text[AEAD_KAT_TEXT_MAX];
	uint8_t out[AEAD_KAT_TEXT_MAX + AEAD_ICV_LEN];
};

/* aead_kat_decode - from digits to bytes. Errors: MALFORMED (digits, or a part too long). */
MUST_USE enum err aead_kat_decode(struct aead_kat_bytes *out, const struct aead_kat *kat)
	NONNULL(1, 2);
