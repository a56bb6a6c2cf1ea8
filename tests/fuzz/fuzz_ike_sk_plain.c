/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ike_sk_plain: what an authenticated peer can put into an Encrypted payload: the type of the
 * first payload, then the plain text with its padding. It is sealed with a key that we know,
 * opened, and used. An input that begins with 255 is the message itself, which must not be
 * authentic.
 */
#include "control/crypto/keys.h"
#include "control/ike/wire/sk.h"
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct ike_aead *sealer, *opener;

static enum err no_rng(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return ERR_OK;
}

static struct ike_aead *aead_new(struct crypto_ctx *c, uint8_t fill)
{
	const struct conf_encr encr = {ENCR_AES_GCM_16, 128};
	struct secret key = {0};
	struct ike_aead *a = NULL;

	require(secret_init(&key, encr_key_len(encr)) == ERR_OK);
	memset(key.p, fill, key.len);
	require(ike_aead_new(c, &a, encr, &key) == ERR_OK);
	secret_fini(&key);
	return a;
}

static void set_up(void)
{
	static const struct rng rng = {.fill = no_rng};
	static struct crypto_ctx *c;

	if (c)
		return;
	require(crypto_ctx_new(&c, &rng) == ERR_OK);
	sealer = aead_new(c, 7);
	opener = aead_new(c, 7);
}

/* seal - header and SK payload around the plain text; returns the length of the message. */
static size_t seal(uint8_t *buf, uint8_t first, const uint8_t *plain, size_t len)
{
	const size_t total =
		IKE_HEADER_LEN + IKE_PAYLOAD_HDR_LEN + IKE_AEAD_IV_LEN + len + IKE_AEAD_ICV_LEN;
	uint8_t *sk = buf + IKE_HEADER_LEN;

	memset(buf, 0, IKE_HEADER_LEN);
	buf[16] = PAYLOAD_SK;
	buf[17] = IKE_MAJOR_VERSION << 4;
	buf[18] = INFORMATIONAL;
	store_be32(buf + 24, (uint32_t)total);
	sk[0] = first;
	sk[1] = 0;
	store_be16(sk + 2, (uint16_t)(total - IKE_HEADER_LEN));
	memcpy(sk + 12, plain, len);
	require(ike_aead_seal(sealer, sk + 4, sk + 12 + len, sk + 12, len, bytes_of(buf, 32)) ==
		ERR_OK);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ike_msg outer, inner;
	static uint8_t message[8192], plain[8192];
	bool authentic;
	enum err e;

	set_up();
	if (len < 2 || len > sizeof(message) - 64)
		return 0;
	if (data[0] == 255) {
		if (ike_msg_parse(&outer, bytes_of(data + 1, len - 1)) == ERR_OK) {
			require(sk_open(&inner, &authentic, plain, sizeof(plain), &outer, opener) !=
				ERR_OK);
			require(!authentic);
		}
		return 0;
	}
	require(ike_msg_parse(&outer, bytes_of(message, seal(message, data[0], data + 1,
							     len - 1))) == ERR_OK);
	e = sk_open(&inner, &authentic, plain, sizeof(plain), &outer, opener);
	require(authentic);
	if (e == ERR_OK)
		use_payloads(&inner);
	return 0;
}
