/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/vips.h"

#include "base/alloc.h"
#include "control/ike/core.h"
#include "control/ike/reauth.h"

#define CELLS_PER_ADDR 2 /* ADDRESS_ADD and ADDRESS_REMOVE */

static_assert(CONF_MAX_VIPS == CP_MAX_ADDRS, "all can be asked for, and lent");

static uint32_t num_wanted(const struct conf_conn *conn, uint8_t family)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conn->num_vips; i++)
		num += conn->vips[i].family == family;
	return num;
}

/* The address number i that is asked for: what the IKE SA has whose place this one is to take is
 * asked for again, so that what goes by it goes on. */
static struct ip_addr wanted(const struct ike_sa *sa, uint32_t i)
{
	const struct ike_sa *old = reauth_old(sa);
	const struct ip_addr *conf = sa->conn->vips;
	uint32_t nth = 0;

	for (uint32_t j = 0; j < i; j++)
		nth += conf[j].family == conf[i].family;
	for (uint32_t j = 0; old && j < old->vips.num; j++)
		if (old->vips.addrs[j].family == conf[i].family && !nth--)
			return old->vips.addrs[j];
	return conf[i];
}

void vips_request(const struct ike_sa *sa, struct ike_builder *b)
{
	const struct conf_conn *conn = sa->conn;
	struct cp cp = {.type = CFG_REQUEST};

	if (!conn->num_vips)
		return;
	for (uint32_t i = 0; i < conn->num_vips; i++)
		cp.addrs[cp.num_addrs++] = wanted(sa, i);
	for (uint8_t family = IP_V4; family <= IP_V6; family += 2)
		if (num_wanted(conn, family))
			cp.dns[cp.num_dns++] = (struct ip_addr){.family = family};
	cp_build(b, &cp);
}

static bool has(const struct vips *v, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < v->num; i++)
		if (ip_addr_equal(&v->addrs[i], a))
			return true;
	return false;
}

/* What a peer is reached at is no address of ours: with it here, that peer could not be. */
static bool is_of_peer(const struct ike_engine *e, const struct ip_addr *a)
{
	list_for_each (n, &e->sas)
		if (ip_addr_equal(&list_entry(n, struct ike_sa, node)->path.remote.addr, a))
			return true;
	return false;
}

/* Of each family as many as were asked for. */
static void keep(struct vips *v, const struct ike_sa *sa, const struct cp *cp)
{
	const struct conf_conn *conn = sa->conn;
	uint32_t left[2] = {num_wanted(conn, IP_V4), num_wanted(conn, IP_V6)};

	for (uint32_t i = 0; i < cp->num_addrs && v->num < CONF_MAX_VIPS; i++) {
		const struct ip_addr *a = &cp->addrs[i];
		uint32_t *of_family = &left[a->family == IP_V6];

		if (!*of_family || has(v, a))
			continue;
		if (is_of_peer(sa->e, a)) {
			LOG(WARN, IKE, conn->name,
			    "the peer lends an address that a peer is reached at: not taken");
			continue;
		}
		(*of_family)--;
		v->addrs[v->num++] = *a;
	}
	for (uint32_t i = 0; i < cp->num_dns; i++)
		v->dns[v->num_dns++] = cp->dns[i];
}

enum err vips_take(struct step *s)
{
	const struct bytes body = ike_msg_body(s->msg, PAYLOAD_CP);
	struct ike_sa *sa = s->sa;
	struct vips v = {0};
	struct cp cp;

	if (!sa->conn->num_vips || !(s->msg->present & PAYLOAD_BIT(PAYLOAD_CP)))
		return ERR_OK;
	if (cp_parse(&cp, body))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's Configuration payload does not follow the format, or "
				 "has an address that no host can have");
	if (cp.type != CFG_REPLY)
		return ERR_OK;
	keep(&v, sa, &cp);
	v.cells = v.num * CELLS_PER_ADDR;
	if (actions_promise(&sa->e->actions, v.cells))
		return ERR_NOMEM;
	vips_drop(sa); /* of the same response, when memory was short the first time */
	sa->vips = v;
	sa->dns = v.num_dns > 0;
	return ERR_OK;
}

static void act(struct ike_sa *sa, enum ike_action_kind kind)
{
	struct vips *v = &sa->vips;

	for (uint32_t i = 0; i < v->num; i++) {
		struct action_cell *c;

		assert(v->cells);
		v->cells--;
		c = action_simple(&sa->e->actions, kind, 0);
		c->path.local.addr = v->addrs[i];
		c->conf = conf_get(sa->conf);
		c->conn = sa->conn->name;
	}
}

