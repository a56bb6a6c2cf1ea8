/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/proposal.h"

#include "control/crypto/prf.h"

/* struct offer - one proposal of the peer while it is compared. */
struct offer {
	const struct sa_proposal *p;
	const struct sa_transform *t;
};

static bool is_ike(enum sa_kind kind)
{
	return kind == SA_KIND_IKE || kind == SA_KIND_IKE_REKEY;
}

static uint8_t spi_len(enum sa_kind kind)
{
	switch (kind) {
	case SA_KIND_IKE:
		return 0;
	case SA_KIND_IKE_REKEY:
		return 8;
	case SA_KIND_CHILD_AUTH:
	case SA_KIND_CHILD:
		break;
	}
	return 4;
}

/* lists - the offer has this transform, exactly. */
static bool lists(const struct offer *o, uint8_t type, uint16_t id, uint16_t key_bits)
{
	for (uint16_t i = 0; i < o->p->num_transforms; i++) {
		const struct sa_transform *t = &o->t[i];

		if (t->usable && t->type == type && t->id == id && t->key_bits == key_bits)
			return true;
	}
	return false;
}

static uint32_t count_type(const struct offer *o, uint8_t type)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < o->p->num_transforms; i++)
		n += o->t[i].type == type;
	return n;
}

/* shape_fits - protocol, SPI and transform types are those of what is negotiated (3.3.3); a type
 * that we do not know makes the proposal unacceptable (3.3.6). */
static bool shape_fits(const struct offer *o, enum sa_kind kind)
{
	if (o->p->protocol != (is_ike(kind) ? PROTO_IKE : PROTO_ESP))
		return false;
	/* RFC 7296 3.3.1: the SPI size of a first IKE SA's proposal is zero. */
	if (o->p->spi_len != spi_len(kind) || (o->p->spi_len && !o->p->spi))
		return false;
	for (uint16_t i = 0; i < o->p->num_transforms; i++) {
		const uint8_t type = o->t[i].type;

		if (type < TRANSFORM_ENCR || type > TRANSFORM_ADDKE7 ||
		    type == (is_ike(kind) ? TRANSFORM_ESN : TRANSFORM_PRF))
			return false;
	}
	return true;
}

/* pick_integ - with a combined mode no transform, or NONE among them (3.3.3, RFC 5282 8); with any
 * other cipher one in common, which is never NONE. */
static bool pick_integ(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours)
{
	c->encr.integ = INTEG_NONE;
	c->lists_integ_none = false;
	if (conf_encr_combined(c->encr.id)) {
		c->lists_integ_none = lists(o, TRANSFORM_INTEG, INTEG_NONE, 0);
		return c->lists_integ_none || count_type(o, TRANSFORM_INTEG) == 0;
	}
	for (uint8_t i = 0; i < ours->num_integ; i++) {
		if (ours->integ[i] != INTEG_NONE && lists(o, TRANSFORM_INTEG, ours->integ[i], 0)) {
			c->encr.integ = ours->integ[i];
			return true;
		}
	}
	return false;
}

/* pick_encr - a cipher, with what authenticates. */
static bool pick_encr(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours)
{
	for (uint8_t i = 0; i < ours->num_encr; i++) {
		c->encr = ours->encr[i];
		if (lists(o, TRANSFORM_ENCR, c->encr.id, c->encr.key_bits) &&
		    pick_integ(c, o, ours))
			return true;
	}
	return false;
}

static bool pick_prf(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours)
{
	for (uint8_t i = 0; i < ours->num_prf; i++) {
		if (lists(o, TRANSFORM_PRF, ours->prf[i], 0)) {
			c->prf = ours->prf[i];
			return true;
		}
	}
	return false;
}

static bool ours_has_dh(const struct conf_proposal *ours, uint16_t group)
{
	for (uint8_t i = 0; i < ours->num_dh; i++) {
		if (ours->dh[i] == group)
			return true;
	}
	return false;
}

