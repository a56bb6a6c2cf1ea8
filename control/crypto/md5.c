/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/md5.h"

#include <openssl/core_names.h>

#include "control/crypto/ctx_priv.h"

static bool digest(EVP_MD_CTX *h, const EVP_MD *md, uint8_t *out, const struct bytes *parts,
		   size_t num)
{
	unsigned int len = 0;
	bool ok = EVP_DigestInit_ex2(h, md, NULL) == 1;

	for (size_t i = 0; ok && i < num; i++)
		ok = parts[i].len == 0 || EVP_DigestUpdate(h, parts[i].p, parts[i].len) == 1;
	return ok && EVP_DigestFinal_ex(h, out, &len) == 1 && len == MD5_LEN;
}

/* It is fetched for each value: a few are needed for a handshake, and who has no RADIUS server
 * needs no MD5. */
enum err crypto_md5(struct crypto_ctx *c, uint8_t out[static MD5_LEN], const struct bytes *parts,
		    size_t num)
{
	EVP_MD_CTX *h = NULL;
	EVP_MD *md;
	bool ok;

	ERR_set_mark();
	md = EVP_MD_fetch(c->lib, "MD5", NULL);
	if (md)
		h = EVP_MD_CTX_new();
	ok = h && digest(h, md, out, parts, num);
	ERR_pop_to_mark();
	EVP_MD_CTX_free(h);
	EVP_MD_free(md);
	return ok ? ERR_OK : ERR_CRYPTO;
}

enum err crypto_hmac_md5(struct crypto_ctx *c, uint8_t out[static MD5_LEN], struct bytes key,
			 const struct bytes *parts, size_t num)
{
	char name[] = "MD5";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *h = EVP_MAC_CTX_new(c->hmac);
	size_t len = 0;
	bool ok;

	if (!h)
		return ERR_CRYPTO;
	ERR_set_mark();
	ok = key.len && EVP_MAC_init(h, key.p, key.len, params) == 1;
	for (size_t i = 0; ok && i < num; i++)
		ok = parts[i].len == 0 || EVP_MAC_update(h, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_MAC_final(h, out, &len, MD5_LEN) == 1 && len == MD5_LEN;
	ERR_pop_to_mark();
	EVP_MAC_CTX_free(h);
	return ok ? ERR_OK : ERR_CRYPTO;
}