void vips_install(struct ike_sa *sa)
{
	assert(sa->proof && !sa->vips.installed);
	act(sa, IKE_ACTION_ADDRESS_ADD);
	sa->vips.installed = true;
}

void vips_drop(struct ike_sa *sa)
{
	if (sa->vips.installed)
		act(sa, IKE_ACTION_ADDRESS_REMOVE);
	actions_release(&sa->e->actions, sa->vips.cells);
	sa->vips = (struct vips){0};
}

void vips_move(struct ike_sa *from, struct ike_sa *to)
{
	vips_drop(to);
	to->vips = from->vips;
	to->dns = from->dns;
	from->vips = (struct vips){0};
	vips_lend_end(to);
	to->lent = from->lent;
	from->lent = NULL;
}

bool vips_awaited(const struct ike_sa *sa)
{
	return sa->initiator && sa->hs && sa->conn->num_vips && !sa->vips.num;
}

static struct ts at(const struct conf_ts *conf, const struct ip_addr *lo, const struct ip_addr *hi)
{
	struct ts t = conf->ts;

	t.lo = *lo;
	t.hi = *hi;
	if (!t.proto && !t.port_lo && !t.port_hi)
		t.port_hi = 0xffff;
	return t;
}

static struct ts all_of(const struct conf_ts *conf, uint8_t family)
{
	const struct ip_addr lo = {.family = family};
	struct ip_addr hi = lo;

	memset(hi.b, 0xff, ip_addr_len(&hi));
	return at(conf, &lo, &hi);
}

uint32_t vips_dynamic(const struct ike_sa *sa, struct ts out[CONF_MAX_VIPS],
		      const struct conf_ts *conf, const struct ip_addr *own)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < sa->vips.num; i++)
		out[num++] = at(conf, &sa->vips.addrs[i], &sa->vips.addrs[i]);
	if (num)
		return num;
	if (vips_awaited(sa)) {
		for (uint8_t family = IP_V4; family <= IP_V6; family += 2)
			if (num_wanted(sa->conn, family))
				out[num++] = all_of(conf, family);
		return num;
	}
	out[0] = at(conf, own, own);
	return 1;
}

/* ---- as responder ---------------------------------------------------------------------------- */

/* The administrator's word counts as it is now: a pool that was taken away lends nothing. */
static struct conf_pool *pool_of(const struct ike_sa *sa, uint32_t i, uint8_t family)
{
	const struct conf *conf = sa->e->conf;
	struct conf_pool *pool = conf_find_pool(conf, sa->conn->pools[i]);

	return pool && pool->lo.family == family ? pool : NULL;
}

static bool has_pool(const struct ike_sa *sa, uint8_t family)
{
	for (uint32_t i = 0; i < sa->conn->num_pools; i++)
		if (pool_of(sa, i, family))
			return true;
	return false;
}

static bool wants(const struct handshake *hs, uint8_t family)
{
	for (uint32_t i = 0; i < hs->num_wants; i++)
		if (hs->wants[i].family == family)
			return true;
	return false;
}

/* may_lend - the peer wants such addresses, and there is a pool of them. */
static bool may_lend(const struct ike_sa *sa, uint8_t family)
{
	return wants(sa->hs, family) && has_pool(sa, family);
}

enum err vips_asked(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct cp cp;

	hs->num_wants = 0;
	if (!(s->msg->present & PAYLOAD_BIT(PAYLOAD_CP)))
		return ERR_OK;
	if (cp_parse(&cp, ike_msg_body(s->msg, PAYLOAD_CP)))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's Configuration payload does not follow the format");
	if (cp.type != CFG_REQUEST || !cp.num_addrs)
		return ERR_OK;
	hs->num_wants = cp.num_addrs;
	memcpy(hs->wants, cp.addrs, cp.num_addrs * sizeof(cp.addrs[0]));
	if (may_lend(s->sa, IP_V4) || may_lend(s->sa, IP_V6))
		return ERR_OK;
	return step_fail_child(
		s, IKE_REASON_NO_CONFIG, NOTIFY_INTERNAL_ADDRESS_FAILURE,
		"the peer asks for a virtual address of IPv%s, and connection %s has "
		"none to give: its `pools` name those of the section `pools` that do",
		wants(hs, IP_V4) ? "4" : "6", s->sa->conn->name);
}

bool vips_lending(const struct ike_sa *sa)
{
	return !sa->initiator && sa->hs && sa->hs->num_wants && !sa->lent;
}

