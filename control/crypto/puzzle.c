/* SPDX-License-Identifier: Apache-2.0 */
#include "control/puzzle.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdio.h>

#include "base/alloc.h"
#include "control/crypto/prf.h"
#include "control/crypto/puzzle_check.h"

/* ends_with - the value's last bits are zero, so many of them. */
static bool ends_with(const uint8_t *value, size_t len, uint32_t bits)
{
	if (bits > len * 8)
		return false;
	for (; bits >= 8; bits -= 8) {
		if (value[--len])
			return false;
	}
	return !bits || !(value[len - 1] & ((1u << bits) - 1));
}

/* ---- check ----------------------------------------------------------------------------------- */

enum err puzzle_check(struct crypto_ctx *c, const struct puzzle *p,
		      const struct bytes keys[static PUZZLE_KEYS])
{
	const size_t len = prf_len(p->prf);
	uint8_t value[PRF_LEN_MAX];

	if (!len)
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < PUZZLE_KEYS; i++) {
		enum err e;

		if (!keys[i].len || keys[i].len > len)
			return ERR_MALFORMED;
		e = prf_compute(c, value, p->prf, keys[i], &p->text, 1);
		if (e)
			return e;
		if (!ends_with(value, len, p->bits))
			return ERR_AUTH;
	}
	return ERR_OK;
}

/* ---- solve ----------------------------------------------------------------------------------- */

/* struct puzzle_solver - keys are numbers of four bytes, tried in order. The PRF is kept with its
 * hash chosen, which takes longer than to compute it. */
struct puzzle_solver {
	OSSL_LIB_CTX *lib;
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	size_t len; /* of the PRF's values */
	uint8_t bits;
	uint8_t text[PUZZLE_TEXT_MAX];
	size_t text_len;
	uint64_t next; /* key */
	uint8_t found[PUZZLE_SOLUTION_LEN];
	uint32_t num_found;
	bool broken; /* the PRF failed */
};

static enum err make_mac(struct puzzle_solver *s, uint16_t prf)
{
	const char *name = prf_digest(prf);
	OSSL_PARAM params[2];
	char digest[8];

	if (!name)
		return ERR_UNSUPPORTED;
	snprintf(digest, sizeof(digest), "%s", name);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	s->lib = OSSL_LIB_CTX_new();
	if (s->lib)
		s->hmac = EVP_MAC_fetch(s->lib, "HMAC", NULL);
	if (s->hmac)
		s->mac = EVP_MAC_CTX_new(s->hmac);
	return s->mac && EVP_MAC_CTX_set_params(s->mac, params) == 1 ? ERR_OK : ERR_CRYPTO;
}

enum err puzzle_solver_new(struct puzzle_solver **out, const struct puzzle *p)
{
	struct puzzle_solver *s;
	enum err e;

	if (!p->bits || p->bits > PUZZLE_BITS_MAX || p->text.len > PUZZLE_TEXT_MAX)
		return ERR_LIMIT;
	s = mem_alloc(sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->len = prf_len(p->prf);
	s->bits = p->bits;
	s->text_len = p->text.len;
	memcpy(s->text, p->text.p, p->text.len);
	e = make_mac(s, p->prf);
	if (e) {
		puzzle_solver_free(s);
		return e;
	}
	*out = s;
	return ERR_OK;
}

void puzzle_solver_free(struct puzzle_solver *s)
{
	if (!s)
		return;
	EVP_MAC_CTX_free(s->mac);
	EVP_MAC_free(s->hmac);
	OSSL_LIB_CTX_free(s->lib);
	mem_free(s);
}

static void try_next(struct puzzle_solver *s)
{
	const struct be32 key = be32_make((uint32_t)s->next++);
	uint8_t value[PRF_LEN_MAX];
	size_t len = 0;

	if (EVP_MAC_init(s->mac, (const uint8_t *)&key, sizeof(key), NULL) != 1 ||
	    EVP_MAC_update(s->mac, s->text, s->text_len) != 1 ||
	    EVP_MAC_final(s->mac, value, &len, sizeof(value)) != 1 || len != s->len)
		s->broken = true;
	else if (ends_with(value, len, s->bits))
		memcpy(s->found + PUZZLE_KEY_LEN * s->num_found++, &key, sizeof(key));
}

static bool is_over(const struct puzzle_solver *s)
{
	return s->num_found == PUZZLE_KEYS || s->broken || s->next > UINT32_MAX;
}

bool puzzle_solver_run(struct puzzle_solver *s, uint32_t tries)
{
	while (tries-- && !is_over(s))
		try_next(s);
	return is_over(s);
}

struct bytes puzzle_solver_solution(const struct puzzle_solver *s)
{
	return s->num_found == PUZZLE_KEYS ? bytes_of(s->found, sizeof(s->found))
					   : bytes_of(NULL, 0);
}
