/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/crypto/aead.h"

/* RFC 4106, RFC 7634 and, without a cipher's effect, RFC 4543: salt || IV of 8 bytes is the nonce,
 * and the IV is the sequence number, which no packet under the key shares. */
#define COMBINED(mode, text, len) COMBINED_IV(mode, text, len, 8)
/* RFC 8750: the same, and the packet does not say it. */
#define IMPLICIT(mode, text, len) COMBINED_IV(mode, text, len, 0)
#define COMBINED_IV(mode, text, len, iv)                                               \
	{                                                                              \
		.name = text, .kind = mode, .key_len = len, .salt_len = AEAD_SALT_LEN, \
		.iv_len = iv, .align = 4, .icv_len = AEAD_TAG_LEN,                     \
		.privacy = (mode) != AEAD_KIND_GMAC                                    \
	}

/* RFC 3602 and RFC 4868: blocks of 16, an IV that nobody can foretell, an ICV of half a hash. */
#define CBC(bits, hash)                                                                        \
	{                                                                                      \
		.name = "aes" #bits "-sha" #hash, .kind = AEAD_KIND_HMAC, .key_len = bits / 8, \
		.auth_len = hash / 8, .iv_len = 16, .align = 16, .icv_len = hash / 16,         \
		.privacy = true, .secret_iv = true                                             \
	}

/* RFC 2410: no IV, no block. */
#define PLAIN(hash)                                                                     \
	{                                                                               \
		.name = "null-sha" #hash, .kind = AEAD_KIND_HMAC, .auth_len = hash / 8, \
		.align = 4, .icv_len = hash / 16                                        \
	}

static const struct aead_shape shapes[AEAD_NUM] = {
	[AEAD_NONE] = {.name = "none"},
	[AEAD_AES_GCM_16_128] = COMBINED(AEAD_KIND_GCM, "aes128gcm16", 16),
	[AEAD_AES_GCM_16_256] = COMBINED(AEAD_KIND_GCM, "aes256gcm16", 32),
	[AEAD_CHACHA20_POLY1305] = COMBINED(AEAD_KIND_CHACHA, "chacha20poly1305", 32),
	[AEAD_AES_CBC_128_SHA2_256] = CBC(128, 256),
	[AEAD_AES_CBC_192_SHA2_256] = CBC(192, 256),
	[AEAD_AES_CBC_256_SHA2_256] = CBC(256, 256),
	[AEAD_AES_CBC_128_SHA2_384] = CBC(128, 384),
	[AEAD_AES_CBC_192_SHA2_384] = CBC(192, 384),
	[AEAD_AES_CBC_256_SHA2_384] = CBC(256, 384),
	[AEAD_AES_CBC_128_SHA2_512] = CBC(128, 512),
	[AEAD_AES_CBC_192_SHA2_512] = CBC(192, 512),
	[AEAD_AES_CBC_256_SHA2_512] = CBC(256, 512),
	[AEAD_NULL_SHA2_256] = PLAIN(256),
	[AEAD_NULL_SHA2_384] = PLAIN(384),
	[AEAD_NULL_SHA2_512] = PLAIN(512),
	[AEAD_AES_GMAC_128] = COMBINED(AEAD_KIND_GMAC, "aes128gmac", 16),
	[AEAD_AES_GMAC_192] = COMBINED(AEAD_KIND_GMAC, "aes192gmac", 24),
	[AEAD_AES_GMAC_256] = COMBINED(AEAD_KIND_GMAC, "aes256gmac", 32),
	[AEAD_AES_GCM_16_IIV_128] = IMPLICIT(AEAD_KIND_GCM, "aes128gcm16iiv", 16),
	[AEAD_AES_GCM_16_IIV_256] = IMPLICIT(AEAD_KIND_GCM, "aes256gcm16iiv", 32),
	[AEAD_CHACHA20_POLY1305_IIV] = IMPLICIT(AEAD_KIND_CHACHA, "chacha20poly1305iiv", 32),
};

const struct aead_shape *aead_shape(enum aead_alg alg)
{
	return &shapes[alg > AEAD_NONE && alg < AEAD_NUM ? alg : AEAD_NONE];
}

size_t aead_alg_key_len(enum aead_alg alg)
{
	const struct aead_shape *s = aead_shape(alg);

	return (size_t)s->key_len + s->auth_len;
}

size_t aead_alg_material_len(enum aead_alg alg)
{
	return aead_alg_key_len(alg) + aead_shape(alg)->salt_len;
}

const char *aead_alg_name(enum aead_alg alg)
{
	return aead_shape(alg)->name;
}

bool aead_alg_has_privacy(enum aead_alg alg)
{
	return aead_shape(alg)->privacy;
}

bool aead_alg_has_integrity(enum aead_alg alg)
{
	return aead_shape(alg)->icv_len > 0;
}
