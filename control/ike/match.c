/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/match.h"

/* Scores: an exact address beats a range, a range beats "any". */
#define SCORE_ANY   1
#define SCORE_RANGE 2
#define SCORE_EXACT 3
/* The peer's AUTH is of the kind that the connection wants: before all else. */
#define SCORE_FITS 1024
/* Who is believed for more comes first (RFC 5386 3). */
#define SCORE_RANK 128

static uint32_t score_addr(const struct conf_addr *list, uint32_t num, const struct ip_addr *a)
{
	uint32_t best = num ? 0 : SCORE_ANY;

	for (uint32_t i = 0; i < num; i++) {
		const struct ts *r = &list[i].range;
		uint32_t score = 0;

		if (list[i].any || list[i].name) /* identities decide about names */
			score = SCORE_ANY;
		else if (r->lo.family == a->family && ip_addr_cmp(&r->lo, a) <= 0 &&
			 ip_addr_cmp(a, &r->hi) <= 0)
			score = ip_addr_equal(&r->lo, &r->hi) ? SCORE_EXACT : SCORE_RANGE;
		if (score > best)
			best = score;
	}
	return best;
}

uint32_t match_addrs(const struct conf_conn *conn, const struct path_addr *path)
{
	uint32_t local = score_addr(conn->local_addrs, conn->num_local_addrs, &path->local.addr);
	uint32_t remote =
		score_addr(conn->remote_addrs, conn->num_remote_addrs, &path->remote.addr);

	return local && remote ? remote * 4 + local : 0;
}

enum err match_proposal(const struct conf_conn **out_conn, struct sa_chosen *out,
			const struct conf *conf, const struct path_addr *path,
			const struct sa_payload *offer, uint16_t ke_group)
{
	const struct conf_conn *best = NULL, *nearest = NULL;
	uint32_t best_score = 0, nearest_score = 0;

	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];
		uint32_t score = match_addrs(c, path);
		struct sa_chosen chosen;

		if (score > nearest_score) {
			nearest_score = score;
			nearest = c;
		}
		if (score <= best_score ||
		    sa_select(&chosen, offer, SA_KIND_IKE, c->ike, c->num_ike, ke_group))
			continue;
		best_score = score;
		best = c;
		*out = chosen;
	}
	if (!nearest)
		return ERR_NOT_FOUND;
	*out_conn = best ? best : nearest;
	return best ? ERR_OK : ERR_NO_PROPOSAL;
}

static bool lists16(const uint16_t *list, uint8_t num, uint16_t v)
{
	for (uint8_t i = 0; i < num; i++)
		if (list[i] == v)
			return true;
	return false;
}

static bool accepts(const struct conf_conn *c, const struct sa_chosen *s)
{
	for (uint32_t i = 0; i < c->num_ike; i++) {
		const struct conf_proposal *p = &c->ike[i];
		bool encr = false;

		for (uint8_t j = 0; j < p->num_encr; j++)
			encr |= p->encr[j].id == s->encr.id &&
				p->encr[j].key_bits == s->encr.key_bits;
		encr = encr && (s->encr.integ == INTEG_NONE ||
				lists16(p->integ, p->num_integ, s->encr.integ));
		if (encr && lists16(p->prf, p->num_prf, s->prf) &&
		    lists16(p->dh, p->num_dh, s->dh) && sa_takes_addke(p, s))
			return true;
	}
	return false;
}

bool match_may(const struct conf_conn *conn, const struct path_addr *path,
	       const struct sa_chosen *suite)
{
	return match_addrs(conn, path) && accepts(conn, suite);
}

static uint32_t score_id(const struct conf_side *side, const struct ike_id *id)
{
	if (!conf_id_matches(side, id))
		return 0;
	if (side->pattern)
		return SCORE_RANGE;
	return side->id.type ? SCORE_EXACT : SCORE_ANY;
}

static bool id_equal(const struct ike_id *a, const struct ike_id *b)
{
	return a->type == b->type &&
	       bytes_equal(bytes_of(a->data, a->len), bytes_of(b->data, b->len));
}

/* The initiator may say whom it wants to speak to; if we are someone else that is no match. */
static bool wanted(const struct conf_conn *c, const struct match_ids *ids)
{
	const struct ike_id local = match_local_id(c, ids->path);

	return !ids->wanted->type || id_equal(&local, ids->wanted);
}

/* The kind of AUTH that the connection wants of its peer. */
static bool fits(const struct conf_conn *c, uint8_t method)
{
	switch (method) {
	case AUTH_SHARED_KEY_MIC:
		return c->remote.auth == CONF_AUTH_PSK;
	case AUTH_NULL:
		return c->remote.auth == CONF_AUTH_NULL;
	case MATCH_EAP:
		return c->remote.auth == CONF_AUTH_EAP;
	default:
		return conf_auth_signs(c->remote.auth);
	}
}

/* Who proves itself by EAP begins, unless EAP authenticates both (RFC 5998). */
static bool can_answer(const struct conf_conn *c)
{
	return c->local.auth != CONF_AUTH_EAP || c->remote.auth == CONF_AUTH_EAP;
}

/* struct scored - a connection, and how well it fits. */
struct scored {
	const struct conf_conn *conn;
	uint32_t score;
};

/* One that wants another kind of AUTH says so better than "no connection". */
static uint32_t score_conn(const struct conf_conn *c, const struct match_ids *ids)
{
	const uint32_t addrs = match_addrs(c, ids->path), peer = score_id(&c->remote, ids->peer);

	if (!addrs || !peer || !wanted(c, ids) || !accepts(c, ids->suite) || !can_answer(c))
		return 0;
	return (fits(c, ids->method) ? SCORE_FITS : 0) +
	       conf_auth_rank(c->remote.auth) * SCORE_RANK + peer * 16 + addrs;
}

/* Behind those that fit as well, which stand before it in the configuration. */
static void insert(struct scored list[MATCH_MAX], uint32_t *num, struct scored one)
{
	uint32_t at = *num;

	while (at > 0 && list[at - 1].score < one.score)
		at--;
	if (at == MATCH_MAX)
		return;
	if (*num == MATCH_MAX)
		--*num;
	memmove(&list[at + 1], &list[at], (*num - at) * sizeof(list[0]));
	list[at] = one;
	++*num;
}

uint32_t match_identities(const struct conf_conn *out[MATCH_MAX], const struct conf *conf,
			  const struct match_ids *ids)
{
	struct scored list[MATCH_MAX];
	const bool signs = ids->method != AUTH_SHARED_KEY_MIC && ids->method != AUTH_NULL &&
			   ids->method != MATCH_EAP;
	uint32_t num = 0, found = 0;

	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];
		const struct scored one = {.conn = c, .score = score_conn(c, ids)};

		if (one.score)
			insert(list, &num, one);
	}
	for (uint32_t i = 0; i < num; i++) {
		/* S29: never another kind of AUTH instead; a secret is found by identities alone */
		if (i == 0 || (signs && list[i].score >= SCORE_FITS))
			out[found++] = list[i].conn;
	}
	return found;
}

struct ike_id match_local_id(const struct conf_conn *conn, const struct path_addr *path)
{
	const struct ip_addr *a = &path->local.addr;
	struct ike_id id = {0};

	if (conn->local.id.type)
		return conn->local.id;
	id.type = a->family == IP_V6 ? ID_IPV6_ADDR : ID_IPV4_ADDR;
	id.len = (uint16_t)ip_addr_len(a);
	memcpy(id.data, a->b, id.len);
	return id;
}
