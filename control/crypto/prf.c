/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/prf.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "control/conf/conf.h"
#include "control/crypto/ctx_priv.h"

/* PRF_PLUS_MAX_PARTS - the seed of prf+ in pieces, T(n-1) and the counter beside it. */
#define PRF_PLUS_MAX_PARTS 6

struct prf_info {
	uint16_t id;
	const char *digest;
	size_t len;
};

static const struct prf_info *find(uint16_t prf)
{
	static const struct prf_info known[] = {
		{PRF_HMAC_SHA2_256, "SHA256", 32},
		{PRF_HMAC_SHA2_384, "SHA384", 48},
		{PRF_HMAC_SHA2_512, "SHA512", 64},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].id == prf)
			return &known[i];
	}
	return NULL;
}

size_t prf_len(uint16_t prf)
{
	const struct prf_info *info = find(prf);

	return info ? info->len : 0;
}

const char *prf_digest(uint16_t prf)
{
	const struct prf_info *info = find(prf);

	return info ? info->digest : NULL;
}

static bool mac(EVP_MAC_CTX *m, uint8_t *out, const struct prf_info *info, struct bytes key,
		const struct bytes *parts, size_t num)
{
	static const uint8_t none[1];
	char digest[8];
	OSSL_PARAM params[2];
	size_t len = 0;
	bool ok;

	memcpy(digest, info->digest, strlen(info->digest) + 1);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	/* A NULL key would mean "the one before". */
	ok = EVP_MAC_init(m, key.p ? key.p : none, key.len, params) == 1;
	for (size_t i = 0; ok && i < num; i++)
		ok = parts[i].len == 0 || EVP_MAC_update(m, parts[i].p, parts[i].len) == 1;
	return ok && EVP_MAC_final(m, out, &len, info->len) == 1 && len == info->len;
}

enum err prf_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX], uint16_t prf,
		     struct bytes key, const struct bytes *parts, size_t num)
{
	const struct prf_info *info = find(prf);
	EVP_MAC_CTX *m;
	bool ok;

	if (!info)
		return ERR_UNSUPPORTED;
	ERR_set_mark();
	m = EVP_MAC_CTX_new(c->hmac);
	ok = m && mac(m, out, info, key, parts, num);
	EVP_MAC_CTX_free(m);
	ERR_pop_to_mark();
	return ok ? ERR_OK : ERR_CRYPTO;
}

/* prf+ (K,S) = T1 | T2 | ..., T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n). */
enum err prf_plus(struct crypto_ctx *c, struct secret *out, uint16_t prf, struct bytes key,
		  const struct bytes *seed, size_t num)
{
	struct bytes parts[PRF_PLUS_MAX_PARTS + 2];
	uint8_t t[PRF_LEN_MAX], n = 0;
	size_t len = prf_len(prf), done = 0, take;
	enum err e = ERR_OK;

	if (!len)
		return ERR_UNSUPPORTED;
	if (num > PRF_PLUS_MAX_PARTS || out->len > 255 * len)
		return ERR_LIMIT;
	parts[0] = bytes_of(t, 0);
	for (size_t i = 0; i < num; i++)
		parts[i + 1] = seed[i];
	parts[num + 1] = bytes_of(&n, 1);
	while (done < out->len) {
		n++;
		e = prf_compute(c, t, prf, key, parts, num + 2);
		if (e != ERR_OK)
			break;
		parts[0].len = len;
		take = out->len - done < len ? out->len - done : len;
		memcpy(out->p + done, t, take);
		done += take;
	}
	secret_wipe(t, sizeof(t));
	return e;
}
