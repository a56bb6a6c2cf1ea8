/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SA group comes with one policy, the routes that lead its traffic to the virtual interface, and
 * guard entries that stop the traffic on any other way. The policy stands
 *   - always, if the configuration says start_action = trap or start;
 *   - while SAs are up, otherwise;
 *   - on after SAs were lost (no answer, expired) rather than ended, until the connection is taken
 *     down by hand: what was protected does not fall back to the clear by itself.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* ---- groups --------------------------------------------------------------------------------- */

static uint32_t group_priority(const struct engine *e, const struct sa_group *g)
{
	const struct conf_conn *conn;
	const struct conf_child *child = conf_find_child(e->conf, &conn, g->conn, g->child);
	const struct policy_params params = {
		.action = POLICY_PROTECT,
		.local = g->local,
		.remote = g->remote,
		.num_local = g->num_local,
		.num_remote = g->num_remote,
	};

	return priority_of(&params, child ? child->priority : 0);
}

static void policy_install(struct engine *e, struct sa_group *g)
{
	struct policy_params params = {
		.layer = POLICY_CONFIG,
		.action = POLICY_PROTECT,
		.group = g->id,
		.owner = g->id,
		.local = g->local,
		.remote = g->remote,
		.num_local = g->num_local,
		.num_remote = g->num_remote,
		.scope = g->vif ? g->vif->scope : 0,
	};
	enum err err;

	g->priority = params.priority = group_priority(e, g);
	err = dataplane_policy_add(e->dp, &g->policy, &params);

	if (err) {
		LOG(ERROR, CHD, g->conn, "the policy of %s cannot be installed: %s", g->child,
		    err_text(err));
		return;
	}
	routes_group(e, g, ROUTE_WANT);
	e->guard_dirty = true;
}

static void policy_uninstall(struct engine *e, struct sa_group *g)
{
	if (!g->policy)
		return;
	routes_group(e, g, ROUTE_DROP);
	dataplane_policy_remove(e->dp, g->policy);
	g->policy = 0;
	e->guard_dirty = true;
}

static void group_free(struct engine *e, struct sa_group *g)
{
	policy_uninstall(e, g);
	if (g->id) {
		htab_remove(&e->groups_by_id, &g->by_id);
		dataplane_group_remove(e->dp, g->id);
	}
	if (g->vif)
		g->vif->num_groups--;
	list_remove(&g->node);
	auth_proof_put(g->proof);
	mem_free(g->conn);
	mem_free(g->child);
	mem_free(g);
}

/* where - the interface of a connection's traffic: its own, or NULL for the shared one. False: its
 * own is not there, or nobody knows which it was: the connection is not configured any more. */
static bool where(struct engine *e, struct vif **out, const char *conn)
{
	const struct conf_conn *c = conf_find_conn(e->conf, conn);

	if (!c) {
		list_for_each (n, &e->groups) {
			const struct sa_group *g = list_entry(n, struct sa_group, node);

			*out = g->vif;
			if (strcmp(g->conn, conn) == 0)
				return true;
		}
		return false;
	}
	*out = vif_is_own(e, c) ? vif_find(e, c->interface) : NULL;
	return !vif_is_own(e, c) || (*out && (*out)->scope);
}

static struct sa_group *group_new(struct engine *e, const char *conn, const char *child)
{
	struct sa_group *g = mem_alloc(sizeof(*g));

	if (!g)
		return NULL;
	if (!where(e, &g->vif, conn)) {
		mem_free(g);
		return NULL;
	}
	if (g->vif)
		g->vif->num_groups++;
	g->conn = str_dup(conn);
	g->child = str_dup(child);
	if (!g->conn || !g->child || dataplane_group_add(e->dp, &g->id)) {
		g->id = 0;
		group_free(e, g);
		return NULL;
	}
	htab_insert(&e->groups_by_id, &g->by_id, bytes_of(&g->id, sizeof(g->id)));
	list_push_back(&e->groups, &g->node);
	return g;
}

struct sa_group *policy_find(struct engine *e, uint32_t id)
{
	struct htab_node *n = engine_find(&e->groups_by_id, &id, sizeof(id));

	return n ? container_of(n, struct sa_group, by_id) : NULL;
}

static bool group_is(const struct sa_group *g, const char *conn, const char *child)
{
	return strcmp(g->conn, conn) == 0 && (!child || strcmp(g->child, child) == 0);
}

