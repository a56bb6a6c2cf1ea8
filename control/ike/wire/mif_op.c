/* SPDX-License-Identifier: Apache-2.0 */
/* MIF_OP: a header, then TLVs. What a TLV holds is read and written side by side. */
#include "control/ike/wire/mif.h"
#include "control/ike/wire/mobike.h"

/* OP_HEADER_LEN - operation, flags, length, path and transaction. */
#define OP_HEADER_LEN 8

/* enum tlv - types; without OPTIONAL what is not known makes the operation one that is refused. */
enum tlv {
	TLV_ENDPOINT = 1,
	TLV_SELECTOR = 2,
	TLV_SCHEDULE = 3,
	TLV_LIVENESS = 5,
	TLV_STATE = 6,
	TLV_OPTIONAL = 0x8000,
};

#define ENDPOINT_NAT   0x01
#define ENDPOINT_PEERS 0x02 /* it is the receiver's */
#define STATE_ACTIVE   0x01

/* Which TLVs an operation must and may have; of others it is refused. */
static const struct {
	uint16_t need, may;
} shapes[] = {
	[MIF_ADD] = {MIF_HAS_OWN, MIF_HAS_PEERS | MIF_HAS_SCHEDULE | MIF_HAS_LIVENESS},
	[MIF_REMOVE] = {0, 0},
	[MIF_SOFT] = {0, MIF_HAS_OWN | MIF_HAS_PEERS | MIF_HAS_SELECTOR | MIF_HAS_LIVENESS},
	[MIF_HARD] = {0, MIF_HAS_OWN | MIF_HAS_PEERS | MIF_HAS_SELECTOR | MIF_HAS_LIVENESS},
	[MIF_MULTIHOMING] = {MIF_HAS_SCHEDULE, MIF_HAS_LIVENESS},
	[MIF_QUERY] = {0, MIF_HAS_OWN | MIF_HAS_PEERS | MIF_HAS_SCHEDULE | MIF_HAS_LIVENESS |
				  MIF_HAS_STATE},
	[MIF_LEAVE] = {0, 0},
};

static void refuse(struct mif_op *op, enum mif_status why)
{
	if (!op->refused)
		op->refused = (uint16_t)why;
}

/* A TLV may be there once. */
static enum err mark(struct mif_op *op, uint16_t bit)
{
	if (op->has & bit)
		return ERR_MALFORMED;
	op->has |= bit;
	return ERR_OK;
}

/* ---- ENDPOINT -------------------------------------------------------------------------------- */

static enum err endpoint_read(struct mif_op *op, struct reader *r)
{
	struct mif_endpoint ep = {.nat = false};
	uint8_t family, flags;
	struct bytes addr;
	enum err e;

	if ((e = reader_u8(r, &family)) != ERR_OK || (e = reader_u8(r, &flags)) != ERR_OK ||
	    (e = reader_u16(r, &ep.at.port)) != ERR_OK)
		return e;
	if (family != IP_V4 && family != IP_V6)
		return ERR_MALFORMED;
	e = reader_bytes(r, &addr, family == IP_V4 ? 4 : 16);
	if (e)
		return e;
	ep.at.addr = family == IP_V4 ? ip_addr_v4(addr.p) : ip_addr_v6(addr.p);
	ep.nat = flags & ENDPOINT_NAT;
	if (!mobike_addr_usable(&ep.at.addr))
		refuse(op, MIF_BAD_ENDPOINT);
	*(flags & ENDPOINT_PEERS ? &op->peers : &op->own) = ep;
	return mark(op, flags & ENDPOINT_PEERS ? MIF_HAS_PEERS : MIF_HAS_OWN);
}

static void endpoint_write(struct writer *w, const struct mif_endpoint *ep, uint8_t whose)
{
	size_t mark;

	writer_u16(w, TLV_ENDPOINT);
	mark = writer_begin_u16(w);
	writer_u8(w, ep->at.addr.family);
	writer_u8(w, (uint8_t)(whose | (ep->nat ? ENDPOINT_NAT : 0)));
	writer_u16(w, ep->at.port);
	writer_bytes(w, ep->at.addr.b, ip_addr_len(&ep->at.addr));
	writer_end_u16(w, mark, 0);
}

/* ---- SELECTOR -------------------------------------------------------------------------------- */

enum err mif_selector_ts(struct ts_list *own, struct ts_list *peers, const struct mif_selector *s)
{
	enum err e = ts_list_parse(own, bytes_of(s->bytes.p, s->split));

	return e ? e
		 : ts_list_parse(peers, bytes_of(s->bytes.p + s->split, s->bytes.len - s->split));
}

