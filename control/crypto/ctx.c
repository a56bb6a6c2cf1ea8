/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ctx.h"

#include "base/alloc.h"
#include "control/crypto/ctx_priv.h"
#include "control/crypto/rand.h"

#include <openssl/crypto.h>

static enum err fetch(struct crypto_ctx *c)
{
	enum err e = rand_install(c->lib, &c->rand, c->rng);

	if (e != ERR_OK)
		return e;
	c->standard = OSSL_PROVIDER_load(c->lib, "default");
	c->hmac = EVP_MAC_fetch(c->lib, "HMAC", NULL);
	c->sha1 = EVP_MD_fetch(c->lib, "SHA1", NULL);
	c->gcm_128 = EVP_CIPHER_fetch(c->lib, "AES-128-GCM", NULL);
	c->gcm_256 = EVP_CIPHER_fetch(c->lib, "AES-256-GCM", NULL);
	c->chacha = EVP_CIPHER_fetch(c->lib, "ChaCha20-Poly1305", NULL);
	c->cbc_128 = EVP_CIPHER_fetch(c->lib, "AES-128-CBC", NULL);
	c->cbc_192 = EVP_CIPHER_fetch(c->lib, "AES-192-CBC", NULL);
	c->cbc_256 = EVP_CIPHER_fetch(c->lib, "AES-256-CBC", NULL);
	if (!c->standard || !c->hmac || !c->sha1 || !c->gcm_128 || !c->gcm_256 || !c->chacha ||
	    !c->cbc_128 || !c->cbc_192 || !c->cbc_256)
		return ERR_CRYPTO;
	return ERR_OK;
}

enum err crypto_ctx_new(struct crypto_ctx **out, const struct rng *rng)
{
	struct crypto_ctx *c = mem_alloc(sizeof(*c));
	enum err e = ERR_NOMEM;

	if (!c)
		return ERR_NOMEM;
	ERR_set_mark();
	c->rng = rng;
	c->lib = OSSL_LIB_CTX_new();
	if (c->lib)
		e = fetch(c);
	ERR_pop_to_mark();
	if (e != ERR_OK) {
		crypto_ctx_free(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void crypto_ctx_free(struct crypto_ctx *c)
{
	if (!c)
		return;
	EVP_CIPHER_free(c->cbc_256);
	EVP_CIPHER_free(c->cbc_192);
	EVP_CIPHER_free(c->cbc_128);
	EVP_CIPHER_free(c->chacha);
	EVP_CIPHER_free(c->gcm_256);
	EVP_CIPHER_free(c->gcm_128);
	EVP_MD_free(c->sha1);
	EVP_MAC_free(c->hmac);
	if (c->standard)
		OSSL_PROVIDER_unload(c->standard);
	if (c->rand)
		OSSL_PROVIDER_unload(c->rand);
	OSSL_LIB_CTX_free(c->lib);
	mem_free(c);
}

void crypto_ctx_leave(struct crypto_ctx *c)
{
	OPENSSL_thread_stop_ex(c->lib);
}

const struct rng *crypto_ctx_rng(const struct crypto_ctx *c)
{
	return c->rng;
}

enum err crypto_sha1(struct crypto_ctx *c, uint8_t out[static SHA1_LEN], const struct bytes *parts,
		     size_t num)
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	unsigned int len = 0;
	bool ok;

	if (!h)
		return ERR_CRYPTO;
	ERR_set_mark();
	ok = EVP_DigestInit_ex2(h, c->sha1, NULL) == 1;
	for (size_t i = 0; ok && i < num; i++)
		ok = parts[i].len == 0 || EVP_DigestUpdate(h, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(h, out, &len) == 1 && len == SHA1_LEN;
	ERR_pop_to_mark();
	EVP_MD_CTX_free(h);
	return ok ? ERR_OK : ERR_CRYPTO;
}
