/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/cookie.h"

#include <sodium.h>

#define SECRET_LEN 32

void cookie_jar_fini(struct cookie_jar *jar)
{
	secret_fini(&jar->secrets[0]);
	secret_fini(&jar->secrets[1]);
	*jar = (struct cookie_jar){0};
}

/* roll - a new newest secret when there is none or it is old. */
static enum err roll(struct crypto_ctx *c, struct cookie_jar *jar, uint64_t now_ns)
{
	struct secret fresh = {0};
	const uint8_t version = (uint8_t)(jar->version + 1);
	enum err e;

	if (jar->secrets[jar->version & 1].len && now_ns - jar->rolled_ns < COOKIE_ROLL_NS)
		return ERR_OK;
	e = secret_init(&fresh, SECRET_LEN);
	if (e == ERR_OK)
		e = rng_fill(crypto_ctx_rng(c), fresh.p, fresh.len);
	if (e != ERR_OK) {
		secret_fini(&fresh);
		return e;
	}
	secret_fini(&jar->secrets[version & 1]);
	secret_move(&jar->secrets[version & 1], &fresh);
	jar->version = version;
	jar->rolled_ns = now_ns;
	return ERR_OK;
}

/* compute - the cookie that belongs to a request under one version of the secret. What has a fixed
 * length comes first, all 20 bytes of the address (family included), so that no other nonce and
 * address give the same bytes. Nobody else ever computes one: the hash is one that costs little,
 * since in a flood it is made for each message (S40). */
static void compute(const struct cookie_jar *jar, uint8_t out[static COOKIE_LEN], uint8_t version,
		    struct bytes ni, const struct ip_addr *from, uint64_t spi_i)
{
	const struct secret *s = &jar->secrets[version & 1];
	const struct be64 spi = be64_make(spi_i);
	crypto_generichash_state h;

	crypto_generichash_init(&h, s->p, s->len, COOKIE_LEN - 1);
	crypto_generichash_update(&h, (const uint8_t *)from, sizeof(*from));
	crypto_generichash_update(&h, (const uint8_t *)&spi, sizeof(spi));
	crypto_generichash_update(&h, ni.p, ni.len);
	out[0] = version;
	crypto_generichash_final(&h, out + 1, COOKIE_LEN - 1);
	secret_wipe(&h, sizeof(h));
}

enum err cookie_make(struct crypto_ctx *c, struct cookie_jar *jar, uint8_t out[static COOKIE_LEN],
		     struct bytes ni, const struct ip_addr *from, uint64_t spi_i, uint64_t now_ns)
{
	enum err e = roll(c, jar, now_ns);

	if (e == ERR_OK)
		compute(jar, out, jar->version, ni, from, spi_i);
	return e;
}

/* version_lives - the newest secret for two periods after it was made, the one before it for one.
 */
static bool version_lives(const struct cookie_jar *jar, uint8_t version, uint64_t now_ns)
{
	const uint64_t age = now_ns - jar->rolled_ns;

	if (!jar->secrets[version & 1].len)
		return false;
	if (version == jar->version)
		return age < 2 * COOKIE_ROLL_NS;
	return version == (uint8_t)(jar->version - 1) && age < COOKIE_ROLL_NS;
}

enum err cookie_check(const struct cookie_jar *jar, struct bytes cookie, struct bytes ni,
		      const struct ip_addr *from, uint64_t spi_i, uint64_t now_ns)
{
	uint8_t expected[COOKIE_LEN];

	if (cookie.len != COOKIE_LEN || !version_lives(jar, cookie.p[0], now_ns))
		return ERR_AUTH;
	compute(jar, expected, cookie.p[0], ni, from, spi_i);
	return secret_equal(expected, COOKIE_LEN, cookie.p, cookie.len) ? ERR_OK : ERR_AUTH;
}
