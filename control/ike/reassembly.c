/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/reassembly.h"

#include "base/alloc.h"

/* struct piece - the text of one fragment; p is NULL while it is not there or empty. */
struct piece {
	uint8_t *p;
	size_t len;
};

/* struct debtor - what is kept for one IPv4 address or IPv6 /64. */
struct debtor {
	struct htab_node node;
	struct ip_addr addr; /* the last 8 bytes of an IPv6 address are zero */
	uint32_t refs;
	size_t bytes;
};

/* struct reassembly - see reassembly.h. */
struct reassembly {
	uint16_t total;
	uint8_t first;
	uint64_t have; /* bit number - 1 */
	size_t bytes;
	struct debtor *debtor;
	struct piece pieces[IKE_MAX_FRAGMENTS];
};

static_assert(IKE_MAX_FRAGMENTS == 64, "one bit each");

static uint64_t bit_of(const struct skf *f)
{
	return UINT64_C(1) << (f->number - 1);
}

/* ---- what a peer owes ------------------------------------------------------------------------ */

static struct debtor *debtor_get(struct htab *debtors, const struct ip_addr *from)
{
	struct ip_addr a = *from;
	struct htab_node *n;
	struct debtor *d;

	if (a.family == IP_V6)
		memset(a.b + 8, 0, 8);
	n = htab_find(debtors, bytes_of(&a, sizeof(a)));
	d = n ? container_of(n, struct debtor, node) : mem_alloc(sizeof(*d));
	if (!d)
		return NULL;
	if (!n) {
		d->addr = a;
		htab_insert(debtors, &d->node, bytes_of(&d->addr, sizeof(d->addr)));
	}
	d->refs++;
	return d;
}

static void debtor_put(struct htab *debtors, struct debtor *d)
{
	if (--d->refs)
		return;
	htab_remove(debtors, &d->node);
	mem_free(d);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void forget_pieces(struct reassembly *r)
{
	for (unsigned i = 0; i < r->total; i++) {
		if (r->pieces[i].p)
			secret_wipe(r->pieces[i].p, r->pieces[i].len);
		mem_free(r->pieces[i].p);
		r->pieces[i] = (struct piece){0};
	}
	r->debtor->bytes -= r->bytes;
	r->bytes = 0;
	r->have = 0;
}

void reassembly_drop(struct htab *debtors, struct reassembly **r)
{
	if (!*r)
		return;
	forget_pieces(*r);
	debtor_put(debtors, (*r)->debtor);
	mem_free(*r);
	*r = NULL;
}

static enum err begin(struct htab *debtors, struct reassembly **out, const struct ip_addr *from,
		      uint16_t total)
{
	struct reassembly *r = mem_alloc(sizeof(*r));

	if (!r)
		return ERR_NOMEM;
	r->debtor = debtor_get(debtors, from);
	if (!r->debtor) {
		mem_free(r);
		return ERR_NOMEM;
	}
	r->total = total;
	*out = r;
	return ERR_OK;
}

bool reassembly_wants(const struct reassembly *r, const struct skf *f)
{
	if (!r || f->total > r->total)
		return true;
	return f->total == r->total && !(r->have & bit_of(f));
}

static enum err keep(struct reassembly *r, const struct skf *f, struct bytes text)
{
	struct piece *piece = &r->pieces[f->number - 1];

	if (text.len > REASSEMBLY_MAX - r->bytes ||
	    text.len > REASSEMBLY_PEER_MAX - r->debtor->bytes)
		return ERR_LIMIT;
	if (text.len) {
		piece->p = mem_dup(text.p, text.len);
		if (!piece->p)
			return ERR_NOMEM;
	}
	piece->len = text.len;
	r->have |= bit_of(f);
	r->bytes += text.len;
	r->debtor->bytes += text.len;
	if (f->number == 1)
		r->first = f->first;
	return ERR_OK;
}

enum err reassembly_add(struct htab *debtors, struct reassembly **r, const struct ip_addr *from,
			const struct skf *f, struct bytes text)
{
	enum err err;

	if (*r && f->total > (*r)->total) {
		forget_pieces(*r);
		(*r)->total = f->total;
	}
	if (!*r) {
		err = begin(debtors, r, from, f->total);
		if (err)
			return err;
	}
	err = keep(*r, f, text);
	if (!(*r)->have)
		reassembly_drop(debtors, r);
	return err;
}

bool reassembly_whole(const struct reassembly *r, struct bytes *out, uint8_t *out_first, void *buf)
{
	uint8_t *at = buf;

	if (!r || r->have != UINT64_MAX >> (IKE_MAX_FRAGMENTS - r->total))
		return false;
	for (unsigned i = 0; i < r->total; i++) {
		if (r->pieces[i].len)
			memcpy(at, r->pieces[i].p, r->pieces[i].len);
		at += r->pieces[i].len;
	}
	*out = bytes_of(buf, r->bytes);
	*out_first = r->first;
	return true;
}
