/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/payload.h"

/* ---- Key Exchange (3.4) ---------------------------------------------------------------------- */

enum err wire_ke_parse(struct wire_ke *out, struct bytes body)
{
	struct wire_ke ke;
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u16(&r, &ke.group)) != ERR_OK || (e = reader_skip(&r, 2)) != ERR_OK)
		return e;
	ke.value = reader_rest(&r);
	if (!ke.value.len)
		return ERR_MALFORMED;
	*out = ke;
	return ERR_OK;
}

void wire_ke_build(struct ike_builder *b, uint16_t group, struct bytes value)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_KE);

	writer_u16(w, group);
	writer_u16(w, 0);
	writer_bytes(w, value.p, value.len);
}

/* ---- Nonce (3.9) ----------------------------------------------------------------------------- */

enum err wire_nonce_parse(struct bytes *out, struct bytes body)
{
	if (body.len < IKE_NONCE_MIN || body.len > IKE_NONCE_MAX)
		return ERR_MALFORMED;
	*out = body;
	return ERR_OK;
}

void wire_nonce_build(struct ike_builder *b, struct bytes nonce)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_NONCE);

	writer_bytes(w, nonce.p, nonce.len);
}

/* ---- Puzzle Solution (RFC 8019 8.2) -----------------------------------------------------------
 */

static bool are_different(const struct bytes *keys)
{
	for (size_t i = 1; i < PUZZLE_KEYS; i++) {
		for (size_t j = 0; j < i; j++) {
			if (bytes_equal(keys[i], keys[j]))
				return false;
		}
	}
	return true;
}

enum err wire_solution_parse(struct bytes keys[static PUZZLE_KEYS], struct bytes body)
{
	const size_t len = body.len / PUZZLE_KEYS;
	struct bytes found[PUZZLE_KEYS];

	if (!len || body.len % PUZZLE_KEYS)
		return ERR_MALFORMED;
	for (size_t i = 0; i < PUZZLE_KEYS; i++)
		found[i] = bytes_of(body.p + i * len, len);
	if (!are_different(found))
		return ERR_MALFORMED;
	memcpy(keys, found, sizeof(found));
	return ERR_OK;
}

void wire_solution_build(struct ike_builder *b, struct bytes keys)
{
	writer_bytes(ike_build_payload(b, PAYLOAD_PS), keys.p, keys.len);
}

/* ---- Identification (3.5) -------------------------------------------------------------------- */

static bool id_len_fits(uint8_t type, size_t len)
{
	switch (type) {
	case ID_IPV4_ADDR:
		return len == 4;
	case ID_IPV6_ADDR:
		return len == 16;
	case ID_NULL:
		return len == 0;
	default:
		return len > 0;
	}
}

enum err wire_id_parse(struct ike_id *out, struct bytes body)
{
	struct ike_id id = {0};
	struct bytes data;
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &id.type)) != ERR_OK || (e = reader_skip(&r, 3)) != ERR_OK)
		return e;
	data = reader_rest(&r);
	if (!id.type || !id_len_fits(id.type, data.len))
		return ERR_MALFORMED;
	if (data.len > sizeof(id.data))
		return ERR_LIMIT;
	memcpy(id.data, data.p, data.len);
	id.len = (uint16_t)data.len;
	*out = id;
	return ERR_OK;
}

bool ike_id_same(const struct ike_id *a, const struct ike_id *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

struct bytes wire_id_body(uint8_t buf[static WIRE_ID_BODY_MAX], const struct ike_id *id)
{
	assert(id->len <= sizeof(id->data));
	memset(buf, 0, 4);
	buf[0] = id->type;
	memcpy(buf + 4, id->data, id->len);
	return bytes_of(buf, 4 + (size_t)id->len);
}

void wire_id_build(struct ike_builder *b, uint8_t type, const struct ike_id *id)
{
	struct writer *w = ike_build_payload(b, type);
	uint8_t buf[WIRE_ID_BODY_MAX];
	const struct bytes body = wire_id_body(buf, id);

	writer_bytes(w, body.p, body.len);
}

/* ---- Authentication (3.8) -------------------------------------------------------------------- */

enum err wire_auth_parse(struct wire_auth *out, struct bytes body)
{
	struct wire_auth auth;
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &auth.method)) != ERR_OK || (e = reader_skip(&r, 3)) != ERR_OK)
		return e;
	auth.value = reader_rest(&r);
	if (!auth.value.len || !auth.method)
		return ERR_MALFORMED;
	*out = auth;
	return ERR_OK;
}

void wire_auth_build(struct ike_builder *b, uint8_t method, struct bytes value)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_AUTH);

	writer_u8(w, method);
	writer_zero(w, 3);
	writer_bytes(w, value.p, value.len);
}

/* ---- Delete (3.11) --------------------------------------------------------------------------- */

static bool delete_spi_fits(const struct wire_delete *d)
{
	if (d->protocol == PROTO_IKE)
		return d->spi_len == 0 && d->num == 0;
	return d->spi_len == 4;
}

enum err wire_delete_parse(struct wire_delete *out, struct bytes body)
{
	struct wire_delete d;
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &d.protocol)) != ERR_OK ||
	    (e = reader_u8(&r, &d.spi_len)) != ERR_OK || (e = reader_u16(&r, &d.num)) != ERR_OK)
		return e;
	if (d.protocol < PROTO_IKE || d.protocol > PROTO_ESP)
		return ERR_UNSUPPORTED;
	d.spis = reader_rest(&r);
	if (!delete_spi_fits(&d) || d.spis.len != (size_t)d.num * d.spi_len)
		return ERR_MALFORMED;
	*out = d;
	return ERR_OK;
}

uint32_t wire_delete_spi(const struct wire_delete *d, uint16_t i)
{
	assert(i < d->num && d->spi_len == 4);
	return load_be32(d->spis.p + (size_t)i * 4);
}

void wire_delete_ike_build(struct ike_builder *b)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_DELETE);

	writer_u8(w, PROTO_IKE);
	writer_u8(w, 0);
	writer_u16(w, 0);
}

void wire_delete_esp_build(struct ike_builder *b, const uint32_t *spis, uint16_t num)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_DELETE);

	writer_u8(w, PROTO_ESP);
	writer_u8(w, 4);
	writer_u16(w, num);
	for (uint16_t i = 0; i < num; i++)
		writer_u32(w, spis[i]);
}

/* ---- Vendor ID (3.12) ------------------------------------------------------------------------ */

void wire_vendor_build(struct ike_builder *b, struct bytes vendor)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_VENDOR);

	writer_bytes(w, vendor.p, vendor.len);
}
