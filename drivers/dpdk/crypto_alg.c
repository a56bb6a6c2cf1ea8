/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dpdk/crypto.h"

#define COMBINED(name, len)                                                                        \
	{                                                                                          \
		.kind = RTE_CRYPTO_SYM_XFORM_AEAD, .algo = RTE_CRYPTO_AEAD_##name, .key_len = len, \
		.iv_len = AEAD_NONCE_LEN, .front_len = 16, .icv_len = AEAD_TAG_LEN                 \
	}

#define GMAC(len)                                                                    \
	{                                                                            \
		.kind = RTE_CRYPTO_SYM_XFORM_AUTH, .algo = RTE_CRYPTO_AUTH_AES_GMAC, \
		.auth_len = len, .iv_len = AEAD_NONCE_LEN, .front_len = 16,          \
		.icv_len = AEAD_TAG_LEN                                              \
	}

#define CBC(len, hash)                                                                          \
	{                                                                                       \
		.kind = RTE_CRYPTO_SYM_XFORM_CIPHER, .algo = RTE_CRYPTO_CIPHER_AES_CBC,         \
		.auth = RTE_CRYPTO_AUTH_SHA##hash##_HMAC, .key_len = len, .auth_len = hash / 8, \
		.iv_len = 16, .front_len = 24, .icv_len = hash / 16                             \
	}

#define PLAIN(hash)                                                                          \
	{                                                                                    \
		.kind = RTE_CRYPTO_SYM_XFORM_AUTH, .algo = RTE_CRYPTO_AUTH_SHA##hash##_HMAC, \
		.auth_len = hash / 8, .front_len = 8, .icv_len = hash / 16                   \
	}

/* As aead_shape() has them, which is the host's. */
static const struct crypto_alg algs[AEAD_NUM] = {
	[AEAD_AES_GCM_16_128] = COMBINED(AES_GCM, 16),
	[AEAD_AES_GCM_16_256] = COMBINED(AES_GCM, 32),
	[AEAD_CHACHA20_POLY1305] = COMBINED(CHACHA20_POLY1305, 32),
	[AEAD_AES_CBC_128_SHA2_256] = CBC(16, 256),
	[AEAD_AES_CBC_192_SHA2_256] = CBC(24, 256),
	[AEAD_AES_CBC_256_SHA2_256] = CBC(32, 256),
	[AEAD_AES_CBC_128_SHA2_384] = CBC(16, 384),
	[AEAD_AES_CBC_192_SHA2_384] = CBC(24, 384),
	[AEAD_AES_CBC_256_SHA2_384] = CBC(32, 384),
	[AEAD_AES_CBC_128_SHA2_512] = CBC(16, 512),
	[AEAD_AES_CBC_192_SHA2_512] = CBC(24, 512),
	[AEAD_AES_CBC_256_SHA2_512] = CBC(32, 512),
	[AEAD_NULL_SHA2_256] = PLAIN(256),
	[AEAD_NULL_SHA2_384] = PLAIN(384),
	[AEAD_NULL_SHA2_512] = PLAIN(512),
	[AEAD_AES_GMAC_128] = GMAC(16),
	[AEAD_AES_GMAC_192] = GMAC(24),
	[AEAD_AES_GMAC_256] = GMAC(32),
};

const struct crypto_alg *crypto_alg(enum aead_alg alg)
{
	return alg > AEAD_NONE && alg < AEAD_NUM && algs[alg].icv_len ? &algs[alg] : NULL;
}

/* capability - what the device says of one algorithm; NULL: it does not have it. */
static const struct rte_cryptodev_symmetric_capability *
capability(uint8_t id, enum rte_crypto_sym_xform_type kind, int algo)
{
	struct rte_cryptodev_sym_capability_idx idx = {.type = kind};

	if (kind == RTE_CRYPTO_SYM_XFORM_AEAD)
		idx.algo.aead = (enum rte_crypto_aead_algorithm)algo;
	else if (kind == RTE_CRYPTO_SYM_XFORM_CIPHER)
		idx.algo.cipher = (enum rte_crypto_cipher_algorithm)algo;
	else
		idx.algo.auth = (enum rte_crypto_auth_algorithm)algo;
	return rte_cryptodev_sym_capability_get(id, &idx);
}

static bool has_auth(uint8_t id, int algo, const struct crypto_alg *a, uint16_t iv_len)
{
	const struct rte_cryptodev_symmetric_capability *c =
		capability(id, RTE_CRYPTO_SYM_XFORM_AUTH, algo);

	return c &&
	       rte_cryptodev_sym_capability_check_auth(c, a->auth_len, a->icv_len, iv_len) == 0;
}

static bool has_cipher(uint8_t id, const struct crypto_alg *a)
{
	const struct rte_cryptodev_symmetric_capability *c =
		capability(id, RTE_CRYPTO_SYM_XFORM_CIPHER, a->algo);

	return c && rte_cryptodev_sym_capability_check_cipher(c, a->key_len, a->iv_len) == 0;
}

static bool has_combined(uint8_t id, const struct crypto_alg *a, uint8_t aad_len)
{
	const struct rte_cryptodev_symmetric_capability *c =
		capability(id, RTE_CRYPTO_SYM_XFORM_AEAD, a->algo);

	return c && rte_cryptodev_sym_capability_check_aead(c, a->key_len, a->icv_len, aad_len,
							    a->iv_len) == 0;
}

bool crypto_has(uint8_t id, const struct aead_use *use)
{
	const struct crypto_alg *a = crypto_alg(use->alg);

	if (!a)
		return false;
	switch (a->kind) {
	case RTE_CRYPTO_SYM_XFORM_AEAD:
		return has_combined(id, a, use->aad_len);
	case RTE_CRYPTO_SYM_XFORM_CIPHER:
		return has_cipher(id, a) && has_auth(id, a->auth, a, 0);
	default:
		/* GMAC with ESN: what is authenticated does not lie in one piece (RFC 4543 3.3). */
		return has_auth(id, a->algo, a, a->iv_len) &&
		       (a->algo != RTE_CRYPTO_AUTH_AES_GMAC || use->aad_len == AEAD_HEAD_LEN);
	}
}
