/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/sk.h"

/* struct sk_parts - IV, ciphertext (Pad Length included), ICV (3.14, RFC 5282 3). */
struct sk_parts {
	struct bytes iv, text, icv;
};

static enum err split(struct sk_parts *out, struct bytes sealed, const struct ike_aead *aead)
{
	const size_t iv_len = ike_aead_iv_len(aead), icv_len = ike_aead_icv_len(aead);
	struct reader r;
	enum err e;

	if (sealed.len < iv_len + 1 + icv_len)
		return ERR_TRUNCATED;
	reader_init(&r, sealed.p, sealed.len);
	e = reader_bytes(&r, &out->iv, iv_len);
	if (e == ERR_OK)
		e = reader_bytes(&r, &out->text, r.left - icv_len);
	if (e == ERR_OK)
		e = reader_bytes(&r, &out->icv, icv_len);
	return e;
}

/* unpad - what is in front of the padding and its length byte. */
static enum err unpad(struct bytes *out, const uint8_t *text, size_t len)
{
	const size_t pad = text[len - 1];

	if (pad > len - 1)
		return ERR_MALFORMED;
	*out = bytes_of(text, len - 1 - pad);
	return ERR_OK;
}

enum err sk_decrypt(struct bytes *out, bool *out_authentic, void *buf, size_t cap,
		    const struct sk_sealed *sealed, struct ike_aead *aead)
{
	struct sk_parts parts;
	enum err e;

	*out_authentic = false;
	e = split(&parts, sealed->body, aead);
	if (e != ERR_OK)
		return e;
	if (parts.text.len > cap)
		return ERR_FULL;
	memcpy(buf, parts.text.p, parts.text.len);
	e = ike_aead_open(aead, parts.iv.p, parts.icv.p, buf, parts.text.len, sealed->aad);
	if (e != ERR_OK)
		return e;
	*out_authentic = true;
	return unpad(out, buf, parts.text.len);
}

enum err sk_open(struct ike_msg *inner, bool *out_authentic, void *buf, size_t cap,
		 const struct ike_msg *outer, struct ike_aead *aead)
{
	const struct ike_payload *sk = ike_msg_find(outer, PAYLOAD_SK);
	struct sk_sealed sealed;
	struct bytes chain;
	enum err e;

	*out_authentic = false;
	if (!sk)
		return ERR_NOT_FOUND;
	sealed.body = sk->body;
	sealed.aad = bytes_of(outer->raw.p, (size_t)(sk->body.p - outer->raw.p));
	e = sk_decrypt(&chain, out_authentic, buf, cap, &sealed, aead);
	if (*out_authentic) {
		inner->h = outer->h;
		inner->raw = outer->raw;
	}
	return e == ERR_OK ? ike_chain_parse(inner, sk->next, chain, false) : e;
}