enum err mif_selector_of_ts(struct mif_selector *out, uint8_t *buf, size_t cap,
			    const struct ts_list *own, const struct ts_list *peers)
{
	struct mif_selector s = {.kind = MIF_SELECT_TS};
	struct writer w;
	enum err e;

	writer_init(&w, buf, cap);
	ts_list_write(&w, own->ts, own->num);
	s.split = (uint16_t)w.len;
	ts_list_write(&w, peers->ts, peers->num);
	e = writer_finish(&w, &s.bytes);
	if (!e)
		*out = s;
	return e;
}

static enum err selector_check(const struct mif_selector *s)
{
	struct ts_list own, peers;

	switch (s->kind) {
	case MIF_SELECT_ALL:
		return s->bytes.len || s->split ? ERR_MALFORMED : ERR_OK;
	case MIF_SELECT_SPIS:
		if (s->bytes.len / 4 > MIF_SPIS_MAX)
			return ERR_LIMIT;
		return !s->bytes.len || s->bytes.len % 4 || s->split ? ERR_MALFORMED : ERR_OK;
	case MIF_SELECT_TS:
		return s->split > s->bytes.len ? ERR_MALFORMED : mif_selector_ts(&own, &peers, s);
	case MIF_SELECT_DOMAIN:
		return !s->bytes.len || s->bytes.len > MIF_TAG_MAX || s->split ? ERR_MALFORMED
									       : ERR_OK;
	}
	return ERR_UNSUPPORTED;
}

static enum err selector_read(struct mif_op *op, struct reader *r)
{
	struct mif_selector *s = &op->selector;
	uint8_t kind, zero;
	enum err e;

	if ((e = reader_u8(r, &kind)) != ERR_OK || (e = reader_u8(r, &zero)) != ERR_OK ||
	    (e = reader_u16(r, &s->split)) != ERR_OK)
		return e;
	s->kind = (enum mif_select)kind;
	s->bytes = reader_rest(r);
	e = selector_check(s);
	if (e == ERR_UNSUPPORTED) { /* of a later version: it names nothing that we could find */
		*s = (struct mif_selector){.kind = MIF_SELECT_ALL};
		refuse(op, MIF_UNSUPPORTED_OP);
		e = ERR_OK;
	}
	return e ? e : mark(op, MIF_HAS_SELECTOR);
}

static void selector_write(struct writer *w, const struct mif_selector *s)
{
	size_t mark;

	writer_u16(w, TLV_SELECTOR);
	mark = writer_begin_u16(w);
	writer_u8(w, (uint8_t)s->kind);
	writer_u8(w, 0);
	writer_u16(w, s->split);
	writer_bytes(w, s->bytes.p, s->bytes.len);
	writer_end_u16(w, mark, 0);
}

/* ---- SCHEDULE, LIVENESS, STATE --------------------------------------------------------------- */

static enum err schedule_read(struct mif_op *op, struct reader *r)
{
	struct mif_schedule *s = &op->schedule;
	enum err e;

	if ((e = reader_u8(r, &s->policy)) != ERR_OK ||
	    (e = reader_u8(r, &s->priority)) != ERR_OK || (e = reader_u16(r, &s->weight)) != ERR_OK)
		return e;
	if (!s->weight)
		return ERR_MALFORMED;
	if (s->policy >= MIF_NUM_POLICIES && s->policy != MIF_KEEP_POLICY)
		refuse(op, MIF_UNSUPPORTED_OP);
	return mark(op, MIF_HAS_SCHEDULE);
}

static enum err liveness_read(struct mif_op *op, struct reader *r)
{
	struct mif_liveness *l = &op->liveness;
	enum err e;

	if ((e = reader_u32(r, &l->idle_ms)) != ERR_OK ||
	    (e = reader_u32(r, &l->dead_ms)) != ERR_OK)
		return e;
	if (!l->idle_ms || !l->dead_ms)
		return ERR_MALFORMED;
	return mark(op, MIF_HAS_LIVENESS);
}

static enum err state_read(struct mif_op *op, struct reader *r)
{
	uint8_t flags;
	enum err e;

	if ((e = reader_u8(r, &op->state.state)) != ERR_OK || (e = reader_u8(r, &flags)) != ERR_OK)
		return e;
	if (op->state.state < MIF_PATH_DETECTED || op->state.state > MIF_PATH_DRAINING)
		return ERR_MALFORMED;
	op->state.active = flags & STATE_ACTIVE;
	return mark(op, MIF_HAS_STATE);
}

