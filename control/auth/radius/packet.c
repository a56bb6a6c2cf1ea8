/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/radius/packet.h"

#include "base/reader.h"
#include "base/secret.h"

/* ATTR_HEADER_LEN - type and length. MAC_AT - where the value of our Message-Authenticator is.
 * AUTHENTICATOR_AT, ATTRS_AT - in any packet. MSK_LEN - the least that EAP promises (RFC 3748
 * 7.10). */
#define ATTR_HEADER_LEN  2
#define MAC_AT           (RADIUS_HEADER_LEN + ATTR_HEADER_LEN)
#define AUTHENTICATOR_AT 4
#define ATTRS_AT         RADIUS_HEADER_LEN
#define MSK_LEN          64

/* Microsoft's attributes (RFC 2548 2.4). SALT_LEN - before the key. */
#define VENDOR_MICROSOFT 311
#define MS_SEND_KEY      16
#define MS_RECV_KEY      17
#define SALT_LEN         2

/* ---- requests -------------------------------------------------------------------------------- */

void radius_put(struct writer *w, enum radius_type type, struct bytes value)
{
	const size_t len = value.len < RADIUS_VALUE_MAX ? value.len : RADIUS_VALUE_MAX;

	writer_u8(w, (uint8_t)type);
	writer_u8(w, (uint8_t)(ATTR_HEADER_LEN + len));
	writer_bytes(w, value.p, len);
}

void radius_put_u32(struct writer *w, enum radius_type type, uint32_t value)
{
	writer_u8(w, (uint8_t)type);
	writer_u8(w, ATTR_HEADER_LEN + sizeof(value));
	writer_u32(w, value);
}

void radius_put_eap(struct writer *w, struct bytes packet)
{
	while (packet.len) {
		const size_t len = packet.len < RADIUS_VALUE_MAX ? packet.len : RADIUS_VALUE_MAX;

		radius_put(w, RADIUS_EAP_MESSAGE, bytes_of(packet.p, len));
		packet = bytes_of(packet.p + len, packet.len - len);
	}
}

void radius_request_begin(struct writer *w, uint8_t id,
			  const uint8_t authenticator[static RADIUS_AUTHENTICATOR_LEN])
{
	static const uint8_t none[MD5_LEN];

	writer_u8(w, RADIUS_ACCESS_REQUEST);
	writer_u8(w, id);
	writer_u16(w, 0); /* the length is known at the end */
	writer_bytes(w, authenticator, RADIUS_AUTHENTICATOR_LEN);
	radius_put(w, RADIUS_MESSAGE_AUTHENTICATOR, bytes_of(none, sizeof(none)));
}

enum err radius_request_finish(struct crypto_ctx *c, struct bytes *out, struct writer *w,
			       struct bytes secret)
{
	struct bytes packet;
	enum err e = writer_finish(w, &packet);

	if (e)
		return e;
	if (packet.len > RADIUS_PACKET_MAX)
		return ERR_LIMIT;
	w->buf[2] = (uint8_t)(packet.len >> 8);
	w->buf[3] = (uint8_t)packet.len;
	e = crypto_hmac_md5(c, w->buf + MAC_AT, secret, &packet, 1);
	if (!e)
		*out = packet;
	return e;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void take_once(struct bytes *to, struct bytes value)
{
	if (!to->p)
		*to = value;
}

/* Each of a vendor's attributes has a type and a length of its own. Another form is another's. */
static void take_vendor(struct radius_packet *p, struct bytes value)
{
	struct bytes inner;
	struct reader r;
	uint32_t vendor;
	uint8_t type, len;

	reader_init(&r, value.p, value.len);
	if (reader_u32(&r, &vendor) || vendor != VENDOR_MICROSOFT)
		return;
	while (!reader_u8(&r, &type) && !reader_u8(&r, &len) && len >= ATTR_HEADER_LEN &&
	       !reader_bytes(&r, &inner, len - (size_t)ATTR_HEADER_LEN)) {
		if (type == MS_RECV_KEY)
			take_once(&p->recv_key, inner);
		else if (type == MS_SEND_KEY)
			take_once(&p->send_key, inner);
	}
}

static enum err take_mac(struct radius_packet *p, struct bytes value)
{
	if (value.len != MD5_LEN || p->mac_at)
		return ERR_MALFORMED;
	p->mac_at = (size_t)(value.p - p->whole.p);
	return ERR_OK;
}

static enum err take_timeout(struct radius_packet *p, struct bytes value)
{
	struct reader r;

