/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kat.h - known answers for what ESP is protected with; kat_combined.c and kat_hmac.c say where
 * each is from. They are what a back end has to reproduce before it may be used. Constant; any
 * thread.
 */
#pragma once

#include "dataplane/crypto/aead.h"

/* AEAD_KAT_TEXT_MAX - bytes of the longest plain text in the table. */
#define AEAD_KAT_TEXT_MAX 272

/* aead_kat_iv_key - the secret that all cases with a secret IV are made with: FIPS 197 appendix
 * C.1's key. */
extern const uint8_t aead_kat_iv_key[AEAD_IV_KEY_LEN];

/* struct aead_kat - one case: hexadecimal digits as printed there. */
struct aead_kat {
	enum aead_alg alg;
	const char *key;    /* cipher key || MAC key */
	const char *nonce;  /* combined modes: salt || IV; else "" */
	const char *iv;     /* in the packet; NULL: the nonce's, or there is none */
	const char *number; /* what encrypts to the IV under aead_kat_iv_key; NULL: no secret IV */
	const char *aad;    /* SPI || sequence number, with ESN SPI || high half || low half */
	const char *text;
	const char *out; /* cipher text || ICV */
};

/* aead_kat - the cases of all algorithms one after the other; NULL past the last. */
const struct aead_kat *aead_kat(size_t i);

/* The tables that it goes through: kat_combined.c, kat_hmac.c. */
extern const struct aead_kat aead_kats_combined[], aead_kats_hmac[];
extern const size_t aead_kats_combined_num, aead_kats_hmac_num;

/* struct aead_kat_bytes - a case as bytes. */
struct aead_kat_bytes {
	const struct aead_shape *shape;
	size_t key_len;
	size_t aad_len;
	size_t text_len;
	uint8_t key[AEAD_KEY_MAX];
	uint8_t nonce[AEAD_NONCE_LEN];
	uint8_t iv[AEAD_IV_MAX];     /* the shape's iv_len bytes */
	uint8_t number[AEAD_IV_MAX]; /* what encrypt() finds in the IV's place: the IV, or that */
	uint8_t aad[AEAD_AAD_MAX];
	uint8_t text[AEAD_KAT_TEXT_MAX];
	uint8_t out[AEAD_KAT_TEXT_MAX + AEAD_ICV_MAX];
};

/* aead_kat_decode - from digits to bytes. Errors: MALFORMED (digits, or a part of another length
 * than the algorithm has). */
MUST_USE enum err aead_kat_decode(struct aead_kat_bytes *out, const struct aead_kat *kat)
	NONNULL(1, 2);

/* AEAD_KAT_ROOM - bytes for a case in place. */
#define AEAD_KAT_ROOM (AEAD_HEAD_LEN + AEAD_IV_MAX + AEAD_KAT_TEXT_MAX + AEAD_ICV_MAX)

/* aead_kat_place - the operation on a case that lies in room: to encrypt its text, or to decrypt
 * its out. The text begins at room + AEAD_HEAD_LEN + AEAD_IV_MAX. */
struct aead_op aead_kat_place(uint8_t room[static AEAD_KAT_ROOM], const struct aead_kat_bytes *kat,
			      const struct aead_key *key, bool encrypts) NONNULL(2);
