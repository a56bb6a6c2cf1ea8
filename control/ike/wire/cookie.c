/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/cookie.h"

#include <sodium.h>

#define SECRET_LEN 32
/* HEAD_LEN - bytes before the hash: version, bits, and when it was made, in COOKIE_STEP_NS since
 * its secret was. */
#define HEAD_LEN 4

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

	if (jar->secrets[jar->version & 1].len &&
	    now_ns - jar->rolled_ns[jar->version & 1] < COOKIE_ROLL_NS)
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
	jar->rolled_ns[version & 1] = now_ns;
	return ERR_OK;
}

/* compute - the rest of the cookie whose first HEAD_LEN bytes are in out. What has a fixed length
 * comes first, all 20 bytes of the address (family included), so that no other nonce and address
 * give the same bytes. Nobody else ever computes one: the hash is one that costs little, since in a
 * flood it is made for each message (S40). */
static void compute(const struct cookie_jar *jar, uint8_t out[static COOKIE_LEN],
		    const struct cookie_request *r)
{
	const struct secret *s = &jar->secrets[out[0] & 1];
	const struct be64 spi = be64_make(r->spi_i);
	crypto_generichash_state h;

	crypto_generichash_init(&h, s->p, s->len, COOKIE_LEN - HEAD_LEN);
	crypto_generichash_update(&h, (const uint8_t *)r->from, sizeof(*r->from));
	crypto_generichash_update(&h, (const uint8_t *)&spi, sizeof(spi));
	crypto_generichash_update(&h, out, HEAD_LEN);
	crypto_generichash_update(&h, r->ni.p, r->ni.len);
	crypto_generichash_final(&h, out + HEAD_LEN, COOKIE_LEN - HEAD_LEN);
	secret_wipe(&h, sizeof(h));
}

enum err cookie_make(struct crypto_ctx *c, struct cookie_jar *jar, uint8_t out[static COOKIE_LEN],
		     const struct cookie_request *request, uint8_t bits, uint64_t now_ns)
{
	enum err e = roll(c, jar, now_ns);
	uint16_t age = 0;

	if (e)
		return e;
	/* Copies of one request get the same cookie: the initiator may take any of their answers,
	 * and two transcripts are all that is kept of it (S41). */
	if (bits)
		age = (uint16_t)((now_ns - jar->rolled_ns[jar->version & 1]) / COOKIE_STEP_NS);
	out[0] = jar->version;
	out[1] = bits;
	out[2] = (uint8_t)(age >> 8);
	out[3] = (uint8_t)age;
	compute(jar, out, request);
	return ERR_OK;
}

/* version_lives - the newest secret for two periods after it was made, the one before it for one.
 */
static bool version_lives(const struct cookie_jar *jar, uint8_t version, uint64_t now_ns)
{
	const uint64_t age = now_ns - jar->rolled_ns[jar->version & 1];

	if (!jar->secrets[version & 1].len)
		return false;
	if (version == jar->version)
		return age < 2 * COOKIE_ROLL_NS;
	return version == (uint8_t)(jar->version - 1) && age < COOKIE_ROLL_NS;
}

enum err cookie_check(const struct cookie_jar *jar, struct cookie_asked *out, struct bytes cookie,
		      const struct cookie_request *request, uint64_t now_ns)
{
	uint8_t expected[COOKIE_LEN];

	if (cookie.len != COOKIE_LEN || !version_lives(jar, cookie.p[0], now_ns))
		return ERR_AUTH;
	memcpy(expected, cookie.p, HEAD_LEN);
	compute(jar, expected, request);
	if (!secret_equal(expected, COOKIE_LEN, cookie.p, cookie.len))
		return ERR_AUTH;
	out->bits = cookie.p[1];
	out->made_ns = jar->rolled_ns[cookie.p[0] & 1] +
		       (uint64_t)(cookie.p[2] << 8 | cookie.p[3]) * COOKIE_STEP_NS;
	return ERR_OK;
}

uint64_t cookie_tag(struct bytes cookie)
{
	struct be64 tag;

	memcpy(&tag, cookie.p + HEAD_LEN, sizeof(tag));
	return be64_get(tag);
}
