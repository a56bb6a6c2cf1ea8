/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctx_priv.h - the inside of struct crypto_ctx, for control/crypto alone. Control thread.
 */
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "control/crypto/ctx.h"

/* struct crypto_ctx - fetched algorithms are kept, because fetching takes locks and time. */
struct crypto_ctx {
	OSSL_LIB_CTX *lib;
	OSSL_PROVIDER *rand;     /* ours: rand.h */
	OSSL_PROVIDER *standard; /* OpenSSL's algorithms */
	const struct rng *rng;
	EVP_MAC *hmac;
	EVP_MD *sha1;
	EVP_CIPHER *gcm_128;
	EVP_CIPHER *gcm_256;
	EVP_CIPHER *chacha;
	EVP_CIPHER *cbc_128, *cbc_192, *cbc_256;
};

/* crypto_ctx_leave - after anything that may have drawn randomness (ephemeral keys, blinding): drop
 * the generators that OpenSSL keeps for each thread and library context. A thread that kept them
 * would touch the context when it ends, even after another thread has freed it. */
void crypto_ctx_leave(struct crypto_ctx *c) NONNULL(1);
