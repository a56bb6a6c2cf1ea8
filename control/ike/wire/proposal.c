/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/proposal.h"

#include <stdio.h>

#include "control/ike/wire/names.h"

/* First byte of a substructure (3.3.1, 3.3.2): it is the last one, or which kind follows. */
#define LAST           0
#define MORE_PROPOSALS 2
#define MORE_TRANSFORM 3

/* ---- parse ----------------------------------------------------------------------------------- */

/* attribute_read - one data attribute (3.3.5). Key Length is TV; any other makes the transform one
 * that is not chosen. */
static enum err attribute_read(struct sa_transform *t, struct reader *r)
{
	uint16_t type, value;
	enum err e;

	if ((e = reader_u16(r, &type)) != ERR_OK || (e = reader_u16(r, &value)) != ERR_OK)
		return e;
	if (type == (ATTR_FORMAT_TV | ATTR_KEY_LENGTH) && !t->key_bits && value) {
		t->key_bits = value;
		return ERR_OK;
	}
	t->usable = false;
	return type & ATTR_FORMAT_TV ? ERR_OK : reader_skip(r, value);
}

static enum err transform_read(struct sa_transform *out, bool *more, struct reader *r)
{
	struct sa_transform t = {.usable = true};
	struct reader body;
	uint8_t follows;
	uint16_t len;
	enum err e;

	if ((e = reader_u8(r, &follows)) != ERR_OK || (e = reader_skip(r, 1)) != ERR_OK ||
	    (e = reader_u16(r, &len)) != ERR_OK)
		return e;
	if (len < 8 || (follows != LAST && follows != MORE_TRANSFORM))
		return ERR_MALFORMED;
	if ((e = reader_sub(r, &body, len - 4u)) != ERR_OK ||
	    (e = reader_u8(&body, &t.type)) != ERR_OK || (e = reader_skip(&body, 1)) != ERR_OK ||
	    (e = reader_u16(&body, &t.id)) != ERR_OK)
		return e;
	while (!reader_empty(&body)) {
		e = attribute_read(&t, &body);
		if (e != ERR_OK)
			return e;
	}
	*more = follows == MORE_TRANSFORM;
	*out = t;
	return ERR_OK;
}

/* transforms_read - num transforms that fill r; the last-or-more bytes must agree with num. */
static enum err transforms_read(struct sa_payload *out, struct reader *r, uint8_t num)
{
	bool more = num > 0;
	enum err e;

	for (uint8_t i = 0; i < num; i++) {
		if (!more)
			return ERR_MALFORMED;
		if (out->num_transforms == IKE_MAX_TRANSFORMS)
			return ERR_LIMIT;
		e = transform_read(&out->transforms[out->num_transforms], &more, r);
		if (e != ERR_OK)
			return e;
		out->num_transforms++;
	}
	return more || !reader_empty(r) ? ERR_MALFORMED : ERR_OK;
}

/* spi_read - 0, 4 or 8 bytes are SPIs of ours to know; others are passed over. */
static enum err spi_read(uint64_t *out, struct reader *r, uint8_t len)
{
	uint32_t spi;
	enum err e;

	*out = 0;
	if (len == 8)
		return reader_u64(r, out);
	if (len != 4)
		return reader_skip(r, len);
	e = reader_u32(r, &spi);
	if (e == ERR_OK)
		*out = spi;
	return e;
}

static enum err proposal_read(struct sa_payload *out, bool *more, struct reader *r)
{
	struct sa_proposal p = {.first = (uint16_t)out->num_transforms};
	struct reader body;
	uint8_t follows, num;
	uint16_t len;
	enum err e;

