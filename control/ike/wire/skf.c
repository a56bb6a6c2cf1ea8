/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/skf.h"

#include "base/alloc.h"

/* NUMBERS_LEN - Fragment Number and Total Fragments. */
#define NUMBERS_LEN 4

enum err skf_parse(struct skf *out, const struct ike_msg *outer)
{
	const struct ike_payload *p = ike_msg_find(outer, PAYLOAD_SKF);
	struct skf f = {0};
	struct reader r;
	enum err e;

	if (!p)
		return ERR_NOT_FOUND;
	reader_init(&r, p->body.p, p->body.len);
	if ((e = reader_u16(&r, &f.number)) != ERR_OK || (e = reader_u16(&r, &f.total)) != ERR_OK)
		return e;
	if (f.number == 0 || f.number > f.total)
		return ERR_MALFORMED;
	if (f.total > IKE_MAX_FRAGMENTS)
		return ERR_LIMIT;
	f.first = p->next;
	f.sealed.body = reader_rest(&r);
	f.sealed.aad = bytes_of(outer->raw.p, (size_t)(f.sealed.body.p - outer->raw.p));
	*out = f;
	return ERR_OK;
}

static size_t message_len(size_t text_len, const struct ike_aead *aead)
{
	return IKE_HEADER_LEN + IKE_PAYLOAD_HDR_LEN + NUMBERS_LEN +
	       ike_build_sealed_len(text_len, aead);
}

/* How much of text goes into each message; 0 if limit leaves no room. Padding may round up. */
static size_t piece_len(size_t text_len, const struct ike_aead *aead, size_t limit)
{
	const size_t fewest = (text_len + IKE_MAX_FRAGMENTS - 1) / IKE_MAX_FRAGMENTS;
	size_t most = limit;

	while (most && message_len(most, aead) > limit)
		most--;
	return most && most < fewest ? fewest : most;
}

/* One message at out; returns its length, 0 on an error. */
static enum err put(size_t *out_len, uint8_t *out, size_t cap, const struct ike_header *h,
		    const struct ike_fragment *f, struct ike_aead *aead)
{
	struct ike_builder b;
	struct bytes message;
	enum err e;

	ike_build_begin(&b, out, cap, h);
	ike_build_skf(&b, f);
	e = ike_build_finish(&b, &message, aead);
	if (e == ERR_OK)
		*out_len = message.len;
	return e;
}

static enum err put_all(uint8_t *out, size_t *out_len, const struct ike_header *h,
			const struct ike_fragment *whole, size_t piece, struct ike_aead *aead)
{
	const size_t each = message_len(piece, aead);
	struct ike_fragment f = {.total = (uint16_t)((whole->text.len + piece - 1) / piece)};
	struct bytes rest = whole->text;
	size_t len = 0, one = 0;

	for (f.number = 1; f.number <= f.total; f.number++) {
		enum err e;

		f.first = f.number == 1 ? whole->first : PAYLOAD_NONE;
		f.text = bytes_of(rest.p, rest.len < piece ? rest.len : piece);
		e = put(&one, out + len, each, h, &f, aead);
		if (e != ERR_OK)
			return e;
		len += one;
		rest = bytes_of(rest.p + f.text.len, rest.len - f.text.len);
	}
	*out_len = len;
	return ERR_OK;
}

enum err skf_split(uint8_t **out, size_t *out_len, struct ike_builder *b, struct ike_aead *aead,
		   size_t limit)
{
	struct ike_fragment whole;
	struct ike_header h;
	uint8_t *buf = NULL;
	size_t piece;
	enum err e = ike_build_plain(b, &whole);

	if (e == ERR_OK)
		e = ike_header_parse(&h, bytes_of(b->w.buf, b->w.len));
	if (e != ERR_OK)
		goto out;
	piece = piece_len(whole.text.len, aead, limit);
	e = ERR_LIMIT;
	if (!piece || !whole.text.len)
		goto out;
	e = ERR_NOMEM;
	buf = mem_alloc_array((whole.text.len + piece - 1) / piece, message_len(piece, aead));
	if (!buf)
		goto out;
	e = put_all(buf, out_len, &h, &whole, piece, aead);
	if (e == ERR_OK)
		*out = buf;
	else
		mem_free(buf);
out:
	secret_wipe(b->w.buf, b->w.cap);
	return e;
}

size_t skf_message_len(struct bytes messages)
{
	struct ike_header h;

	if (ike_header_parse(&h, messages) != ERR_OK || h.length > messages.len)
		return messages.len;
	return h.length;
}
