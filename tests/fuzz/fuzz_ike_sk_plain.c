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

/* A combined mode, and AES-CBC with a MAC, whose text is whole blocks. */
static const struct conf_encr encrs[] = {{ENCR_AES_GCM_16, 128, 0},
					 {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128}};
static struct ike_aead *sealers[ARRAY_LEN(encrs)], *openers[ARRAY_LEN(encrs)];

static enum err no_rng(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return ERR_OK;
}

static struct ike_aead *aead_new(struct crypto_ctx *c, struct conf_encr encr, uint8_t fill)
{
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
	for (size_t i = 0; i < ARRAY_LEN(encrs); i++) {
		sealers[i] = aead_new(c, encrs[i], 7);
		openers[i] = aead_new(c, encrs[i], 7);
	}
}

/* seal - header and SK payload around the plain text; returns the length of the message. */
static size_t seal(uint8_t *buf, struct ike_aead *sealer, uint8_t first, const uint8_t *plain,
		   size_t len)
{
	const size_t iv_len = ike_aead_iv_len(sealer);
	const size_t total =
		IKE_HEADER_LEN + IKE_PAYLOAD_HDR_LEN + iv_len + len + ike_aead_icv_len(sealer);
	uint8_t *sk = buf + IKE_HEADER_LEN, *text = sk + IKE_PAYLOAD_HDR_LEN + iv_len;

	memset(buf, 0, IKE_HEADER_LEN);
	buf[16] = PAYLOAD_SK;
	buf[17] = IKE_MAJOR_VERSION << 4;
	buf[18] = INFORMATIONAL;
	store_be32(buf + 24, (uint32_t)total);
	sk[0] = first;
	sk[1] = 0;
	store_be16(sk + 2, (uint16_t)(total - IKE_HEADER_LEN));
	memcpy(text, plain, len);
	require(ike_aead_seal(sealer, sk + 4, text + len, text, len, bytes_of(buf, 32)) == ERR_OK);
	return total;
}

static struct ike_msg outer, inner;
static uint8_t message[8192], plain[8192];

static void open_raw(size_t i, struct bytes m)
{
	bool authentic;

	if (ike_msg_parse(&outer, m) != ERR_OK)
		return;
	require(sk_open(&inner, &authentic, plain, sizeof(plain), &outer, openers[i]) != ERR_OK);
	require(!authentic);
}

static void open_sealed(size_t i, uint8_t first, const uint8_t *text, size_t len)
{
	bool authentic;
	enum err e;

	if (encrs[i].integ)
		len -= len % 16;
	if (len == 0)
		return;
	len = seal(message, sealers[i], first, text, len);
	require(ike_msg_parse(&outer, bytes_of(message, len)) == ERR_OK);
	e = sk_open(&inner, &authentic, plain, sizeof(plain), &outer, openers[i]);
	require(authentic);
	if (e == ERR_OK)
		use_payloads(&inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	set_up();
	if (len < 2 || len > sizeof(message) - 128)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(encrs); i++) {
		if (data[0] == 255)
			open_raw(i, bytes_of(data + 1, len - 1));
		else
			open_sealed(i, data[0], data + 1, len - 1);
	}
	return 0;
}
