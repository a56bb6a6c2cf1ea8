/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include "base/bytes.h"

#include <sodium.h>

static enum err system_fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	/* Idempotent and thread-safe; later calls are one comparison. */
	if (sodium_init() < 0)
		return ERR_CRYPTO;
	randombytes_buf(out, len);
	return ERR_OK;
}

const struct rng *rng_system(void)
{
	static const struct rng system_rng = {.fill = system_fill};

	return &system_rng;
}

enum err rng_fill(const struct rng *r, void *out, size_t len)
{
	return len ? r->fill(r->ctx, out, len) : ERR_OK;
}

/* Each call takes the key stream of a nonce of its own. */
static enum err seeded_fill(void *ctx, void *out, size_t len)
{
	struct rng_seeded *s = ctx;
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	static_assert(sizeof(nonce) == sizeof(uint64_t), "the counter is the nonce");
	store_be64(nonce, s->counter++);
	if (crypto_stream_chacha20(out, len, nonce, s->key) != 0)
		return ERR_CRYPTO;
	return ERR_OK;
}

void rng_seeded_init(struct rng_seeded *s, uint64_t seed)
{
	static_assert(sizeof(s->key) == crypto_stream_chacha20_KEYBYTES, "one key");
	*s = (struct rng_seeded){.rng = {.fill = seeded_fill, .ctx = s}};
	store_be64(s->key, seed);
}