/* covers - every selector negotiated lies in one of the group's. */
static bool covers(const struct ts *wide, uint32_t num_wide, const struct ts *ts, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		bool found = false;

		for (uint32_t w = 0; w < num_wide && !found; w++)
			found = ts_contains(&wide[w], &ts[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool same_ts(const struct ts *a, uint32_t num_a, const struct ts *b, uint32_t num_b)
{
	return num_a == num_b && memcmp(a, b, num_a * sizeof(*a)) == 0;
}

static bool same_id(const struct ike_id *a, const struct ike_id *b)
{
	return a->type == b->type && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* is_open_to - the group's pairs, if it has any, are with the peer of this proof: a second peer of
 * a connection does not get what the first has. */
static bool is_open_to(const struct sa_group *g, const struct auth_proof *proof)
{
	const struct auth_proof_params *a, *b;

	if (!g->num_pairs || !g->proof)
		return true;
	a = auth_proof_params(g->proof);
	b = auth_proof_params(proof);
	return same_id(&a->peer, &b->peer) && same_id(&a->local, &b->local);
}

/* is_for - the group protects what the new pair does: it was there before, or it is that of the
 * same peer, which came back while we still hold what it forgot. With a group of its own a new pair
 * would stand behind the old one's policy. What is for one flow alone joins none but its own. */
static bool is_for(const struct sa_group *g, const struct child_params *p, bool narrow)
{
	if ((g->trap || g->fail_closed) && !narrow)
		return covers(g->local, g->num_local, p->local, p->num_local) &&
		       covers(g->remote, g->num_remote, p->remote, p->num_remote);
	return same_ts(g->local, g->num_local, p->local, p->num_local) &&
	       same_ts(g->remote, g->num_remote, p->remote, p->num_remote) &&
	       is_open_to(g, p->proof);
}

static struct sa_group *group_to_join(struct engine *e, const struct ike_child_add *add)
{
	struct vif *vif;

	if (!where(e, &vif, add->conn))
		return NULL;
	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (group_is(g, add->conn, add->child) && g->vif == vif &&
		    is_for(g, &add->params, add->narrow))
			return g;
	}
	return NULL;
}

enum err policy_group_for(struct engine *e, struct sa_group **out, const struct ike_child_add *add)
{
	const struct child_params *p = &add->params;
	struct sa_group *g = group_to_join(e, add);

	if (g) {
		if (!g->policy) /* its last pair was on the way out */
			policy_install(e, g);
		*out = g;
		return g->policy ? ERR_OK : ERR_NOMEM;
	}
	g = group_new(e, add->conn, add->child);
	if (!g)
		return ERR_NOMEM;
	memcpy(g->local, p->local, p->num_local * sizeof(*p->local));
	memcpy(g->remote, p->remote, p->num_remote * sizeof(*p->remote));
	g->num_local = p->num_local;
	g->num_remote = p->num_remote;
	g->transport = p->mode == SA_TRANSPORT;
	policy_install(e, g);
	if (!g->policy) {
		group_free(e, g);
		return ERR_NOMEM;
	}
	*out = g;
	return ERR_OK;
}

/* policy_joined - the group has a pair again. What stood closed for an earlier one of the child and
 * lies in it altogether would only be in the way. */
void policy_joined(struct engine *e, struct sa_group *g, struct auth_proof *proof)
{
	struct auth_proof *old = g->proof;

	g->fail_closed = false;
	g->acquires = 0;
	g->acquire_after_ns = 0;
	g->proof = proof ? auth_proof_get(proof) : NULL;
	auth_proof_put(old);
	list_for_each (n, &e->groups) {
		struct sa_group *o = list_entry(n, struct sa_group, node);

		if (o != g && o->fail_closed && group_is(o, g->conn, g->child) &&
		    covers(g->local, g->num_local, o->local, o->num_local) &&
		    covers(g->remote, g->num_remote, o->remote, o->num_remote))
			o->fail_closed = false;
	}
}

void policy_lost(struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (group_is(g, conn, child) && g->policy && !g->trap && !g->num_outbound) {
			g->fail_closed = true;
			LOG(WARN, CHD, conn,
			    "%s was lost: its traffic is stopped, not sent in the clear; "
			    "`latchkey down %s` lifts that",
			    g->child, conn);
		}
	}
}

/* policy_release - lift what stands closed under these names (NULL = any); true if there was
 * something. */
bool policy_release(struct engine *e, const char *conn, const char *child)
{
	bool any = false;

	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if ((conn && strcmp(g->conn, conn) != 0) || (child && strcmp(g->child, child) != 0))
			continue;
		any |= g->fail_closed;
		g->fail_closed = false;
	}
	return any;
}

/* ---- traps ---------------------------------------------------------------------------------- */

/* fix_ts - put the tunnel's end in place of "dynamic". */
static uint32_t fix_ts(struct ts *out, const struct conf_ts *in, uint32_t num,
		       const struct ip_addr *end)
{
	for (uint32_t i = 0; i < num; i++) {
		out[i] = in[i].ts;
		if (in[i].dynamic)
			out[i].lo = out[i].hi = *end;
	}
	return num;
}

/* add_any - an address that is yet to be lent may be any of the families asked for. */
static uint32_t add_any(struct ts *out, uint32_t num, const struct ts *ports,
			const struct conf_conn *conn)
{
	for (uint8_t family = IP_V4; family <= IP_V6; family += 2) {
		bool wanted = false;

		for (uint32_t i = 0; i < conn->num_vips; i++)
			wanted |= conn->vips[i].family == family;
		if (!wanted || num == CONF_MAX_TS)
			continue;
		out[num] = *ports;
		out[num].lo = out[num].hi = (struct ip_addr){.family = family};
		memset(out[num].hi.b, 0xff, ip_addr_len(&out[num].hi));
		num++;
	}
	return num;
}

/* fix_local - the same for the local side, where "dynamic" may be a virtual address. */
static uint32_t fix_local(struct ts *out, const struct conf_conn *conn,
			  const struct conf_child *child, const struct ip_addr *end)
{
	uint32_t num = 0;

	if (!conn->num_vips)
		return fix_ts(out, child->local_ts, child->num_local_ts, end);
	for (uint32_t i = 0; i < child->num_local_ts && num < CONF_MAX_TS; i++) {
		if (child->local_ts[i].dynamic)
			num = add_any(out, num, &child->local_ts[i].ts, conn);
		else
			out[num++] = child->local_ts[i].ts;
	}
	return num;
}

/* needs_ends - the policy is not known before the tunnel's ends are. */
static bool needs_ends(const struct conf_child *c)
{
	if (c->mode == CONF_TRANSPORT)
		return true;
	for (uint32_t i = 0; i < c->num_local_ts; i++)
		if (c->local_ts[i].dynamic)
			return true;
	for (uint32_t i = 0; i < c->num_remote_ts; i++)
		if (c->remote_ts[i].dynamic)
			return true;
	return false;
}

/* trap_ends - the tunnel's two ends, as far as they are known without asking anybody. */
static bool trap_ends(struct engine *e, struct ip_addr *local, struct ip_addr *remote,
		      const struct conf_conn *conn)
{
	const struct conf_addr *a = connect_remote(conn);

	if (!a || a->name)
		return false;
	*remote = a->range.lo;
	return connect_local(e, local, conn, remote) == ERR_OK;
}

/* clip - of the selectors only what is about this address; how many are left. */
static uint32_t clip(struct ts *ts, uint32_t num, const struct ip_addr *end)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < num; i++) {
		if (ip_addr_cmp(&ts[i].lo, end) > 0 || ip_addr_cmp(end, &ts[i].hi) > 0)
			continue;
		ts[kept] = ts[i];
		ts[kept].lo = ts[kept].hi = *end;
		kept++;
	}
	return kept;
}