	if ((e = reader_u8(r, &follows)) != ERR_OK || (e = reader_skip(r, 1)) != ERR_OK ||
	    (e = reader_u16(r, &len)) != ERR_OK)
		return e;
	if (len < 8 || (follows != LAST && follows != MORE_PROPOSALS))
		return ERR_MALFORMED;
	if ((e = reader_sub(r, &body, len - 4u)) != ERR_OK ||
	    (e = reader_u8(&body, &p.number)) != ERR_OK ||
	    (e = reader_u8(&body, &p.protocol)) != ERR_OK ||
	    (e = reader_u8(&body, &p.spi_len)) != ERR_OK ||
	    (e = reader_u8(&body, &num)) != ERR_OK ||
	    (e = spi_read(&p.spi, &body, p.spi_len)) != ERR_OK ||
	    (e = transforms_read(out, &body, num)) != ERR_OK)
		return e;
	p.num_transforms = num;
	*more = follows == MORE_PROPOSALS;
	out->proposals[out->num_proposals++] = p;
	return ERR_OK;
}

enum err sa_parse(struct sa_payload *out, struct bytes body)
{
	bool more = true;
	struct reader r;
	enum err e;

	out->num_proposals = 0;
	out->num_transforms = 0;
	reader_init(&r, body.p, body.len);
	while (more) {
		if (out->num_proposals == IKE_MAX_PROPOSALS)
			return ERR_LIMIT;
		e = proposal_read(out, &more, &r);
		if (e != ERR_OK)
			return e;
	}
	return reader_empty(&r) ? ERR_OK : ERR_MALFORMED;
}

/* ---- build ----------------------------------------------------------------------------------- */

static bool is_ike(enum sa_kind kind)
{
	return kind == SA_KIND_IKE || kind == SA_KIND_IKE_REKEY;
}

/* struct maker - writes the substructures of one proposal. */
struct maker {
	struct writer *w;
	size_t num_at;  /* offset of the number of transforms */
	size_t last_at; /* offset of the newest transform, 0 if there is none */
};

static void put_transform(struct maker *m, uint8_t type, uint16_t id, uint16_t key_bits)
{
	struct writer *w = m->w;
	const size_t at = w->len;
	size_t mark;

	writer_u8(w, LAST);
	writer_u8(w, 0);
	mark = writer_begin_u16(w);
	writer_u8(w, type);
	writer_u8(w, 0);
	writer_u16(w, id);
	if (key_bits) {
		writer_u16(w, ATTR_FORMAT_TV | ATTR_KEY_LENGTH);
		writer_u16(w, key_bits);
	}
	writer_end_u16(w, mark, 4);
	if (w->err != ERR_OK)
		return;
	if (m->last_at)
		w->buf[m->last_at] = MORE_TRANSFORM;
	m->last_at = at;
	w->buf[m->num_at]++;
}

/* begin_proposal - head and SPI; returns the mark of its length field. */
static size_t begin_proposal(struct maker *m, struct writer *w, enum sa_kind kind, uint8_t number,
			     uint64_t spi, bool last)
{
	size_t mark;

	*m = (struct maker){.w = w};
	writer_u8(w, last ? LAST : MORE_PROPOSALS);
	writer_u8(w, 0);
	mark = writer_begin_u16(w);
	writer_u8(w, number);
	writer_u8(w, is_ike(kind) ? PROTO_IKE : PROTO_ESP);
	writer_u8(w, kind == SA_KIND_IKE ? 0 : kind == SA_KIND_IKE_REKEY ? 8 : 4);
	m->num_at = w->len;
	writer_u8(w, 0);
	if (kind == SA_KIND_IKE_REKEY)
		writer_u64(w, spi);
	else if (kind != SA_KIND_IKE)
		writer_u32(w, (uint32_t)spi);
	return mark;
}

static void put_offer(struct writer *w, enum sa_kind kind, uint8_t number, uint64_t spi, bool last,
		      const struct conf_proposal *p)
{
	struct maker m;
	const size_t mark = begin_proposal(&m, w, kind, number, spi, last);

	for (uint8_t i = 0; i < p->num_encr; i++)
		put_transform(&m, TRANSFORM_ENCR, p->encr[i].id, p->encr[i].key_bits);
	for (uint8_t i = 0; is_ike(kind) && i < p->num_prf; i++)
		put_transform(&m, TRANSFORM_PRF, p->prf[i], 0);
	for (uint8_t i = 0; i < p->num_integ; i++)
		put_transform(&m, TRANSFORM_INTEG, p->integ[i], 0);
	for (uint8_t i = 0; kind != SA_KIND_CHILD_AUTH && i < p->num_dh; i++)
		put_transform(&m, TRANSFORM_DH, p->dh[i], 0);
	for (uint8_t i = 0; !is_ike(kind) && i < p->num_esn; i++)
		put_transform(&m, TRANSFORM_ESN, p->esn[i], 0);
	for (uint8_t n = 0; kind != SA_KIND_CHILD_AUTH && n < CONF_MAX_ADDKE; n++)
		for (uint8_t i = 0; i < p->num_addke[n]; i++)
			put_transform(&m, TRANSFORM_ADDKE1 + n, p->addke[n][i], 0);
	writer_end_u16(w, mark, 4);
}

