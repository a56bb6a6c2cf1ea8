/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/eap/packet.h"

#include "base/reader.h"

enum err eap_packet_parse(struct eap_packet *out, struct bytes in)
{
	struct eap_packet p = {0};
	struct reader r, body;
	uint16_t len;

	reader_init(&r, in.p, in.len);
	if (reader_u8(&r, &p.code) || reader_u8(&r, &p.id) || reader_u16(&r, &len))
		return ERR_TRUNCATED;
	if (len < EAP_HEADER_LEN || p.code < EAP_REQUEST || p.code > EAP_FAILURE)
		return ERR_MALFORMED;
	if (len > EAP_PACKET_MAX)
		return ERR_LIMIT;
	if (reader_sub(&r, &body, len - (size_t)EAP_HEADER_LEN))
		return ERR_TRUNCATED;
	if (p.code == EAP_SUCCESS || p.code == EAP_FAILURE) {
		if (!reader_empty(&body))
			return ERR_MALFORMED;
	} else if (reader_u8(&body, &p.type) || p.type == EAP_TYPE_NONE) {
		return ERR_MALFORMED;
	}
	p.data = reader_rest(&body);
	*out = p;
	return ERR_OK;
}

/* The length is that of the whole packet, its first bytes included: it is filled in at the end. */
size_t eap_packet_begin(struct writer *w, enum eap_code code, uint8_t id, uint8_t type)
{
	size_t mark;

	writer_u8(w, (uint8_t)code);
	writer_u8(w, id);
	mark = writer_begin_u16(w);
	if (type != EAP_TYPE_NONE)
		writer_u8(w, type);
	return mark;
}

void eap_packet_end(struct writer *w, size_t mark)
{
	writer_end_u16(w, mark, EAP_HEADER_LEN);
}

const char *eap_type_name(uint8_t type)
{
	switch (type) {
	case EAP_TYPE_TLS:
		return "tls";
	case EAP_TYPE_MSCHAPV2:
		return "mschapv2";
	default:
		return NULL;
	}
}