/* pick_dh - a group in common, the KE payload's if it is one. Without PFS here (Child SAs) the
 * offer lists none, or NONE. In IKE_AUTH there is no key exchange, whatever the offer lists (1.2).
 */
static bool pick_dh(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours,
		    uint16_t ke_group)
{
	c->dh = DH_NONE;
	c->lists_dh_none = lists(o, TRANSFORM_DH, DH_NONE, 0);
	if (c->kind == SA_KIND_CHILD_AUTH)
		return true;
	if (ours->num_dh == 0)
		return !is_ike(c->kind) && (c->lists_dh_none || count_type(o, TRANSFORM_DH) == 0);
	c->dh = ke_group;
	if (ke_group && ours_has_dh(ours, ke_group) && lists(o, TRANSFORM_DH, ke_group, 0))
		return true;
	for (uint8_t i = 0; i < ours->num_dh; i++) {
		c->dh = ours->dh[i];
		if (c->dh != DH_NONE && lists(o, TRANSFORM_DH, c->dh, 0))
			return true;
	}
	/* Only a configuration that itself lists NONE goes without. */
	c->dh = DH_NONE;
	return !is_ike(c->kind) && ours_has_dh(ours, DH_NONE) &&
	       (c->lists_dh_none || count_type(o, TRANSFORM_DH) == 0);
}

/* has_addke - this proposal of ours allows the method as additional key exchange n + 1; NONE also
 * where it knows of no such exchange. */
static bool has_addke(const struct conf_proposal *ours, unsigned n, uint16_t method)
{
	for (uint8_t i = 0; i < ours->num_addke[n]; i++) {
		if (ours->addke[n][i] == method)
			return true;
	}
	return method == DH_NONE && !ours->num_addke[n];
}

/* is_taken - another of the additional key exchanges has the method; none may come twice (RFC 9370
 * 2.2.1). */
static bool is_taken(const struct sa_chosen *c, uint16_t method)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
		if (c->addke[n] == method)
			return true;
	}
	return false;
}

static bool pick_addke(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours,
		       unsigned n)
{
	const uint8_t type = (uint8_t)(TRANSFORM_ADDKE1 + n);
	const bool none = lists(o, type, DH_NONE, 0);

	for (uint8_t i = 0; i < ours->num_addke[n]; i++) {
		const uint16_t method = ours->addke[n][i];

		if (method != DH_NONE && lists(o, type, method, 0) && !is_taken(c, method)) {
			c->addke[n] = method;
			return true;
		}
	}
	if (none)
		c->lists_addke_none |= (uint8_t)(1u << n);
	return has_addke(ours, n, DH_NONE) && (none || count_type(o, type) == 0);
}

/* pick_addkes - each of the additional key exchanges, or that there is none. Nothing of it belongs
 * in IKE_AUTH, where no key is exchanged (RFC 9370 2.2.4). */
static bool pick_addkes(struct sa_chosen *c, const struct offer *o,
			const struct conf_proposal *ours)
{
	for (unsigned n = 0; c->kind != SA_KIND_CHILD_AUTH && n < CONF_MAX_ADDKE; n++) {
		if (!pick_addke(c, o, ours, n))
			return false;
	}
	return true;
}

static bool pick_esn(struct sa_chosen *c, const struct offer *o, const struct conf_proposal *ours)
{
	for (uint8_t i = 0; i < ours->num_esn; i++) {
		if (lists(o, TRANSFORM_ESN, ours->esn[i], 0)) {
			c->esn = ours->esn[i];
			return true;
		}
	}
	return false;
}