void sa_offer_build(struct ike_builder *b, enum sa_kind kind, uint64_t spi,
		    const struct conf_proposal *ours, uint32_t num)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_SA);

	for (uint32_t i = 0; i < num; i++)
		put_offer(w, kind, (uint8_t)(i + 1), spi, i + 1 == num, &ours[i]);
}

void sa_answer_build(struct ike_builder *b, const struct sa_chosen *chosen, uint64_t spi)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_SA);
	struct maker m;
	const size_t mark = begin_proposal(&m, w, chosen->kind, chosen->number, spi, true);

	put_transform(&m, TRANSFORM_ENCR, chosen->encr.id, chosen->encr.key_bits);
	if (is_ike(chosen->kind))
		put_transform(&m, TRANSFORM_PRF, chosen->prf, 0);
	if (chosen->encr.integ || chosen->lists_integ_none)
		put_transform(&m, TRANSFORM_INTEG, chosen->encr.integ, 0);
	if (chosen->dh != DH_NONE || chosen->lists_dh_none)
		put_transform(&m, TRANSFORM_DH, chosen->dh, 0);
	if (!is_ike(chosen->kind))
		put_transform(&m, TRANSFORM_ESN, chosen->esn, 0);
	for (uint8_t n = 0; n < CONF_MAX_ADDKE; n++)
		if (chosen->addke[n] != DH_NONE || chosen->lists_addke_none & 1u << n)
			put_transform(&m, TRANSFORM_ADDKE1 + n, chosen->addke[n], 0);
	writer_end_u16(w, mark, 4);
}

/* addke_text - the additional key exchanges behind what is in buf. */
static void addke_text(char buf[static SA_TEXT_MAX], const struct sa_chosen *chosen)
{
	char name[WIRE_NAME_MAX];
	size_t len = strlen(buf);

	for (unsigned n = 0; n < CONF_MAX_ADDKE && len < SA_TEXT_MAX; n++)
		if (chosen->addke[n] != DH_NONE)
			len += (size_t)snprintf(
				buf + len, SA_TEXT_MAX - len, "/KE%u_%.16s", n + 1,
				wire_transform_name(name, TRANSFORM_DH, chosen->addke[n]));
}

const char *sa_chosen_text(char buf[static SA_TEXT_MAX], const struct sa_chosen *chosen)
{
	char bits[8] = "", encr[WIRE_NAME_MAX], integ[WIRE_NAME_MAX], prf[WIRE_NAME_MAX];
	char dh[WIRE_NAME_MAX];
	const bool ike = is_ike(chosen->kind);

	if (chosen->encr.key_bits)
		snprintf(bits, sizeof(bits), "-%u", chosen->encr.key_bits);
	snprintf(buf, SA_TEXT_MAX, "%.24s%s%s%.24s%s%.24s%s%.24s%s",
		 wire_transform_name(encr, TRANSFORM_ENCR, chosen->encr.id), bits,
		 chosen->encr.integ ? "/" : "",
		 chosen->encr.integ
			 ? wire_transform_name(integ, TRANSFORM_INTEG, chosen->encr.integ)
			 : "",
		 ike ? "/" : "", ike ? wire_transform_name(prf, TRANSFORM_PRF, chosen->prf) : "",
		 chosen->dh ? "/" : "",
		 chosen->dh ? wire_transform_name(dh, TRANSFORM_DH, chosen->dh) : "",
		 !ike && chosen->esn ? "/ESN" : "");
	addke_text(buf, chosen);
	return buf;
}
