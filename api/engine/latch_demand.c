/* SPDX-License-Identifier: Apache-2.0 */
/* latch_demand.c - what a demand takes, and who meets it: SAs that are there, or what the
 * configuration could make. */
#include "api/engine/latch.h"

#include <stdio.h>

static uint32_t mask_of(const uint8_t *methods, uint32_t num)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < num; i++)
		mask |= 1u << methods[i];
	return mask;
}

/* take_id - an identity as people write it; "" or %any: whoever it is. */
static enum err take_id(struct ike_id *out, bool *has, const char *id, char text[APP_TEXT_MAX])
{
	*has = id[0] && strcmp(id, "%any") != 0;
	if (!*has || !conf_id_parse(out, id))
		return ERR_OK;
	snprintf(text, APP_TEXT_MAX, "'%.80s' is no identity", id);
	return ERR_INVAL;
}

static enum err take_suite(struct latch_needs *n, const char *suite, char text[APP_TEXT_MAX])
{
	char why[APP_TEXT_MAX];

	if (!suite[0])
		return ERR_OK;
	n->narrow = true; /* under a wide SA a later re-key would change it */
	if (!conf_proposals_parse(n->suite, &n->num_suite, why, sizeof(why), suite, false))
		return ERR_OK;
	snprintf(text, APP_TEXT_MAX, "%.200s", why);
	return ERR_INVAL;
}

/* demanded - what the demand says, else the profile. */
static bool demanded(uint8_t ask, bool profile)
{
	return ask == APP_ASK_PROFILE ? profile : ask == APP_ASK_YES;
}

enum err needs_of(const struct engine *e, struct latch_needs *out, const struct app_demand *demand,
		  char text[APP_TEXT_MAX])
{
	const struct app_profile *p = profile_find(e->latches, demand->profile);
	struct latch_needs n = {.token = demand->token};

	if (!p) {
		snprintf(text, APP_TEXT_MAX, "there is no profile '%.31s'", demand->profile);
		return ERR_NOT_FOUND;
	}
	n.methods = demand->num_methods ? mask_of(demand->methods, demand->num_methods)
					: mask_of(p->methods, p->num_methods);
	n.quality = (uint8_t)((demanded(demand->privacy, p->privacy) ? CLASS_Q_PRIVACY : 0) |
			      (demanded(demand->integrity, p->integrity) ? CLASS_Q_INTEGRITY : 0) |
			      (demand->tunnel == APP_ASK_YES ? CLASS_Q_TUNNEL : 0));
	n.without = demand->tunnel == APP_ASK_NO ? CLASS_Q_TUNNEL : 0;
	n.part = demand->part ? (enum app_part)demand->part : (enum app_part)p->part;
	n.clear = p->clear;
	n.make = p->make;
	n.bypass = p->bypass;
	TRY(take_id(&n.peer, &n.has_peer, demand->peer, text));
	TRY(take_id(&n.local, &n.has_local, demand->local, text));
	TRY(take_suite(&n, demand->suite, text));
	*out = n;
	return ERR_OK;
}

static bool same_class(const struct class_info *a, const struct class_info *b)
{
	return a->method == b->method && a->quality == b->quality &&
	       conf_id_equal(&a->peer, &b->peer) && conf_id_equal(&a->local, &b->local);
}

bool needs_met(const struct latch_needs *n, const struct class_info *info, uint32_t token)
{
	if (n->token)
		return n->token == token;
	if (n->tie && !same_class(n->tie, info))
		return false;
	if (!(n->methods >> info->method & 1))
		return false;
	if ((info->quality & n->quality) != n->quality || info->quality & n->without)
		return false;
	if (n->has_peer && !conf_id_equal(&n->peer, &info->peer))
		return false;
	return !n->has_local || conf_id_equal(&n->local, &info->local);
}

/* is_exact - the group is for this flow alone. */
static bool is_exact(const struct sa_group *g)
{
	return g->num_local == 1 && g->num_remote == 1 && g->local[0].proto &&
	       g->local[0].port_lo == g->local[0].port_hi &&
	       g->remote[0].port_lo == g->remote[0].port_hi;
}

uint32_t needs_token(const struct engine *e, const struct latch_needs *n, const struct flow *flow)
{
	const struct sa_group *best = NULL;
	uint32_t token = 0;

	list_for_each (node, &e->groups) {
		const struct sa_group *g = list_entry(node, struct sa_group, node);
		uint32_t t = dataplane_group_token(e->dp, g->id);
		struct class_info info;

		if (!t || !g->num_outbound || g->vif || (best && best->priority <= g->priority) ||
		    (n->narrow && !is_exact(g)) ||
		    (flow &&
		     !flow_within(flow, g->local, g->num_local, g->remote, g->num_remote)) ||
		    dataplane_class(e->dp, &info, t) || !needs_met(n, &info, t) ||
		    (flow && !dataplane_serves(e->dp, t, flow)))
			continue;
		best = g;
		token = t;
	}
	return token;
}

/* ---- what the configuration has ---------------------------------------------------------------
 */

/* covers - one of the selectors has this end of the flow; "dynamic" is an end of the tunnel, and
 * which that is shows when it is made. */
static bool covers(const struct conf_ts *ts, uint32_t num, const struct ip_addr *addr,
		   uint8_t proto, uint16_t port, const struct ip_addr *end)
{
	for (uint32_t i = 0; i < num; i++) {
		struct ts t = ts[i].ts;

		if (ts[i].dynamic && end && end->family && !ip_addr_equal(end, addr))
			continue;
		if (ts[i].dynamic)
			t.lo = t.hi = *addr;
		if (ts_match(&t, addr, proto, port))
			return true;
	}
	return false;
}

static bool child_covers(const struct conf_conn *conn, const struct conf_child *child,
			 const struct flow *f)
{
	const struct conf_addr *a = connect_remote(conn);
	const struct ip_addr *remote = a && !a->name ? &a->range.lo : NULL;

	return conf_negotiated(child->mode) &&
	       covers(child->local_ts, child->num_local_ts, &f->local, f->proto, f->local_port,
		      NULL) &&
	       covers(child->remote_ts, child->num_remote_ts, &f->remote, f->proto, f->remote_port,
		      remote);
}

/* may_be - the peer of the connection can be who is asked for. */
static bool may_be(const struct conf_conn *conn, const struct latch_needs *n)
{
	if (!(conf_auth_methods(conn->remote.auth) & n->methods))
		return false;
	if (n->has_local && conn->local.id.type && !conf_id_equal(&conn->local.id, &n->local))
		return false;
	return !n->has_peer || conf_id_matches(&conn->remote, &n->peer);
}

const struct conf_child *needs_child(const struct engine *e, const struct conf_conn **out_conn,
				     const struct latch_needs *n, const struct flow *flow)
{
	for (uint32_t i = 0; i < e->conf->num_conns; i++) {
		const struct conf_conn *conn = e->conf->conns[i];

		if (!may_be(conn, n) || vif_is_own(e, conn) || !connect_remote(conn))
			continue;
		for (uint32_t c = 0; c < conn->num_children; c++) {
			if (flow ? !child_covers(conn, &conn->children[c], flow)
				 : !conf_negotiated(conn->children[c].mode))
				continue;
			*out_conn = conn;
			return &conn->children[c];
		}
	}
	return NULL;
}
