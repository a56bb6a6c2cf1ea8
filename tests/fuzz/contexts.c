/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contexts.c - cryptographic contexts that are used again. OpenSSL takes milliseconds to make one
 * and to find its algorithms; a run of two engines takes about one. The linker puts these two
 * functions before those of control/crypto/ctx.c (--wrap): a context draws from whatever its engine
 * of the moment gives, so that a run depends on its input alone.
 */
#include <stdlib.h>

#include "control/crypto/ctx.h"

#define CONTEXTS_MAX 4

enum err __real_crypto_ctx_new(struct crypto_ctx **out, const struct rng *rng);
enum err __wrap_crypto_ctx_new(struct crypto_ctx **out, const struct rng *rng);
void __wrap_crypto_ctx_free(struct crypto_ctx *c);

/* struct context - never freed. */
struct context {
	struct crypto_ctx *c;
	struct rng rng;           /* what it was made with */
	const struct rng *source; /* what stands behind that; NULL: nobody has it */
};

static struct context contexts[CONTEXTS_MAX];

static enum err draw(void *ctx, void *out, size_t len)
{
	const struct context *x = ctx;

	return x->source ? rng_fill(x->source, out, len) : ERR_CRYPTO;
}

enum err __wrap_crypto_ctx_new(struct crypto_ctx **out, const struct rng *rng)
{
	for (size_t i = 0; i < CONTEXTS_MAX; i++) {
		struct context *x = &contexts[i];

		if (x->source)
			continue;
		x->rng = (struct rng){.fill = draw, .ctx = x};
		x->source = rng;
		if (!x->c && __real_crypto_ctx_new(&x->c, &x->rng))
			abort();
		*out = x->c;
		return ERR_OK;
	}
	abort();
}

void __wrap_crypto_ctx_free(struct crypto_ctx *c)
{
	for (size_t i = 0; c && i < CONTEXTS_MAX; i++)
		if (contexts[i].c == c)
			contexts[i].source = NULL;
}
