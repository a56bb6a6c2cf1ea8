/* SPDX-License-Identifier: Apache-2.0 */
/* MIF_SUPPORTED and MIF_RESULT; MIF_OP is in mif_op.c. */
#include "control/ike/wire/mif.h"

const uint8_t mif_vendor_id[MIF_VENDOR_ID_LEN] = {0xb2, 0x14, 0xd9, 0x9f, 0x28, 0x40, 0x52, 0xa1,
						  0xe8, 0x83, 0x43, 0xa2, 0xfe, 0xaa, 0x9b, 0x8e};

bool mif_vendor_find(const struct ike_msg *m)
{
	for (uint32_t i = 0; i < m->num; i++)
		if (m->payloads[i].type == PAYLOAD_VENDOR &&
		    bytes_equal(m->payloads[i].body, bytes_of(mif_vendor_id, MIF_VENDOR_ID_LEN)))
			return true;
	return false;
}

void mif_vendor_build(struct ike_builder *b)
{
	wire_vendor_build(b, bytes_of(mif_vendor_id, MIF_VENDOR_ID_LEN));
}

/* ---- MIF_SUPPORTED --------------------------------------------------------------------------- */

enum err mif_supported_parse(struct mif_supported *out, struct bytes data)
{
	struct mif_supported s;
	struct reader r;
	enum err e;

	reader_init(&r, data.p, data.len);
	if ((e = reader_u8(&r, &s.version)) != ERR_OK ||
	    (e = reader_u8(&r, &s.max_paths)) != ERR_OK ||
	    (e = reader_u16(&r, &s.caps)) != ERR_OK || (e = reader_u16(&r, &s.max_ops)) != ERR_OK ||
	    (e = reader_skip(&r, 2)) != ERR_OK || (e = reader_u32(&r, &s.window)) != ERR_OK)
		return e;
	if (s.version == 0 || s.max_paths < MIF_PATHS_MIN || s.max_ops == 0)
		return ERR_MALFORMED;
	if (s.max_paths > MIF_PATHS_MAX)
		s.max_paths = MIF_PATHS_MAX;
	if (s.max_ops > MIF_OPS_MAX)
		s.max_ops = MIF_OPS_MAX;
	*out = s;
	return ERR_OK;
}

void mif_supported_build(struct ike_builder *b, const struct mif_supported *s)
{
	uint8_t data[12] = {s->version, s->max_paths};

	store_be16(data + 2, s->caps);
	store_be16(data + 4, s->max_ops);
	store_be32(data + 8, s->window);
	wire_notify_build(b, NOTIFY_MIF_SUPPORTED, bytes_of(data, sizeof(data)));
}

/* ---- MIF_RESULT ------------------------------------------------------------------------------ */

uint32_t mif_num_spis(struct bytes spis)
{
	return (uint32_t)(spis.len / 4);
}

uint32_t mif_spi(struct bytes spis, uint32_t i)
{
	assert(i < mif_num_spis(spis));
	return load_be32(spis.p + 4 * (size_t)i);
}

enum err mif_result_parse(struct mif_result *out, struct bytes data)
{
	struct mif_result m;
	struct reader r;
	uint16_t num;
	enum err e;

	reader_init(&r, data.p, data.len);
	if ((e = reader_u16(&r, &m.transaction)) != ERR_OK ||
	    (e = reader_u16(&r, &m.status)) != ERR_OK || (e = reader_u16(&r, &m.path)) != ERR_OK ||
	    (e = reader_u16(&r, &num)) != ERR_OK)
		return e;
	if (num > MIF_SPIS_MAX)
		return ERR_LIMIT;
	e = reader_bytes(&r, &m.failed, (size_t)num * 4);
	if (e)
		return e;
	if (!reader_empty(&r))
		return ERR_MALFORMED;
	*out = m;
	return ERR_OK;
}

void mif_result_build(struct ike_builder *b, const struct mif_result *r)
{
	wire_notify_build(b, NOTIFY_MIF_RESULT, bytes_of(NULL, 0));
	mif_result_write(&b->w, r);
}

void mif_result_write(struct writer *w, const struct mif_result *r)
{
	writer_u16(w, r->transaction);
	writer_u16(w, r->status);
	writer_u16(w, r->path);
	writer_u16(w, (uint16_t)mif_num_spis(r->failed));
	writer_bytes(w, r->failed.p, r->failed.len);
}

const char *mif_status_name(uint16_t status)
{
	static const char *const names[] = {"UNSUPPORTED_OP", "UNKNOWN_PATH",  "PATH_LIMIT",
					    "EMPTY_SELECTOR", "POLICY_DENIED", "BAD_ENDPOINT",
					    "STALE",          "BAD_PATH_ID",   "ABORTED"};

	if (status == MIF_OK)
		return "OK";
	if (status < MIF_UNSUPPORTED_OP || status >= MIF_UNSUPPORTED_OP + ARRAY_LEN(names))
		return "?";
	return names[status - MIF_UNSUPPORTED_OP];
}
