/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/forge.h"

#include <string.h>

#include "control/ike/wire/sk.h"

struct ike_sa *forge_sa(struct sim *s, unsigned side, const struct ike_header *h)
{
	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->spi_i == h->spi_i && sa->spi_r == h->spi_r)
			return sa;
	}
	return NULL;
}

/* The key that a side seals with, or, not own, its peer; the nonces repeat its own, which only a
 * test may do. */
static struct ike_aead *sealing(struct sim *s, const struct ike_sa *sa, bool own)
{
	struct ike_aead *a;
	const struct secret *key = sa->initiator == own ? &sa->keys.sk_ei : &sa->keys.sk_er;

	return ike_aead_new(s->n[0].e->crypto, &a, sa->keys.encr, key) ? NULL : a;
}

/* The key of a message that a side sends. Where it has forgotten its IKE SA with that message, or
 * has other keys since (by_peer), its peer has the key, too. */
static struct ike_aead *key_of(struct sim *s, unsigned from, const struct ike_header *h,
			       bool by_peer)
{
	const struct ike_sa *sa = by_peer ? NULL : forge_sa(s, from, h);
	const bool own = sa != NULL;

	if (!own)
		sa = forge_sa(s, !from, h);
	return sa && sa->seal ? sealing(s, sa, own) : NULL;
}

bool forge_open(struct sim *s, struct forge_msg *out, unsigned from, const uint8_t *bytes,
		size_t len)
{
	struct ike_msg m, inner;
	bool authentic, ok = false;
	struct ike_aead *a;

	if (ike_msg_parse(&m, bytes_of(bytes, len)))
		return false;
	out->h = m.h;
	out->encrypted = !exchange_is_first(m.h.exchange);
	if (!out->encrypted) {
		memcpy(out->buf, bytes, len);
		if (ike_msg_parse(&inner, bytes_of(out->buf, len)))
			return false;
		ok = true;
	} else {
		for (int by_peer = 0; !ok && by_peer < 2; by_peer++) {
			out->by_peer = by_peer;
			a = key_of(s, from, &m.h, by_peer);
			ok = a && !sk_open(&inner, &authentic, out->buf, sizeof(out->buf), &m, a);
			ike_aead_free(a);
		}
	}
	if (!ok)
		return false;
	out->num = inner.num;
	memcpy(out->payloads, inner.payloads, sizeof(out->payloads));
	return true;
}

/* Takes the key over; NULL: not encrypted. */
static size_t build(struct ike_aead *a, const struct ike_header *h, const struct ike_payload *p,
		    uint32_t num, uint8_t *out, size_t cap)
{
	struct ike_builder b;
	struct bytes done;
	enum err e;

	ike_build_begin(&b, out, cap, h);
	if (a)
		ike_build_sk(&b);
	for (uint32_t i = 0; i < num; i++)
		writer_bytes(ike_build_payload(&b, p[i].type), p[i].body.p, p[i].body.len);
	e = ike_build_finish(&b, &done, a);
	ike_aead_free(a);
	return e ? 0 : done.len;
}

size_t forge_close(struct sim *s, const struct forge_msg *m, unsigned from, uint8_t *out,
		   size_t cap)
{
	struct ike_aead *a = m->encrypted ? key_of(s, from, &m->h, m->by_peer) : NULL;

	if (m->encrypted && !a)
		return 0;
	return build(a, &m->h, m->payloads, m->num, out, cap);
}

size_t forge_bare(struct sim *s, struct ike_sa *sa, uint8_t exchange, uint8_t flags, uint32_t msgid,
		  const struct ike_payload *payloads, uint32_t num, uint8_t *out, size_t cap)
{
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.exchange = exchange,
		.flags = (uint8_t)(flags | (sa->initiator ? IKE_FLAG_INITIATOR : 0)),
		.msgid = msgid,
	};

	return build(!exchange_is_first(exchange) && sa->seal ? sealing(s, sa, true) : NULL, &h,
		     payloads, num, out, cap);
}

void forge_lost_by(struct sim *s, unsigned side)
{
	struct ike_engine *e = s->n[side].e;

	list_for_each (n, &e->sas)
		sa_kill(list_entry(n, struct ike_sa, node), IKE_REASON_NO_ANSWER,
			"the network is gone", s->now_ns);
	engine_sweep(e, s->now_ns);
	sim_settle(s, side);
}

void forge_lost(struct sim *s)
{
	for (unsigned side = 0; side < 2; side++)
		forge_lost_by(s, side);
}