	reader_init(&r, value.p, value.len);
	if (reader_u32(&r, &p->session_s) || !reader_empty(&r))
		return ERR_MALFORMED;
	return ERR_OK;
}

static enum err take_attr(struct radius_packet *p, uint8_t type, struct bytes value)
{
	switch (type) {
	case RADIUS_USER_NAME:
		take_once(&p->user_name, value);
		break;
	case RADIUS_REPLY_MESSAGE:
		take_once(&p->reply, value);
		break;
	case RADIUS_STATE:
		take_once(&p->state, value);
		break;
	case RADIUS_VENDOR_SPECIFIC:
		take_vendor(p, value);
		break;
	case RADIUS_SESSION_TIMEOUT:
		return take_timeout(p, value);
	case RADIUS_EAP_MESSAGE:
		p->eap_len += value.len;
		break;
	case RADIUS_MESSAGE_AUTHENTICATOR:
		return take_mac(p, value);
	default:
		break;
	}
	return ERR_OK;
}

/* next_attr - Errors: NOT_FOUND (there is none), MALFORMED. */
static enum err next_attr(struct reader *r, uint8_t *out_type, struct bytes *out_value)
{
	uint8_t len;

	if (reader_empty(r))
		return ERR_NOT_FOUND;
	if (reader_u8(r, out_type) || reader_u8(r, &len) || len < ATTR_HEADER_LEN ||
	    reader_bytes(r, out_value, len - (size_t)ATTR_HEADER_LEN))
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err radius_parse(struct radius_packet *out, struct bytes in)
{
	struct radius_packet p = {0};
	struct reader r, attrs;
	struct bytes value;
	uint16_t len;
	uint8_t type;
	enum err e;

	reader_init(&r, in.p, in.len);
	if (reader_u8(&r, &p.code) || reader_u8(&r, &p.id) || reader_u16(&r, &len) ||
	    reader_skip(&r, RADIUS_AUTHENTICATOR_LEN))
		return ERR_TRUNCATED;
	if (len < RADIUS_HEADER_LEN)
		return ERR_MALFORMED;
	if (len > RADIUS_PACKET_MAX)
		return ERR_LIMIT;
	if (reader_sub(&r, &attrs, len - (size_t)RADIUS_HEADER_LEN))
		return ERR_TRUNCATED;
	p.whole = bytes_of(in.p, len);
	while (!(e = next_attr(&attrs, &type, &value)) && !(e = take_attr(&p, type, value)))
		;
	if (e != ERR_NOT_FOUND)
		return e;
	*out = p;
	return ERR_OK;
}

void radius_eap(uint8_t *out, const struct radius_packet *p)
{
	struct bytes value;
	struct reader r;
	uint8_t type;

	reader_init(&r, p->whole.p + ATTRS_AT, p->whole.len - ATTRS_AT);
	while (!next_attr(&r, &type, &value)) {
		if (type != RADIUS_EAP_MESSAGE || !value.len)
			continue;
		memcpy(out, value.p, value.len);
		out += value.len;
	}
}

/* MD5 of the packet with the request's authenticator in its place, and of the secret. */
static enum err verify_md5(struct crypto_ctx *c, const struct radius_packet *p,
			   const struct radius_proof *proof)
{
	const struct bytes parts[] = {
		bytes_of(p->whole.p, AUTHENTICATOR_AT),
		bytes_of(proof->authenticator, RADIUS_AUTHENTICATOR_LEN),
		bytes_of(p->whole.p + ATTRS_AT, p->whole.len - ATTRS_AT),
		proof->secret,
	};
	uint8_t value[MD5_LEN];
	enum err e = crypto_md5(c, value, parts, ARRAY_LEN(parts));

	if (e)
		return e;
	return secret_equal(value, MD5_LEN, p->whole.p + AUTHENTICATOR_AT, MD5_LEN) ? ERR_OK
										    : ERR_AUTH;
}

/* HMAC-MD5 of the same with zeros in its own place. */
static enum err verify_mac(struct crypto_ctx *c, const struct radius_packet *p,
			   const struct radius_proof *proof)
{
	static const uint8_t none[MD5_LEN];
	const size_t behind = p->mac_at + MD5_LEN;
	const struct bytes parts[] = {
		bytes_of(p->whole.p, AUTHENTICATOR_AT),
		bytes_of(proof->authenticator, RADIUS_AUTHENTICATOR_LEN),
		bytes_of(p->whole.p + ATTRS_AT, p->mac_at - ATTRS_AT),
		bytes_of(none, sizeof(none)),
		bytes_of(p->whole.p + behind, p->whole.len - behind),
	};
	uint8_t value[MD5_LEN];
	enum err e = crypto_hmac_md5(c, value, proof->secret, parts, ARRAY_LEN(parts));

	if (e)
		return e;
	return secret_equal(value, MD5_LEN, p->whole.p + p->mac_at, MD5_LEN) ? ERR_OK : ERR_AUTH;
}

enum err radius_verify(struct crypto_ctx *c, const struct radius_packet *p,
		       const struct radius_proof *proof)
{
	enum err e;

	if (!p->mac_at)
		return ERR_AUTH;
	e = verify_mac(c, p, proof);
	return e ? e : verify_md5(c, p, proof);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Decrypt a key (RFC 2548 2.4.2): each block is hidden by the MD5 of the secret and the block
 * before it, the first by that of the secret, the request's authenticator and the salt; in front is
 * the key's length. */
static enum err open_key(struct crypto_ctx *c, uint8_t out[static RADIUS_VALUE_MAX],
			 struct bytes *out_key, struct bytes value,
			 const struct radius_proof *proof)
{
	struct bytes salt, hidden, before;
	uint8_t mask[MD5_LEN];
	struct reader r;
	enum err e = ERR_OK;

	reader_init(&r, value.p, value.len);
	if (reader_bytes(&r, &salt, SALT_LEN) || reader_empty(&r) || r.left % MD5_LEN)
		return ERR_MALFORMED;
	before = bytes_of(proof->authenticator, RADIUS_AUTHENTICATOR_LEN);
	for (size_t at = 0; !e && !reader_bytes(&r, &hidden, MD5_LEN); at += MD5_LEN) {
		const struct bytes parts[] = {proof->secret, before, salt};

		e = crypto_md5(c, mask, parts, at ? 2 : 3);
		for (size_t i = 0; !e && i < MD5_LEN; i++)
			out[at + i] = hidden.p[i] ^ mask[i];
		before = hidden;
	}
	secret_wipe(mask, sizeof(mask));
	if (!e && (!out[0] || out[0] > value.len - SALT_LEN - 1))
		e = ERR_MALFORMED;
	*out_key = bytes_of(out + 1, out[0]);
	return e;
}

enum err radius_msk(struct crypto_ctx *c, uint8_t out[static RADIUS_MSK_MAX], size_t *out_len,
		    const struct radius_packet *p, const struct radius_proof *proof)
{
	uint8_t recv_buf[RADIUS_VALUE_MAX] = {0}, send_buf[RADIUS_VALUE_MAX] = {0};
	struct bytes recv = {0}, send = {0};
	enum err e;

	if (!p->recv_key.p || !p->send_key.p)
		return ERR_NOT_FOUND;
	e = open_key(c, recv_buf, &recv, p->recv_key, proof);
	if (!e)
		e = open_key(c, send_buf, &send, p->send_key, proof);
	if (!e && recv.len + send.len > RADIUS_MSK_MAX)
		e = ERR_MALFORMED;
	if (!e) {
		memset(out, 0, RADIUS_MSK_MAX);
		memcpy(out, recv.p, recv.len);
		memcpy(out + recv.len, send.p, send.len);
		*out_len = recv.len + send.len < MSK_LEN ? MSK_LEN : recv.len + send.len;
	}
	secret_wipe(recv_buf, sizeof(recv_buf));
	secret_wipe(send_buf, sizeof(send_buf));
	return e;
}