/* trap_transport - between the two ends only, as it will be offered; for others it is a tunnel. */
static void trap_transport(struct sa_group *g, const struct ip_addr *local,
			   const struct ip_addr *remote)
{
	struct ts ts[2][CONF_MAX_TS];
	uint32_t num[2];

	memcpy(ts[0], g->local, g->num_local * sizeof(ts[0][0]));
	memcpy(ts[1], g->remote, g->num_remote * sizeof(ts[1][0]));
	num[0] = clip(ts[0], g->num_local, local);
	num[1] = clip(ts[1], g->num_remote, remote);
	if (!num[0] || !num[1])
		return;
	memcpy(g->local, ts[0], num[0] * sizeof(ts[0][0]));
	memcpy(g->remote, ts[1], num[1] * sizeof(ts[1][0]));
	g->num_local = num[0];
	g->num_remote = num[1];
	g->transport = true;
}

static bool trap_selectors(struct engine *e, struct sa_group *g, const struct conf_conn *conn,
			   const struct conf_child *child)
{
	struct ip_addr local = {0}, remote = {0};

	if (needs_ends(child) && !trap_ends(e, &local, &remote, conn))
		return false;
	g->num_local = fix_local(g->local, conn, child, &local);
	g->num_remote = fix_ts(g->remote, child->remote_ts, child->num_remote_ts, &remote);
	if (child->mode == CONF_TRANSPORT)
		trap_transport(g, &local, &remote);
	return true;
}

