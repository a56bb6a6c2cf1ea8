/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/cert.h"

#include "base/reader.h"
#include "control/ike/wire/payload.h"

static enum err parse(struct wire_cert *out, struct bytes body)
{
	struct wire_cert c;
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	e = reader_u8(&r, &c.encoding);
	if (e)
		return e;
	c.data = reader_rest(&r);
	*out = c;
	return ERR_OK;
}

enum err wire_cert_parse(struct wire_cert *out, struct bytes body)
{
	struct wire_cert c;
	enum err e = parse(&c, body);

	if (e)
		return e;
	if (!c.data.len)
		return ERR_MALFORMED;
	if (c.data.len > IKE_CERT_LEN_MAX)
		return ERR_LIMIT;
	*out = c;
	return ERR_OK;
}

void wire_cert_build(struct ike_builder *b, uint8_t encoding, struct bytes data)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_CERT);

	writer_u8(w, encoding);
	writer_bytes(w, data.p, data.len);
}

enum err wire_certreq_parse(struct wire_cert *out, struct bytes body)
{
	struct wire_cert c;
	enum err e = parse(&c, body);

	if (!e && c.encoding == CERT_X509_SIGNATURE && c.data.len % KEY_ID_LEN)
		e = ERR_MALFORMED;
	if (!e)
		*out = c;
	return e;
}

struct writer *wire_certreq_begin(struct ike_builder *b, uint8_t encoding)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_CERTREQ);

	writer_u8(w, encoding);
	return w;
}

enum err wire_hashes_parse(uint32_t *out, struct bytes data)
{
	uint32_t hashes = 0;

	if (data.len % 2)
		return ERR_MALFORMED;
	for (size_t i = 0; i < data.len; i += 2) {
		uint16_t hash = load_be16(data.p + i);

		if (hash < 32)
			hashes |= SIG_HASHES_ALL & SIG_HASH_BIT(hash);
	}
	*out = hashes;
	return ERR_OK;
}

void wire_hashes_build(struct ike_builder *b)
{
	uint8_t data[8];

	store_be16(data, SIG_SHA2_256);
	store_be16(data + 2, SIG_SHA2_384);
	store_be16(data + 4, SIG_SHA2_512);
	store_be16(data + 6, SIG_IDENTITY);
	wire_notify_build(b, NOTIFY_SIGNATURE_HASH_ALGORITHMS, bytes_of(data, sizeof(data)));
}
