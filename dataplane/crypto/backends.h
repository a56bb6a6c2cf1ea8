/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backends.h - what the files of this folder share: the back ends themselves and the choice among
 * them. Not for other rooms.
 */
#pragma once

#include "dataplane/crypto/aead.h"

/* aead_openssl - OpenSSL 3 EVP, one packet at a time; everywhere. */
extern const struct aead_backend aead_openssl;

/* aead_ipsec_mb - intel-ipsec-mb's direct functions; amd64 with AES-NI (LATCHKEY_IPSEC_MB). */
extern const struct aead_backend aead_ipsec_mb;

/* aead_sodium - libsodium, ChaCha20-Poly1305 alone; everywhere. */
extern const struct aead_backend aead_sodium;

/* aead_judge_fn - whether a back end may be used for alg: OK, or CRYPTO if it failed its test. */
typedef enum err aead_judge_fn(const struct aead_backend *be, enum aead_alg alg);

/* aead_pick - the first of list (NULL-terminated) that supports alg and that judge lets pass; with
 * name, that one or none. Errors: as aead_select(). */
MUST_USE enum err aead_pick(const struct aead_backend **out, const struct aead_backend *const *list,
			    aead_judge_fn *judge, enum aead_alg alg, const char *name)
	NONNULL(1, 2, 3);
