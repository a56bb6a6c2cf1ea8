/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ike_fragment: what an authenticated peer can send as fragments of messages (RFC 7383). An
 * input is a row of fragments: number, total, type of the first payload, length (16 bits), text.
 * Each is sealed with a key that we know, parsed, opened and put together with the others; what
 * becomes whole is used. An input that begins with 255 is a message itself, which must not be
 * authentic.
 */
#include "control/crypto/keys.h"
#include "control/ike/reassembly.h"
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct ike_aead *sealer, *opener;
static struct htab debtors;

static enum err no_rng(void *ctx, void *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return ERR_OK;
}

static struct ike_aead *aead_new(struct crypto_ctx *c)
{
	const struct conf_encr encr = {ENCR_AES_GCM_16, 128, 0};
	struct secret key = {0};
	struct ike_aead *a = NULL;

	require(secret_init(&key, encr_key_len(encr)) == ERR_OK);
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
	require(htab_init(&debtors, &rng) == ERR_OK);
	sealer = aead_new(c);
	opener = aead_new(c);
}

/* Whatever comes in a message of this header: parsed, and opened if it is ours. */
static bool open_fragment(struct skf *f, struct bytes *text, uint8_t *buf, size_t cap,
			  struct bytes message)
{
	static struct ike_msg outer;
	bool authentic;

	if (ike_msg_parse(&outer, message) != ERR_OK || skf_parse(f, &outer) != ERR_OK)
		return false;
	require(f->number >= 1 && f->number <= f->total && f->total <= IKE_MAX_FRAGMENTS);
	require_within(f->sealed.body, message);
	require_within(f->sealed.aad, message);
	return sk_decrypt(text, &authentic, buf, cap, &f->sealed, opener) == ERR_OK;
}

static void use_whole(const struct reassembly *r)
{
	static uint8_t buf[REASSEMBLY_MAX];
	static struct ike_msg inner;
	struct bytes chain;
	uint8_t first;

	if (reassembly_whole(r, &chain, &first, buf) &&
	    ike_chain_parse(&inner, first, chain, false) == ERR_OK)
		use_payloads(&inner);
}

static void take(struct reassembly **r, const struct ike_fragment *f)
{
	static const struct ike_header h = {.exchange = INFORMATIONAL};
	static uint8_t message[70000], plain[70000];
	const struct ip_addr from = {.family = IP_V4};
	struct ike_builder b;
	struct bytes m, text;
	struct skf skf;

	ike_build_begin(&b, message, sizeof(message), &h);
	ike_build_skf(&b, f);
	if (ike_build_finish(&b, &m, sealer) != ERR_OK)
		return;
	if (!open_fragment(&skf, &text, plain, sizeof(plain), m))
		return;
	require(bytes_equal(text, f->text));
	if (!reassembly_wants(*r, &skf))
		return;
	if (reassembly_add(&debtors, r, &from, &skf, text) == ERR_OK)
		require(!reassembly_wants(*r, &skf));
	use_whole(*r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t plain[70000];
	struct reassembly *r = NULL;
	struct ike_fragment f;
	struct reader in;
	struct bytes text;
	uint8_t number, total;
	uint16_t text_len;
	struct skf skf;

	set_up();
	if (len && data[0] == 255) {
		require(!open_fragment(&skf, &text, plain, sizeof(plain),
				       bytes_of(data + 1, len - 1)));
		return 0;
	}
	reader_init(&in, data, len);
	while (!reader_u8(&in, &number) && !reader_u8(&in, &total) && !reader_u8(&in, &f.first) &&
	       !reader_u16(&in, &text_len) && !reader_bytes(&in, &f.text, text_len)) {
		f.number = number;
		f.total = total;
		take(&r, &f);
	}
	reassembly_drop(&debtors, &r);
	require(debtors.num == 0);
	return 0;
}
