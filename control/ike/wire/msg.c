/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/msg.h"

#define KNOWN_PAYLOADS                                                                          \
	(PAYLOAD_BIT(PAYLOAD_SA) | PAYLOAD_BIT(PAYLOAD_KE) | PAYLOAD_BIT(PAYLOAD_IDI) |         \
	 PAYLOAD_BIT(PAYLOAD_IDR) | PAYLOAD_BIT(PAYLOAD_CERT) | PAYLOAD_BIT(PAYLOAD_CERTREQ) |  \
	 PAYLOAD_BIT(PAYLOAD_AUTH) | PAYLOAD_BIT(PAYLOAD_NONCE) | PAYLOAD_BIT(PAYLOAD_NOTIFY) | \
	 PAYLOAD_BIT(PAYLOAD_DELETE) | PAYLOAD_BIT(PAYLOAD_VENDOR) | PAYLOAD_BIT(PAYLOAD_TSI) | \
	 PAYLOAD_BIT(PAYLOAD_TSR) | PAYLOAD_BIT(PAYLOAD_SK) | PAYLOAD_BIT(PAYLOAD_CP) |         \
	 PAYLOAD_BIT(PAYLOAD_EAP) | PAYLOAD_BIT(PAYLOAD_SKF) | PAYLOAD_BIT(PAYLOAD_PS))

/* The critical bit; the other bits of that byte are reserved and ignored (3.2). */
#define CRITICAL 0x80

static bool known(uint8_t type)
{
	return type < PAYLOAD_LIMIT && (KNOWN_PAYLOADS & PAYLOAD_BIT(type));
}

/* ends_chain - its Next Payload field names what is inside, not what follows (3.14, RFC 7383). */
static bool ends_chain(uint8_t type)
{
	return type == PAYLOAD_SK || type == PAYLOAD_SKF;
}

static enum err header_read(struct ike_header *h, struct reader *r)
{
	uint8_t version = 0;
	enum err e;

	if ((e = reader_u64(r, &h->spi_i)) != ERR_OK || (e = reader_u64(r, &h->spi_r)) != ERR_OK ||
	    (e = reader_u8(r, &h->next_payload)) != ERR_OK ||
	    (e = reader_u8(r, &version)) != ERR_OK || (e = reader_u8(r, &h->exchange)) != ERR_OK ||
	    (e = reader_u8(r, &h->flags)) != ERR_OK || (e = reader_u32(r, &h->msgid)) != ERR_OK ||
	    (e = reader_u32(r, &h->length)) != ERR_OK)
		return e;
	h->major = version >> 4;
	h->minor = version & 0xf;
	return ERR_OK;
}

enum err ike_header_parse(struct ike_header *out, struct bytes datagram)
{
	struct ike_header h = {0};
	struct reader r;
	enum err e;

	reader_init(&r, datagram.p, datagram.len);
	e = header_read(&h, &r);
	if (e == ERR_OK)
		*out = h;
	return e;
}

static enum err payload_read(struct ike_payload *p, struct reader *r, uint8_t type)
{
	uint8_t flags;
	uint16_t len;
	enum err e;

	if ((e = reader_u8(r, &p->next)) != ERR_OK || (e = reader_u8(r, &flags)) != ERR_OK ||
	    (e = reader_u16(r, &len)) != ERR_OK)
		return e;
	if (len < IKE_PAYLOAD_HDR_LEN)
		return ERR_MALFORMED;
	p->type = type;
	p->critical = flags & CRITICAL;
	return reader_bytes(r, &p->body, len - (size_t)IKE_PAYLOAD_HDR_LEN);
}

static void note(struct ike_msg *m, const struct ike_payload *p)
{
	if (known(p->type)) {
		m->present |= PAYLOAD_BIT(p->type);
		m->count[p->type]++;
	} else if (p->critical && !m->unknown_critical) {
		m->unknown_critical = p->type;
	}
}

enum err ike_chain_parse(struct ike_msg *out, uint8_t first, struct bytes chain, bool allow_sk)
{
	struct ike_payload p;
	struct reader r;
	enum err e;

	reader_init(&r, chain.p, chain.len);
	out->chain = chain;
	out->first = first;
	out->num = 0;
	out->present = 0;
	out->unknown_critical = 0;
	memset(out->count, 0, sizeof(out->count));
	for (uint8_t type = first; type != PAYLOAD_NONE; type = p.next) {
		if (out->num == IKE_MAX_PAYLOADS)
			return ERR_LIMIT;
		if (ends_chain(type) && !allow_sk)
			return ERR_MALFORMED;
		e = payload_read(&p, &r, type);
		if (e != ERR_OK)
			return e;
		out->payloads[out->num++] = p;
		note(out, &p);
		if (ends_chain(type))
			break;
	}
	return reader_empty(&r) ? ERR_OK : ERR_MALFORMED;
}

enum err ike_msg_parse(struct ike_msg *out, struct bytes datagram)
{
	struct reader r;
	enum err e;

	reader_init(&r, datagram.p, datagram.len);
	e = header_read(&out->h, &r);
	if (e != ERR_OK)
		return e;
	if (out->h.major != IKE_MAJOR_VERSION)
		return ERR_UNSUPPORTED;
	if (datagram.len > IKE_MAX_MESSAGE)
		return ERR_LIMIT;
	if (out->h.length != datagram.len)
		return ERR_MALFORMED;
	out->raw = datagram;
	return ike_chain_parse(out, out->h.next_payload, reader_rest(&r), true);
}

enum err ike_msg_check(const struct ike_msg *m, uint64_t required, uint64_t repeatable)
{
	if ((m->present & required) != required)
		return ERR_MALFORMED;
	for (uint32_t i = 0; i < m->num; i++) {
		const uint8_t type = m->payloads[i].type;

		if (known(type) && m->count[type] > 1 && !(repeatable & PAYLOAD_BIT(type)))
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

const struct ike_payload *ike_msg_find(const struct ike_msg *m, uint8_t type)
{
	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type == type)
			return &m->payloads[i];
	}
	return NULL;
}

struct bytes ike_msg_body(const struct ike_msg *m, uint8_t type)
{
	const struct ike_payload *p = ike_msg_find(m, type);

	return p ? p->body : bytes_of(NULL, 0);
}
