/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/vips.h"

#include "control/ike/core.h"

#define CELLS_PER_ADDR 2 /* ADDRESS_ADD and ADDRESS_REMOVE */

static_assert(CONF_MAX_VIPS <= CP_MAX_ADDRS, "all can be asked for");

static uint32_t num_wanted(const struct conf_conn *conn, uint8_t family)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conn->num_vips; i++)
		num += conn->vips[i].family == family;
	return num;
}

void vips_request(const struct ike_sa *sa, struct ike_builder *b)
{
	const struct conf_conn *conn = sa->conn;
	struct cp cp = {.type = CFG_REQUEST};

	if (!conn->num_vips)
		return;
	for (uint32_t i = 0; i < conn->num_vips; i++)
		cp.addrs[cp.num_addrs++] = conn->vips[i];
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
	from->vips = (struct vips){0};
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

bool vips_refused(const struct ike_msg *request)
{
	struct cp cp;

	return request->present & PAYLOAD_BIT(PAYLOAD_CP) &&
	       !cp_parse(&cp, ike_msg_body(request, PAYLOAD_CP)) && cp.type == CFG_REQUEST &&
	       (cp.wants_v4 || cp.wants_v6);
}