/* match - one of the peer's proposals with one of ours. */
static bool match(struct sa_chosen *out, const struct offer *o, enum sa_kind kind,
		  const struct conf_proposal *ours, uint16_t ke_group)
{
	struct sa_chosen c = {.kind = kind, .number = o->p->number, .spi = o->p->spi};

	if (!shape_fits(o, kind) || !pick_encr(&c, o, ours) || !pick_dh(&c, o, ours, ke_group))
		return false;
	if (is_ike(kind) ? !pick_prf(&c, o, ours) : !pick_esn(&c, o, ours))
		return false;
	if (!pick_addkes(&c, o, ours))
		return false;
	if (kind == SA_KIND_CHILD_AUTH)
		c.lists_dh_none = false;
	*out = c;
	return true;
}

enum err sa_select(struct sa_chosen *out, const struct sa_payload *peer, enum sa_kind kind,
		   const struct conf_proposal *ours, uint32_t num, uint16_t ke_group)
{
	for (uint32_t i = 0; i < num; i++) {
		for (uint32_t j = 0; j < peer->num_proposals; j++) {
			const struct sa_proposal *p = &peer->proposals[j];
			const struct offer o = {.p = p, .t = &peer->transforms[p->first]};

			if (match(out, &o, kind, &ours[i], ke_group))
				return ERR_OK;
		}
	}
	return ERR_NO_PROPOSAL;
}

/* one_of_each - an answer has at most one transform of every type (3.3.6); match() sees to the ones
 * that must be there. */
static bool one_of_each(const struct offer *o)
{
	for (uint8_t type = TRANSFORM_ENCR; type <= TRANSFORM_ADDKE7; type++) {
		if (count_type(o, type) > 1)
			return false;
	}
	return true;
}

enum err sa_check(struct sa_chosen *out, const struct sa_payload *answer, enum sa_kind kind,
		  const struct conf_proposal *ours, uint32_t num)
{
	const struct sa_proposal *p = &answer->proposals[0];
	const struct offer o = {.p = p, .t = answer->transforms};

	if (answer->num_proposals != 1 || p->spi_len != spi_len(kind))
		return ERR_MALFORMED;
	if (p->number < 1 || p->number > num || !one_of_each(&o) ||
	    !match(out, &o, kind, &ours[p->number - 1], DH_NONE))
		return ERR_NO_PROPOSAL;
	return ERR_OK;
}

bool sa_offers_dh(const struct conf_proposal *ours, uint32_t num, uint16_t group)
{
	for (uint32_t i = 0; i < num; i++) {
		if (ours_has_dh(&ours[i], group))
			return true;
	}
	return false;
}

bool sa_offers_prf(const struct conf_proposal *ours, uint32_t num, uint16_t prf)
{
	for (uint32_t i = 0; i < num; i++) {
		for (uint32_t n = 0; n < ours[i].num_prf; n++) {
			if (ours[i].prf[n] == prf)
				return true;
		}
	}
	return false;
}

uint16_t sa_common_prf(const struct sa_payload *peer)
{
	for (uint32_t i = 0; i < peer->num_transforms; i++) {
		const struct sa_transform *t = &peer->transforms[i];

		if (t->type == TRANSFORM_PRF && t->usable && prf_len(t->id))
			return t->id;
	}
	return 0;
}

bool sa_offers_addke(const struct conf_proposal *ours, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
			if (ours[i].num_addke[n])
				return true;
		}
	}
	return false;
}

uint16_t sa_next_addke(const struct sa_chosen *chosen, unsigned done)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
		if (chosen->addke[n] != DH_NONE && !done--)
			return chosen->addke[n];
	}
	return DH_NONE;
}

bool sa_takes_addke(const struct conf_proposal *ours, const struct sa_chosen *chosen)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
		if (!has_addke(ours, n, chosen->addke[n]))
			return false;
	}
	return true;
}

uint16_t sa_first_dh(const struct conf_proposal *ours, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		for (uint8_t j = 0; j < ours[i].num_dh; j++) {
			if (ours[i].dh[j] != DH_NONE)
				return ours[i].dh[j];
		}
	}
	return DH_NONE;
}