static void schedule_write(struct writer *w, const struct mif_schedule *s)
{
	writer_u16(w, TLV_SCHEDULE);
	writer_u16(w, 4);
	writer_u8(w, s->policy);
	writer_u8(w, s->priority);
	writer_u16(w, s->weight);
}

static void liveness_write(struct writer *w, const struct mif_liveness *l)
{
	writer_u16(w, TLV_LIVENESS);
	writer_u16(w, 8);
	writer_u32(w, l->idle_ms);
	writer_u32(w, l->dead_ms);
}

static void state_write(struct writer *w, const struct mif_state *s)
{
	writer_u16(w, TLV_STATE);
	writer_u16(w, 2);
	writer_u8(w, s->state);
	writer_u8(w, s->active ? STATE_ACTIVE : 0);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum err tlv_read(struct mif_op *op, struct reader *r)
{
	static enum err (*const read[])(struct mif_op *,
					struct reader *) = {[TLV_ENDPOINT] = endpoint_read,
							    [TLV_SELECTOR] = selector_read,
							    [TLV_SCHEDULE] = schedule_read,
							    [TLV_LIVENESS] = liveness_read,
							    [TLV_STATE] = state_read};
	struct reader value;
	uint16_t type, len;
	enum err e;

	if ((e = reader_u16(r, &type)) != ERR_OK || (e = reader_u16(r, &len)) != ERR_OK ||
	    (e = reader_sub(r, &value, len)) != ERR_OK)
		return e;
	if (type >= ARRAY_LEN(read) || !read[type]) {
		if (!(type & TLV_OPTIONAL))
			refuse(op, MIF_UNSUPPORTED_OP);
		return ERR_OK;
	}
	e = read[type](op, &value);
	/* A value that is cut short inside its own length has a wrong length. */
	return e == ERR_TRUNCATED || (!e && !reader_empty(&value)) ? ERR_MALFORMED : e;
}

static void shape_check(struct mif_op *op)
{
	const bool known = op->op >= MIF_ADD && op->op <= MIF_LEAVE;

	if (!known || op->flags & ~(MIF_ATOMIC | MIF_DRY) ||
	    (op->has & shapes[op->op].need) != shapes[op->op].need ||
	    op->has & ~(shapes[op->op].need | shapes[op->op].may))
		refuse(op, MIF_UNSUPPORTED_OP);
	if (op->has & MIF_HAS_OWN && op->has & MIF_HAS_PEERS &&
	    op->own.at.addr.family != op->peers.at.addr.family)
		refuse(op, MIF_BAD_ENDPOINT);
}

enum err mif_op_parse(struct mif_op *out, struct bytes data)
{
	struct mif_op op = {.op = 0};
	struct reader r;
	uint16_t len;
	enum err e;

	reader_init(&r, data.p, data.len);
	if ((e = reader_u8(&r, &op.op)) != ERR_OK || (e = reader_u8(&r, &op.flags)) != ERR_OK ||
	    (e = reader_u16(&r, &len)) != ERR_OK || (e = reader_u16(&r, &op.path)) != ERR_OK ||
	    (e = reader_u16(&r, &op.transaction)) != ERR_OK)
		return e;
	if (len != data.len)
		return len > data.len ? ERR_TRUNCATED : ERR_MALFORMED;
	while (!reader_empty(&r)) {
		e = tlv_read(&op, &r);
		if (e)
			return e;
	}
	shape_check(&op);
	*out = op;
	return ERR_OK;
}

void mif_op_write(struct writer *w, const struct mif_op *op)
{
	size_t mark;

	writer_u8(w, op->op);
	writer_u8(w, op->flags);
	mark = writer_begin_u16(w);
	writer_u16(w, op->path);
	writer_u16(w, op->transaction);
	if (op->has & MIF_HAS_OWN)
		endpoint_write(w, &op->own, 0);
	if (op->has & MIF_HAS_PEERS)
		endpoint_write(w, &op->peers, ENDPOINT_PEERS);
	if (op->has & MIF_HAS_SELECTOR)
		selector_write(w, &op->selector);
	if (op->has & MIF_HAS_SCHEDULE)
		schedule_write(w, &op->schedule);
	if (op->has & MIF_HAS_LIVENESS)
		liveness_write(w, &op->liveness);
	if (op->has & MIF_HAS_STATE)
		state_write(w, &op->state);
	writer_end_u16(w, mark, 4); /* of everything: operation and flags, and itself, too */
}

void mif_op_build(struct ike_builder *b, const struct mif_op *op)
{
	wire_notify_build(b, NOTIFY_MIF_OP, bytes_of(NULL, 0));
	mif_op_write(&b->w, op);
}
