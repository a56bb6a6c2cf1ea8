/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex.h - published vectors as text, and a cryptographic context with a seed, for the tests of the
 * keying engine. Main thread.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/secret.h"
#include "control/crypto/ctx.h"
#include "tests/tap/tap.h"

#define HEX_MAX 4096

/* struct hex - bytes from hexadecimal digits; spaces are passed over. */
struct hex {
	uint8_t b[HEX_MAX];
	size_t len;
};

/* hex_read - abort on anything but digits and spaces: a broken vector must not pass. */
static inline void hex_read(struct hex *out, const char *text)
{
	unsigned int byte;

	for (out->len = 0; *text;) {
		if (*text == ' ') {
			text++;
			continue;
		}
		if (out->len == HEX_MAX || sscanf(text, "%2x", &byte) != 1 || !text[1])
			abort();
		out->b[out->len++] = (uint8_t)byte;
		text += 2;
	}
}

/* hex_view - the bytes. hex_equal - they are len bytes at p. */
static inline struct bytes hex_view(const struct hex *h)
{
	return bytes_of(h->b, h->len);
}

static inline bool hex_equal(const char *text, const void *p, size_t len)
{
	struct hex h;

	hex_read(&h, text);
	return h.len == len && memcmp(h.b, p, len) == 0;
}

/* hex_secret - the bytes as a secret. */
static inline struct secret hex_secret(const char *text)
{
	struct secret s = {0};
	struct hex h;

	hex_read(&h, text);
	if (secret_init_copy(&s, h.b, h.len) != ERR_OK)
		abort();
	return s;
}

/* seeded_ctx - a context that draws from *rng, which is seeded. */
static inline struct crypto_ctx *seeded_ctx(struct rng_seeded *rng, uint64_t seed)
{
	struct crypto_ctx *c = NULL;

	rng_seeded_init(rng, seed);
	if (crypto_ctx_new(&c, &rng->rng) != ERR_OK)
		abort();
	return c;
}
