/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/crypto/kat.h"

const struct aead_kat *aead_kat(size_t i)
{
	if (i < aead_kats_combined_num)
		return &aead_kats_combined[i];
	i -= aead_kats_combined_num;
	return i < aead_kats_hmac_num ? &aead_kats_hmac[i] : NULL;
}

const uint8_t aead_kat_iv_key[AEAD_IV_KEY_LEN] = {0, 1, 2,  3,  4,  5,  6,  7,
						  8, 9, 10, 11, 12, 13, 14, 15};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* All of hex as at most cap bytes. */
static enum err decode(uint8_t *out, size_t *out_len, size_t cap, const char *hex)
{
	size_t n = 0;

	for (; hex[0] != '\0'; hex += 2, n++) {
		if (n == cap || digit(hex[0]) < 0 || digit(hex[1]) < 0)
			return ERR_MALFORMED;
		out[n] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
	}
	*out_len = n;
	return ERR_OK;
}

/* Exactly len bytes. */
static enum err decode_all(uint8_t *out, size_t len, const char *hex)
{
	size_t n;
	enum err e = decode(out, &n, len, hex);

	return e == ERR_OK && n != len ? ERR_MALFORMED : e;
}

/* What lies in the packet's IV field, and before it is encrypted. */
static enum err decode_iv(struct aead_kat_bytes *b, const struct aead_kat *kat)
{
	const size_t len = b->shape->iv_len;
	enum err e = ERR_OK;

	if (kat->iv)
		e = decode_all(b->iv, len, kat->iv);
	else
		memcpy(b->iv, b->nonce + AEAD_SALT_LEN, len > 8 ? 0 : len);
	memcpy(b->number, b->iv, len);
	if (e == ERR_OK && b->shape->secret_iv)
		e = kat->iv && kat->number ? decode_all(b->number, len, kat->number)
					   : ERR_MALFORMED;
	return e;
}

enum err aead_kat_decode(struct aead_kat_bytes *out, const struct aead_kat *kat)
{
	struct aead_kat_bytes b = {.shape = aead_shape(kat->alg)};
	size_t out_len = 0;

	b.key_len = aead_alg_key_len(kat->alg);
	if (decode_all(b.key, b.key_len, kat->key) != ERR_OK ||
	    decode_all(b.nonce, b.shape->salt_len ? sizeof(b.nonce) : 0, kat->nonce) != ERR_OK ||
	    decode(b.aad, &b.aad_len, sizeof(b.aad), kat->aad) != ERR_OK ||
	    decode(b.text, &b.text_len, sizeof(b.text), kat->text) != ERR_OK ||
	    decode(b.out, &out_len, sizeof(b.out), kat->out) != ERR_OK)
		return ERR_MALFORMED;
	if (out_len != b.text_len + b.shape->icv_len || decode_iv(&b, kat) != ERR_OK)
		return ERR_MALFORMED;
	*out = b;
	return ERR_OK;
}

struct aead_op aead_kat_place(uint8_t room[static AEAD_KAT_ROOM], const struct aead_kat_bytes *kat,
			      const struct aead_key *key, bool encrypts)
{
	struct aead_op op = {.key = key,
			     .text = room + AEAD_HEAD_LEN + AEAD_IV_MAX,
			     .len = (uint32_t)kat->text_len,
			     .aad_len = (uint8_t)kat->aad_len};
	uint8_t *head = op.text - kat->shape->iv_len - AEAD_HEAD_LEN;

	memset(room, 0, AEAD_KAT_ROOM);
	op.icv = op.text + op.len;
	memcpy(op.nonce, kat->nonce, sizeof(op.nonce));
	memcpy(op.aad, kat->aad, sizeof(op.aad));
	if (kat->aad_len >= AEAD_HEAD_LEN) {
		memcpy(head, kat->aad, 4);
		memcpy(head + 4, kat->aad + kat->aad_len - 4, 4);
	}
	memcpy(op.text - kat->shape->iv_len, encrypts ? kat->number : kat->iv, kat->shape->iv_len);
	memcpy(op.text, encrypts ? kat->text : kat->out,
	       kat->text_len + (encrypts ? 0U : kat->shape->icv_len));
	return op;
}
