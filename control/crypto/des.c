/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/des.h"

#include "base/secret.h"
#include "control/crypto/ctx_priv.h"

/* Seven bits to a byte; the eighth is for parity, which nobody looks at. */
static void spread(uint8_t out[static 8], const uint8_t key[static DES_KEY_LEN])
{
	for (unsigned i = 0; i < 8; i++) {
		const unsigned bit = 7 * i;
		unsigned pair = (unsigned)key[bit / 8] << 8;

		if (bit / 8 + 1 < DES_KEY_LEN)
			pair |= key[bit / 8 + 1];
		out[i] = (uint8_t)(pair >> (8 - bit % 8) & 0xfe);
	}
}

static bool encrypt(EVP_CIPHER_CTX *x, const EVP_CIPHER *cipher, uint8_t *out, const uint8_t *key,
		    const uint8_t *in)
{
	int len = 0;

	return EVP_EncryptInit_ex2(x, cipher, key, NULL, NULL) == 1 &&
	       EVP_CIPHER_CTX_set_padding(x, 0) == 1 &&
	       EVP_EncryptUpdate(x, out, &len, in, DES_BLOCK_LEN) == 1 && len == DES_BLOCK_LEN;
}

enum err des_block(struct crypto_ctx *c, uint8_t out[static DES_BLOCK_LEN],
		   const uint8_t key[static DES_KEY_LEN], const uint8_t in[static DES_BLOCK_LEN])
{
	uint8_t keys[3 * 8];
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *x;
	bool ok;

	for (unsigned i = 0; i < 3; i++)
		spread(keys + 8 * i, key);
	ERR_set_mark();
	cipher = EVP_CIPHER_fetch(c->lib, "DES-EDE3-ECB", NULL);
	x = EVP_CIPHER_CTX_new();
	ok = cipher && x && encrypt(x, cipher, out, keys, in);
	EVP_CIPHER_CTX_free(x);
	EVP_CIPHER_free(cipher);
	ERR_pop_to_mark();
	secret_wipe(keys, sizeof(keys));
	return ok ? ERR_OK : ERR_CRYPTO;
}
