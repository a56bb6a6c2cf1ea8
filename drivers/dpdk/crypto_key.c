/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: a session each, wiped when it ends. Control. */
#include "drivers/dpdk/crypto.h"

#include <stdlib.h>
#include <string.h>

#include <rte_mempool.h>

/* struct xforms - what a session is made of; the chain begins at first. */
struct xforms {
	struct rte_crypto_sym_xform cipher, auth;
	struct rte_crypto_sym_xform *first;
};

static void set_auth(struct xforms *x, const struct crypto_alg *a, int algo, const uint8_t *key,
		     bool encrypts)
{
	x->auth = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth = {.op = encrypts ? RTE_CRYPTO_AUTH_OP_GENERATE : RTE_CRYPTO_AUTH_OP_VERIFY,
			 .algo = (enum rte_crypto_auth_algorithm)algo,
			 .key = {.data = key, .length = a->auth_len},
			 .digest_length = a->icv_len},
	};
	x->first = &x->auth;
	if (algo == RTE_CRYPTO_AUTH_AES_GMAC) {
		x->auth.auth.iv.offset = CRYPTO_IV_AT;
		x->auth.auth.iv.length = a->iv_len;
	}
}

static void set_cipher(struct xforms *x, const struct crypto_alg *a, const uint8_t *key,
		       bool encrypts)
{
	x->cipher = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher = {.op = encrypts ? RTE_CRYPTO_CIPHER_OP_ENCRYPT
					  : RTE_CRYPTO_CIPHER_OP_DECRYPT,
			   .algo = (enum rte_crypto_cipher_algorithm)a->algo,
			   .key = {.data = key, .length = a->key_len},
			   .iv = {.offset = CRYPTO_IV_AT, .length = a->iv_len}},
	};
	set_auth(x, a, a->auth, key + a->key_len, encrypts);
	x->first = encrypts ? &x->cipher : &x->auth;
	x->cipher.next = encrypts ? &x->auth : NULL;
	x->auth.next = encrypts ? NULL : &x->cipher;
}

static void set_combined(struct xforms *x, const struct crypto_alg *a, const struct aead_use *use,
			 const uint8_t *key)
{
	x->cipher = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = {.op = use->encrypts ? RTE_CRYPTO_AEAD_OP_ENCRYPT
					     : RTE_CRYPTO_AEAD_OP_DECRYPT,
			 .algo = (enum rte_crypto_aead_algorithm)a->algo,
			 .key = {.data = key, .length = a->key_len},
			 .iv = {.offset = CRYPTO_IV_AT, .length = a->iv_len},
			 .digest_length = a->icv_len,
			 .aad_length = use->aad_len},
	};
	x->first = &x->cipher;
}

static void set_all(struct xforms *x, const struct crypto_alg *a, const struct aead_use *use,
		    const uint8_t *key)
{
	switch (a->kind) {
	case RTE_CRYPTO_SYM_XFORM_AEAD:
		set_combined(x, a, use, key);
		return;
	case RTE_CRYPTO_SYM_XFORM_CIPHER:
		set_cipher(x, a, key, use->encrypts);
		return;
	default:
		set_auth(x, a, a->algo, key, use->encrypts);
	}
}

/* session_new - DPDK tells a full pool from a refusal by nothing but its log. */
static enum err session_new(struct crypto *c, struct aead_key *k, const struct aead_use *use,
			    const uint8_t *key)
{
	struct xforms x = {0};

	if (rte_mempool_empty(c->sessions))
		return ERR_NOMEM;
	set_all(&x, k->alg, use, key);
	k->session = rte_cryptodev_sym_session_create(c->id, x.first, c->sessions);
	explicit_bzero(&x, sizeof(x));
	return k->session ? ERR_OK : ERR_CRYPTO;
}

static enum err iv_new(struct aead_key *k, const uint8_t *iv_key)
{
	k->iv = EVP_CIPHER_CTX_new();
	if (!k->iv)
		return ERR_NOMEM;
	return EVP_EncryptInit_ex(k->iv, EVP_aes_128_ecb(), NULL, iv_key, NULL) == 1 &&
			       EVP_CIPHER_CTX_set_padding(k->iv, 0) == 1
		       ? ERR_OK
		       : ERR_CRYPTO;
}

bool crypto_supports(const struct aead_device *d, const struct aead_use *use)
{
	return crypto_has(((const struct crypto *)(const void *)d)->id, use);
}

enum err crypto_key_new(struct aead_device *d, struct aead_key **out, const struct aead_use *use,
			const uint8_t *key, const uint8_t *iv_key)
{
	struct crypto *c = (struct crypto *)(void *)d;
	struct aead_key *k;
	enum err e;

	if (!crypto_has(c->id, use))
		return ERR_UNSUPPORTED;
	k = calloc(1, sizeof(*k)); /* system allocator: the host's is not here */
	if (!k)
		return ERR_NOMEM;
	k->alg = crypto_alg(use->alg);
	k->encrypts = use->encrypts;
	e = session_new(c, k, use, key);
	if (e == ERR_OK && use->encrypts && iv_key && k->alg->kind == RTE_CRYPTO_SYM_XFORM_CIPHER)
		e = iv_new(k, iv_key);
	if (e != ERR_OK) {
		crypto_key_free(d, k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

/* The device is told to forget the session; what it kept of it lies in the pool's element, which
 * nobody but this thread takes again. */
void crypto_key_free(struct aead_device *d, struct aead_key *key)
{
	struct crypto *c = (struct crypto *)(void *)d;

	if (!key)
		return;
	if (key->session) {
		rte_cryptodev_sym_session_free(c->id, key->session);
		explicit_bzero(key->session, c->sessions->elt_size);
	}
	EVP_CIPHER_CTX_free(key->iv);
	free(key);
}
