/* SPDX-License-Identifier: Apache-2.0 */
/* Notify payloads (RFC 7296 3.10). */
#include "control/ike/wire/payload.h"

#include <stdio.h>

/* struct shape - what a type that we act on must look like: data between min and max bytes, and the
 * SPI's length where one belongs (-1: any). */
struct shape {
	uint16_t type;
	uint16_t min, max;
	int8_t spi_len;
};

static const struct shape *find_shape(uint16_t type)
{
	static const struct shape known[] = {
		{NOTIFY_INVALID_KE_PAYLOAD, 2, 2, -1},
		{NOTIFY_COOKIE, 1, IKE_COOKIE_MAX, -1},
		{NOTIFY_NAT_DETECTION_SOURCE_IP, SHA1_LEN, SHA1_LEN, -1},
		{NOTIFY_NAT_DETECTION_DESTINATION_IP, SHA1_LEN, SHA1_LEN, -1},
		{NOTIFY_IPCOMP_SUPPORTED, 3, UINT16_MAX, -1},
		{NOTIFY_REKEY_SA, 0, 0, 4},
		{NOTIFY_ADDITIONAL_IP4_ADDRESS, 4, 4, -1},
		{NOTIFY_ADDITIONAL_IP6_ADDRESS, 16, 16, -1},
		{NOTIFY_COOKIE2, 8, 64, -1},
		{NOTIFY_NO_NATS_ALLOWED, 12, 36, -1},
		{NOTIFY_PUZZLE, 3, 3, -1},
		{NOTIFY_AUTH_LIFETIME, 4, 4, -1},
		{NOTIFY_QUICK_CRASH_DETECTION, IKE_TOKEN_MIN, IKE_TOKEN_MAX, 0},
		{NOTIFY_TICKET_LT_OPAQUE, 5, UINT16_MAX, -1},
		{NOTIFY_TICKET_OPAQUE, 1, UINT16_MAX, -1},
		{NOTIFY_CHILD_SA_NOT_FOUND, 0, UINT16_MAX, 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].type == type)
			return &known[i];
	}
	return NULL;
}

static bool shape_fits(const struct wire_notify *n)
{
	const struct shape *s = find_shape(n->type);

	return !s || (n->data.len >= s->min && n->data.len <= s->max &&
		      (s->spi_len < 0 || n->spi.len == (size_t)s->spi_len));
}

enum err wire_notify_parse(struct wire_notify *out, struct bytes body)
{
	struct wire_notify n;
	struct reader r;
	uint8_t spi_len;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &n.protocol)) != ERR_OK || (e = reader_u8(&r, &spi_len)) != ERR_OK ||
	    (e = reader_u16(&r, &n.type)) != ERR_OK ||
	    (e = reader_bytes(&r, &n.spi, spi_len)) != ERR_OK)
		return e;
	n.data = reader_rest(&r);
	if (!shape_fits(&n))
		return ERR_MALFORMED;
	*out = n;
	return ERR_OK;
}

static struct writer *begin(struct ike_builder *b, uint8_t protocol, uint8_t spi_len, uint16_t type)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_NOTIFY);

	writer_u8(w, protocol);
	writer_u8(w, spi_len);
	writer_u16(w, type);
	return w;
}

void wire_notify_build(struct ike_builder *b, uint16_t type, struct bytes data)
{
	struct writer *w = begin(b, PROTO_NONE, 0, type);

	writer_bytes(w, data.p, data.len);
}

void wire_token_build(struct ike_builder *b, struct bytes token)
{
	struct writer *w = begin(b, PROTO_IKE, 0, NOTIFY_QUICK_CRASH_DETECTION);

	writer_bytes(w, token.p, token.len);
}

void wire_notify_spi_build(struct ike_builder *b, uint16_t type, uint32_t spi)
{
	struct writer *w = begin(b, PROTO_ESP, 4, type);

	writer_u32(w, spi);
}