static bool same_selectors(const struct sa_group *a, const struct sa_group *b)
{
	return same_ts(a->local, a->num_local, b->local, b->num_local) &&
	       same_ts(a->remote, a->num_remote, b->remote, b->num_remote);
}

/* trap_wait - the tunnel's ends are not known. A route may come, and is looked for; the address of
 * a name or of any peer is only known when the connection is up. */
static void trap_wait(struct engine *e, const struct conf_conn *conn,
		      const struct conf_child *child)
{
	const struct conf_addr *a = connect_remote(conn);

	if (a && !a->name) {
		if (!e->told)
			LOG(WARN, CFG, conn->name,
			    "%s: there is no route to %s yet, so its selectors are not "
			    "known: until then it is not protected",
			    child->name, a->text);
		e->wants_ends = true;
		return;
	}
	if (!e->told)
		LOG(WARN, CFG, conn->name,
		    "%s: with a remote_addrs that is not one address, its selectors are "
		    "known only when the connection is up; until then it is not protected",
		    child->name);
}

/* twin_of - the child's group that is there already and protects the same. */
static struct sa_group *twin_of(struct engine *e, const struct sa_group *g)
{
	list_for_each (n, &e->groups) {
		struct sa_group *o = list_entry(n, struct sa_group, node);

		if (o != g && o->vif == g->vif && group_is(o, g->conn, g->child) &&
		    same_selectors(o, g))
			return o;
	}
	return NULL;
}

/* trap_install - the group of a child that is to be protected from now on. */
static void trap_install(struct engine *e, const struct conf_conn *conn,
			 const struct conf_child *child)
{
	struct sa_group *g = group_new(e, conn->name, child->name);
	struct sa_group *old;

	if (!g) {
		LOG(ERROR, CHD, conn->name, "no memory for the policy of %s", child->name);
		return;
	}
	if (!trap_selectors(e, g, conn, child)) {
		trap_wait(e, conn, child);
		group_free(e, g);
		return;
	}
	old = twin_of(e, g);
	if (old) {
		group_free(e, g);
		g = old;
	}
	g->trap = true;
	if (g->policy && g->priority != group_priority(e, g))
		policy_uninstall(e, g); /* it has another place now */
	if (!g->policy)
		policy_install(e, g);
}

/* again - what the host refused. */
static void again(struct timer *t, uint64_t now_ns)
{
	struct engine *e = container_of(t, struct engine, again);

	(void)now_ns;
	e->told = true;
	if (e->wants_ends)
		policy_configure(e);
	policy_settle(e);
	e->told = false;
}

void policy_init(struct engine *e)
{
	timer_init(&e->again, again);
	/* What a killed process left guarded stays so until there is something else to guard, or
	 * the stop is orderly. */
	e->has_guard = true;
}

void policy_configure(struct engine *e)
{
	const struct conf *conf = e->conf;

	e->wants_ends = false;
	vif_configure(e);
	shunts_configure(e);
	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		g->trap = false;
	}
	for (uint32_t i = 0; i < conf->num_conns; i++)
		for (uint32_t c = 0; c < conf->conns[i]->num_children; c++)
			if (conf->conns[i]->children[c].start_action != ACTION_NONE &&
			    conf_negotiated(conf->conns[i]->children[c].mode))
				trap_install(e, conf->conns[i], &conf->conns[i]->children[c]);
	if (e->wants_ends && !timer_is_set(&e->again))
		timer_set(&e->timers, &e->again, engine_now(e) + HOST_AGAIN_NS);
	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (g->trap || !conf_find_conn(conf, g->conn))
			g->fail_closed = false;
	}
}

void policy_settle(struct engine *e)
{
	list_for_each_safe (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (g->trap || g->fail_closed || g->num_outbound)
			continue;
		policy_uninstall(e, g);
		if (!g->num_pairs)
			group_free(e, g);
	}
	vif_settle(e);
	guard_flush(e);
}

void policy_fini(struct engine *e)
{
	list_for_each_safe (n, &e->groups)
		group_free(e, list_entry(n, struct sa_group, node));
	shunts_fini(e);
	if (e->has_guard && !e->leave_host && e->host.ops->guard_del(e->host.ctx))
		LOG(WARN, KNL, NULL, "the guard could not be removed");
}
