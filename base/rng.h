/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h - the injected source of randomness. Nothing draws randomness but through one of these, so
 * that a simulation with a seed repeats itself byte for byte.
 */
#pragma once

#include "base/err.h"

/* struct rng - fill() writes len random bytes. Errors: CRYPTO if the source failed. */
struct rng {
	enum err (*fill)(void *ctx, void *out, size_t len);
	void *ctx;
};

/* rng_system - the operating system's generator (libsodium); any thread. */
const struct rng *rng_system(void);

/* rng_fill - len random bytes from r. Errors: CRYPTO. */
MUST_USE enum err rng_fill(const struct rng *r, void *out, size_t len) NONNULL(1, 2);

/* struct rng_seeded - a deterministic generator (ChaCha20 keyed by the seed) for tests only. */
struct rng_seeded {
	struct rng rng;
	uint8_t key[32];
	uint64_t counter;
};

/* rng_seeded_init - same seed, same stream. One thread. Use &s->rng. */
void rng_seeded_init(struct rng_seeded *s, uint64_t seed) NONNULL(1);