/* Who asks twice for one address has it once. */
static bool has_lent(const struct lent *lent, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < lent->num; i++)
		if (ip_addr_equal(&lent->addrs[i], a))
			return true;
	return false;
}

static void keep_lease(struct lent *lent, struct lease *l, struct conf_pool *pool)
{
	if (has_lent(lent, &l->addr)) {
		lease_put(l);
		return;
	}
	lent->leases[lent->num] = l;
	lent->addrs[lent->num] = l->addr;
	lent->pools[lent->num++] = conf_pool_get(pool);
}

/* lend - an address of the first pool that has one. Errors: FULL (none has), NOMEM, CRYPTO. */
static enum err lend(struct ike_sa *sa, const struct ip_addr *wanted)
{
	const struct pool_peer peer = {.conn = sa->conn->name,
				       .id = &sa->remote_id,
				       .many = auth_proof_params(sa->proof)->method ==
					       AUTH_METHOD_GROUP_PSK};
	enum err e = ERR_FULL;
	struct lease *l;

	for (uint32_t i = 0; e == ERR_FULL && i < sa->conn->num_pools; i++) {
		struct conf_pool *pool = pool_of(sa, i, wanted->family);

		if (!pool)
			continue;
		e = pool_lend(&l, &sa->e->pools, pool, &peer, wanted);
		if (!e)
			keep_lease(sa->lent, l, pool);
	}
	return e;
}

static enum err nothing_lent(struct step *s)
{
	return step_fail_child(s, IKE_REASON_RESOURCES, NOTIFY_INTERNAL_ADDRESS_FAILURE,
			       "the peer asks for a virtual address, and no pool of connection %s "
			       "has one left: enlarge `addrs` of the pools, or close what is idle",
			       s->sa->conn->name);
}

/* is_enough - who has no name has one address of each family: nothing else counts its SAs. */
static bool is_enough(const struct ike_sa *sa, uint32_t i)
{
	const struct handshake *hs = sa->hs;

	for (uint32_t k = 0; sa->remote_id.type == ID_NULL && k < i; k++)
		if (hs->wants[k].family == hs->wants[i].family)
			return true;
	return false;
}

enum err vips_lend(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;

	vips_lend_end(sa); /* of the same request, when memory was short the first time */
	if (!hs->num_wants)
		return ERR_OK;
	sa->lent = mem_alloc(sizeof(*sa->lent));
	if (!sa->lent)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < hs->num_wants; i++) {
		enum err e = is_enough(sa, i) ? ERR_OK : lend(sa, &hs->wants[i]);

		if (e && e != ERR_FULL)
			return e;
	}
	if (sa->lent->num)
		return ERR_OK;
	vips_lend_end(sa);
	return nothing_lent(s);
}

/* What a pool tells is told once. */
static bool is_told(const struct lent *lent, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (lent->pools[k] == lent->pools[i])
			return true;
	return false;
}

void vips_reply(const struct ike_sa *sa, struct ike_builder *b)
{
	const struct lent *lent = sa->lent;
	struct cp cp = {.type = CFG_REPLY};

	if (!lent)
		return;
	cp.num_addrs = lent->num;
	memcpy(cp.addrs, lent->addrs, lent->num * sizeof(lent->addrs[0]));
	cp_build(b, &cp);
	for (uint32_t i = 0; i < lent->num; i++) {
		const struct conf_pool *pool = lent->pools[i];

		for (uint32_t k = 0; !is_told(lent, i) && k < pool->num_attrs; k++)
			cp_add(b, pool->attrs[k].type,
			       bytes_of(pool->attrs[k].value, pool->attrs[k].len));
	}
}

void vips_lend_end(struct ike_sa *sa)
{
	struct lent *lent = sa->lent;

	for (uint32_t i = 0; lent && i < lent->num; i++) {
		lease_put(lent->leases[i]);
		conf_pool_put(lent->pools[i]);
	}
	mem_free(lent);
	sa->lent = NULL;
}

uint32_t vips_lent_dynamic(const struct ike_sa *sa, struct ts out[CONF_MAX_VIPS],
			   const struct conf_ts *conf, const struct ip_addr *own)
{
	uint32_t num = 0;

	for (uint32_t i = 0; sa->lent && i < sa->lent->num; i++)
		out[num++] = at(conf, &sa->lent->addrs[i], &sa->lent->addrs[i]);
	if (num)
		return num;
	for (uint8_t family = IP_V4; vips_lending(sa) && family <= IP_V6; family += 2)
		if (may_lend(sa, family))
			out[num++] = all_of(conf, family);
	if (!num)
		out[num++] = at(conf, own, own);
	return num;
}
