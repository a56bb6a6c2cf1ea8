/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand.h - a RAND provider whose only source is a struct rng. OpenSSL draws randomness behind its
 * caller's back (ephemeral keys, blinding); installed in a library context, this makes all of that
 * come from the injected source. Control thread.
 */
#pragma once

#include <openssl/provider.h>

#include "base/rng.h"

/* rand_install - register the provider in lib, load it, and make it every generator of lib; rng
 * must outlive lib. To be called before anything draws. Errors: CRYPTO. */
MUST_USE enum err rand_install(OSSL_LIB_CTX *lib, OSSL_PROVIDER **out, const struct rng *rng)
	NONNULL(1, 2, 3);
