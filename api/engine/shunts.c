/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shunts: children with mode = pass or drop, policies of our own that no SA belongs to. They stand
 * with start_action = trap. "dynamic" is any address, since there is no tunnel whose end it could
 * be. An application that may configure has one for its own flow (L10).
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

static void shunt_free(struct engine *e, struct shunt *s)
{
	if (s->policy) {
		dataplane_policy_remove(e->dp, s->policy);
		e->guard_dirty = true;
	}
	list_remove(&s->node);
	mem_free(s->conn);
	mem_free(s->child);
	mem_free(s);
}

/* put - a selector at the end, with every address of a family if it has none; false: full. */
static bool put(struct ts *out, uint32_t *num, const struct ts *ts, enum ip_family family)
{
	if (*num == CONF_MAX_TS)
		return false;
	out[*num] = *ts;
	if (family != IP_NONE) {
		out[*num].lo = out[*num].hi = (struct ip_addr){.family = (uint8_t)family};
		memset(out[*num].hi.b, 0xff, ip_addr_len(&out[*num].hi));
	}
	(*num)++;
	return true;
}

static bool put_all(struct ts *out, uint32_t *num, const struct conf_ts *in, uint32_t num_in)
{
	bool fits = true;

	*num = 0;
	for (uint32_t i = 0; i < num_in; i++) {
		if (in[i].dynamic)
			fits = fits && put(out, num, &in[i].ts, IP_V4) &&
			       put(out, num, &in[i].ts, IP_V6);
		else
			fits = fits && put(out, num, &in[i].ts, IP_NONE);
	}
	return fits;
}

static struct shunt *shunt_new(const struct conf_conn *conn, const struct conf_child *child)
{
	struct shunt *s = mem_alloc(sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	s->conn = str_dup(conn->name);
	s->child = str_dup(child->name);
	s->action = child->mode == CONF_PASS ? POLICY_BYPASS : POLICY_DISCARD;
	if (!put_all(s->local, &s->num_local, child->local_ts, child->num_local_ts) ||
	    !put_all(s->remote, &s->num_remote, child->remote_ts, child->num_remote_ts))
		LOG(ERROR, CFG, conn->name, "%s: too many selectors", child->name);
	return s;
}

static struct policy_params params_of(const struct shunt *s)
{
	return (struct policy_params){
		.layer = POLICY_CONFIG,
		.action = s->action,
		.priority = s->priority,
		.local = s->local,
		.remote = s->remote,
		.num_local = s->num_local,
		.num_remote = s->num_remote,
	};
}

static bool same(const struct shunt *a, const struct shunt *b)
{
	return strcmp(a->conn, b->conn) == 0 && strcmp(a->child, b->child) == 0 &&
	       a->action == b->action && a->priority == b->priority &&
	       a->num_local == b->num_local && a->num_remote == b->num_remote &&
	       memcmp(a->local, b->local, a->num_local * sizeof(a->local[0])) == 0 &&
	       memcmp(a->remote, b->remote, a->num_remote * sizeof(a->remote[0])) == 0;
}

static struct shunt *find_same(struct engine *e, const struct shunt *s)
{
	list_for_each (n, &e->shunts) {
		struct shunt *o = list_entry(n, struct shunt, node);

		if (same(o, s))
			return o;
	}
	return NULL;
}

static void want(struct engine *e, const struct conf_conn *conn, const struct conf_child *child)
{
	struct shunt *s = shunt_new(conn, child), *old;
	struct policy_params p;
	enum err err = s && s->conn && s->child ? ERR_OK : ERR_NOMEM;

	if (!err) {
		p = params_of(s);
		s->priority = p.priority = priority_of(&p, child->priority);
		old = find_same(e, s);
		if (old) {
			old->wanted = true;
			shunt_free(e, s);
			return;
		}
		err = dataplane_policy_add(e->dp, &s->policy, &p);
	}
	if (err) {
		LOG(ERROR, CHD, conn->name, "the policy of %s cannot be installed: %s", child->name,
		    err_text(err));
		if (s)
			shunt_free(e, s);
		return;
	}
	s->wanted = true;
	e->guard_dirty = true;
	list_push_back(&e->shunts, &s->node);
}

/* ---- of applications --------------------------------------------------------------------------
 */

/* put_end - the selector of one end; of any address of either family, two. */
static void put_end(struct ts *out, uint32_t *num, const struct flow *f, const struct ip_addr *addr,
		    uint16_t port)
{
	struct ts ts = {
		.lo = *addr,
		.hi = *addr,
		.proto = f->proto,
		.port_lo = port,
		.port_hi = port ? port : UINT16_MAX,
	};

	if (addr->family != IP_NONE && !ip_addr_is_any(addr)) {
		(void)put(out, num, &ts, IP_NONE);
		return;
	}
	if (addr->family != IP_V6)
		(void)put(out, num, &ts, IP_V4);
	if (addr->family != IP_V4)
		(void)put(out, num, &ts, IP_V6);
}

enum err shunt_add(struct engine *e, struct shunt **out, const struct flow *flow)
{
	struct shunt *s = mem_alloc(sizeof(*s));
	struct policy_params p;
	enum err err = ERR_NOMEM;

	if (!s)
		return ERR_NOMEM;
	list_init(&s->node);
	s->conn = str_dup("application");
	s->child = str_dup("bypass");
	s->action = POLICY_BYPASS;
	s->of_latch = true;
	put_end(s->local, &s->num_local, flow, &flow->local, flow->local_port);
	put_end(s->remote, &s->num_remote, flow, &flow->remote, flow->remote_port);
	p = params_of(s);
	s->priority = p.priority = priority_of(&p, 0);
	if (s->conn && s->child)
		err = dataplane_policy_add(e->dp, &s->policy, &p);
	if (err) {
		shunt_free(e, s);
		return err;
	}
	e->guard_dirty = true;
	list_push_back(&e->shunts, &s->node);
	*out = s;
	return ERR_OK;
}

void shunt_remove(struct engine *e, struct shunt *s)
{
	shunt_free(e, s);
}

/* ---- the configuration's ----------------------------------------------------------------------
 */

void shunts_configure(struct engine *e)
{
	const struct conf *conf = e->conf;

	list_for_each (n, &e->shunts) {
		struct shunt *s = list_entry(n, struct shunt, node);

		s->wanted = s->of_latch;
	}
	for (uint32_t i = 0; i < conf->num_conns; i++)
		for (uint32_t c = 0; c < conf->conns[i]->num_children; c++) {
			const struct conf_child *child = &conf->conns[i]->children[c];

			if (!conf_negotiated(child->mode) && child->start_action != ACTION_NONE)
				want(e, conf->conns[i], child);
		}
	list_for_each_safe (n, &e->shunts) {
		struct shunt *s = list_entry(n, struct shunt, node);

		if (!s->wanted)
			shunt_free(e, s);
	}
}

void shunts_fini(struct engine *e)
{
	list_for_each_safe (n, &e->shunts)
		shunt_free(e, list_entry(n, struct shunt, node));
}
