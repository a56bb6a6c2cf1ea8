/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/build.h"

/* Offsets in the header (RFC 7296 3.1). */
#define NEXT_PAYLOAD_AT 16
#define LENGTH_AT       24

void ike_build_begin(struct ike_builder *b, void *buf, size_t cap, const struct ike_header *h)
{
	*b = (struct ike_builder){.next_at = NEXT_PAYLOAD_AT};
	writer_init(&b->w, buf, cap);
	writer_u64(&b->w, h->spi_i);
	writer_u64(&b->w, h->spi_r);
	writer_u8(&b->w, PAYLOAD_NONE);
	writer_u8(&b->w, IKE_MAJOR_VERSION << 4);
	writer_u8(&b->w, h->exchange);
	writer_u8(&b->w, h->flags);
	writer_u32(&b->w, h->msgid);
	writer_u32(&b->w, 0);
}

/* close_payload - fill in the open payload's length, which counts the 4 bytes of its header too. */
static void close_payload(struct ike_builder *b)
{
	if (b->len_at)
		writer_end_u16(&b->w, b->len_at, IKE_PAYLOAD_HDR_LEN);
	b->len_at = 0;
}

/* open_payload - a generic header (3.2); returns where it begins. */
static size_t open_payload(struct ike_builder *b, uint8_t type)
{
	const size_t at = b->w.len;

	if (b->w.err == ERR_OK)
		b->w.buf[b->next_at] = type;
	b->next_at = at;
	writer_u8(&b->w, PAYLOAD_NONE);
	writer_u8(&b->w, 0);
	b->len_at = writer_begin_u16(&b->w);
	return at;
}

struct writer *ike_build_payload(struct ike_builder *b, uint8_t type)
{
	close_payload(b);
	open_payload(b, type);
	return &b->w;
}

void ike_build_sk(struct ike_builder *b)
{
	assert(!b->sk_at);
	close_payload(b);
	b->sk_at = open_payload(b, PAYLOAD_SK);
	/* Its length is known at the end only, when what is inside has been closed. */
	b->len_at = 0;
	b->iv_at = b->w.len;
	writer_zero(&b->w, IKE_AEAD_IV_LEN);
}

void ike_build_skf(struct ike_builder *b, const struct ike_fragment *f)
{
	assert(!b->sk_at);
	close_payload(b);
	b->sk_at = open_payload(b, PAYLOAD_SKF);
	b->len_at = 0;
	if (b->w.err == ERR_OK)
		b->w.buf[b->sk_at] = f->first;
	writer_u16(&b->w, f->number);
	writer_u16(&b->w, f->total);
	b->iv_at = b->w.len;
	writer_zero(&b->w, IKE_AEAD_IV_LEN);
	writer_bytes(&b->w, f->text.p, f->text.len);
}

size_t ike_build_sealed_len(size_t text_len, const struct ike_aead *aead)
{
	return ike_aead_iv_len(aead) + text_len + ike_aead_pad_len(aead, text_len) + 1 +
	       ike_aead_icv_len(aead);
}

enum err ike_build_plain(struct ike_builder *b, struct ike_fragment *out)
{
	const size_t text_at = b->iv_at + IKE_AEAD_IV_LEN;

	assert(b->sk_at);
	close_payload(b);
	if (b->w.err != ERR_OK)
		return b->w.err;
	*out = (struct ike_fragment){.first = b->w.buf[b->sk_at],
				     .number = 1,
				     .total = 1,
				     .text = bytes_of(b->w.buf + text_at, b->w.len - text_at)};
	return ERR_OK;
}

static void set_message_length(struct ike_builder *b)
{
	if (b->w.len > IKE_MAX_MESSAGE)
		b->w.err = ERR_LIMIT;
	if (b->w.err == ERR_OK)
		store_be32(b->w.buf + LENGTH_AT, (uint32_t)b->w.len);
}

/* make_iv_room - text moves back where the IV is longer than was left room for. */
static void make_iv_room(struct ike_builder *b, size_t iv_len)
{
	const size_t text_at = b->iv_at + IKE_AEAD_IV_LEN, more = iv_len - IKE_AEAD_IV_LEN;
	const size_t text_len = b->w.len - text_at;

	if (more && writer_reserve(&b->w, more))
		memmove(b->w.buf + text_at + more, b->w.buf + text_at, text_len);
}

/* pad - with zeros, whose number is told behind them (3.14). */
static void pad(struct ike_builder *b, size_t text_at, const struct ike_aead *aead)
{
	const size_t len = ike_aead_pad_len(aead, b->w.len - text_at);

	writer_zero(&b->w, len);
	writer_u8(&b->w, (uint8_t)len);
}

/* seal - IV, encrypted payloads, padding, ICV; what is in front of the IV is authenticated too (RFC
 * 5282 5.1), so all lengths are set first. */
static enum err seal(struct ike_builder *b, struct ike_aead *aead)
{
	const size_t iv_at = b->iv_at;
	const size_t text_at = iv_at + ike_aead_iv_len(aead);
	size_t text_len;
	uint8_t *icv;

	if (b->w.err != ERR_OK)
		return b->w.err;
	make_iv_room(b, ike_aead_iv_len(aead));
	if (b->w.err != ERR_OK)
		return b->w.err;
	pad(b, text_at, aead);
	text_len = b->w.len - text_at;
	icv = writer_reserve(&b->w, ike_aead_icv_len(aead));
	set_message_length(b);
	if (!icv || b->w.err != ERR_OK)
		return b->w.err;
	store_be16(b->w.buf + b->sk_at + 2, (uint16_t)(b->w.len - b->sk_at));
	return ike_aead_seal(aead, b->w.buf + iv_at, icv, b->w.buf + text_at, text_len,
			     bytes_of(b->w.buf, iv_at));
}

enum err ike_build_finish(struct ike_builder *b, struct bytes *out, struct ike_aead *aead)
{
	enum err e = b->w.err;

	close_payload(b);
	if (e == ERR_OK && !aead != !b->sk_at)
		e = ERR_INVAL;
	if (e == ERR_OK && aead)
		e = seal(b, aead);
	else
		set_message_length(b);
	if (e == ERR_OK)
		e = writer_finish(&b->w, out);
	if (e != ERR_OK)
		secret_wipe(b->w.buf, b->w.cap);
	return e;
}