void wire_notify_ke_build(struct ike_builder *b, uint16_t group)
{
	struct writer *w = begin(b, PROTO_NONE, 0, NOTIFY_INVALID_KE_PAYLOAD);

	writer_u16(w, group);
}

enum err wire_puzzle_parse(struct wire_puzzle *out, struct bytes data)
{
	struct wire_puzzle p;
	struct reader r;
	enum err e;

	reader_init(&r, data.p, data.len);
	if ((e = reader_u16(&r, &p.prf)) != ERR_OK || (e = reader_u8(&r, &p.bits)) != ERR_OK)
		return e;
	if (!reader_empty(&r))
		return ERR_MALFORMED;
	*out = p;
	return ERR_OK;
}

void wire_puzzle_build(struct ike_builder *b, const struct wire_puzzle *puzzle)
{
	struct writer *w = begin(b, PROTO_NONE, 0, NOTIFY_PUZZLE);

	writer_u16(w, puzzle->prf);
	writer_u8(w, puzzle->bits);
}

/* next - the first well-formed notify from payload *i on that is of this type, or any error. */
static bool next(struct wire_notify *out, const struct ike_msg *m, uint16_t type, bool any_error)
{
	struct wire_notify n;

	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body) != ERR_OK)
			continue;
		if (any_error ? n.type < NOTIFY_STATUS_FIRST : n.type == type) {
			*out = n;
			return true;
		}
	}
	return false;
}

bool wire_notify_find(struct wire_notify *out, const struct ike_msg *m, uint16_t type)
{
	return next(out, m, type, false);
}

bool wire_notify_find_error(struct wire_notify *out, const struct ike_msg *m)
{
	return next(out, m, 0, true);
}

enum err wire_notify_u16(uint16_t *out, const struct wire_notify *n)
{
	if (n->data.len != 2)
		return ERR_MALFORMED;
	*out = load_be16(n->data.p);
	return ERR_OK;
}

/* PPK_ID_FIXED - octets that are configured on both sides; 1 is of a format that none is known of.
 */
#define PPK_ID_FIXED 2

enum err wire_ppk_parse(struct ike_id *out, struct bytes data)
{
	struct reader r;
	struct bytes name;
	uint8_t type;
	enum err e;

	reader_init(&r, data.p, data.len);
	e = reader_u8(&r, &type);
	if (e)
		return e;
	name = reader_rest(&r);
	if (type != PPK_ID_FIXED)
		return ERR_UNSUPPORTED;
	if (!name.len)
		return ERR_TRUNCATED;
	if (name.len > sizeof(out->data))
		return ERR_LIMIT;
	*out = (struct ike_id){.type = ID_FQDN, .len = (uint16_t)name.len};
	memcpy(out->data, name.p, name.len);
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] < ' ' || name.p[i] > '~')
			out->type = ID_KEY_ID;
	return ERR_OK;
}

void wire_ppk_build(struct ike_builder *b, const struct ike_id *id)
{
	struct writer *w = begin(b, PROTO_NONE, 0, NOTIFY_PPK_IDENTITY);

	if (!id)
		return;
	writer_u8(w, PPK_ID_FIXED);
	writer_bytes(w, id->data, id->len);
}

const char *wire_resource_text(char buf[static WIRE_RESOURCE_MAX], struct bytes data)
{
	const size_t most = 16;
	size_t at = 0;

	for (size_t i = 0; i < data.len && i < most; i++)
		at += (size_t)snprintf(buf + at, WIRE_RESOURCE_MAX - at, "%02x", data.p[i]);
	snprintf(buf + at, WIRE_RESOURCE_MAX - at, "%s", data.len > most ? "..." : at ? "" : "-");
	return buf;
}

enum err wire_notify_check(const struct ike_msg *m)
{
	struct wire_notify n;
	enum err e;

	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type != PAYLOAD_NOTIFY)
			continue;
		e = wire_notify_parse(&n, m->payloads[i].body);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}
